#include "src/landing/text_encoding.h"

#include <iconv.h>

#include <cerrno>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

class ConvertedContent final : public FileContent {
 public:
  ConvertedContent(std::unique_ptr<FileContent> inner, std::string encoding)
      : inner_(std::move(inner)), encoding_(std::move(encoding)), converter_(iconv_open("UTF-8", encoding_.c_str())) {}
  ~ConvertedContent() override {
    if (known()) iconv_close(converter_);
  }

  bool known() const { return converter_ != reinterpret_cast<iconv_t>(-1); }

  absl::StatusOr<bool> Read(std::string* out) override {
    const size_t before = out->size();
    while (out->size() == before && !ended_) {
      TM_ASSIGN_OR_RETURN(const bool more, inner_->Read(&rest_));
      ended_ = !more;
      TM_RETURN_IF_ERROR(Convert(out));
    }
    return out->size() > before;
  }
  std::string hash() const override { return inner_->hash(); }

 private:
  // As much of the rest as is whole; what isn't waits for more.
  absl::Status Convert(std::string* out) {
    char* from = rest_.data();
    size_t left = rest_.size();
    while (left > 0) {
      const size_t before = out->size(), room = 2 * left + 16;
      out->resize(before + room);
      char* to = out->data() + before;
      size_t free = room;
      const size_t converted = iconv(converter_, &from, &left, &to, &free);
      const int error = errno;
      out->resize(before + room - free);
      if (converted != static_cast<size_t>(-1) || error == E2BIG) continue;
      if (error == EINVAL && !ended_) break;
      return absl::InvalidArgumentError(
          absl::StrCat("byte ", used_ + static_cast<int64_t>(rest_.size() - left) + 1, " is no text in ", encoding_));
    }
    used_ += static_cast<int64_t>(rest_.size() - left);
    rest_.erase(0, rest_.size() - left);
    return absl::OkStatus();
  }

  const std::unique_ptr<FileContent> inner_;
  std::string rest_;  // of the inner one, not converted yet
  const std::string encoding_;
  const iconv_t converter_;
  int64_t used_ = 0;
  bool ended_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<FileContent>> InUtf8(UnpackedFile file, const std::string& encoding) {
  const bool wide = absl::StartsWith(file.head, "\xff\xfe") || absl::StartsWith(file.head, "\xfe\xff");
  const bool utf8 = absl::StartsWith(file.head, "\xef\xbb\xbf") || encoding.empty();
  if (!wide && utf8) return std::move(file.content);
  auto converted = std::make_unique<ConvertedContent>(std::move(file.content), wide ? "UTF-16" : encoding);
  if (!converted->known()) {
    return absl::UnavailableError(absl::StrCat("the system doesn't know the encoding ", encoding));
  }
  return std::unique_ptr<FileContent>(std::move(converted));
}

}  // namespace tidemark
