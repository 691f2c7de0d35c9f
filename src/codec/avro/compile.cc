#include <algorithm>
#include <map>

#include <absl/strings/str_cat.h>

#include "src/codec/avro/scan_plan.h"

namespace tidemark {
namespace {

// Types that are named once and used often make a plan larger than its schema, without end where they use each other.
constexpr size_t kMostSteps = 50'000;

// What is wanted below a name.
struct Wanted {
  std::vector<size_t> columns;  // that end here
  std::map<std::string, Wanted, std::less<>> members;
};

bool Integral(Kind kind) { return kind == Kind::kInt32 || kind == Kind::kInt64; }

bool IsTimeOfDay(AvroLogical logical) {
  return logical == AvroLogical::kTimeMillis || logical == AvroLogical::kTimeMicros ||
         logical == AvroLogical::kTimeNanos;
}

bool IsTimestamp(AvroLogical logical) {
  return logical == AvroLogical::kTimestampMillis || logical == AvroLogical::kTimestampMicros ||
         logical == AvroLogical::kTimestampNanos;
}

class Compiler {
 public:
  Compiler(const std::vector<ReadTarget>& targets, const AvroTable* table, bool take, AvroScanPlan* plan)
      : table_(table), take_(take), plan_(*plan) {
    for (const ReadTarget& target : targets) targets_[target.column] = target;
    if (table != nullptr) plan_.unavailable = table->unavailable;
  }

  // The value itself. Null instead of a record is no row.
  void Root(const AvroNode& node, const Wanted& wanted) {
    if (node.type != AvroType::kUnion) return Value(node, wanted, "");
    Jumps(node, [&](const AvroNode& branch) {
      if (branch.type == AvroType::kNull) {
        Emit({.op = AvroOp::kRefuse, .arg = Text("the value is Avro's null")});
      } else {
        Value(branch, wanted, "");
      }
    });
  }

  bool too_large() const { return visits_ > kMostSteps; }

 private:
  void Value(const AvroNode& node, const Wanted& wanted, const std::string& path) {
    if (TooMuch()) return;
    path_ = Text(path);
    if (wanted.columns.empty() && wanted.members.empty()) return Skip(node);
    if (const std::vector<size_t> trees = TreesOf(node, wanted); !trees.empty())
      return Trees(node, wanted, trees, path);
    switch (node.type) {
      case AvroType::kNull:
        return;
      case AvroType::kUnion:
        return Union(node, wanted, path);
      case AvroType::kRecord:
        return Record(node, wanted, path);
      case AvroType::kMap:
        return Map(node, wanted, path);
      default:
        Unfit(wanted, node);
        return Scalar(node, wanted);
    }
  }

  // Columns that take this value as a whole, as JSON.
  std::vector<size_t> TreesOf(const AvroNode& node, const Wanted& wanted) const {
    std::vector<size_t> trees;
    const bool tree = node.type == AvroType::kArray || node.type == AvroType::kMap ||
                      (node.type == AvroType::kRecord && node.logical != AvroLogical::kVariableDecimal);
    if (!tree || take_ || table_ != nullptr) return trees;
    for (const size_t c : wanted.columns) {
      if (targets_.at(c).type.kind == Kind::kJson) trees.push_back(c);
    }
    return trees;
  }

  // They first, and then from the beginning what else is wanted of it.
  void Trees(const AvroNode& node, const Wanted& wanted, const std::vector<size_t>& trees, const std::string& path) {
    Wanted rest = wanted;
    std::erase_if(rest.columns, [&](size_t c) { return std::find(trees.begin(), trees.end(), c) != trees.end(); });
    const bool more = !rest.columns.empty() || !rest.members.empty();
    plan_.nodes.push_back(&node);
    const auto number = static_cast<uint32_t>(plan_.nodes.size()) - 1;
    for (size_t i = 0; i < trees.size(); ++i) {
      const bool again = more || i + 1 < trees.size();
      if (again) Emit({.op = AvroOp::kMark});
      Read(AvroOp::kTree, trees[i], 0, number);
      if (again) Emit({.op = AvroOp::kBack});
    }
    if (more) Value(node, rest, path);
  }

  bool TooMuch() { return ++visits_ > kMostSteps; }

  size_t Emit(AvroStep step) {
    plan_.steps.push_back(step);
    plan_.paths.push_back(path_);
    plan_.least.push_back(0);
    return plan_.steps.size() - 1;
  }
  uint32_t Text(std::string text) {
    const auto [found, fresh] = texts_.emplace(std::move(text), static_cast<uint32_t>(plan_.texts.size()));
    if (fresh) plan_.texts.push_back(found->first);
    return found->second;
  }
  uint32_t here() const { return static_cast<uint32_t>(plan_.steps.size()); }
  // The steps since `at`, itself left out, are its own.
  void Close(size_t at) { plan_.steps[at].n = here() - static_cast<uint32_t>(at) - 1; }

  // ---- What nobody wants.

  void Skip(const AvroNode& node) {
    if (TooMuch()) return;
    switch (node.type) {
      case AvroType::kNull:
        return;
      case AvroType::kBoolean:
        Emit({.op = AvroOp::kSkipBool});
        return;
      case AvroType::kInt:
        Emit({.op = AvroOp::kSkipInt});
        return;
      case AvroType::kLong:
        Emit({.op = AvroOp::kSkipLong});
        return;
      case AvroType::kFloat:
        return SkipFixed(4);
      case AvroType::kDouble:
        return SkipFixed(8);
      case AvroType::kFixed:
        return SkipFixed(static_cast<uint32_t>(node.size));
      case AvroType::kBytes:
      case AvroType::kString:
        Emit({.op = AvroOp::kSkipText});
        return;
      case AvroType::kEnum:
        Emit({.op = AvroOp::kSkipEnum, .n = static_cast<uint32_t>(node.symbols.size())});
        return;
      case AvroType::kRecord:
        for (const AvroField& field : node.fields) Skip(*field.type);
        return;
      case AvroType::kUnion:
        return Branches(node, [this](const AvroNode& branch) { Skip(branch); });
      case AvroType::kArray:
      case AvroType::kMap: {
        const size_t at = Emit({.op = AvroOp::kSkipArray});
        if (node.type == AvroType::kMap) Emit({.op = AvroOp::kSkipText});
        Skip(*node.members[0]);
        Close(at);
        plan_.least[at] = Least(*node.members[0]) + (node.type == AvroType::kMap ? 1 : 0);
        return;
      }
    }
  }

  void SkipFixed(uint32_t bytes) {
    if (bytes > 0) Emit({.op = AvroOp::kSkipFixed, .n = bytes});
  }

  // The bytes that a value has at least, so that a count can be held against what is there.
  uint64_t Least(const AvroNode& node) {
    if (node.type == AvroType::kNull) return 0;
    if (node.type == AvroType::kFixed) return static_cast<uint64_t>(node.size);
    if (node.type != AvroType::kRecord) return 1;
    const auto known = least_.find(&node);
    if (known != least_.end()) return known->second;
    uint64_t least = 0;
    for (const AvroField& field : node.fields) least = std::min<uint64_t>(least + Least(*field.type), 1 << 20);
    return least_[&node] = least;
  }

  // ---- Ways to what is wanted.

  template <typename F>
  void Branches(const AvroNode& node, F&& value) {
    const size_t count = node.members.size();
    if (count == 2 && (node.members[0]->type == AvroType::kNull) != (node.members[1]->type == AvroType::kNull)) {
      const uint32_t null = node.members[0]->type == AvroType::kNull ? 0 : 1;
      const size_t at = Emit({.op = AvroOp::kNullable, .arg = null});
      value(*node.members[1 - null]);
      return Close(at);
    }
    Jumps(node, value);
  }

  template <typename F>
  void Jumps(const AvroNode& node, F&& value) {
    const size_t count = node.members.size();
    const auto jumps = static_cast<uint32_t>(plan_.jumps.size());
    plan_.jumps.resize(jumps + count);
    Emit({.op = AvroOp::kUnion, .n = static_cast<uint32_t>(count), .arg = jumps});
    std::vector<size_t> ends;
    const uint32_t path = path_;
    for (size_t i = 0; i < count; ++i) {
      plan_.jumps[jumps + i] = here();
      path_ = path;
      value(*node.members[i]);
      path_ = path;
      ends.push_back(Emit({.op = AvroOp::kJump}));
    }
    for (const size_t end : ends) Close(end);
  }

  void Union(const AvroNode& node, const Wanted& wanted, const std::string& path) {
    Branches(node, [&](const AvroNode& branch) { Value(branch, wanted, path); });
  }

  void Record(const AvroNode& node, const Wanted& wanted, const std::string& path) {
    if (node.logical == AvroLogical::kVariableDecimal && wanted.members.empty()) return Scalar(node, wanted);
    for (const size_t c : wanted.columns) Unfit(c, node);
    const std::map<size_t, const Wanted*> by_field = Match(node, wanted);
    static const Wanted& nothing = *new Wanted();
    for (size_t i = 0; i < node.fields.size(); ++i) {
      const auto found = by_field.find(i);
      const std::string& name = node.fields[i].name;
      Value(*node.fields[i].type, found == by_field.end() ? nothing : *found->second,
            path.empty() ? name : absl::StrCat(path, ".", name));
    }
  }

  // A name means the field that has it, or else one that once had it.
  static std::map<size_t, const Wanted*> Match(const AvroNode& node, const Wanted& wanted) {
    std::map<size_t, const Wanted*> by_field;
    for (const auto& [name, below] : wanted.members) {
      const auto is = [&n = name](const AvroField& field) { return field.name == n; };
      auto field = std::find_if(node.fields.begin(), node.fields.end(), is);
      if (field == node.fields.end()) {
        const auto was = [&n = name](const AvroField& f) {
          return std::find(f.aliases.begin(), f.aliases.end(), n) != f.aliases.end();
        };
        field = std::find_if(node.fields.begin(), node.fields.end(), was);
      }
      // Of two names for one field the one that it has counts.
      if (field == node.fields.end()) continue;
      const auto [at, fresh] = by_field.emplace(static_cast<size_t>(field - node.fields.begin()), &below);
      if (!fresh && is(*field)) at->second = &below;
    }
    return by_field;
  }

  void Map(const AvroNode& node, const Wanted& wanted, const std::string& path) {
    for (const size_t c : wanted.columns) Unfit(c, node);
    if (wanted.members.empty()) return Skip(node);
    const size_t number = plan_.maps.size();
    plan_.maps.emplace_back();
    const size_t at = Emit({.op = AvroOp::kMap, .arg = static_cast<uint32_t>(number)});
    AvroScanPlan::Map map;
    map.skip_begin = here();
    Skip(*node.members[0]);
    map.skip_end = here();
    for (const auto& [key, below] : wanted.members) {
      const uint32_t begin = here();
      Value(*node.members[0], below, path.empty() ? key : absl::StrCat(path, ".", key));
      map.keys.push_back({key, begin, here()});
    }
    plan_.maps[number] = std::move(map);
    Close(at);
  }

  // ---- Values.

  void Scalar(const AvroNode& node, const Wanted& wanted) {
    if (wanted.columns.empty()) return Skip(node);
    for (size_t i = 0; i < wanted.columns.size(); ++i) {
      const bool again = i + 1 < wanted.columns.size();
      const size_t c = wanted.columns[i];
      if (again) Emit({.op = AvroOp::kMark});
      if (OfTable(c)) {
        TableColumn(node, c);
      } else if (take_ ? !Take(node, c) : !BesideColumn(node, c) && !Column(node, c)) {
        if (!take_) Unfit(c, node);
        Skip(node);
      }
      if (again) Emit({.op = AvroOp::kBack});
    }
  }

  // ---- Of changes of a table.

  bool OfTable(size_t c) const { return table_ != nullptr && !targets_.at(c).beside; }

  void TableColumn(const AvroNode& node, size_t c) {
    size_t unavailable = 0;
    const bool text = node.type == AvroType::kString || node.type == AvroType::kBytes;
    const bool texts = node.type == AvroType::kArray && ElementOf(node).type == AvroType::kString;
    if (text) unavailable = Emit({.op = AvroOp::kUnavailable, .column = static_cast<uint32_t>(c)});
    if (texts) {
      unavailable = Emit({.op = AvroOp::kUnavailableArray, .column = static_cast<uint32_t>(c), .arg = PlainOf(node)});
    }
    const Type& type = targets_.at(c).type;
    if (!table_->why_not(node, type).empty() || !(TypeOfTable(node, type, c) || Column(node, c))) {
      Unfit(c, node);
      Skip(node);
    }
    if (text || texts) Close(unavailable);
  }

  // What only a table's types are read as.
  bool TypeOfTable(const AvroNode& node, const Type& type, size_t c) {
    switch (node.type) {
      case AvroType::kFloat:
        return type.kind == Kind::kDecimal && Read(AvroOp::kFloatToDecimal, c);
      case AvroType::kDouble:
        return type.kind == Kind::kDecimal && Read(AvroOp::kDoubleToDecimal, c);
      case AvroType::kInt:
      case AvroType::kLong:
        return type.kind == Kind::kString && IsTimeOfDay(node.logical) &&
               Read(AvroOp::kTimeOfDay, c, 0, static_cast<uint32_t>(node.logical));
      case AvroType::kString:
        if (type.kind == Kind::kDate) return Read(AvroOp::kIsoDate, c);
        return type.kind == Kind::kTimestamp && Read(AvroOp::kIsoTimestamp, c);
      case AvroType::kArray:
        return type.kind == Kind::kJson && Read(AvroOp::kArrayJson, c, 0, PlainOf(node));
      default:
        return false;
    }
  }

  // A number that stands beside the row, in the unit that its name says, or as text.
  bool BesideColumn(const AvroNode& node, size_t c) {
    const ReadTarget& target = targets_.at(c);
    if (table_ == nullptr || (node.type != AvroType::kInt && node.type != AvroType::kLong)) return false;
    if (target.type.kind == Kind::kString) return Read(AvroOp::kNumberText, c);
    if (target.type.kind != Kind::kTimestamp) return false;
    if (target.as == "Timestamp") return Read(AvroOp::kMillis, c);
    if (target.as == "MicroTimestamp") return Read(AvroOp::kMicros, c);
    return target.as == "NanoTimestamp" && Read(AvroOp::kNanos, c);
  }

  bool Take(const AvroNode& node, size_t slot) {
    if (node.type == AvroType::kInt || node.type == AvroType::kLong) return Read(AvroOp::kTakeNumber, slot);
    return node.type == AvroType::kString && Read(AvroOp::kTakeText, slot);
  }

  static const AvroNode& ElementOf(const AvroNode& array) {
    const AvroNode& element = *array.members[0];
    if (element.type != AvroType::kUnion || element.members.size() != 2) return element;
    if (element.members[0]->type == AvroType::kNull) return *element.members[1];
    return element.members[1]->type == AvroType::kNull ? *element.members[0] : element;
  }
  uint32_t PlainOf(const AvroNode& array) {
    AvroScanPlan::Plain plain{ElementOf(array).type};
    if (array.members[0]->type == AvroType::kUnion) {
      plain.null = array.members[0]->members[0]->type == AvroType::kNull ? 0 : 1;
    }
    plan_.plain.push_back(plain);
    return static_cast<uint32_t>(plan_.plain.size()) - 1;
  }

  // False: nothing of this kind becomes a value of the column.
  bool Column(const AvroNode& node, size_t c) {
    const Type& type = targets_.at(c).type;
    const Kind kind = type.kind;
    switch (node.type) {
      case AvroType::kBoolean:
        return kind == Kind::kBool && Read(AvroOp::kBool, c);
      case AvroType::kInt:
      case AvroType::kLong:
        return Number(node, type, c);
      case AvroType::kFloat:
        return kind == Kind::kDouble && Read(AvroOp::kFloat, c);
      case AvroType::kDouble:
        return kind == Kind::kDouble && Read(AvroOp::kDouble, c);
      case AvroType::kString:
        if (kind == Kind::kString) return Read(AvroOp::kString, c);
        if (kind == Kind::kBytes) return Read(AvroOp::kBytes, c);
        if (kind == Kind::kJson) return Read(AvroOp::kJson, c);
        return (kind == Kind::kDate || kind == Kind::kDecimal ||
                (kind == Kind::kTimestamp && type.form == TimestampForm::kRfc3339)) &&
               Read(AvroOp::kText, c);
      case AvroType::kBytes:
        if (kind == Kind::kBytes) return Read(AvroOp::kBytes, c);
        if (node.logical == AvroLogical::kDecimal) return Decimal(node, AvroOp::kDecimal, kind, c);
        return kind == Kind::kString && Read(AvroOp::kString, c);
      case AvroType::kFixed:
        if (kind == Kind::kBytes) return Read(AvroOp::kFixed, c, static_cast<uint32_t>(node.size));
        if (node.logical == AvroLogical::kDecimal) return Decimal(node, AvroOp::kFixedDecimal, kind, c);
        return node.logical == AvroLogical::kUuid && kind == Kind::kString && Read(AvroOp::kUuid, c);
      case AvroType::kEnum: {
        if (kind != Kind::kString) return false;
        // Together, and each as often as it comes.
        const auto first = static_cast<uint32_t>(plan_.texts.size());
        for (const std::string& symbol : node.symbols) plan_.texts.push_back(symbol);
        return Read(AvroOp::kEnum, c, first, static_cast<uint32_t>(node.symbols.size()));
      }
      case AvroType::kRecord:
        return node.logical == AvroLogical::kVariableDecimal && (kind == Kind::kDecimal || kind == Kind::kString) &&
               Read(AvroOp::kVariableDecimal, c);
      default:
        return false;
    }
  }

  bool Number(const AvroNode& node, const Type& type, size_t c) {
    const bool is_int = node.type == AvroType::kInt;
    if (Integral(type.kind)) return Read(is_int ? AvroOp::kInt : AvroOp::kLong, c);
    if (type.kind == Kind::kDate) return node.logical == AvroLogical::kDate && Read(AvroOp::kInt, c);
    if (type.kind == Kind::kTimestamp && IsTimestamp(node.logical)) {
      return Read(node.logical == AvroLogical::kTimestampMillis   ? AvroOp::kMillis
                  : node.logical == AvroLogical::kTimestampMicros ? AvroOp::kMicros
                                                                  : AvroOp::kNanos,
                  c);
    }
    if (node.logical != AvroLogical::kNone) return false;
    if (type.kind == Kind::kDouble) return Read(is_int ? AvroOp::kIntToDouble : AvroOp::kLongToDouble, c);
    if (type.kind == Kind::kDecimal) return Read(AvroOp::kIntegerToDecimal, c);
    return type.kind == Kind::kTimestamp && type.form != TimestampForm::kRfc3339 && Read(AvroOp::kScaled, c);
  }

  bool Decimal(const AvroNode& node, AvroOp op, Kind kind, size_t c) {
    if (kind != Kind::kDecimal && kind != Kind::kString) return false;
    return Read(op, c, static_cast<uint32_t>(node.size), static_cast<uint32_t>(node.scale));
  }

  bool Read(AvroOp op, size_t c, uint32_t n = 0, uint32_t arg = 0) {
    Emit({.op = op, .column = static_cast<uint32_t>(c), .n = n, .arg = arg});
    return true;
  }

  // Something else stands on the way to these.
  void Unfit(const Wanted& wanted, const AvroNode& node) {
    if (take_) return;
    for (const auto& [name, below] : wanted.members) {
      for (const size_t c : below.columns) {
        const std::string reason = absl::StrCat("expected a record or a map on its path, found ", node.Describe());
        Emit({.op = AvroOp::kUnfit, .column = static_cast<uint32_t>(c), .arg = Text(reason)});
      }
      Unfit(below, node);
    }
  }
  void Unfit(size_t c, const AvroNode& node) {
    if (take_) return;
    const Type& type = targets_.at(c).type;
    std::string reason = OfTable(c) ? table_->why_not(node, type) : "";
    if (!reason.empty()) {
      Emit({.op = AvroOp::kUnfit, .column = static_cast<uint32_t>(c), .arg = Text(reason)});
      return;
    }
    reason = absl::StrCat("expected ", TypeName(type), ", found ", node.Describe());
    if (type.kind == Kind::kTimestamp && type.form == TimestampForm::kRfc3339 &&
        (node.type == AvroType::kLong || node.type == AvroType::kInt)) {
      absl::StrAppend(&reason, " without a unit, which timestamp_s, timestamp_ms and timestamp_us say");
    }
    Emit({.op = AvroOp::kUnfit, .column = static_cast<uint32_t>(c), .arg = Text(reason)});
  }

  const AvroTable* const table_;
  const bool take_;
  std::map<size_t, ReadTarget> targets_;  // by column
  AvroScanPlan& plan_;
  std::map<std::string, uint32_t> texts_;
  std::map<const AvroNode*, uint64_t> least_;
  uint32_t path_ = 0;
  size_t visits_ = 0;
};

bool HasMembers(const AvroNode& root) {
  if (root.type == AvroType::kRecord || root.type == AvroType::kMap) return true;
  return root.type == AvroType::kUnion && std::any_of(root.members.begin(), root.members.end(),
                                                      [](const AvroNode* branch) { return HasMembers(*branch); });
}

absl::StatusOr<AvroScanPlan> Compile(const AvroSchema& schema, const std::vector<ReadTarget>& targets,
                                     const AvroTable* table, bool take) {
  const AvroNode& root = schema.root();
  AvroScanPlan plan;
  Compiler compiler(targets, table, take, &plan);
  Wanted wanted;
  if (HasMembers(root)) {
    for (const ReadTarget& target : targets) {
      Wanted* below = &wanted;
      for (const std::string& name : target.path) below = &below->members[name];
      below->columns.push_back(target.column);
    }
  } else if (targets.size() == 1) {
    // A value that is one by itself is the one column.
    wanted.columns.push_back(targets.front().column);
  } else {
    return absl::InvalidArgumentError(absl::StrCat("the schema is ", root.Describe(), ", which has no fields"));
  }
  compiler.Root(root, wanted);
  if (compiler.too_large()) {
    return absl::InvalidArgumentError("the schema is too large: its types use each other too often");
  }
  return plan;
}

}  // namespace

absl::StatusOr<AvroScanPlan> CompileAvro(const AvroSchema& schema, const std::vector<ReadTarget>& targets,
                                         const AvroTable* table) {
  return Compile(schema, targets, table, false);
}

absl::StatusOr<AvroScanPlan> CompileAvroTaking(const AvroSchema& schema, const std::vector<ReadTarget>& targets) {
  return Compile(schema, targets, nullptr, true);
}

}  // namespace tidemark
