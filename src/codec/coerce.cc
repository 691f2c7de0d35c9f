#include "src/codec/coerce.h"

#include "src/base/loose_text.h"

namespace tidemark {
namespace {

using SKind = ScalarText::Kind;  // Kind is the type's

// "5.00" becomes "5". False: the fraction isn't empty.
bool DropFraction(std::string* number) {
  const size_t point = number->find('.');
  if (point == std::string::npos) return true;
  if (number->find_first_not_of('0', point + 1) != std::string::npos) return false;
  number->resize(point);
  return true;
}

}  // namespace

std::optional<ScalarText> Coerce(const Type& type, const ScalarText& value, std::string* scratch) {
  const bool text = value.kind == SKind::kString, number = value.kind == SKind::kNumber;
  const bool truth = value.kind == SKind::kTrue || value.kind == SKind::kFalse;
  switch (type.kind) {
    case Kind::kBool: {
      if (!text && !number) return std::nullopt;
      const std::optional<bool> is = BoolOfWord(Trimmed(value.text));
      if (!is) return std::nullopt;
      return ScalarText{*is ? SKind::kTrue : SKind::kFalse, value.text, std::nullopt};
    }
    case Kind::kString:
      if (number) return ScalarText{SKind::kString, value.text, std::nullopt};
      if (truth) return ScalarText{SKind::kString, value.kind == SKind::kTrue ? "true" : "false", std::nullopt};
      return std::nullopt;
    case Kind::kTimestamp:
      if (type.form == TimestampForm::kRfc3339) return std::nullopt;
      [[fallthrough]];
    case Kind::kInt32:
    case Kind::kInt64:
      if (number) scratch->assign(value.text);
      if (!number && !(text && NumberAsJson(Trimmed(value.text), scratch))) return std::nullopt;
      if (!DropFraction(scratch)) return std::nullopt;
      return ScalarText{SKind::kNumber, *scratch, std::nullopt};
    case Kind::kDouble:
    case Kind::kDecimal:
      if (!text || !NumberAsJson(Trimmed(value.text), scratch)) return std::nullopt;
      return ScalarText{SKind::kNumber, *scratch, std::nullopt};
    default:
      return std::nullopt;
  }
}

}  // namespace tidemark
