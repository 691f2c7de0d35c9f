#include "src/expr/parse.h"

#include <algorithm>
#include <string>
#include <utility>

#include <absl/cleanup/cleanup.h>
#include <absl/strings/ascii.h>
#include <absl/strings/cord.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <google/protobuf/io/coded_stream.h>
extern "C" {
#include <pg_query.h>
}

#include "proto/postgres_tree.pb.h"
#include "src/base/status.h"
#include "src/expr/bind.h"

namespace tidemark::internal {
namespace {

namespace pg = ::tidemark::postgres;

// libpg_query recurses on the C stack without a limit of its own: it overflows 8 MiB from about 25,000 levels on, of
// which two bytes each make one ("a+a+a"). Our own recursion is bounded by the depth, in levels of messages: two to
// three a level of the expression.
constexpr size_t kMaxLength = 16 * 1024;
constexpr int kMaxDepth = 2000;

// libpg_query counts characters from 1, we count bytes from 0.
int BytePosition(std::string_view text, int characters) {
  size_t at = 0;
  for (int i = 1; i < characters && at < text.size(); ++i) {
    ++at;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  }
  return static_cast<int>(at);
}

// What other languages' && and || are in SQL, where they are why the text isn't understood.
const char* OtherLanguages(std::string_view sql) {
  bool compares = false, joins = false;
  char quote = 0;
  for (size_t i = 0; i < sql.size(); ++i) {
    const char c = sql[i];
    if (quote != 0 || c == '\'' || c == '"') {
      quote = quote == 0 ? c : quote == c ? 0 : quote;
      continue;
    }
    if (sql.substr(i, 2) == "&&") return "; and is written AND";
    if (sql.substr(i, 2) == "||") joins = true;
    if (c == '=' || c == '<' || c == '>') compares = true;
  }
  return joins && compares ? "; or is written OR, and || joins texts" : "";
}

absl::StatusOr<pg::ParseResult> ParseStatement(std::string_view sql, std::string_view head, std::string_view tail) {
  std::string statement = absl::StrCat(std::string(head), std::string(sql), std::string(tail));
  PgQueryProtobufParseResult result = pg_query_parse_protobuf(statement.c_str());
  absl::Cleanup free = [&] { pg_query_free_protobuf_parse_result(result); };
  if (result.error != nullptr) {
    int at = BytePosition(statement, result.error->cursorpos) - static_cast<int>(head.size());
    std::string message = result.error->message;
    bool past = at >= static_cast<int>(sql.size());
    if (past && message.starts_with("syntax error")) message = "syntax error at end of expression";
    if (message.starts_with("syntax error")) message += OtherLanguages(sql);
    return ErrorAt(std::clamp<int>(at, 0, static_cast<int>(sql.size())), message);
  }
  pg::ParseResult tree;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(result.parse_tree.data),
                                            static_cast<int>(result.parse_tree.len));
  in.SetRecursionLimit(kMaxDepth);
  if (!tree.ParseFromCodedStream(&in)) return ErrorAt(0, "the expression is nested too deeply");
  return tree;
}

class Converter {
 public:
  Converter(std::string_view sql, int shift) : sql_(sql), shift_(shift) {}

  absl::StatusOr<Node> Convert(const pg::Node& in);

 private:
  int At(int location) const { return std::clamp<int>(location - shift_, 0, static_cast<int>(sql_.size())); }
  absl::Status Refuse(std::string_view what) const {
    return ErrorAt(last_, absl::StrCat(std::string(what), " isn't supported"));
  }
  absl::StatusOr<Node> Call(int location, std::string name, std::initializer_list<const pg::Node*> args);
  absl::StatusOr<Node> Constant(const pg::AConst& in);
  absl::StatusOr<Node> Column(const pg::ColumnRef& in);
  absl::StatusOr<Node> Operator(const pg::AExpr& in);
  absl::StatusOr<Node> Between(const pg::AExpr& in, Node subject, bool symmetric, bool negated);
  absl::StatusOr<Node> In(const pg::AExpr& in, std::string_view op);
  absl::StatusOr<Node> Cast(const pg::TypeCast& in);
  absl::StatusOr<Node> Case(const pg::CaseExpr& in);
  absl::StatusOr<Node> Function(const pg::FuncCall& in);
  absl::StatusOr<Node> Element(const pg::Subscript& in);
  template <typename List>
  absl::Status AddAll(const List& in, Node* out);

  std::string_view sql_;
  int shift_;     // length of what stands before the expression in the parsed statement
  int last_ = 0;  // the last position seen: where to point for nodes that carry none
};

Node MakeCall(int position, std::string name, std::vector<Node> args) {
  Node call;
  call.kind = Node::Kind::kCall;
  call.position = position;
  call.text = std::move(name);
  call.args = std::move(args);
  return call;
}

template <typename List>
absl::Status Converter::AddAll(const List& in, Node* out) {
  for (const pg::Node& node : in) {
    TM_ASSIGN_OR_RETURN(Node arg, Convert(node));
    out->args.push_back(std::move(arg));
  }
  return absl::OkStatus();
}

absl::StatusOr<Node> Converter::Call(int location, std::string name, std::initializer_list<const pg::Node*> args) {
  Node call = MakeCall(At(location), std::move(name), {});
  for (const pg::Node* node : args) {
    TM_ASSIGN_OR_RETURN(Node arg, Convert(*node));
    call.args.push_back(std::move(arg));
  }
  return call;
}

absl::StatusOr<Node> Converter::Constant(const pg::AConst& in) {
  Node node;
  node.position = last_ = At(in.location());
  switch (in.val_case()) {
    case pg::AConst::kIval:
      node.kind = Node::Kind::kInteger;
      node.text = absl::StrCat(in.ival().ival());
      return node;
    case pg::AConst::kFval:
      node.text = in.fval().fval();
      node.kind = node.text.find_first_of(".eE") == std::string::npos ? Node::Kind::kInteger : Node::Kind::kDecimal;
      return node;
    case pg::AConst::kBoolval:
      node.kind = Node::Kind::kBool;
      node.text = in.boolval().boolval() ? "true" : "false";
      return node;
    case pg::AConst::kSval:
      node.kind = Node::Kind::kString;
      node.text = in.sval().sval();
      return node;
    case pg::AConst::kBitString:
      return Refuse("a bit string");
    case pg::AConst::VAL_NOT_SET:
      return node;  // NULL
  }
  return node;
}

// The name as the user spelled it: PostgreSQL's parser has folded it to lower case and cut it at 63 bytes.
absl::StatusOr<Node> Converter::Column(const pg::ColumnRef& in) {
  Node node;
  node.kind = Node::Kind::kColumn;
  node.position = last_ = At(in.location());
  if (in.fields_size() != 1) {
    return ErrorAt(node.position, "a column is named without a table in front; quote a name that contains a dot");
  }
  if (in.fields(0).has_star()) return Refuse("* in an expression");
  std::string_view rest = sql_.substr(static_cast<size_t>(node.position));
  if (rest.starts_with('"')) {
    node.quoted = true;
    for (size_t i = 1; i < rest.size(); ++i) {
      if (rest[i] == '"' && (i + 1 >= rest.size() || rest[++i] != '"')) break;
      node.text += rest[i];
    }
  } else {
    auto in_name = [](char c) { return absl::ascii_isalnum(c) || c == '_' || c == '$' || (c & 0x80) != 0; };
    node.text = std::string(rest.begin(), std::find_if_not(rest.begin(), rest.end(), in_name));
    // A spelling such as U&"..." is nothing a column of ours needs.
    if (node.text.empty()) node.text = in.fields(0).text().sval();
  }
  return node;
}

absl::StatusOr<Node> Converter::Between(const pg::AExpr& in, Node subject, bool symmetric, bool negated) {
  const auto& bounds = in.rexpr().list().items();
  TM_ASSIGN_OR_RETURN(Node low, Convert(bounds[0]));
  TM_ASSIGN_OR_RETURN(Node high, Convert(bounds[1]));
  int at = At(in.location());
  auto within = [&](const Node& from, const Node& to) {
    return MakeCall(at, "and", {MakeCall(at, ">=", {subject, from}), MakeCall(at, "<=", {subject, to})});
  };
  Node test = within(low, high);
  if (symmetric) test = MakeCall(at, "or", {std::move(test), within(high, low)});
  return negated ? MakeCall(at, "not", {std::move(test)}) : test;
}

absl::StatusOr<Node> Converter::In(const pg::AExpr& in, std::string_view op) {
  TM_ASSIGN_OR_RETURN(Node test, Call(in.location(), "in", {&in.lexpr()}));
  TM_RETURN_IF_ERROR(AddAll(in.rexpr().list().items(), &test));
  return op == "<>" ? MakeCall(test.position, "not", {test}) : test;
}

absl::StatusOr<Node> Converter::Operator(const pg::AExpr& in) {
  std::string op;
  for (const pg::Node& part : in.name()) op = part.text().sval();
  last_ = At(in.location());
  switch (in.kind()) {
    case pg::A_EXPR_OP:
      if (!in.has_lexpr()) return Call(in.location(), absl::StrCat("unary ", op), {&in.rexpr()});
      return Call(in.location(), op, {&in.lexpr(), &in.rexpr()});
    case pg::A_EXPR_DISTINCT:
      return Call(in.location(), "is distinct from", {&in.lexpr(), &in.rexpr()});
    case pg::A_EXPR_NOT_DISTINCT:
      return Call(in.location(), "is not distinct from", {&in.lexpr(), &in.rexpr()});
    case pg::A_EXPR_NULLIF:
      return Call(in.location(), "nullif", {&in.lexpr(), &in.rexpr()});
    case pg::A_EXPR_IN:
      if (!in.rexpr().has_list()) return Refuse("IN with a subquery");
      return In(in, op);
    case pg::A_EXPR_LIKE:
    case pg::A_EXPR_ILIKE: {
      std::string name = in.kind() == pg::A_EXPR_LIKE ? "like" : "ilike";
      TM_ASSIGN_OR_RETURN(Node test, Call(in.location(), name, {&in.lexpr(), &in.rexpr()}));
      return op.starts_with('!') ? MakeCall(test.position, "not", {test}) : test;
    }
    case pg::A_EXPR_BETWEEN:
    case pg::A_EXPR_NOT_BETWEEN:
    case pg::A_EXPR_BETWEEN_SYM:
    case pg::A_EXPR_NOT_BETWEEN_SYM: {
      TM_ASSIGN_OR_RETURN(Node subject, Convert(in.lexpr()));
      bool symmetric = in.kind() == pg::A_EXPR_BETWEEN_SYM || in.kind() == pg::A_EXPR_NOT_BETWEEN_SYM;
      bool negated = in.kind() == pg::A_EXPR_NOT_BETWEEN || in.kind() == pg::A_EXPR_NOT_BETWEEN_SYM;
      return Between(in, std::move(subject), symmetric, negated);
    }
    case pg::A_EXPR_SIMILAR:
      return Refuse("SIMILAR TO");
    default:
      return Refuse("ANY or ALL over an array");
  }
}

absl::StatusOr<Node> Converter::Cast(const pg::TypeCast& in) {
  // The grammar gives `date '...'` no position of its own, but its type name has one.
  int location = in.location() >= 0 ? in.location() : in.type_name().location();
  last_ = At(location);
  if (in.type_name().array_bounds_size() > 0 || in.type_name().setof()) return Refuse("an array type");
  Node cast;
  cast.kind = Node::Kind::kCast;
  cast.position = last_;
  for (const pg::Node& part : in.type_name().names()) cast.type.name = part.text().sval();
  for (const pg::Node& modifier : in.type_name().typmods()) {
    cast.type.modifiers.push_back(modifier.a_const().ival().ival());
  }
  TM_ASSIGN_OR_RETURN(Node operand, Convert(in.arg()));
  cast.args.push_back(std::move(operand));
  return cast;
}

absl::StatusOr<Node> Converter::Case(const pg::CaseExpr& in) {
  Node node;
  node.kind = Node::Kind::kCase;
  node.position = last_ = At(in.location());
  Node subject;
  if (in.has_arg()) {
    TM_ASSIGN_OR_RETURN(subject, Convert(in.arg()));
  }
  for (const pg::Node& branch : in.args()) {
    TM_ASSIGN_OR_RETURN(Node condition, Convert(branch.case_when().expr()));
    TM_ASSIGN_OR_RETURN(Node result, Convert(branch.case_when().result()));
    if (in.has_arg()) condition = MakeCall(condition.position, "=", {subject, std::move(condition)});
    node.args.push_back(std::move(condition));
    node.args.push_back(std::move(result));
  }
  Node otherwise;
  otherwise.position = node.position;
  if (in.has_defresult()) {
    TM_ASSIGN_OR_RETURN(otherwise, Convert(in.defresult()));
  }
  node.args.push_back(std::move(otherwise));
  return node;
}

absl::StatusOr<Node> Converter::Function(const pg::FuncCall& in) {
  Node call;
  call.kind = Node::Kind::kCall;
  call.position = last_ = At(in.location());
  for (const pg::Node& part : in.funcname()) call.text = part.text().sval();
  call.star = in.agg_star();
  if (in.has_over()) call.refused = "OVER";
  if (in.agg_within_group()) call.refused = "WITHIN GROUP";
  if (in.func_variadic()) call.refused = "VARIADIC";
  if (in.agg_order_size() > 0) call.refused = "ORDER BY";
  for (const pg::Node& sort : in.agg_order()) {
    const pg::SortBy& by = sort.sort_by();
    if (by.sortby_dir() == 4) call.refused = "ORDER BY ... USING";
    if (by.sortby_nulls() > 1) call.refused = "NULLS FIRST or LAST";
    TM_ASSIGN_OR_RETURN(Node order, Convert(by.node()));
    call.order.push_back(std::move(order));
    call.descending.push_back(by.sortby_dir() == 3);
  }
  if (in.agg_distinct()) call.refused = "DISTINCT";
  if (in.has_agg_filter()) {
    if (!IsAggregateName(call.text)) call.refused = "FILTER";
    TM_ASSIGN_OR_RETURN(Node filter, Convert(in.agg_filter()));
    call.filter.push_back(std::move(filter));
  }
  TM_RETURN_IF_ERROR(AddAll(in.args(), &call));
  return call;
}

// (regexp_match(text, pattern))[n]: the only arrays are those that it would make.
absl::StatusOr<Node> Converter::Element(const pg::Subscript& in) {
  TM_ASSIGN_OR_RETURN(Node array, Convert(in.arg()));
  const bool one = in.indirection_size() == 1 && in.indirection(0).has_index() && !in.indirection(0).index().is_slice();
  if (!one || array.kind != Node::Kind::kCall || array.text != "regexp_match") {
    return Refuse("subscript of anything but (regexp_match(text, pattern))[n]");
  }
  TM_ASSIGN_OR_RETURN(Node index, Convert(in.indirection(0).index().upper()));
  array.text = "regexp_match[]";
  array.args.push_back(std::move(index));
  return array;
}

absl::StatusOr<Node> Converter::Convert(const pg::Node& in) {
  switch (in.node_case()) {
    case pg::Node::kAConst:
      return Constant(in.a_const());
    case pg::Node::kColumnRef:
      return Column(in.column_ref());
    case pg::Node::kAExpr:
      return Operator(in.a_expr());
    case pg::Node::kTypeCast:
      return Cast(in.type_cast());
    case pg::Node::kCaseExpr:
      return Case(in.case_expr());
    case pg::Node::kFuncCall:
      return Function(in.func_call());
    case pg::Node::kBoolExpr: {
      static constexpr const char* kNames[] = {"", "and", "or", "not"};
      Node call = MakeCall(At(in.bool_expr().location()), kNames[in.bool_expr().boolop()], {});
      TM_RETURN_IF_ERROR(AddAll(in.bool_expr().args(), &call));
      return call;
    }
    case pg::Node::kNullTest:
      return Call(in.null_test().location(), in.null_test().type() == 1 ? "is null" : "is not null",
                  {&in.null_test().arg()});
    case pg::Node::kBooleanTest: {
      static constexpr const char* kNames[] = {"",           "is true",       "is not true", "is false", "is not false",
                                               "is unknown", "is not unknown"};
      const pg::BooleanTest& test = in.boolean_test();
      return Call(test.location(), kNames[std::clamp(test.type(), 0, 6)], {&test.arg()});
    }
    case pg::Node::kCoalesceExpr: {
      Node call = MakeCall(At(in.coalesce_expr().location()), "coalesce", {});
      TM_RETURN_IF_ERROR(AddAll(in.coalesce_expr().args(), &call));
      return call;
    }
    case pg::Node::kMinMaxExpr: {
      const pg::MinMaxExpr& expr = in.min_max_expr();
      Node call = MakeCall(At(expr.location()), expr.op() == 1 ? "greatest" : "least", {});
      TM_RETURN_IF_ERROR(AddAll(expr.args(), &call));
      return call;
    }
    case pg::Node::kSubscript:
      return Element(in.subscript());
    case pg::Node::kCurrentTimeOrUser:
      return ErrorAt(last_, absl::StrCat("the current time or user", kInputAlone));
    case pg::Node::NODE_NOT_SET:
      return Refuse("this construct");
    default: {
      const auto* field = pg::Node::descriptor()->FindFieldByNumber(in.node_case());
      return Refuse(absl::StrReplaceAll(field->name(), {{"_", " "}}));
    }
  }
}

}  // namespace

absl::Status ErrorAt(int position, std::string_view message) {
  absl::Status status = absl::InvalidArgumentError(std::string(message));
  status.SetPayload("tidemark/expression-position", absl::Cord(absl::StrCat(position)));
  return status;
}

absl::StatusOr<Node> Parse(std::string_view sql) {
  if (sql.find('\0') != std::string_view::npos) return ErrorAt(0, "the expression contains a zero byte");
  if (sql.size() > kMaxLength) {
    return ErrorAt(0, "the expression is longer than 16 KiB; put long lists into a table and join it");
  }
  // Twice: bare, for messages that are about the user's own text and so that unbalanced parentheses don't pair with
  // ours; in parentheses, so that nothing but an expression is accepted. The line break ends a trailing comment.
  TM_ASSIGN_OR_RETURN(pg::ParseResult bare, ParseStatement(sql, "SELECT ", "\n"));
  if (bare.stmts_size() != 1) return ErrorAt(0, "expected one expression, not several statements");
  if (bare.stmts(0).stmt().select().target_list_size() == 0) return ErrorAt(0, "the expression is empty");
  if (bare.stmts(0).stmt().select().target_list_size() > 1) return ErrorAt(0, "expected one expression, not a list");
  constexpr std::string_view kHead = "SELECT (";
  TM_ASSIGN_OR_RETURN(pg::ParseResult tree, ParseStatement(sql, kHead, "\n)"));
  const pg::SelectStatement& select = tree.stmts(0).stmt().select();
  return Converter(sql, static_cast<int>(kHead.size())).Convert(select.target_list(0).result_target().val());
}

}  // namespace tidemark::internal
