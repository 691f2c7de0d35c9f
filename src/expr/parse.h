// From SQL text to a small syntax tree. PostgreSQL's own parser (libpg_query) does the parsing; this keeps of its tree
// what an expression needs and refuses the rest by name. What has one meaning has one form: BETWEEN is spelled out as
// two comparisons, CASE with a subject as comparisons with it, NOT IN as a negated IN.
//
// Positions are 0-based bytes of the text given to Parse. Used at compile time only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

namespace tidemark::internal {

struct TypeRef {
  std::string name;  // without pg_catalog; "int4" for int and integer, as PostgreSQL's grammar says it
  std::vector<int> modifiers;
};

struct Node {
  enum class Kind {
    kNull,
    kBool,     // text: "true" or "false"
    kInteger,  // text: digits, perhaps signed, of any length
    kDecimal,  // text: with a point or an exponent
    kString,   // text
    kColumn,   // text: as written, without quotes
    kCast,     // args: operand
    kCase,     // args: condition, result, ..., and the ELSE value, a kNull where there is none
    kCall,     // text: a function, an operator, or a construct: "and", "in", "is null", "is distinct from", "coalesce"
  };
  Kind kind = Kind::kNull;
  int position = 0;
  std::string text;
  std::vector<Node> args;
  TypeRef type;                  // kCast
  bool quoted = false;           // kColumn
  bool star = false;             // kCall: count(*)
  std::vector<Node> filter;      // kCall: the condition of FILTER (WHERE ...), where there is one
  std::vector<Node> order;       // kCall: what ORDER BY names in it
  std::vector<bool> descending;  // likewise
  std::string refused;           // kCall: "DISTINCT", "OVER", ...: what only an aggregate call could have
};

// What is said of functions whose value depends on when or where it is computed.
inline constexpr char kInputAlone[] =
    " isn't supported: results depend on the input alone, so that computing them again gives the same; use a column "
    "of the record, such as its time (`from: timestamp`)";

// The status of a mistake in an expression's text; ErrorPosition reads the position back.
absl::Status ErrorAt(int position, std::string_view message);

absl::StatusOr<Node> Parse(std::string_view sql);

}  // namespace tidemark::internal
