#include "src/plan/partitioned_tables.h"

#include <memory>
#include <set>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>

namespace tidemark {
namespace {

YamlPtr Scalar(std::string_view text, Position at) {
  auto node = std::make_shared<YamlNode>();
  node->kind = YamlNode::Kind::kScalar;
  node->at = at;
  node->text = std::string(text);
  return node;
}

std::shared_ptr<YamlNode> Mapping(Position at) {
  auto node = std::make_shared<YamlNode>();
  node->kind = YamlNode::Kind::kMapping;
  node->at = at;
  return node;
}

YamlEntry Entry(std::string_view key, YamlPtr value) {
  return {.key = std::string(key), .at = value->at, .merge = false, .value = std::move(value)};
}

// The mapping with another value at this key.
YamlPtr With(const YamlNode& mapping, std::string_view key, const YamlPtr& value) {
  auto out = Mapping(mapping.at);
  for (const YamlEntry& entry : mapping.entries) {
    YamlEntry copy = entry;
    if (entry.key == key) copy.value = value;
    out->Add(std::move(copy));
  }
  return out;
}

const YamlNode* Child(const YamlNode& node, std::string_view key) {
  const YamlEntry* const entry = node.IsMapping() ? node.Find(key) : nullptr;
  return entry == nullptr ? nullptr : entry->value.get();
}

// A scalar as the reader will have it. Of a variable that isn't set the reader says so.
std::string TextOf(const YamlNode& scalar, const EnvLookup& env) {
  absl::StatusOr<std::string> text = Substitute(scalar.text, env);
  return text.ok() ? *std::move(text) : scalar.text;
}

bool IsPartitioned(const YamlNode& table, const EnvLookup& env) {
  const YamlNode* const global = Child(table, "global");
  return global != nullptr && global->IsScalar() && TextOf(*global, env) == "false" && Child(table, "topic") != nullptr;
}

// A column of the key comes from the record key unless it says otherwise, which is refused then.
YamlPtr FromKey(const YamlPtr& column) {
  if (column->IsMapping() && (column->Find("from") != nullptr || column->Find("path") != nullptr)) return column;
  auto out = Mapping(column->at);
  if (column->IsMapping()) out->entries = column->entries;
  if (column->IsScalar()) out->Add(Entry("type", column));
  out->Add(Entry("from", Scalar("key", column->at)));
  return out;
}

YamlPtr SourceOf(const YamlNode& table, const EnvLookup& env) {
  std::set<std::string> keys;
  if (const YamlNode* const key = Child(table, "key"); key != nullptr && key->IsList()) {
    for (const YamlPtr& item : key->items) keys.insert(TextOf(*item, env));
  }
  auto source = Mapping(table.at);
  for (const YamlEntry& entry : table.entries) {
    if (entry.key == "global") continue;
    YamlEntry copy = entry;
    if (entry.key == "columns" && entry.value->IsMapping()) {
      auto columns = Mapping(entry.value->at);
      for (YamlEntry column : entry.value->entries) {
        if (keys.contains(column.key)) column.value = FromKey(column.value);
        columns->Add(std::move(column));
      }
      copy.value = std::move(columns);
    }
    source->Add(std::move(copy));
  }
  return source;
}

// A step whose join names one of them.
YamlPtr JoinedFrom(const YamlPtr& step, const std::set<std::string>& partitioned, const EnvLookup& env) {
  const YamlNode* const join = Child(*step, "join");
  const YamlNode* const table = join == nullptr ? nullptr : Child(*join, "table");
  const YamlNode* const name = table == nullptr || table->IsScalar() ? table : Child(*table, "name");
  if (name == nullptr || !name->IsScalar() || !partitioned.contains(TextOf(*name, env))) return step;
  auto from = Mapping(table->at);
  if (table->IsMapping()) {
    for (const YamlEntry& entry : table->entries) {
      if (entry.key != "name") from->Add(entry);
    }
  }
  from->Add(Entry("from", Scalar(name->text, name->at)));
  return With(*step, "join", With(*join, "table", from));
}

}  // namespace

YamlPtr WritePartitionedTables(const YamlPtr& root, const EnvLookup& env, Diagnostics* diagnostics) {
  const YamlNode* const tables = Child(*root, "tables");
  if (tables == nullptr || !tables->IsMapping()) return root;
  std::set<std::string> partitioned;
  const YamlNode* const stated = Child(*root, "sources");
  auto sources = Mapping(stated == nullptr ? tables->at : stated->at);
  if (stated != nullptr && !stated->IsMapping()) return root;  // the reader says so
  if (stated != nullptr) sources->entries = stated->entries;
  auto others = Mapping(tables->at);
  for (const YamlEntry& table : tables->entries) {
    if (!IsPartitioned(*table.value, env)) {
      others->Add(table);
    } else if (sources->Find(table.key) != nullptr) {
      diagnostics->ErrorAt(
          table.at, absl::StrCat("a table with `global: false` is a source too, and there is one named '", table.key,
                                 "' already"));
    } else {
      partitioned.insert(table.key);
      YamlEntry source = table;
      source.value = SourceOf(*table.value, env);
      sources->Add(std::move(source));
    }
  }
  if (partitioned.empty()) return root;
  auto steps = Mapping(root->at);
  if (const YamlNode* const all = Child(*root, "steps"); all != nullptr && all->IsMapping()) {
    steps->at = all->at;
    for (YamlEntry step : all->entries) {
      step.value = JoinedFrom(step.value, partitioned, env);
      steps->Add(std::move(step));
    }
  }
  auto out = Mapping(root->at);
  for (YamlEntry entry : root->entries) {
    if (entry.key == "sources") continue;
    if (entry.key == "tables") {
      YamlEntry moved = entry;
      moved.key = "sources";
      moved.value = sources;
      out->Add(std::move(moved));
      if (others->entries.empty()) continue;
      entry.value = others;
    }
    if (entry.key == "steps" && !steps->entries.empty()) entry.value = steps;
    out->Add(std::move(entry));
  }
  return out;
}

}  // namespace tidemark
