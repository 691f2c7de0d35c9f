#include "src/expr/catalogue.h"

#include <algorithm>
#include <limits>
#include <set>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/status.h"
#include "src/base/suggest.h"
#include "src/expr/coerce.h"
#include "src/expr/kernels.h"

namespace tidemark::internal {
namespace {

const std::vector<Function>& Catalogue() {
  static const std::vector<Function> all = [] {
    std::vector<Function> functions;
    for (auto family : {MathFunctions(), TextFunctions(), MadeTextFunctions(), BytesFunctions(), RegexFunctions(),
                        TimeFunctions(), FormatFunctions(), JsonFunctions()}) {
      functions.insert(functions.end(), family.begin(), family.end());
    }
    return functions;
  }();
  return all;
}

constexpr int kImpossible = std::numeric_limits<int>::max() / 16;

// How far an argument is from a parameter. Integers prefer double to decimal, as PostgreSQL prefers double precision.
int Distance(const BoundExpr& arg, Kind to) {
  Kind from = arg.type().kind;
  if (arg.untyped()) return to == Kind::kString ? 0 : 1;
  if (from == to) return 0;
  bool integer = from == Kind::kInt32 || from == Kind::kInt64;
  if (from == Kind::kInt32 && to == Kind::kInt64) return 1;
  if (integer && to == Kind::kDouble) return 2;
  if (integer && to == Kind::kDecimal) return 3;
  if (from == Kind::kDecimal && to == Kind::kDouble) return 4;
  if (from == Kind::kDate && to == Kind::kTimestamp) return 1;
  return kImpossible;
}

std::string_view KindName(Kind kind) {
  static constexpr std::string_view kNames[] = {"bool",  "int32", "int64",   "double",    "string",
                                                "bytes", "date",  "decimal", "timestamp", "json"};
  return kNames[static_cast<size_t>(kind)];
}

absl::Status NoVariant(std::string_view name, const std::vector<BoundPtr>& args, int position) {
  std::vector<std::string> variants, given;
  for (const Function& function : Catalogue()) {
    if (function.name != name) continue;
    std::string text =
        absl::StrJoin(function.args, ", ", [](std::string* out, Kind kind) { out->append(KindName(kind)); });
    variants.push_back(absl::StrCat("(", text, ")"));
  }
  for (const BoundPtr& arg : args) given.push_back(TypeName(arg->type()));
  return ErrorAt(position, absl::StrCat(std::string(name), " takes ", absl::StrJoin(variants, " or "), ", not (",
                                        absl::StrJoin(given, ", "), ")"));
}

}  // namespace

bool IsFunction(std::string_view name) {
  return std::any_of(Catalogue().begin(), Catalogue().end(), [&](const Function& f) { return f.name == name; });
}

bool IsOfTheMoment(std::string_view name) {
  static const std::set<std::string_view> names = {
      // clang-format off
      "now", "clock_timestamp", "statement_timestamp", "transaction_timestamp", "timeofday", "getdate", "pg_sleep",
      "random", "random_normal", "setseed", "gen_random_bytes", "gen_random_uuid", "uuid_generate_v4", "uuidv4",
      "uuidv7", "nextval",
      // clang-format on
  };
  return names.contains(name);
}

const char* InsteadOf(std::string_view name) {
  if (name == "if" || name == "iif") return "CASE WHEN condition THEN value ELSE other END";
  if (name == "ifnull" || name == "nvl" || name == "isnull") return "coalesce(value, other)";
  if (name == "len") return "length(text)";
  if (name == "age") return "the difference in seconds, a - b";
  if (name == "to_number") return "a cast, as in text::decimal(18,2)";
  if (name == "regexp_matches" || name == "regexp_split_to_array") return "(regexp_match(text, pattern))[1]";
  if (name == "string_to_array") return "split_part(text, delimiter, 1)";
  return "";
}

std::vector<std::string> FunctionNames() {
  std::vector<std::string> names = {"coalesce", "nullif",    "greatest",   "least",    "concat",       "concat_ws",
                                    "extract",  "date_part", "date_trunc", "date_bin", "regexp_match", "try_cast"};
  for (const Function& function : Catalogue()) {
    const bool word = absl::ascii_islower(function.name[0]) && function.name.back() != ']';
    if (word && names.back() != function.name) names.emplace_back(function.name);
  }
  return names;
}

absl::StatusOr<BoundPtr> CallByName(std::string_view name, std::vector<BoundPtr> args, int position) {
  const Function* best = nullptr;
  int best_distance = kImpossible;
  for (const Function& function : Catalogue()) {
    if (function.name != name || function.args.size() != args.size()) continue;
    int distance = 0;
    for (size_t i = 0; i < args.size(); ++i)
      distance = std::min(kImpossible, distance + Distance(*args[i], function.args[i]));
    if (distance < best_distance) {
      best = &function;
      best_distance = distance;
    }
  }
  if (best == nullptr) return NoVariant(name, args, position);
  std::vector<Type> types;
  for (size_t i = 0; i < args.size(); ++i) {
    TM_ASSIGN_OR_RETURN(args[i], CoerceToKind(args[i], best->args[i], position));
    types.push_back(args[i]->type());
  }
  Type type = best->result_of != nullptr ? best->result_of(types) : best->result;
  PreparedPtr prepared;
  if (best->prepare != nullptr) {
    for (const BoundPtr& arg : args) {
      if (IsNullLiteral(*arg)) return MakeNull(type, /*untyped=*/false);
    }
    auto made = best->prepare(args);
    if (!made.ok()) return ErrorAt(position, std::string(made.status().message()));
    prepared = *std::move(made);
  }
  bool nullable =
      best->may_be_null || std::any_of(args.begin(), args.end(), [](const BoundPtr& arg) { return arg->nullable(); });
  return Call(best->kernel, type, nullable, best->fallible, std::move(args), std::move(prepared));
}

}  // namespace tidemark::internal
