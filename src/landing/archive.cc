// A zip is read from front to back, as all else, so that one that was encrypted or compressed as a whole needs no room.
// What its directory says at the end is compared with what was found: an archive that lost its end, or whose files
// readers of the directory would see otherwise, is rejected.
#include "src/landing/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

using std::string_view_literals::operator""sv;

constexpr int64_t kMostEntries = 10'000;
constexpr size_t kPieceBytes = 64 << 10;
constexpr size_t kTailBytes = (64 << 10) + 256;  // a zip's end with the longest comment, and what stands before it

uint64_t LittleEndian(std::string_view bytes, size_t at, size_t size) {
  uint64_t value = 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

// libarchive gives names in the encoding of the thread's locale, and a process's is C.
class NamesInUtf8 {
 public:
  NamesInUtf8() : before_(uselocale(Utf8())) {}
  ~NamesInUtf8() { uselocale(before_); }
  NamesInUtf8(const NamesInUtf8&) = delete;
  NamesInUtf8& operator=(const NamesInUtf8&) = delete;

 private:
  static locale_t Utf8() {
    static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return utf8;  // null, where there is none: the locale stays
  }

  const locale_t before_;
};

// For headers and messages: UTF-8, or what of ASCII is in there.
std::string NameOf(archive_entry* entry) {
  if (const char* utf8 = archive_entry_pathname_utf8(entry)) return utf8;
  const char* const raw = archive_entry_pathname(entry);
  std::string name = raw == nullptr ? "?" : raw;
  for (char& c : name) c = static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e ? '?' : c;
  return name;
}

}  // namespace

ArchiveReader::ArchiveReader(std::unique_ptr<FileContent> content, UnpackedFile::Form form)
    : content_(std::move(content)),
      form_(form),
      what_(form == UnpackedFile::Form::kZip ? "zip archive" : "tar archive"),
      archive_(archive_read_new()) {}

ArchiveReader::~ArchiveReader() { archive_read_free(archive_); }

absl::StatusOr<std::unique_ptr<ArchiveReader>> ArchiveReader::Open(std::unique_ptr<FileContent> content,
                                                                   UnpackedFile::Form form,
                                                                   const std::string& passphrase) {
  std::unique_ptr<ArchiveReader> reader(new ArchiveReader(std::move(content), form));
  struct archive* const archive = reader->archive_;
  if (form == UnpackedFile::Form::kZip) {
    archive_read_support_format_zip_streamable(archive);
    reader->passphrase_ = !passphrase.empty();
    if (reader->passphrase_) archive_read_add_passphrase(archive, passphrase.c_str());
  } else {
    archive_read_support_format_tar(archive);
  }
  if (archive_read_open(archive, reader.get(), nullptr, &ReadPiece, nullptr) != ARCHIVE_OK) return reader->WhyNot();
  return reader;
}

// Some more of the content into `piece_`; false: there is none.
absl::StatusOr<bool> ArchiveReader::Pull() {
  bool more = true;
  for (piece_.clear(); more && piece_.empty();) {
    TM_ASSIGN_OR_RETURN(more, content_->Read(&piece_));
  }
  bytes_ += static_cast<int64_t>(piece_.size());
  const size_t last = piece_.find_last_not_of('\0');
  if (last == std::string::npos) {
    zeros_ += static_cast<int64_t>(piece_.size());
  } else {
    zeros_ = static_cast<int64_t>(piece_.size() - last - 1);
  }
  tail_.append(piece_, piece_.size() - std::min(piece_.size(), kTailBytes));
  if (tail_.size() > kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
  return !piece_.empty();
}

long ArchiveReader::ReadPiece(struct archive* archive, void* self, const void** out) {
  auto* const reader = static_cast<ArchiveReader*>(self);
  const absl::StatusOr<bool> more = reader->Pull();
  if (!more.ok()) {
    reader->status_ = more.status();
    archive_set_error(archive, EIO, "reading");
    return -1;
  }
  *out = reader->piece_.data();
  return static_cast<long>(reader->piece_.size());
}

absl::Status ArchiveReader::WhyNot() const {
  if (!status_.ok()) return status_;
  const char* const why = archive_error_string(archive_);
  const std::string in = name_.empty() ? "" : absl::StrCat(" in ", name_);
  return absl::InvalidArgumentError(
      absl::StrCat("damaged or cut off ", what_, in, why == nullptr ? "" : absl::StrCat(": ", why)));
}

absl::StatusOr<bool> ArchiveReader::Next() {
  while (true) {
    const NamesInUtf8 names;
    archive_entry* entry = nullptr;
    const int result = archive_read_next_header(archive_, &entry);
    if (result == ARCHIVE_EOF) {
      TM_RETURN_IF_ERROR(CheckEnd());
      return false;
    }
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return WhyNot();
    name_ = NameOf(entry);
    if (++entries_ > kMostEntries) {
      return absl::InvalidArgumentError(absl::StrCat("the ", what_, " has more than ", kMostEntries, " entries"));
    }
    if (archive_entry_filetype(entry) == AE_IFDIR) continue;
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(name_, " in the ", what_, " is no file of its own but a link"));
    }
    if (archive_entry_is_data_encrypted(entry) == 1) {
      if (!passphrase_) {
        return absl::InvalidArgumentError(
            absl::StrCat(name_, " in the ", what_, " is encrypted, and the source has no decrypt.zip"));
      }
      // Its cipher was broken in 1994, and nothing but a sum of 32 bits tells whether it was altered.
      if (!absl::StrContains(archive_format_name(archive_), "(aes)")) {
        return absl::InvalidArgumentError(
            absl::StrCat(name_, " in the ", what_, " is encrypted in the old way of zip, which isn't read; AES is"));
      }
    }
    return true;
  }
}

absl::StatusOr<bool> ArchiveReader::Read(std::string* out) {
  const size_t before = out->size();
  out->resize(before + kPieceBytes);
  const la_ssize_t got = archive_read_data(archive_, out->data() + before, kPieceBytes);
  out->resize(before + static_cast<size_t>(std::max<la_ssize_t>(got, 0)));
  if (got < 0) return WhyNot();
  return got > 0;
}

absl::Status ArchiveReader::CheckEnd() {
  name_.clear();
  while (true) {
    TM_ASSIGN_OR_RETURN(const bool more, Pull());
    if (!more) break;
  }
  return form_ == UnpackedFile::Form::kZip ? CheckZipEnd() : CheckTarEnd();
}

// The directory has to be of the files that were found, and right behind them: in an archive that stands behind another
// one, or holds what was deleted, whoever goes by the directory sees other files.
absl::Status ArchiveReader::CheckZipEnd() const {
  constexpr size_t kEndBytes = 22, kEnd64Bytes = 56;
  for (size_t at = tail_.rfind("PK\x05\x06"sv); at != std::string::npos;
       at = at == 0 ? std::string::npos : tail_.rfind("PK\x05\x06"sv, at - 1)) {
    if (tail_.size() < at + kEndBytes || tail_.size() != at + kEndBytes + LittleEndian(tail_, at + 20, 2)) continue;
    uint64_t entries = LittleEndian(tail_, at + 10, 2), directory = LittleEndian(tail_, at + 12, 4);
    const size_t wide = tail_.rfind("PK\x06\x06"sv, at);
    if (wide != std::string::npos && wide + kEnd64Bytes <= at && LittleEndian(tail_, at + 16, 4) == 0xffffffff) {
      entries = LittleEndian(tail_, wide + 32, 8);
      directory = LittleEndian(tail_, wide + 40, 8);
      at = wide;
    }
    const int64_t ends = bytes_ - static_cast<int64_t>(tail_.size() - at);
    const auto begins = static_cast<uint64_t>(archive_read_header_position(archive_));
    if (entries == static_cast<uint64_t>(entries_) && begins + directory == static_cast<uint64_t>(ends)) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(absl::StrCat("the zip archive's directory isn't that of the ", entries_,
                                                   " entries that stand before it: it has ", entries));
  }
  return absl::InvalidArgumentError("the zip archive is cut off, or something stands behind it");
}

// A tar ends in two blocks of zeros, and may be filled up with more.
absl::Status ArchiveReader::CheckTarEnd() const {
  const int64_t end = bytes_ - archive_read_header_position(archive_);
  if (end < 1024) return absl::InvalidArgumentError("the tar archive is cut off: it has no end");
  if (zeros_ < end) return absl::InvalidArgumentError("something stands behind the end of the tar archive");
  return absl::OkStatus();
}

namespace {

class XzContent final : public FileContent {
 public:
  explicit XzContent(std::unique_ptr<FileContent> inner) : inner_(std::move(inner)), archive_(archive_read_new()) {}
  ~XzContent() override { archive_read_free(archive_); }

  absl::StatusOr<bool> Read(std::string* out) override {
    if (!begun_) {
      begun_ = true;
      archive_read_support_filter_xz(archive_);
      archive_read_support_format_raw(archive_);
      archive_read_support_format_empty(archive_);
      archive_entry* entry = nullptr;
      if (archive_read_open(archive_, this, nullptr, &ReadPiece, nullptr) != ARCHIVE_OK) return WhyNot();
      const int result = archive_read_next_header(archive_, &entry);
      ended_ = result == ARCHIVE_EOF;
      if (!ended_ && result != ARCHIVE_OK) return WhyNot();
    }
    if (!ended_) {
      const size_t before = out->size();
      out->resize(before + kPieceBytes);
      const la_ssize_t got = archive_read_data(archive_, out->data() + before, kPieceBytes);
      out->resize(before + static_cast<size_t>(std::max<la_ssize_t>(got, 0)));
      if (got < 0) return WhyNot();
      if (got > 0) return true;
      ended_ = true;
    }
    TM_ASSIGN_OR_RETURN(const bool more, inner_->Read(&piece_));
    if (more) return absl::InvalidArgumentError("something stands behind the end of what is xz");
    return false;
  }
  std::string hash() const override { return inner_->hash(); }

 private:
  static long ReadPiece(struct archive* archive, void* self, const void** out) {
    auto* const content = static_cast<XzContent*>(self);
    bool more = true;
    for (content->piece_.clear(); more && content->piece_.empty();) {
      const absl::StatusOr<bool> read = content->inner_->Read(&content->piece_);
      if (!read.ok()) {
        content->status_ = read.status();
        archive_set_error(archive, EIO, "reading");
        return -1;
      }
      more = *read;
    }
    *out = content->piece_.data();
    return static_cast<long>(content->piece_.size());
  }

  absl::Status WhyNot() const {
    if (!status_.ok()) return status_;
    const char* const why = archive_error_string(archive_);
    return absl::InvalidArgumentError(
        absl::StrCat("damaged or cut off xz", why == nullptr ? "" : ": ", why == nullptr ? "" : why));
  }

  const std::unique_ptr<FileContent> inner_;
  struct archive* const archive_;
  std::string piece_;
  absl::Status status_;
  bool begun_ = false, ended_ = false;
};

}  // namespace

std::unique_ptr<FileContent> NewXzContent(std::unique_ptr<FileContent> inner) {
  return std::make_unique<XzContent>(std::move(inner));
}

}  // namespace tidemark
