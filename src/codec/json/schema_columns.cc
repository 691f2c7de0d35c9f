#include "src/codec/json/schema_columns.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/base/value_text.h"
#include "src/codec/json/tree.h"
#include "src/codec/taken_columns.h"

namespace tidemark {
namespace {

using JsonKind = JsonTree::Kind;

constexpr int kMostProperties = 2'000;  // one that is referred to twice counts twice, with all within it
constexpr int kDeepest = 64;

// A place in one of the documents, whose references are looked for there.
struct Place {
  const JsonTree* schema = nullptr;
  const JsonTree* document = nullptr;
};

// What a schema allows, as far as columns tell it apart.
struct Shape {
  std::set<std::string> types;  // JSON Schema's, without null
  bool null_too = false;
  bool anything = false;  // more than types can say
  std::string format;
  bool base64 = false;
  std::optional<int64_t> least, most;                     // of integers
  std::vector<std::pair<std::string, Place>> properties;  // in order
  std::set<std::string> required;
};

std::string Unescaped(std::string_view token) {
  std::string out;
  for (size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '~' && i + 1 < token.size() && (token[i + 1] == '0' || token[i + 1] == '1')) {
      out.push_back(token[++i] == '0' ? '~' : '/');
    } else {
      out.push_back(token[i]);
    }
  }
  return out;
}

// Of an enum or a const.
std::string TypeOfValue(const JsonTree& value) {
  switch (value.kind) {
    case JsonKind::kNull:
      return "null";
    case JsonKind::kTrue:
    case JsonKind::kFalse:
      return "boolean";
    case JsonKind::kString:
      return "string";
    case JsonKind::kNumber: {
      int64_t number = 0;
      return ParseInt64(value.text, &number) == Fit::kOk ? "integer" : "number";
    }
    default:
      return "object";
  }
}

class Taker {
 public:
  explicit Taker(const std::map<std::string, JsonTree, std::less<>>& documents) : documents_(documents) {}

  absl::Status Root(const Place& place) {
    Shape shape;
    TM_RETURN_IF_ERROR(Read(place, 0, &shape));
    if (shape.properties.empty()) {
      return absl::InvalidArgumentError("the schema isn't one of an object with properties");
    }
    return Properties(shape, {}, false);
  }

  TakenColumns columns;

 private:
  absl::Status Properties(const Shape& shape, const std::vector<std::string>& path, bool nullable) {
    for (const auto& [name, place] : shape.properties) {
      if (++visits_ > kMostProperties) {
        return absl::InvalidArgumentError(
            absl::StrCat("the schema has more than ", kMostProperties, " properties: write the columns out"));
      }
      std::vector<std::string> at = path;
      at.push_back(name);
      TM_RETURN_IF_ERROR(Annotate(Property(place, at, nullable || !shape.required.contains(name)),
                                  path.empty() ? absl::StrCat("property ", name) : std::string()));
    }
    return absl::OkStatus();
  }

  absl::Status Property(const Place& place, const std::vector<std::string>& path, bool nullable) {
    Shape shape;
    const size_t outer = within_.size();
    const absl::Status read = Read(place, 0, &shape);
    absl::Status status = read;
    const bool null_too = nullable || shape.null_too;
    if (read.ok()) {
      Settle(&shape);
      const bool below = !shape.anything && shape.types == std::set<std::string>{"object"} && !shape.properties.empty();
      const bool only_null = !shape.anything && shape.types.empty();
      if (below && !itself_) {
        status = Properties(shape, path, null_too);
      } else if (!only_null) {
        const Type type = itself_ ? Type{.kind = Kind::kJson} : TypeOf(shape);
        status = columns.Add(path, type, null_too || (type.kind == Kind::kJson && shape.anything));
      }
    }
    itself_ = false;
    within_.resize(outer);
    return status;
  }

  static Type TypeOf(const Shape& shape) {
    if (shape.anything || shape.types.size() != 1) {
      const bool numbers = shape.types == std::set<std::string>{"integer", "number"};
      return {.kind = numbers && !shape.anything ? Kind::kDouble : Kind::kJson};
    }
    const std::string& type = *shape.types.begin();
    if (type == "boolean") return {.kind = Kind::kBool};
    if (type == "number") return {.kind = Kind::kDouble};
    if (type == "integer") {
      using Narrow = std::numeric_limits<int32_t>;
      const bool narrow = shape.least && *shape.least >= Narrow::min() && shape.most && *shape.most <= Narrow::max();
      return {.kind = narrow ? Kind::kInt32 : Kind::kInt64};
    }
    if (type != "string") return {.kind = Kind::kJson};
    if (shape.format == "date-time") return {.kind = Kind::kTimestamp};
    if (shape.format == "date") return {.kind = Kind::kDate};
    return {.kind = shape.base64 ? Kind::kBytes : Kind::kString};
  }

  // Adds what this schema says to the shape.
  absl::Status Read(Place place, int depth, Shape* shape) {
    if (depth > kDeepest) return absl::InvalidArgumentError("its schemas refer to each other without end");
    const JsonTree& schema = *place.schema;
    if (schema.is(JsonKind::kTrue)) return absl::OkStatus();
    if (!schema.is(JsonKind::kObject)) {
      return absl::InvalidArgumentError(absl::StrCat("a schema is an object, found ", ToJson(schema).substr(0, 100)));
    }
    if (const JsonTree* ref = schema.Find("$ref")) {
      TM_ASSIGN_OR_RETURN(const Place to, Follow(*ref, place));
      // What it is a part of is what it refers to.
      if (std::find(within_.begin(), within_.end(), to.schema) != within_.end()) {
        itself_ = true;
        shape->types.insert("object");
        return absl::OkStatus();
      }
      within_.push_back(to.schema);
      return Read(to, depth + 1, shape);
    }
    ReadOwn(place, shape);
    if (const JsonTree* all = schema.Find("allOf")) {
      for (const JsonTree& part : all->items) TM_RETURN_IF_ERROR(Read({&part, place.document}, depth + 1, shape));
    }
    for (const char* word : {"oneOf", "anyOf"}) {
      const JsonTree* const branches = schema.Find(word);
      if (branches != nullptr) TM_RETURN_IF_ERROR(ReadBranches(*branches, place, depth, shape));
    }
    return absl::OkStatus();
  }

  static void ReadOwn(const Place& place, Shape* shape) {
    const JsonTree& schema = *place.schema;
    const auto add = [&](std::string_view type) {
      if (type == "null") {
        shape->null_too = true;
      } else {
        shape->types.emplace(type);
      }
    };
    if (const JsonTree* type = schema.Find("type")) {
      if (type->is(JsonKind::kString)) add(type->text);
      for (const JsonTree& one : type->items) add(one.text);
    } else if (const JsonTree* values = schema.Find("enum")) {
      for (const JsonTree& value : values->items) add(TypeOfValue(value));
    } else if (const JsonTree* value = schema.Find("const")) {
      add(TypeOfValue(*value));
    } else if (schema.Find("properties") != nullptr) {
      add("object");
    }
    if (const JsonTree* nullable = schema.Find("nullable"); nullable != nullptr && nullable->is(JsonKind::kTrue)) {
      shape->null_too = true;
    }
    if (!schema.Text("format").empty()) shape->format = std::string(schema.Text("format"));
    shape->base64 = shape->base64 || schema.Text("contentEncoding") == "base64";
    const auto bound = [&](const char* word, std::optional<int64_t>* out) {
      const JsonTree* const number = schema.Find(word);
      int64_t value = 0;
      if (number != nullptr && ParseInt64(number->text, &value) == Fit::kOk) *out = value;
    };
    bound("minimum", &shape->least);
    bound("maximum", &shape->most);
    if (const JsonTree* properties = schema.Find("properties")) {
      for (const auto& [name, property] : properties->members) {
        const auto same = [&n = name](const auto& known) { return known.first == n; };
        if (std::any_of(shape->properties.begin(), shape->properties.end(), same)) continue;  // allOf says it twice
        shape->properties.emplace_back(name, Place{&property, place.document});
      }
    }
    if (const JsonTree* required = schema.Find("required")) {
      for (const JsonTree& name : required->items) shape->required.insert(name.text);
    }
  }

  // Who says nothing of types allows all of them.
  static void Settle(Shape* shape) { shape->anything = shape->anything || (shape->types.empty() && !shape->null_too); }

  // One branch besides null is what the value is; of several, only plain types are still one.
  absl::Status ReadBranches(const JsonTree& branches, const Place& place, int depth, Shape* shape) {
    std::vector<Shape> read;
    for (const JsonTree& branch : branches.items) {
      Shape one;
      TM_RETURN_IF_ERROR(Read({&branch, place.document}, depth + 1, &one));
      Settle(&one);
      shape->null_too = shape->null_too || one.null_too;
      if (one.anything || !one.types.empty()) read.push_back(std::move(one));
    }
    for (const Shape& one : read) {
      shape->anything = shape->anything || one.anything;
      shape->types.insert(one.types.begin(), one.types.end());
    }
    if (read.size() == 1) {
      shape->format = read[0].format;
      shape->base64 = read[0].base64;
      shape->least = read[0].least;
      shape->most = read[0].most;
      shape->properties.insert(shape->properties.end(), read[0].properties.begin(), read[0].properties.end());
      shape->required.insert(read[0].required.begin(), read[0].required.end());
    } else if (shape->types.contains("object")) {
      shape->anything = true;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Place> Follow(const JsonTree& ref, const Place& from) const {
    const std::string_view text = ref.text;
    const size_t hash = std::min(text.find('#'), text.size());
    const std::string_view name = text.substr(0, hash);
    Place place{from.document, from.document};
    if (!name.empty()) {
      const auto found = documents_.find(name);
      if (found == documents_.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat("$ref ", std::string(text), " leads to another schema, which isn't among its references"));
      }
      place = {&found->second, &found->second};
    }
    std::string_view pointer = hash == text.size() ? std::string_view() : text.substr(hash + 1);
    while (!pointer.empty()) {
      if (pointer.front() != '/') break;
      pointer.remove_prefix(1);
      const size_t end = std::min(pointer.find('/'), pointer.size());
      const std::string token = Unescaped(pointer.substr(0, end));
      pointer.remove_prefix(end);
      const JsonTree* next = place.schema->Find(token);
      if (size_t index = 0; next == nullptr && !place.schema->items.empty() && absl::SimpleAtoi(token, &index) &&
                            index < place.schema->items.size()) {
        next = &place.schema->items[index];
      }
      if (next == nullptr)
        return absl::InvalidArgumentError(absl::StrCat("$ref ", std::string(text), " leads nowhere"));
      place.schema = next;
    }
    if (!pointer.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("$ref ", std::string(text), " isn't a path such as #/$defs/name, and others aren't followed"));
    }
    return place;
  }

  const std::map<std::string, JsonTree, std::less<>>& documents_;  // that are referred to, by name
  std::vector<const JsonTree*> within_;                            // schemas that were referred to on the way here
  bool itself_ = false;                                            // the property is one of these
  int visits_ = 0;
};

}  // namespace

absl::StatusOr<std::vector<TakenColumn>> ColumnsOfJsonSchema(std::string_view text,
                                                             const std::vector<WrittenSchema::Reference>& references) {
  TM_ASSIGN_OR_RETURN(const JsonTree root, ParseJson(text));
  std::map<std::string, JsonTree, std::less<>> documents;
  for (const WrittenSchema::Reference& reference : references) {
    absl::StatusOr<JsonTree> parsed = ParseJson(reference.text);
    if (!parsed.ok()) return Annotate(parsed.status(), "reference " + reference.name);
    documents.emplace(reference.name, *std::move(parsed));
  }
  Taker taker(documents);
  TM_RETURN_IF_ERROR(taker.Root({&root, &root}));
  if (taker.columns.size() == 0) {
    return absl::InvalidArgumentError("the schema has no property that a column can hold");
  }
  return taker.columns.Take();
}

}  // namespace tidemark
