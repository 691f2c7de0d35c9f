// The binder's part that knows JSON: operators and functions whose variants the catalogue can't list.
#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/expr/binder.h"
#include "src/expr/coerce.h"

namespace tidemark::internal {

absl::StatusOr<BoundPtr> Binder::Json(const Node& node) {
  const std::string& name = node.text;
  if (name == "->" || name == "->>") return JsonPath(node, name == "->>");
  if (name == "#>" || name == "#>>") return JsonPathText(node, name == "#>>");
  if (name == "json_extract_path" || name == "jsonb_extract_path") return JsonPath(node, false);
  if (name == "json_extract_path_text" || name == "jsonb_extract_path_text") return JsonPath(node, true);
  if (name == "json_build_object" || name == "jsonb_build_object") return JsonBuild(node, true);
  if (name == "json_build_array" || name == "jsonb_build_array") return JsonBuild(node, false);
  if (name == "to_json" || name == "to_jsonb") {
    if (node.args.size() != 1) return ErrorAt(node.position, absl::StrCat(name, " takes 1 argument"));
    return JsonArgument(node.args[0]);
  }
  if (name == "@>" || name == "<@" || name == "?|" || name == "?&" || name == "@?" || name == "@@" || name == "#-") {
    return ErrorAt(node.position, absl::StrCat("operator ", name, " isn't supported; take values out with ->> or #>>"));
  }
  return BoundPtr();
}

// Any value as JSON; NULL stays NULL.
absl::StatusOr<BoundPtr> Binder::JsonArgument(const Node& node) {
  TM_ASSIGN_OR_RETURN(BoundPtr value, Bind(node));
  TM_ASSIGN_OR_RETURN(value, CoerceToKind(value, value->type().kind, node.position));
  if (value->type().kind == Kind::kJson) return value;
  Kernel kernel = ToJsonKernel(value->type().kind);
  return StrictCall(kernel, Type{Kind::kJson}, /*fallible=*/false, {std::move(value)});
}

// json -> step, and json_extract_path(json, step, ...), whose steps are strings.
absl::StatusOr<BoundPtr> Binder::JsonPath(const Node& node, bool as_text) {
  if (node.args.size() < 2) return ErrorAt(node.position, absl::StrCat(node.text, " takes json and a path"));
  TM_ASSIGN_OR_RETURN(Args args, BindAll(node.args));
  for (size_t i = 0; i < args.size(); ++i) {
    const Kind kind = args[i]->type().kind;
    const bool fits = i == 0 ? kind == Kind::kJson || args[i]->untyped()
                             : kind == Kind::kString || (kind == Kind::kInt32 && node.text.starts_with("->"));
    if (!fits) {
      const char* const hint = i == 0 && kind == Kind::kString ? "; cast it, as in text::json" : "";
      return ErrorAt(node.args[i].position, absl::StrCat(node.text, " takes ", i == 0 ? "json" : "a name or an index",
                                                         ", not ", TypeName(args[i]->type()), hint));
    }
    TM_ASSIGN_OR_RETURN(args[i], CoerceToKind(args[i], i == 0 ? Kind::kJson : kind, node.args[i].position));
  }
  const bool one_step = node.text.starts_with("->");
  return internal::Call(JsonPathKernel(as_text, one_step), Type{as_text ? Kind::kString : Kind::kJson},
                        /*nullable=*/true,
                        /*fallible=*/false, std::move(args));
}

// json #> '{a,0,b}': the path is a constant, as there are no arrays.
absl::StatusOr<BoundPtr> Binder::JsonPathText(const Node& node, bool as_text) {
  const Node& path = node.args[1];
  std::optional<std::vector<std::string>> steps;
  if (path.kind == Node::Kind::kString) steps = ParseJsonPath(path.text);
  if (!steps) return ErrorAt(path.position, absl::StrCat(node.text, " takes a constant path, as in '{a,0,b}'"));
  Node extract = node;
  extract.args.resize(1);
  for (const std::string& step : *steps) {
    Node name;
    name.kind = Node::Kind::kString;
    name.position = path.position;
    name.text = step;
    extract.args.push_back(std::move(name));
  }
  if (steps->empty()) {
    // The whole value.
    TM_ASSIGN_OR_RETURN(BoundPtr whole, Bind(node.args[0]));
    if (whole->type().kind != Kind::kJson) {
      return ErrorAt(node.position, absl::StrCat(node.text, " takes json, not ", TypeName(whole->type())));
    }
    return internal::Call(JsonPathKernel(as_text, /*one_step=*/false), Type{as_text ? Kind::kString : Kind::kJson},
                          /*nullable=*/true,
                          /*fallible=*/false, {std::move(whole)});
  }
  return JsonPath(extract, as_text);
}

absl::StatusOr<BoundPtr> Binder::JsonBuild(const Node& node, bool object) {
  if (object && node.args.size() % 2 != 0) {
    return ErrorAt(node.position, absl::StrCat(node.text, " takes names and values in turn"));
  }
  Args args;
  for (size_t i = 0; i < node.args.size(); ++i) {
    if (object && i % 2 == 0) {
      if (node.args[i].kind != Node::Kind::kString) {
        return ErrorAt(node.args[i].position, absl::StrCat("a name of ", node.text, " is a constant string"));
      }
      args.push_back(TextLiteral(node.args[i].text, /*untyped=*/false));
    } else {
      TM_ASSIGN_OR_RETURN(BoundPtr value, JsonArgument(node.args[i]));
      args.push_back(std::move(value));
    }
  }
  if (args.empty())
    return Coerce(TextLiteral(object ? "{}" : "[]", /*untyped=*/true), Type{Kind::kJson}, node.position);
  return internal::Call(JsonBuildKernel(object), Type{Kind::kJson}, /*nullable=*/false, /*fallible=*/false,
                        std::move(args));
}

}  // namespace tidemark::internal
