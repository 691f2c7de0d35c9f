#include "src/landing/content.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <arrow/buffer.h>
#include <arrow/io/compressed.h>
#include <arrow/util/compression.h>
#include <xxhash.h>

#include "src/base/status.h"
#include "src/landing/archive.h"
#include "src/landing/openpgp.h"

namespace tidemark {
namespace {

constexpr int64_t kPieceBytes = 256 << 10;
constexpr size_t kHeadBytes = 512;  // a tar's mark is in there
constexpr int kMostLayers = 4;
constexpr int64_t kAlwaysUnpacked = int64_t{1} << 30;
constexpr int64_t kMostTimes = 1000;  // deflate reaches 1,032

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

// The lowest layer: what lies on disk.
class DiskContent final : public FileContent {
 public:
  DiskContent(std::shared_ptr<arrow::io::RandomAccessFile> file, std::shared_ptr<UnpackBudget> budget)
      : file_(std::move(file)), budget_(std::move(budget)) {}

  absl::StatusOr<bool> Read(std::string* out) override {
    const size_t before = out->size();
    out->resize(before + kPieceBytes);
    const arrow::Result<int64_t> got = file_->Read(kPieceBytes, out->data() + before);
    out->resize(before + static_cast<size_t>(got.ok() ? *got : 0));
    if (!got.ok()) return absl::UnavailableError(got.status().message());
    hasher_.Add(out->data() + before, *got);
    budget_->packed += *got;
    return *got > 0;
  }
  std::string hash() const override { return hasher_.Hex(); }

 private:
  const std::shared_ptr<arrow::io::RandomAccessFile> file_;
  const std::shared_ptr<UnpackBudget> budget_;
  Hasher hasher_;
};

// What a layer gives, counted.
class CountedContent final : public FileContent {
 public:
  CountedContent(std::unique_ptr<FileContent> inner, std::shared_ptr<UnpackBudget> budget)
      : inner_(std::move(inner)), budget_(std::move(budget)) {}

  absl::StatusOr<bool> Read(std::string* out) override {
    const size_t before = out->size();
    const absl::StatusOr<bool> more = inner_->Read(out);
    if (more.ok()) TM_RETURN_IF_ERROR(budget_->Take(static_cast<int64_t>(out->size() - before)));
    return more;
  }
  std::string hash() const override { return inner_->hash(); }

 private:
  const std::unique_ptr<FileContent> inner_;
  const std::shared_ptr<UnpackBudget> budget_;
};

// Looked at before it is read.
class PeekedContent final : public FileContent {
 public:
  explicit PeekedContent(std::unique_ptr<FileContent> inner) : inner_(std::move(inner)) {}

  absl::StatusOr<std::string> Peek() {
    for (bool more = true; more && head_.size() < kHeadBytes;) {
      TM_ASSIGN_OR_RETURN(more, inner_->Read(&head_));
    }
    return head_.substr(0, kHeadBytes);
  }
  absl::StatusOr<bool> Read(std::string* out) override {
    if (head_.empty()) return inner_->Read(out);
    out->append(head_);
    head_ = std::string();
    return true;
  }
  std::string hash() const override { return inner_->hash(); }

 private:
  const std::unique_ptr<FileContent> inner_;
  std::string head_;
};

// A content as Arrow reads one.
class ContentStream final : public arrow::io::InputStream {
 public:
  explicit ContentStream(FileContent* content) : content_(content) {}

  arrow::Result<int64_t> Read(int64_t bytes, void* out) override {
    ARROW_RETURN_NOT_OK(Fill());
    const size_t size = std::min(static_cast<size_t>(bytes), piece_.size() - used_);
    std::memcpy(out, piece_.data() + used_, size);
    used_ += size;
    return static_cast<int64_t>(size);
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t bytes) override {
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::ResizableBuffer> buffer, arrow::AllocateResizableBuffer(bytes));
    ARROW_ASSIGN_OR_RAISE(const int64_t size, Read(bytes, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(size));
    return buffer;
  }
  // Nothing of it is left.
  arrow::Result<bool> AtEnd() {
    ARROW_RETURN_NOT_OK(Fill());
    return used_ == piece_.size();
  }
  // Why the content couldn't be read, if it couldn't: its own words, and no decompressor's.
  const absl::Status& status() const { return status_; }
  arrow::Result<int64_t> Tell() const override { return arrow::Status::NotImplemented("no position"); }
  bool closed() const override { return false; }
  arrow::Status Close() override { return arrow::Status::OK(); }

 private:
  arrow::Status Fill() {
    while (used_ == piece_.size() && !ended_) {
      piece_.clear();
      used_ = 0;
      const absl::StatusOr<bool> more = content_->Read(&piece_);
      if (!more.ok()) {
        status_ = more.status();
        return arrow::Status::IOError("reading");
      }
      ended_ = !*more;
    }
    return arrow::Status::OK();
  }

  FileContent* const content_;
  std::string piece_;
  size_t used_ = 0;
  bool ended_ = false;
  absl::Status status_;
};

class DecompressedContent final : public FileContent {
 public:
  DecompressedContent(std::unique_ptr<FileContent> inner, const char* name)
      : inner_(std::move(inner)), name_(name), packed_(std::make_shared<ContentStream>(inner_.get())) {}

  absl::Status Begin(arrow::Compression::type type) {
    auto codec = arrow::util::Codec::Create(type);
    if (!codec.ok()) return absl::InvalidArgumentError(codec.status().message());
    codec_ = *std::move(codec);
    auto text = arrow::io::CompressedInputStream::Make(codec_.get(), packed_);
    if (!text.ok()) return WhyNot(text.status());
    text_ = *std::move(text);
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Read(std::string* out) override {
    const size_t before = out->size();
    out->resize(before + kPieceBytes);
    const auto got = text_->Read(kPieceBytes, out->data() + before);
    out->resize(before + static_cast<size_t>(got.ok() ? *got : 0));
    if (!got.ok()) return WhyNot(got.status());
    if (*got > 0) return true;
    const auto ended = packed_->AtEnd();
    if (!ended.ok()) return WhyNot(ended.status());
    if (*ended) return false;
    return absl::InvalidArgumentError(absl::StrCat("something stands behind the end of what is ", name_));
  }
  std::string hash() const override { return inner_->hash(); }

 private:
  absl::Status WhyNot(const arrow::Status& status) const {
    if (!packed_->status().ok()) return packed_->status();
    return absl::InvalidArgumentError(absl::StrCat("damaged or cut off ", name_, ": ", status.message()));
  }

  const std::unique_ptr<FileContent> inner_;
  const char* const name_;
  const std::shared_ptr<ContentStream> packed_;
  std::unique_ptr<arrow::util::Codec> codec_;
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

struct Magic {
  std::string_view bytes;
  const char* name;
  std::optional<arrow::Compression::type> codec;  // nothing: not read
};

using std::string_view_literals::operator""sv;

constexpr Magic kMagics[] = {
    {"\x1f\x8b"sv, "gzip", arrow::Compression::GZIP},
    {"\x28\xb5\x2f\xfd"sv, "zstd", arrow::Compression::ZSTD},
    {"BZh"sv, "bzip2", arrow::Compression::BZ2},
    {"\x04\x22\x4d\x18"sv, "lz4", arrow::Compression::LZ4_FRAME},
    {"7z\xbc\xaf\x27\x1c"sv, "a 7z archive", std::nullopt},
    {"age-encryption.org/"sv, "encrypted with age", std::nullopt},
};

constexpr auto kXz = "\xfd\x37zXZ\x00"sv;
constexpr size_t kTarMark = 257;

// The next layer; null: what is there is no layer that covers another.
absl::StatusOr<std::unique_ptr<FileContent>> Uncover(std::unique_ptr<PeekedContent>* content, const std::string& head,
                                                     const FilesSpec::Decrypt& decrypt) {
  if (head.starts_with(kXz)) return NewXzContent(std::move(*content));
  if (IsOpenPgp(head)) {
    if (decrypt.secret_keys.empty()) {
      return absl::InvalidArgumentError("the file is encrypted with OpenPGP, and the source has no decrypt.openpgp");
    }
    return NewOpenPgpContent(std::move(*content), decrypt);
  }
  for (const Magic& magic : kMagics) {
    if (!head.starts_with(magic.bytes)) continue;
    if (!magic.codec) {
      return absl::InvalidArgumentError(absl::StrCat("the file is ", magic.name, ", which isn't read"));
    }
    auto layer = std::make_unique<DecompressedContent>(std::move(*content), magic.name);
    TM_RETURN_IF_ERROR(layer->Begin(*magic.codec));
    return std::unique_ptr<FileContent>(std::move(layer));
  }
  return std::unique_ptr<FileContent>();
}

absl::StatusOr<UnpackedFile> Unpack(std::unique_ptr<FileContent> content, const FilesSpec::Decrypt& decrypt,
                                    std::shared_ptr<UnpackBudget> budget, bool member) {
  for (int layers = 0; layers <= kMostLayers; ++layers) {
    auto peeked = std::make_unique<PeekedContent>(std::move(content));
    TM_ASSIGN_OR_RETURN(const std::string head, peeked->Peek());
    if (layers == 0 && !member && !decrypt.signed_by.empty() && !IsOpenPgp(head)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the file isn't encrypted with OpenPGP, so nobody in ", decrypt.signed_by, " has signed it"));
    }
    const bool zip = absl::StartsWith(head, "PK\x03\x04") || absl::StartsWith(head, "PK\x05\x06");
    const bool tar = head.size() > kTarMark && absl::StartsWith(head.substr(kTarMark), "ustar");
    if ((zip || tar) && member) return absl::InvalidArgumentError("an archive within an archive isn't read");
    using Form = UnpackedFile::Form;
    if (zip || tar) return UnpackedFile{zip ? Form::kZip : Form::kTar, head, std::move(peeked), budget};
    TM_ASSIGN_OR_RETURN(content, Uncover(&peeked, head, decrypt));
    if (content == nullptr) return UnpackedFile{Form::kText, head, std::move(peeked), budget};
    content = std::make_unique<CountedContent>(std::move(content), budget);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the file is compressed or encrypted more than ", kMostLayers, " times over"));
}

// Takes off layers as long as there are any, `most` at most: what is left, and the innermost layer that was a message
// of OpenPGP, counted from 1.
absl::StatusOr<DecryptedFile> Peel(const std::shared_ptr<arrow::io::RandomAccessFile>& file,
                                   const FilesSpec::Decrypt& decrypt, int most) {
  TM_RETURN_IF_ERROR(FromArrow(file->Seek(0), "reading"));
  auto budget = std::make_shared<UnpackBudget>();
  DecryptedFile left{std::make_unique<DiskContent>(file, budget), 0};
  for (int layer = 1; layer <= most; ++layer) {
    auto peeked = std::make_unique<PeekedContent>(std::move(left.content));
    TM_ASSIGN_OR_RETURN(const std::string head, peeked->Peek());
    if (IsOpenPgp(head)) left.layers = layer;
    TM_ASSIGN_OR_RETURN(std::unique_ptr<FileContent> inner, Uncover(&peeked, head, decrypt));
    if (inner == nullptr) {
      left.content = std::move(peeked);
      break;
    }
    left.content = std::make_unique<CountedContent>(std::move(inner), budget);
  }
  return left;
}

}  // namespace

absl::Status UnpackBudget::Take(int64_t bytes) {
  unpacked += bytes;
  if (unpacked <= std::max(kAlwaysUnpacked, packed * kMostTimes)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("it unpacks to more than ", kAlwaysUnpacked >> 30, " GiB and ",
                                                 kMostTimes, " times what there is of it"));
}

std::unique_ptr<FileContent> FileContent::OfText(std::string text) {
  return std::make_unique<TextContent>(std::move(text));
}

absl::StatusOr<UnpackedFile> OpenFile(std::shared_ptr<arrow::io::RandomAccessFile> file,
                                      const FilesSpec::Decrypt& decrypt) {
  auto budget = std::make_shared<UnpackBudget>();
  return Unpack(std::make_unique<DiskContent>(std::move(file), budget), decrypt, budget, /*member=*/false);
}

std::unique_ptr<FileContent> OpenAsItCame(std::shared_ptr<arrow::io::RandomAccessFile> file) {
  return std::make_unique<DiskContent>(std::move(file), std::make_shared<UnpackBudget>());
}

absl::StatusOr<DecryptedFile> OpenDecrypted(const std::shared_ptr<arrow::io::RandomAccessFile>& file,
                                            const FilesSpec::Decrypt& decrypt) {
  TM_ASSIGN_OR_RETURN(DecryptedFile seen, Peel(file, decrypt, kMostLayers));
  seen.content.reset();
  return Peel(file, decrypt, seen.layers);
}

absl::StatusOr<UnpackedFile> OpenMember(std::unique_ptr<FileContent> member, const FilesSpec::Decrypt& decrypt,
                                        std::shared_ptr<UnpackBudget> budget) {
  auto counted = std::make_unique<CountedContent>(std::move(member), budget);
  return Unpack(std::move(counted), decrypt, budget, /*member=*/true);
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
