#include "src/codec/avro/schema.h"

#include <map>
#include <optional>
#include <set>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

using Json = JsonTree::Kind;

constexpr std::pair<std::string_view, AvroType> kPrimitives[] = {
    {"null", AvroType::kNull},   {"boolean", AvroType::kBoolean}, {"int", AvroType::kInt},
    {"long", AvroType::kLong},   {"float", AvroType::kFloat},     {"double", AvroType::kDouble},
    {"bytes", AvroType::kBytes}, {"string", AvroType::kString},
};

// What a name that stands for a logical type stands for, and on what.
struct LogicalName {
  std::string_view name;
  AvroType on;
  AvroLogical logical;
};

constexpr LogicalName kLogicalNames[] = {
    {"date", AvroType::kInt, AvroLogical::kDate},
    {"time-millis", AvroType::kInt, AvroLogical::kTimeMillis},
    {"time-micros", AvroType::kLong, AvroLogical::kTimeMicros},
    {"timestamp-millis", AvroType::kLong, AvroLogical::kTimestampMillis},
    {"timestamp-micros", AvroType::kLong, AvroLogical::kTimestampMicros},
    {"timestamp-nanos", AvroType::kLong, AvroLogical::kTimestampNanos},
    {"local-timestamp-millis", AvroType::kLong, AvroLogical::kTimestampMillis},
    {"local-timestamp-micros", AvroType::kLong, AvroLogical::kTimestampMicros},
    {"local-timestamp-nanos", AvroType::kLong, AvroLogical::kTimestampNanos},
    {"uuid", AvroType::kString, AvroLogical::kUuid},
    {"uuid", AvroType::kFixed, AvroLogical::kUuid},
};

constexpr LogicalName kConnectNames[] = {
    {"org.apache.kafka.connect.data.Date", AvroType::kInt, AvroLogical::kDate},
    {"org.apache.kafka.connect.data.Time", AvroType::kInt, AvroLogical::kTimeMillis},
    {"org.apache.kafka.connect.data.Timestamp", AvroType::kLong, AvroLogical::kTimestampMillis},
    {"io.debezium.time.Date", AvroType::kInt, AvroLogical::kDate},
    {"io.debezium.time.Time", AvroType::kInt, AvroLogical::kTimeMillis},
    {"io.debezium.time.MicroTime", AvroType::kLong, AvroLogical::kTimeMicros},
    {"io.debezium.time.NanoTime", AvroType::kLong, AvroLogical::kTimeNanos},
    {"io.debezium.time.Timestamp", AvroType::kLong, AvroLogical::kTimestampMillis},
    {"io.debezium.time.MicroTimestamp", AvroType::kLong, AvroLogical::kTimestampMicros},
    {"io.debezium.time.NanoTimestamp", AvroType::kLong, AvroLogical::kTimestampNanos},
};

template <size_t n>
AvroLogical FindLogical(const LogicalName (&names)[n], std::string_view name, AvroType on) {
  for (const LogicalName& logical : names) {
    if (logical.name == name && logical.on == on) return logical.logical;
  }
  return AvroLogical::kNone;
}

std::string_view LogicalText(AvroLogical logical) {
  switch (logical) {
    case AvroLogical::kNone:
      return "";
    case AvroLogical::kDate:
      return "date";
    case AvroLogical::kTimeMillis:
      return "time-millis";
    case AvroLogical::kTimeMicros:
      return "time-micros";
    case AvroLogical::kTimeNanos:
      return "time-nanos";
    case AvroLogical::kTimestampMillis:
      return "timestamp-millis";
    case AvroLogical::kTimestampMicros:
      return "timestamp-micros";
    case AvroLogical::kTimestampNanos:
      return "timestamp-nanos";
    case AvroLogical::kDecimal:
      return "decimal";
    case AvroLogical::kUuid:
      return "uuid";
    case AvroLogical::kVariableDecimal:
      return "decimal of any scale";
  }
  return "";
}

std::optional<int64_t> Integer(const JsonTree& tree, std::string_view name) {
  const JsonTree* const found = tree.Find(name);
  int64_t value = 0;
  // Connect writes numbers among its parameters as text.
  const bool written = found != nullptr && (found->is(Json::kNumber) || found->is(Json::kString));
  if (!written || !absl::SimpleAtoi(found->text, &value)) return std::nullopt;
  return value;
}

std::vector<std::string> Strings(const JsonTree* list) {
  std::vector<std::string> strings;
  if (list == nullptr) return strings;
  for (const JsonTree& item : list->items) {
    if (item.is(Json::kString)) strings.push_back(item.text);
  }
  return strings;
}

}  // namespace

class AvroSchemaParser {
 public:
  explicit AvroSchemaParser(AvroSchema* out) : out_(*out) {}

  absl::Status Parse(std::string_view text) {
    TM_ASSIGN_OR_RETURN(const JsonTree tree, ParseJson(text));
    TM_ASSIGN_OR_RETURN(out_.root_, Type(tree, "", ""));
    return absl::OkStatus();
  }

 private:
  using Result = absl::StatusOr<const AvroNode*>;

  static absl::Status Bad(const std::string& path, const std::string& what) {
    return absl::InvalidArgumentError(path.empty() ? what : absl::StrCat(what, ", at ", path));
  }

  AvroNode* New(AvroType type) {
    out_.nodes_.push_back(std::make_unique<AvroNode>());
    out_.nodes_.back()->type = type;
    return out_.nodes_.back().get();
  }

  Result Type(const JsonTree& tree, const std::string& space, const std::string& path) {
    if (tree.is(Json::kString)) return Named(tree.text, space, path);
    if (tree.is(Json::kArray)) return Union(tree, space, path);
    if (!tree.is(Json::kObject)) return Bad(path, "a type is a name, an object or a list of types");
    const JsonTree* const type = tree.Find("type");
    if (type == nullptr) return Bad(path, "a type without 'type'");
    if (!type->is(Json::kString)) {
      TM_ASSIGN_OR_RETURN(const AvroNode* const inner, Type(*type, space, path));
      return WithAttributes(inner, tree);
    }
    if (type->text == "record" || type->text == "error") return Record(tree, space, path);
    if (type->text == "enum") return Enum(tree, space, path);
    if (type->text == "fixed") return Fixed(tree, space, path);
    if (type->text == "array") return Elements(AvroType::kArray, tree, "items", space, path);
    if (type->text == "map") return Elements(AvroType::kMap, tree, "values", space, path);
    TM_ASSIGN_OR_RETURN(const AvroNode* const named, Named(type->text, space, path));
    return WithAttributes(named, tree);
  }

  Result Named(const std::string& name, const std::string& space, const std::string& path) {
    for (const auto& [primitive, type] : kPrimitives) {
      if (name == primitive) return New(type);
    }
    const std::string full = FullName(name, space);
    auto found = named_.find(full);
    // A name without a namespace that isn't known in this one may be one of none.
    if (found == named_.end()) found = named_.find(name);
    if (found == named_.end()) return Bad(path, absl::StrCat("unknown type '", full, "'"));
    if (open_.contains(found->first)) {
      return Bad(path, absl::StrCat("record ", found->first, " contains itself, which no columns can hold"));
    }
    return found->second;
  }

  // The logical type that an object says of a type, where it is one without a name or without a logical type yet.
  Result WithAttributes(const AvroNode* node, const JsonTree& tree) {
    if (node->type == AvroType::kUnion) {
      // Beside the `type` of a field: of what isn't null in it, if that is one.
      if (node->members.size() != 2) return node;
      const size_t other = node->members[0]->type == AvroType::kNull ? 1 : 0;
      if (node->members[1 - other]->type != AvroType::kNull) return node;
      TM_ASSIGN_OR_RETURN(const AvroNode* const with, WithAttributes(node->members[other], tree));
      if (with == node->members[other]) return node;
      AvroNode* const copy = New(AvroType::kUnion);
      copy->members = node->members;
      copy->members[other] = with;
      return copy;
    }
    if (node->logical != AvroLogical::kNone || !node->fields.empty() || !node->members.empty()) return node;
    AvroNode with = *node;
    SetLogical(tree, &with);
    with.meaning = tree.Text("connect.name");
    if (with.logical == AvroLogical::kNone && with.meaning.empty()) return node;
    AvroNode* const copy = New(node->type);
    *copy = std::move(with);
    return copy;
  }

  void SetLogical(const JsonTree& tree, AvroNode* node) const {
    const std::string_view name = tree.Text("logicalType"), connect = tree.Text("connect.name");
    if (name == "decimal" || connect == "org.apache.kafka.connect.data.Decimal") {
      SetDecimal(tree, node);
    } else {
      node->logical = FindLogical(kLogicalNames, name, node->type);
    }
    if (node->logical == AvroLogical::kNone) node->logical = FindLogical(kConnectNames, connect, node->type);
    if (node->logical == AvroLogical::kUuid && node->type == AvroType::kFixed && node->size != 16) {
      node->logical = AvroLogical::kNone;
    }
  }

  void SetDecimal(const JsonTree& tree, AvroNode* node) const {
    if (node->type != AvroType::kBytes && node->type != AvroType::kFixed) return;
    std::optional<int64_t> precision = Integer(tree, "precision"), scale = Integer(tree, "scale");
    if (const JsonTree* const parameters = tree.Find("connect.parameters")) {
      if (!scale) scale = Integer(*parameters, "scale");
      if (!precision) precision = Integer(*parameters, "connect.decimal.precision");
    }
    // Connect's may have no precision: as many digits as there are.
    const int64_t digits = precision.value_or(38);
    if (digits < 1 || scale.value_or(0) < 0 || scale.value_or(0) > digits || digits > INT32_MAX) return;
    node->logical = AvroLogical::kDecimal;
    node->precision = static_cast<int>(digits);
    node->scale = static_cast<int>(scale.value_or(0));
  }

  Result Union(const JsonTree& tree, const std::string& space, const std::string& path) {
    AvroNode* const node = New(AvroType::kUnion);
    if (tree.items.empty()) return Bad(path, "a union of no types");
    for (const JsonTree& item : tree.items) {
      TM_ASSIGN_OR_RETURN(const AvroNode* const branch, Type(item, space, path));
      if (branch->type == AvroType::kUnion) return Bad(path, "a union within a union");
      node->members.push_back(branch);
    }
    return node;
  }

  Result Elements(AvroType type, const JsonTree& tree, std::string_view of, const std::string& space,
                  const std::string& path) {
    const JsonTree* const element = tree.Find(of);
    const std::string name(of);
    if (element == nullptr) return Bad(path, absl::StrCat("an array or a map without '", name, "'"));
    AvroNode* const node = New(type);
    TM_ASSIGN_OR_RETURN(const AvroNode* const member, Type(*element, space, path + "[]"));
    node->members.push_back(member);
    return node;
  }

  Result Record(const JsonTree& tree, const std::string& space, const std::string& path) {
    TM_ASSIGN_OR_RETURN(AvroNode* const node, Declare(AvroType::kRecord, tree, space, path));
    const JsonTree* const fields = tree.Find("fields");
    if (fields == nullptr || !fields->is(Json::kArray)) return Bad(path, "a record without a list of 'fields'");
    node->meaning = tree.Text("connect.name");
    open_.insert(node->name);
    const std::string inner = Namespace(node->name);
    std::set<std::string> names;
    for (const JsonTree& item : fields->items) {
      AvroField field;
      field.name = std::string(item.Text("name"));
      if (field.name.empty()) return Bad(path, "a field without a name");
      const std::string at = path.empty() ? field.name : absl::StrCat(path, ".", field.name);
      if (!names.insert(field.name).second) return Bad(at, "a second field of the same name");
      field.aliases = Strings(item.Find("aliases"));
      TM_ASSIGN_OR_RETURN(field.type, FieldType(item, inner, at));
      if (const JsonTree* const value = item.Find("default")) {
        field.has_default = true;
        field.default_value = *value;
      }
      node->fields.push_back(std::move(field));
    }
    open_.erase(node->name);
    const bool variable = tree.Text("connect.name") == "io.debezium.data.VariableScaleDecimal" ||
                          node->name == "io.debezium.data.VariableScaleDecimal";
    if (variable && node->fields.size() == 2 && node->fields[0].name == "scale" && node->fields[1].name == "value" &&
        node->fields[0].type->type == AvroType::kInt && node->fields[1].type->type == AvroType::kBytes) {
      node->logical = AvroLogical::kVariableDecimal;
    }
    return node;
  }

  Result FieldType(const JsonTree& field, const std::string& space, const std::string& path) {
    const JsonTree* const type = field.Find("type");
    if (type == nullptr) return Bad(path, "a field without a type");
    // Some write what belongs into the type into the field itself: {"name": "f", "type": "array", "items": "int"}.
    static constexpr std::string_view kComplex[] = {"array", "map", "enum", "fixed", "record"};
    if (type->is(Json::kString)) {
      for (const std::string_view complex : kComplex) {
        if (type->text == complex) return Type(field, space, path);
      }
    }
    TM_ASSIGN_OR_RETURN(const AvroNode* const node, Type(*type, space, path));
    return WithAttributes(node, field);
  }

  Result Enum(const JsonTree& tree, const std::string& space, const std::string& path) {
    TM_ASSIGN_OR_RETURN(AvroNode* const node, Declare(AvroType::kEnum, tree, space, path));
    node->symbols = Strings(tree.Find("symbols"));
    if (node->symbols.empty()) return Bad(path, "an enum without symbols");
    node->meaning = tree.Text("connect.name");
    return node;
  }

  Result Fixed(const JsonTree& tree, const std::string& space, const std::string& path) {
    TM_ASSIGN_OR_RETURN(AvroNode* const node, Declare(AvroType::kFixed, tree, space, path));
    const std::optional<int64_t> size = Integer(tree, "size");
    if (!size || *size < 0 || *size > INT32_MAX) return Bad(path, "a fixed without a size");
    node->size = *size;
    SetLogical(tree, node);
    return node;
  }

  absl::StatusOr<AvroNode*> Declare(AvroType type, const JsonTree& tree, const std::string& space,
                                    const std::string& path) {
    const std::string name(tree.Text("name"));
    if (name.empty()) return Bad(path, "a record, enum or fixed without a name");
    const JsonTree* const own = tree.Find("namespace");
    AvroNode* const node = New(type);
    node->name = FullName(name, own != nullptr ? own->text : space);
    if (!named_.emplace(node->name, node).second) {
      return Bad(path, absl::StrCat("type ", node->name, " is defined twice"));
    }
    return node;
  }

  static std::string FullName(const std::string& name, const std::string& space) {
    if (space.empty() || name.find('.') != std::string::npos) return name;
    return absl::StrCat(space, ".", name);
  }
  static std::string Namespace(const std::string& full) {
    const size_t dot = full.rfind('.');
    return dot == std::string::npos ? "" : full.substr(0, dot);
  }

  AvroSchema& out_;
  std::map<std::string, const AvroNode*> named_;
  std::set<std::string> open_;  // records whose fields are being read
};

absl::StatusOr<std::unique_ptr<const AvroSchema>> AvroSchema::Parse(std::string_view text,
                                                                    const std::vector<std::string>& references) {
  auto schema = std::make_unique<AvroSchema>();
  AvroSchemaParser parser(schema.get());
  for (const std::string& reference : references) {
    TM_RETURN_IF_ERROR(Annotate(parser.Parse(reference), "a schema that it refers to"));
  }
  TM_RETURN_IF_ERROR(parser.Parse(text));
  return schema;
}

const AvroNode* AvroSchema::Record() const {
  if (root_->type == AvroType::kRecord) return root_;
  if (root_->type != AvroType::kUnion) return nullptr;
  const AvroNode* record = nullptr;
  for (const AvroNode* const branch : root_->members) {
    if (branch->type == AvroType::kNull) continue;
    if (record != nullptr || branch->type != AvroType::kRecord) return nullptr;
    record = branch;
  }
  return record;
}

std::string AvroNode::Describe() const {
  if (logical == AvroLogical::kDecimal) return absl::StrCat("decimal(", precision, ",", scale, ")");
  if (logical != AvroLogical::kNone) return std::string(LogicalText(logical));
  switch (type) {
    case AvroType::kRecord:
      return absl::StrCat("record ", name);
    case AvroType::kEnum:
      return absl::StrCat("enum ", name);
    case AvroType::kFixed:
      return absl::StrCat("fixed of ", size, " bytes");
    case AvroType::kArray:
      return "array";
    case AvroType::kMap:
      return "map";
    case AvroType::kUnion: {
      std::string all;
      for (const AvroNode* const member : members) absl::StrAppend(&all, all.empty() ? "" : ", ", member->Describe());
      return absl::StrCat("union of ", all);
    }
    default:
      for (const auto& [primitive, of] : kPrimitives) {
        if (of == type) return std::string(primitive);
      }
      return "";
  }
}

}  // namespace tidemark
