#include "src/landing/content.h"

#include <optional>
#include <string_view>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <arrow/buffer.h>
#include <arrow/io/buffered.h>
#include <arrow/io/compressed.h>
#include <arrow/util/compression.h>
#include <xxhash.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr int64_t kPieceBytes = 256 << 10;
constexpr int64_t kPeekBytes = 264;  // as far as a tar's mark

class Hasher {
 public:
  Hasher() : state_(XXH3_createState()) { XXH3_128bits_reset(state_); }
  ~Hasher() { XXH3_freeState(state_); }
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  void Add(const void* data, int64_t size) { XXH3_128bits_update(state_, data, static_cast<size_t>(size)); }
  std::string Hex() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_);
    return absl::StrFormat("%016x%016x", hash.high64, hash.low64);
  }

 private:
  XXH3_state_t* const state_;
};

// Passes on what the file has, and hashes it.
class HashedStream final : public arrow::io::InputStream {
 public:
  HashedStream(std::shared_ptr<arrow::io::RandomAccessFile> file, Hasher* hasher)
      : file_(std::move(file)), hasher_(hasher) {}

  arrow::Result<int64_t> Read(int64_t bytes, void* out) override {
    const arrow::Result<int64_t> got = file_->Read(bytes, out);
    failed_ = failed_ || !got.ok();
    if (got.ok()) hasher_->Add(out, *got);
    return got;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t bytes) override {
    const arrow::Result<std::shared_ptr<arrow::Buffer>> got = file_->Read(bytes);
    failed_ = failed_ || !got.ok();
    if (got.ok()) hasher_->Add((*got)->data(), (*got)->size());
    return got;
  }
  // An error is the disk's, and none of what was compressed.
  bool failed() const { return failed_; }
  arrow::Result<int64_t> Tell() const override { return file_->Tell(); }
  bool closed() const override { return file_->closed(); }
  arrow::Status Close() override { return file_->Close(); }

 private:
  const std::shared_ptr<arrow::io::RandomAccessFile> file_;
  Hasher* const hasher_;
  bool failed_ = false;
};

struct Magic {
  std::string_view bytes;
  size_t at;
  const char* name;
  std::optional<arrow::Compression::type> codec;  // nothing: not read
};

using std::string_view_literals::operator""sv;

constexpr Magic kMagics[] = {
    {"\x1f\x8b"sv, 0, "gzip", arrow::Compression::GZIP},
    {"\x28\xb5\x2f\xfd"sv, 0, "zstd", arrow::Compression::ZSTD},
    {"BZh"sv, 0, "bzip2", arrow::Compression::BZ2},
    {"\x04\x22\x4d\x18"sv, 0, "lz4", arrow::Compression::LZ4_FRAME},
    {"\xfd\x37zXZ\x00"sv, 0, "xz", std::nullopt},
    {"PK\x03\x04"sv, 0, "a zip archive (or xlsx)", std::nullopt},
    {"7z\xbc\xaf\x27\x1c"sv, 0, "a 7z archive", std::nullopt},
    {"ustar"sv, 257, "a tar archive", std::nullopt},
    {"-----BEGIN PGP"sv, 0, "encrypted with OpenPGP", std::nullopt},
    {"age-encryption.org/"sv, 0, "encrypted with age", std::nullopt},
    {"\xff\xfe"sv, 0, "UTF-16", std::nullopt},
    {"\xfe\xff"sv, 0, "UTF-16", std::nullopt},
};

class OpenContent final : public FileContent {
 public:
  absl::Status Begin(std::shared_ptr<arrow::io::RandomAccessFile> file) {
    file_ = std::make_shared<HashedStream>(std::move(file), &hasher_);
    TM_ASSIGN_OR_RETURN(
        raw_, FromFile(arrow::io::BufferedInputStream::Create(kPieceBytes, arrow::default_memory_pool(), file_)));
    TM_ASSIGN_OR_RETURN(const std::string_view head, FromFile(raw_->Peek(kPeekBytes)));
    text_ = raw_;
    for (const Magic& magic : kMagics) {
      if (head.size() < magic.at || head.substr(magic.at, magic.bytes.size()) != magic.bytes) continue;
      if (!magic.codec) {
        return absl::InvalidArgumentError(
            absl::StrCat("the file is ", magic.name, ", which isn't read yet; gzip, zstd, bzip2 and lz4 are"));
      }
      name_ = magic.name;
      auto codec = arrow::util::Codec::Create(*magic.codec);
      if (!codec.ok()) return absl::InvalidArgumentError(codec.status().message());
      codec_ = *std::move(codec);
      TM_ASSIGN_OR_RETURN(text_, FromFile(arrow::io::CompressedInputStream::Make(codec_.get(), raw_)));
      break;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Read(std::string* out) override {
    const size_t before = out->size();
    out->resize(before + kPieceBytes);
    const auto got = text_->Read(kPieceBytes, out->data() + before);
    out->resize(before + static_cast<size_t>(got.ok() ? *got : 0));
    if (!got.ok()) {
      if (codec_ == nullptr || file_->failed()) return absl::UnavailableError(got.status().message());
      return absl::InvalidArgumentError(absl::StrCat("damaged or cut off ", name_, ": ", got.status().message()));
    }
    if (*got > 0) return true;
    TM_ASSIGN_OR_RETURN(const std::string_view behind, FromFile(raw_->Peek(1)));
    if (behind.empty()) return false;
    return absl::InvalidArgumentError(absl::StrCat("something stands behind the end of what is ", name_));
  }
  std::string hash() const override { return hasher_.Hex(); }

 private:
  template <typename T>
  static absl::StatusOr<T> FromFile(arrow::Result<T> result) {
    if (!result.ok()) return absl::UnavailableError(result.status().message());
    return *std::move(result);
  }

  Hasher hasher_;
  std::shared_ptr<HashedStream> file_;
  std::shared_ptr<arrow::io::BufferedInputStream> raw_;
  std::unique_ptr<arrow::util::Codec> codec_;
  std::string name_;
  std::shared_ptr<arrow::io::InputStream> text_;
};

class TextContent final : public FileContent {
 public:
  explicit TextContent(std::string text) : text_(std::move(text)) {}

  absl::StatusOr<bool> Read(std::string* out) override {
    const bool some = !text_.empty();
    out->append(text_);
    text_.clear();
    return some;
  }
  std::string hash() const override { return ""; }

 private:
  std::string text_;
};

}  // namespace

std::unique_ptr<FileContent> FileContent::OfText(std::string text) {
  return std::make_unique<TextContent>(std::move(text));
}

absl::StatusOr<std::unique_ptr<FileContent>> FileContent::Open(std::shared_ptr<arrow::io::RandomAccessFile> file) {
  auto content = std::make_unique<OpenContent>();
  TM_RETURN_IF_ERROR(content->Begin(std::move(file)));
  return std::unique_ptr<FileContent>(std::move(content));
}

absl::StatusOr<std::string> HashOfFile(arrow::io::RandomAccessFile& file) {
  Hasher hasher;
  TM_RETURN_IF_ERROR(FromArrow(file.Seek(0), "hashing"));
  while (true) {
    const auto piece = file.Read(kPieceBytes);
    if (!piece.ok()) return absl::UnavailableError(piece.status().message());
    if ((*piece)->size() == 0) return hasher.Hex();
    hasher.Add((*piece)->data(), (*piece)->size());
  }
}

}  // namespace tidemark
