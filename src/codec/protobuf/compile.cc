#include <algorithm>
#include <map>
#include <set>

#include <absl/strings/str_cat.h>
#include <google/protobuf/wire_format_lite.h>

#include "src/base/status.h"
#include "src/codec/protobuf/scan_plan.h"
#include "src/codec/protobuf/types.h"

namespace tidemark {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::OneofDescriptor;
using google::protobuf::internal::WireFormatLite;

constexpr uint32_t kNear = 256;

// What is wanted below a name.
struct Wanted {
  std::vector<size_t> columns;  // that end here
  std::map<std::string, Wanted, std::less<>> members;

  void AddColumns(std::vector<uint32_t>* all) const {
    for (const size_t c : columns) all->push_back(static_cast<uint32_t>(c));
    for (const auto& [name, below] : members) below.AddColumns(all);
  }
};

ProtobufRead ReadOf(const FieldDescriptor& field) {
  switch (field.type()) {
    case FieldDescriptor::TYPE_INT64:
      return ProtobufRead::kInt64;
    case FieldDescriptor::TYPE_INT32:
    case FieldDescriptor::TYPE_ENUM:
      return ProtobufRead::kInt32;
    case FieldDescriptor::TYPE_UINT64:
      return ProtobufRead::kUint64;
    case FieldDescriptor::TYPE_UINT32:
      return ProtobufRead::kUint32;
    case FieldDescriptor::TYPE_SINT64:
      return ProtobufRead::kSint64;
    case FieldDescriptor::TYPE_SINT32:
      return ProtobufRead::kSint32;
    case FieldDescriptor::TYPE_FIXED64:
      return ProtobufRead::kFixed64;
    case FieldDescriptor::TYPE_FIXED32:
      return ProtobufRead::kFixed32;
    case FieldDescriptor::TYPE_SFIXED64:
      return ProtobufRead::kSfixed64;
    case FieldDescriptor::TYPE_SFIXED32:
      return ProtobufRead::kSfixed32;
    case FieldDescriptor::TYPE_BOOL:
      return ProtobufRead::kBool;
    case FieldDescriptor::TYPE_DOUBLE:
      return ProtobufRead::kDouble;
    case FieldDescriptor::TYPE_FLOAT:
      return ProtobufRead::kFloat;
    case FieldDescriptor::TYPE_STRING:
    case FieldDescriptor::TYPE_BYTES:
    case FieldDescriptor::TYPE_MESSAGE:
      return ProtobufRead::kLengthed;
    case FieldDescriptor::TYPE_GROUP:
      break;
  }
  return ProtobufRead::kSkip;
}

bool Integral(const FieldDescriptor& field) {
  const ProtobufRead read = ReadOf(field);
  return read >= ProtobufRead::kInt64 && read <= ProtobufRead::kSfixed32 && field.type() != FieldDescriptor::TYPE_ENUM;
}

class Compiler {
 public:
  Compiler(const std::vector<ReadTarget>& targets, ProtobufScanPlan* plan) : plan_(*plan) {
    for (const ReadTarget& target : targets) types_[target.column] = target.type;
    plan_.fields.emplace_back();
  }

  // Its number. As deep as paths are long.
  absl::StatusOr<uint32_t> Node(const Descriptor& message, const Wanted& wanted, const std::string& path) {
    const auto number = static_cast<uint32_t>(plan_.nodes.size());
    plan_.nodes.emplace_back();
    std::set<const OneofDescriptor*> oneofs;
    for (const auto& [name, below] : wanted.members) {
      const FieldDescriptor* const field = message.FindFieldByName(name);
      if (field == nullptr) {
        Never(below, absl::StrCat("message ", message.full_name(), " has no field ", name));
        continue;
      }
      TM_RETURN_IF_ERROR(Field(number, *field, below, path.empty() ? name : absl::StrCat(path, ".", name)));
      if (field->real_containing_oneof() != nullptr) oneofs.insert(field->real_containing_oneof());
    }
    for (const OneofDescriptor* const oneof : oneofs) Oneof(number, *oneof, wanted);
    return number;
  }

 private:
  absl::Status Field(uint32_t node, const FieldDescriptor& field, const Wanted& wanted, const std::string& path) {
    place_ = Text(path);
    for (const size_t c : wanted.columns) {
      TM_ASSIGN_OR_RETURN(const ProtobufField made, Column(field, c));
      Add(node, field, made);
    }
    if (wanted.members.empty()) return absl::OkStatus();
    if (field.type() != FieldDescriptor::TYPE_MESSAGE || field.is_repeated()) {
      Unfit(node, field, wanted, absl::StrCat("expected a message on its path, found ", DescribeField(field)));
      return absl::OkStatus();
    }
    TM_ASSIGN_OR_RETURN(const uint32_t below, Node(*field.message_type(), wanted, path));
    place_ = Text(path);
    Add(node, field, {.read = ProtobufRead::kLengthed, .into = ProtobufInto::kMessage, .arg = below});
    return absl::OkStatus();
  }

  void Add(uint32_t node, const FieldDescriptor& field, ProtobufField made) {
    made.wire = static_cast<uint8_t>(
        WireFormatLite::WireTypeForFieldType(static_cast<WireFormatLite::FieldType>(field.type())));
    made.packs = field.is_packable();
    made.place = place_;
    uint32_t* const slot = Slot(node, static_cast<uint32_t>(field.number()));
    made.next = *slot;
    *slot = static_cast<uint32_t>(plan_.fields.size());
    plan_.fields.push_back(made);
    const bool has_zero = field.is_repeated() ? made.into == ProtobufInto::kPart : !field.has_presence();
    // Neither a date nor JSON is ever empty.
    if (has_zero && made.into != ProtobufInto::kText && made.into != ProtobufInto::kJson) {
      ProtobufNode& at = plan_.nodes[node];
      // The bit of those behind the 63rd is never seen.
      const uint64_t bit = uint64_t{1} << std::min<size_t>(at.implied.size(), 63);
      at.all_implied |= bit;
      if (at.implied.size() < 63) plan_.fields.back().implied = bit;
      at.implied.push_back(*slot);
    }
  }

  uint32_t* Slot(uint32_t node, uint32_t number) {
    ProtobufNode& at = plan_.nodes[node];
    if (number >= kNear) return &at.far[number];
    if (at.near.size() <= number) at.near.resize(number + 1);
    return &at.near[number];
  }

  // Any member that comes takes the values of the others away, also one that nobody wants.
  void Oneof(uint32_t node, const OneofDescriptor& oneof, const Wanted& wanted) {
    for (int i = 0; i < oneof.field_count(); ++i) {
      const FieldDescriptor& field = *oneof.field(i);
      const auto begin = static_cast<uint32_t>(plan_.clears.size());
      for (int other = 0; other < oneof.field_count(); ++other) {
        if (other == i) continue;
        const auto found = wanted.members.find(oneof.field(other)->name());
        if (found != wanted.members.end()) found->second.AddColumns(&plan_.clears);
      }
      const auto end = static_cast<uint32_t>(plan_.clears.size());
      if (begin == end) continue;
      uint32_t* const slot = Slot(node, static_cast<uint32_t>(field.number()));
      if (*slot == 0) {
        *slot = static_cast<uint32_t>(plan_.fields.size());
        plan_.fields.emplace_back();
      }
      plan_.fields[*slot].clears_begin = begin;
      plan_.fields[*slot].clears_end = end;
    }
  }

  absl::StatusOr<ProtobufField> Column(const FieldDescriptor& field, size_t c) {
    const Type& type = types_.at(c);
    ProtobufField made{.read = ReadOf(field), .column = static_cast<uint32_t>(c)};
    if (type.kind == Kind::kJson && field.type() != FieldDescriptor::TYPE_GROUP &&
        (field.is_repeated() || field.type() == FieldDescriptor::TYPE_MESSAGE)) {
      ProtobufScanPlan::Part part{.column = made.column, .json = nullptr, .empty = {}, .present = {}};
      TM_ASSIGN_OR_RETURN(part.json, ProtobufPart::Make(field));
      part.empty = field.is_map() ? "{}" : field.is_repeated() ? "[]" : "";
      made.read = ProtobufRead::kSkip;
      made.into = ProtobufInto::kPart;
      made.arg = static_cast<uint32_t>(plan_.parts.size());
      plan_.parts.push_back(std::move(part));
      return made;
    }
    if (!field.is_repeated() && field.type() == FieldDescriptor::TYPE_MESSAGE && IsWrapper(*field.message_type())) {
      TM_ASSIGN_OR_RETURN(made.arg, Wrapped(*field.message_type()->FindFieldByNumber(1), c));
      made.into = ProtobufInto::kMessage;
      return made;
    }
    made.into = field.is_repeated() ? ProtobufInto::kUnfit : IntoOf(field, type);
    if (made.into == ProtobufInto::kUnfit) {
      const std::string why = absl::StrCat("expected ", TypeName(type), ", found ", DescribeField(field),
                                           type.kind == Kind::kTimestamp && Integral(field) && !field.is_repeated()
                                               ? " without a unit, which timestamp_s, timestamp_ms and timestamp_us say"
                                               : "");
      made.read = ProtobufRead::kSkip;
      made.arg = Text(why);
      plan_.never.emplace_back(c, why);
    }
    if (made.into == ProtobufInto::kName || made.into == ProtobufInto::kMember) {
      made.arg = static_cast<uint32_t>(plan_.enums.size());
      plan_.enums.push_back(Names(*field.enum_type()));
    }
    return made;
  }

  static bool IsClosed(const EnumDescriptor& type) { return type.file()->syntax() == FileDescriptor::SYNTAX_PROTO2; }

  static ProtobufScanPlan::Enum Names(const EnumDescriptor& type) {
    ProtobufScanPlan::Enum made;
    made.closed = IsClosed(type);
    // Of several names for a number the first one counts, as the library has it.
    for (int i = 0; i < type.value_count(); ++i) made.names.emplace(type.value(i)->number(), type.value(i)->name());
    return made;
  }

  // A message whose only field is the column.
  absl::StatusOr<uint32_t> Wrapped(const FieldDescriptor& value, size_t c) {
    const auto node = static_cast<uint32_t>(plan_.nodes.size());
    plan_.nodes.emplace_back();
    TM_ASSIGN_OR_RETURN(const ProtobufField made, Column(value, c));
    Add(node, value, made);
    return node;
  }

  static ProtobufInto IntoOf(const FieldDescriptor& field, const Type& type) {
    const Kind kind = type.kind;
    switch (field.type()) {
      case FieldDescriptor::TYPE_BOOL:
        return kind == Kind::kBool ? ProtobufInto::kBool : ProtobufInto::kUnfit;
      case FieldDescriptor::TYPE_FLOAT:
      case FieldDescriptor::TYPE_DOUBLE:
        return kind == Kind::kDouble ? ProtobufInto::kDouble : ProtobufInto::kUnfit;
      case FieldDescriptor::TYPE_STRING:
        if (kind == Kind::kString) return ProtobufInto::kString;
        if (kind == Kind::kBytes) return ProtobufInto::kBytes;
        if (kind == Kind::kJson) return ProtobufInto::kJson;
        return kind == Kind::kDate || kind == Kind::kDecimal ||
                       (kind == Kind::kTimestamp && type.form == TimestampForm::kRfc3339)
                   ? ProtobufInto::kText
                   : ProtobufInto::kUnfit;
      case FieldDescriptor::TYPE_BYTES:
        return kind == Kind::kBytes    ? ProtobufInto::kBytes
               : kind == Kind::kString ? ProtobufInto::kString
                                       : ProtobufInto::kUnfit;
      case FieldDescriptor::TYPE_ENUM:
        if (kind == Kind::kString) return ProtobufInto::kName;
        if (kind != Kind::kInt32 && kind != Kind::kInt64) return ProtobufInto::kUnfit;
        return IsClosed(*field.enum_type()) ? ProtobufInto::kMember : ProtobufInto::kInteger;
      case FieldDescriptor::TYPE_MESSAGE:
        if (kind == Kind::kTimestamp && IsTimestamp(*field.message_type())) return ProtobufInto::kTimestamp;
        if (kind == Kind::kDate && IsDate(*field.message_type())) return ProtobufInto::kDate;
        return (kind == Kind::kDecimal || kind == Kind::kString) && IsDecimal(*field.message_type())
                   ? ProtobufInto::kMoney
                   : ProtobufInto::kUnfit;
      case FieldDescriptor::TYPE_GROUP:
        return ProtobufInto::kUnfit;
      default:
        break;
    }
    if (kind == Kind::kInt32 || kind == Kind::kInt64) return ProtobufInto::kInteger;
    if (kind == Kind::kDouble) return ProtobufInto::kReal;
    if (kind == Kind::kDecimal) return ProtobufInto::kDecimal;
    const bool has_unit = kind == Kind::kTimestamp && type.form != TimestampForm::kRfc3339;
    return has_unit ? ProtobufInto::kScaled : ProtobufInto::kUnfit;
  }

  // Something else stands on the way to these.
  void Unfit(uint32_t node, const FieldDescriptor& field, const Wanted& wanted, const std::string& why) {
    std::vector<uint32_t> columns;
    for (const auto& [name, below] : wanted.members) below.AddColumns(&columns);
    for (const uint32_t c : columns) {
      Add(node, field, {.into = ProtobufInto::kUnfit, .column = c, .arg = Text(why)});
      plan_.never.emplace_back(c, why);
    }
  }
  void Never(const Wanted& wanted, const std::string& why) {
    std::vector<uint32_t> columns;
    wanted.AddColumns(&columns);
    for (const uint32_t c : columns) plan_.never.emplace_back(c, why);
  }

  uint32_t Text(const std::string& text) {
    const auto [found, fresh] = texts_.emplace(text, static_cast<uint32_t>(plan_.texts.size()));
    if (fresh) plan_.texts.push_back(text);
    return found->second;
  }

  std::map<size_t, Type> types_;  // of the columns
  ProtobufScanPlan& plan_;
  std::map<std::string, uint32_t> texts_;
  uint32_t place_ = 0;
};

}  // namespace

absl::StatusOr<ProtobufScanPlan> CompileProtobuf(const Descriptor& message, const std::vector<ReadTarget>& targets,
                                                 std::shared_ptr<const void> schema) {
  Wanted wanted;
  for (const ReadTarget& target : targets) {
    Wanted* below = &wanted;
    for (const std::string& name : target.path) below = &below->members[name];
    below->columns.push_back(target.column);
  }
  ProtobufScanPlan plan;
  plan.schema = std::move(schema);
  TM_RETURN_IF_ERROR(Compiler(targets, &plan).Node(message, wanted, "").status());
  return plan;
}

}  // namespace tidemark
