// The kernels that the binder chooses by type rather than by name, and the table of functions that it finds by name.
// Each family lives in an eval_*.cc of its own.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/expr/bound.h"

namespace tidemark::internal {

// The form of a local timestamp: what a clock shows in some time zone, held as if it were UTC. It exists inside of
// expressions only, as the result of AT TIME ZONE and of a cast to timestamp; a column is always a point in time.
inline constexpr TimestampForm kLocalForm{-1};
inline bool IsLocal(const Type& type) { return type.form == kLocalForm; }

// eval_arithmetic.cc. `op` is one of + - * / %; both arguments are of kind `kind`: int32, int64, double or decimal.
// Null where the operator doesn't exist (% of doubles).
Kernel ArithmeticKernel(char op, Kind kind);
Kernel NegateKernel(Kind kind);
// The type of a decimal result; nothing where its scale would be beyond 38.
std::optional<Type> DecimalResult(char op, const Type& left, const Type& right);

// eval_compare.cc. `op` is one of = <> < <= > >=, "is distinct from", "is not distinct from"; both arguments are of
// kind `kind` (decimals of any scale).
Kernel CompareKernel(std::string_view op, Kind kind);
// greatest and least over any number of arguments of one type; NULLs are passed over.
Kernel ExtremeKernel(bool greatest);
// "not", "is null", "is not null", "is true", ...: null where there is none of that name.
Kernel TruthKernel(std::string_view op);

// eval_cast.cc. Null where PostgreSQL has no cast from one to the other.
Kernel CastKernel(Kind from, Kind to);
bool CastMayFail(const Type& from, const Type& to);

// eval_text.cc.
Kernel ConcatKernel();                // concat(): any number of strings, NULLs are passed over
Kernel ConcatWithKernel();            // concat_ws(), likewise, NULL where the first is (eval_made_text.cc)
Kernel LikeKernel(bool with_escape);  // text, pattern[, escape]
Kernel BoolLetterKernel();            // 't' and 'f', which concat() writes for booleans

// eval_time.cc. (timestamp, months int64, microseconds int64, factor double) -> timestamp
Kernel AddIntervalKernel();
Kernel DateTruncKernel();         // (unit, timestamp)
Kernel ExtractKernel(Kind kind);  // (field, timestamp or date) -> decimal
Kernel DateShiftKernel(char op);  // (date, int32) -> date
Kernel DateDifferenceKernel();    // (date, date) -> int32
Kernel TimeDifferenceKernel();    // (timestamp, timestamp) -> decimal(20,6), seconds
Kernel DateBinKernel();           // (stride int64, timestamp, origin timestamp)
// The type that extract(field from ...) yields; nothing where there is no such field for the kind.
std::optional<Type> ExtractType(std::string_view field, Kind kind);

// eval_json.cc. The value of a kind as JSON: what to_json makes.
Kernel ToJsonKernel(Kind kind);
// (json, step, ...): each step a string or, of -> and ->>, whose names are members' only, an int32.
Kernel JsonPathKernel(bool as_text, bool one_step);
Kernel JsonBuildKernel(bool object);  // any number of JSON values; of an object, names (strings) and values in turn
// The steps of a path that is written as an array, '{a,0,b}'; nothing where it isn't one.
std::optional<std::vector<std::string>> ParseJsonPath(std::string_view text);

// eval_zone.cc. (zone, timestamp) -> timestamp; a constant zone is prepared.
Kernel AtZoneKernel(bool to_local);
Kernel DateTruncZoneKernel();  // (zone, unit, timestamp)
// InvalidArgument where there is no zone of that name.
absl::StatusOr<PreparedPtr> PrepareZone(std::string_view name);

// A function found by name and the kinds of its arguments.
struct Function {
  std::string_view name;
  std::vector<Kind> args;
  Type result;
  Kernel kernel = nullptr;
  bool fallible = false;
  Type (*result_of)(absl::Span<const Type>) = nullptr;  // where the type follows from the arguments'
  // Makes of the arguments that must be constants what the kernel needs; none of these is NULL.
  absl::StatusOr<PreparedPtr> (*prepare)(absl::Span<const BoundPtr> args) = nullptr;
  // Where the value may be NULL though no argument is.
  bool may_be_null = false;
};
std::vector<Function> MathFunctions();      // eval_math.cc
std::vector<Function> TextFunctions();      // eval_text.cc
std::vector<Function> MadeTextFunctions();  // eval_made_text.cc
std::vector<Function> BytesFunctions();     // eval_bytes.cc
std::vector<Function> RegexFunctions();     // eval_regex.cc
std::vector<Function> TimeFunctions();      // eval_time.cc
std::vector<Function> FormatFunctions();    // eval_format.cc
std::vector<Function> JsonFunctions();      // eval_json.cc

}  // namespace tidemark::internal
