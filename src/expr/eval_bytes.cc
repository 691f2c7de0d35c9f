// Bytes: digests, and bytes written as text.
#include <array>
#include <memory>

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <openssl/evp.h>

#include "src/expr/coerce.h"
#include "src/expr/kernel.h"
#include "src/expr/kernels.h"

namespace tidemark::internal {
namespace {

using View = std::string_view;

void AppendHex(View bytes, std::string* out) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    *out += kDigits[byte >> 4];
    *out += kDigits[byte & 15];
  }
}

// One digest after the other, by an algorithm that is looked up once.
class Digest {
 public:
  explicit Digest(const EVP_MD* algorithm) : algorithm_(algorithm), context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {}

  View operator()(View bytes) {
    unsigned int size = 0;
    const bool made = EVP_DigestInit_ex(context_.get(), algorithm_, nullptr) == 1 &&
                      EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1 &&
                      EVP_DigestFinal_ex(context_.get(), digest_.data(), &size) == 1;
    return {reinterpret_cast<const char*>(digest_.data()), made ? size : 0};
  }

 private:
  const EVP_MD* algorithm_;
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest_{};
};

struct PreparedDigest final : Prepared {
  explicit PreparedDigest(const char* name) : algorithm(EVP_MD_fetch(nullptr, name, nullptr)) {}
  ~PreparedDigest() override { EVP_MD_free(algorithm); }
  EVP_MD* algorithm;
};

enum class Algorithm { kMd5, kSha224, kSha256, kSha384, kSha512 };

template <Algorithm kAlgorithm>
absl::StatusOr<PreparedPtr> PrepareDigest(absl::Span<const BoundPtr>) {
  static constexpr const char* kNames[] = {"MD5", "SHA224", "SHA256", "SHA384", "SHA512"};
  const char* name = kNames[static_cast<size_t>(kAlgorithm)];
  auto prepared = std::make_shared<PreparedDigest>(name);
  // As where OpenSSL is set up to allow FIPS 140's algorithms only.
  if (prepared->algorithm == nullptr) return absl::InvalidArgumentError(absl::StrCat("OpenSSL here has no ", name));
  return prepared;
}

Digest DigestOf(const KernelCall& call) { return Digest(static_cast<const PreparedDigest*>(call.prepared)->algorithm); }

absl::StatusOr<Values> DigestBytes(KernelCall& call) {
  Digest digest = DigestOf(call);
  return Map<View, View>(call, [&](Row&, View bytes) { return digest(bytes); });
}

absl::StatusOr<Values> DigestHex(KernelCall& call) {
  Digest digest = DigestOf(call);
  std::string out;
  return Map<View, View>(call, [&](Row&, View bytes) -> View {
    out.clear();
    AppendHex(digest(bytes), &out);
    return out;
  });
}

constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// With a line's end behind every 76 characters, as RFC 2045 and PostgreSQL have it.
void AppendBase64(View bytes, std::string* out) {
  const size_t begin = out->size();
  size_t lines = 0;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0);
    }
    for (size_t j = 0; j < 4; ++j) {
      *out += i + j <= bytes.size() ? kBase64[group >> (18 - 6 * j) & 63] : '=';
    }
    if (out->size() - begin - lines == 76 * (lines + 1)) {
      *out += '\n';
      ++lines;
    }
  }
}

void AppendEscape(View bytes, std::string* out) {
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0 || byte >= 0x80) {
      absl::StrAppendFormat(out, "\\%03o", byte);
    } else {
      out->append(c == '\\' ? 2 : 1, c);
    }
  }
}

// The character that begins here, for messages.
View CharacterAt(View text, size_t at) {
  size_t end = at + 1;
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
  return text.substr(at, end - at);
}

bool Bad(std::string message, std::string* error) {
  *error = std::move(message);
  return false;
}

bool ReadHex(View text, std::string* out, std::string* error) {
  int half = -1;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = absl::ascii_tolower(text[i]);
    if (c == ' ' || c == '\n' || c == '\t' || c == '\r') continue;
    if (!absl::ascii_isxdigit(c)) {
      return Bad(absl::StrCat("invalid hexadecimal digit: \"", std::string(CharacterAt(text, i)), "\""), error);
    }
    const int digit = absl::ascii_isdigit(c) ? c - '0' : c - 'a' + 10;
    if (half >= 0) *out += static_cast<char>(half << 4 | digit);
    half = half >= 0 ? -1 : digit;
  }
  return half < 0 || Bad("invalid hexadecimal data: odd number of digits", error);
}

bool ReadBase64(View text, std::string* out, std::string* error) {
  uint32_t group = 0;
  int characters = 0, kept = 0;  // of the group; kept: bytes of the last group, 0 while = wasn't seen
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == ' ' || c == '\n' || c == '\t' || c == '\r') continue;
    uint32_t value = 0;
    if (c == '=') {
      if (kept == 0 && characters != 2 && characters != 3) {
        return Bad("unexpected \"=\" while decoding base64 sequence", error);
      }
      if (kept == 0) kept = characters - 1;
    } else {
      const size_t place = View(kBase64).find(c);
      if (place == View::npos) {
        return Bad(absl::StrCat("invalid symbol \"", std::string(CharacterAt(text, i)),
                                "\" found while decoding base64 sequence"),
                   error);
      }
      value = static_cast<uint32_t>(place);
    }
    group = group << 6 | value;
    if (++characters < 4) continue;
    for (int byte = 0; byte < (kept == 0 ? 3 : kept); ++byte) *out += static_cast<char>(group >> (16 - 8 * byte) & 255);
    group = 0;
    characters = 0;
  }
  return characters == 0 || Bad("invalid base64 end sequence", error);
}

bool ReadEscape(View text, std::string* out, std::string* error) {
  auto octal = [&](size_t i, char most) { return i < text.size() && text[i] >= '0' && text[i] <= most; };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      *out += text[i];
    } else if (i + 1 < text.size() && text[i + 1] == '\\') {
      *out += text[++i];
    } else if (octal(i + 1, '3') && octal(i + 2, '7') && octal(i + 3, '7')) {
      *out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      return Bad("invalid input syntax for type bytea", error);
    }
  }
  return true;
}

struct Encoding final : Prepared {
  void (*append)(View bytes, std::string* out) = nullptr;
  bool (*read)(View text, std::string* out, std::string* error) = nullptr;
};

absl::StatusOr<PreparedPtr> PrepareEncoding(absl::Span<const BoundPtr> args) {
  auto name = ConstantText(*args[1]);
  if (!name) return absl::InvalidArgumentError("the name of an encoding is a constant");
  const std::string lower = absl::AsciiStrToLower(absl::string_view(name->data(), name->size()));
  auto encoding = std::make_shared<Encoding>();
  if (lower == "hex") {
    encoding->append = AppendHex;
    encoding->read = ReadHex;
  } else if (lower == "base64") {
    encoding->append = AppendBase64;
    encoding->read = ReadBase64;
  } else if (lower == "escape") {
    encoding->append = AppendEscape;
    encoding->read = ReadEscape;
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("unrecognized encoding: \"", std::string(*name), "\"; there are hex, base64 and escape"));
  }
  return encoding;
}

absl::StatusOr<Values> Encode(KernelCall& call) {
  const auto append = static_cast<const Encoding*>(call.prepared)->append;
  std::string out;
  return Map<View, View>(call, [&](Row&, View bytes) -> View {
    out.clear();
    append(bytes, &out);
    return out;
  });
}

absl::StatusOr<Values> Decode(KernelCall& call) {
  const auto read = static_cast<const Encoding*>(call.prepared)->read;
  std::string out, error;
  return Map<View, View>(call, [&](Row& row, View text) -> View {
    out.clear();
    if (!read(text, &out, &error)) row.Fail(error);
    return out;
  });
}

absl::StatusOr<PreparedPtr> PrepareUtf8(absl::Span<const BoundPtr> args) {
  auto name = ConstantText(*args[1]);
  const std::string upper = name ? absl::AsciiStrToUpper(absl::string_view(name->data(), name->size())) : "";
  if (upper != "UTF8" && upper != "UTF-8") return absl::InvalidArgumentError("the only character set is 'UTF8'");
  return std::make_shared<Prepared>();
}

absl::StatusOr<Values> ConvertTo(KernelCall& call) {
  return Map<View, View>(call, [](Row&, View text) { return text; });
}

// How many bytes at the front are one character; 0 where they aren't one.
size_t ValidCharacter(View bytes) {
  const auto at = [&](size_t i) { return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0; };
  const auto follows = [&](size_t i) { return (at(i) & 0xC0) == 0x80; };
  const unsigned first = at(0);
  if (first < 0x80) return first == 0 ? 0 : 1;
  if (first < 0xC2) return 0;
  if (first < 0xE0) return follows(1) ? 2 : 0;
  if (first < 0xF0) {
    const bool surrogate = first == 0xED && at(1) > 0x9F, overlong = first == 0xE0 && at(1) < 0xA0;
    return follows(1) && follows(2) && !surrogate && !overlong ? 3 : 0;
  }
  const bool beyond = first > 0xF4 || (first == 0xF4 && at(1) > 0x8F), overlong = first == 0xF0 && at(1) < 0x90;
  return follows(1) && follows(2) && follows(3) && !beyond && !overlong ? 4 : 0;
}

std::string InvalidUtf8(View bytes) {
  const auto first = static_cast<unsigned char>(bytes[0]);
  const size_t length = first >= 0xF0 && first < 0xF8   ? 4
                        : first >= 0xE0 && first < 0xF0 ? 3
                        : first >= 0xC0 && first < 0xE0 ? 2
                                                        : 1;
  std::string message = "invalid byte sequence for encoding \"UTF8\":";
  for (const char c : bytes.substr(0, length))
    absl::StrAppendFormat(&message, " 0x%02x", static_cast<unsigned char>(c));
  return message;
}

absl::StatusOr<Values> ConvertFrom(KernelCall& call) {
  return Map<View, View>(call, [](Row& row, View bytes) -> View {
    for (size_t at = 0; at < bytes.size();) {
      const size_t size = ValidCharacter(bytes.substr(at));
      if (size == 0) return row.Fail(InvalidUtf8(bytes.substr(at))), View();
      at += size;
    }
    return bytes;
  });
}

absl::StatusOr<Values> BitLength(KernelCall& call) {
  return Map<int32_t, View>(call, [](Row&, View a) { return static_cast<int32_t>(a.size() * 8); });
}

}  // namespace

std::vector<Function> BytesFunctions() {
  const Type text{Kind::kString}, bytes{Kind::kBytes}, integer{Kind::kInt32};
  const Kind s = Kind::kString, b = Kind::kBytes;
  return {
      {"md5", {s}, text, DigestHex, false, nullptr, PrepareDigest<Algorithm::kMd5>},
      {"md5", {b}, text, DigestHex, false, nullptr, PrepareDigest<Algorithm::kMd5>},
      {"sha224", {b}, bytes, DigestBytes, false, nullptr, PrepareDigest<Algorithm::kSha224>},
      {"sha256", {b}, bytes, DigestBytes, false, nullptr, PrepareDigest<Algorithm::kSha256>},
      {"sha384", {b}, bytes, DigestBytes, false, nullptr, PrepareDigest<Algorithm::kSha384>},
      {"sha512", {b}, bytes, DigestBytes, false, nullptr, PrepareDigest<Algorithm::kSha512>},
      {"encode", {b, s}, text, Encode, false, nullptr, PrepareEncoding},
      {"decode", {s, s}, bytes, Decode, true, nullptr, PrepareEncoding},
      {"convert_to", {s, s}, bytes, ConvertTo, false, nullptr, PrepareUtf8},
      {"convert_from", {b, s}, text, ConvertFrom, true, nullptr, PrepareUtf8},
      {"bit_length", {s}, integer, BitLength},
      {"bit_length", {b}, integer, BitLength},
  };
}

}  // namespace tidemark::internal
