#include "src/codec/primitive/format.h"

#include <bit>
#include <type_traits>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <arrow/util/utf8.h>

#include "src/codec/one_column.h"

namespace tidemark {
namespace {

using Reason = std::optional<std::string>;

Reason WrongSize(size_t column, std::string_view format, size_t expected, size_t found, ColumnSet* columns) {
  return columns->Reject(column, absl::StrCat("an ", std::string(format), " has ", expected, " bytes, found ", found));
}

template <typename T>
struct UintOf {
  using type = std::conditional_t<sizeof(T) == 2, uint16_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>;
};

template <typename T>
T FromBigEndian(std::string_view bytes) {
  typename UintOf<T>::type raw = 0;
  for (const char c : bytes) raw = static_cast<decltype(raw)>(raw << 8 | static_cast<unsigned char>(c));
  return std::bit_cast<T>(raw);
}

template <typename T>
void PutBigEndian(T value, TextBuffer* out) {
  auto raw = std::bit_cast<typename UintOf<T>::type>(value);
  char bytes[sizeof(T)];
  for (size_t i = sizeof(T); i-- > 0;) {
    bytes[i] = static_cast<char>(raw & 0xff);
    raw = static_cast<decltype(raw)>(raw >> 8);
  }
  out->Append({bytes, sizeof(T)});
}

// Whole numbers. A narrower one is read into a wider column; what is written has the column's own width.
template <typename T>
struct WholeCodec {
  static std::string Types(FormatUse use) {
    if (sizeof(T) == 8) return "int64";
    return sizeof(T) == 4 && (use == FormatUse::kWriteValue || use == FormatUse::kWriteKey) ? "int32"
                                                                                            : "int32 or int64";
  }
  static bool Holds(const Type& type, FormatUse use) {
    const bool writes = use == FormatUse::kWriteValue || use == FormatUse::kWriteKey;
    return (type.kind == Kind::kInt32 && sizeof(T) < 8) || (type.kind == Kind::kInt64 && (sizeof(T) == 8 || !writes));
  }
  static void Put(const ColumnView& column, int64_t row, TextBuffer* out) {
    if constexpr (sizeof(T) >= 4) PutBigEndian(reinterpret_cast<const T*>(column.values)[row], out);
  }
};

struct Int16Codec : WholeCodec<int16_t> {
  static constexpr char kName[] = "int16";
  static bool Serves(FormatUse use) { return use == FormatUse::kReadValue || use == FormatUse::kReadKey; }
  static Reason Set(std::string_view bytes, size_t column, ColumnSet* columns) {
    if (bytes.size() != 2) return WrongSize(column, kName, 2, bytes.size(), columns);
    return columns->SetInt64(column, FromBigEndian<int16_t>(bytes));
  }
};

struct Int32Codec : WholeCodec<int32_t> {
  static constexpr char kName[] = "int32";
  static bool Serves(FormatUse) { return true; }
  static Reason Set(std::string_view bytes, size_t column, ColumnSet* columns) {
    if (bytes.size() != 4) return WrongSize(column, kName, 4, bytes.size(), columns);
    return columns->SetInt64(column, FromBigEndian<int32_t>(bytes));
  }
};

struct Int64Codec : WholeCodec<int64_t> {
  static constexpr char kName[] = "int64";
  static bool Serves(FormatUse) { return true; }
  static Reason Set(std::string_view bytes, size_t column, ColumnSet* columns) {
    if (bytes.size() != 8) return WrongSize(column, kName, 8, bytes.size(), columns);
    return columns->SetInt64(column, FromBigEndian<int64_t>(bytes));
  }
};

struct FloatCodec {
  static constexpr char kName[] = "float";
  static bool Serves(FormatUse use) { return use == FormatUse::kReadValue || use == FormatUse::kReadKey; }
  static std::string Types(FormatUse) { return "double"; }
  static bool Holds(const Type& type, FormatUse) { return type.kind == Kind::kDouble; }
  static Reason Set(std::string_view bytes, size_t column, ColumnSet* columns) {
    if (bytes.size() != 4) return columns->Reject(column, absl::StrCat("a float has 4 bytes, found ", bytes.size()));
    return columns->SetDouble(column, static_cast<double>(FromBigEndian<float>(bytes)));
  }
  static void Put(const ColumnView&, int64_t, TextBuffer*) {}
};

struct DoubleCodec {
  static constexpr char kName[] = "double";
  static bool Serves(FormatUse) { return true; }
  static std::string Types(FormatUse) { return "double"; }
  static bool Holds(const Type& type, FormatUse) { return type.kind == Kind::kDouble; }
  static Reason Set(std::string_view bytes, size_t column, ColumnSet* columns) {
    if (bytes.size() != 8) return columns->Reject(column, absl::StrCat("a double has 8 bytes, found ", bytes.size()));
    return columns->SetDouble(column, FromBigEndian<double>(bytes));
  }
  static void Put(const ColumnView& column, int64_t row, TextBuffer* out) {
    PutBigEndian(reinterpret_cast<const double*>(column.values)[row], out);
  }
};

struct StringCodec {
  static constexpr char kName[] = "string";
  static bool Serves(FormatUse) { return true; }
  static std::string Types(FormatUse) { return "string"; }
  static bool Holds(const Type& type, FormatUse) { return type.kind == Kind::kString; }
  static Reason Set(std::string_view bytes, size_t column, ColumnSet* columns) {
    return SetPlainText(column, bytes, columns);
  }
  static void Put(const ColumnView& column, int64_t row, TextBuffer* out) { out->Append(column.Text(row)); }
};

// As Java's UUID.toString writes it; small letters, whichever stand there, so that equal ones are equal texts.
struct UuidCodec {
  static constexpr char kName[] = "uuid";
  static bool Serves(FormatUse use) { return use == FormatUse::kReadValue || use == FormatUse::kReadKey; }
  static std::string Types(FormatUse) { return "string"; }
  static bool Holds(const Type& type, FormatUse) { return type.kind == Kind::kString; }
  static Reason Set(std::string_view bytes, size_t column, ColumnSet* columns) {
    char text[36];
    bool good = bytes.size() == sizeof(text);
    for (size_t i = 0; good && i < sizeof(text); ++i) {
      const auto c = static_cast<unsigned char>(bytes[i]);
      const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
      good = dash ? c == '-' : absl::ascii_isxdigit(c);
      text[i] = absl::ascii_tolower(c);
    }
    if (!good) return columns->Reject(column, absl::StrCat("expected a UUID, found ", Excerpt(bytes)));
    return columns->SetRaw(column, {text, sizeof(text)});
  }
  static void Put(const ColumnView&, int64_t, TextBuffer*) {}
};

template <typename Codec>
const Format* Make() {
  static const auto& format = *new OneColumnFormat<Codec>();
  return &format;
}

}  // namespace

std::vector<const Format*> PrimitiveFormats() {
  arrow::util::InitializeUTF8();
  return {Make<Int16Codec>(),  Make<Int32Codec>(),  Make<Int64Codec>(), Make<FloatCodec>(),
          Make<DoubleCodec>(), Make<StringCodec>(), Make<UuidCodec>()};
}

}  // namespace tidemark
