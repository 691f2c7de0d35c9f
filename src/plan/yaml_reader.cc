#include "src/plan/yaml_reader.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "src/base/suggest.h"
#include "src/plan/units.h"

namespace tidemark {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

topology::Shape ShapeOf(const FieldDescriptor* field) { return field->options().GetExtension(topology::shape); }

// What else to write where a field isn't implemented rather than mistyped.
std::string NotImplemented(const Descriptor* type, const std::string& key) {
  if (type == topology::Lineage::descriptor() && key == "kafka") {
    return "'kafka' isn't a field of lineage: `topic: NAME` has events written to a topic of the topology's own "
           "brokers";
  }
  const bool topics =
      type == topology::Source::descriptor() && (key == "pattern" || key == "topic_pattern" || key == "topic_regex");
  return topics ? absl::StrCat("'", key, "' isn't a field of a source: `topics: \"svc-.*\"` reads all that match") : "";
}

class Reader {
 public:
  Reader(const EnvLookup& env, Diagnostics* diagnostics)
      : env_(env), whole_(!diagnostics->incomplete()), diagnostics_(*diagnostics) {}

  // `keyed`: the message's `name` is the key it stands under, not a field of the file.
  void ReadMessage(const YamlNode& node, const std::string& path, bool keyed, Message* out);

 private:
  void ReadField(const YamlNode& node, const std::string& path, const FieldDescriptor* field, Message* out);
  void ReadEntries(const YamlNode& node, const std::string& path, const FieldDescriptor* field, Message* out);
  void ReadLists(const YamlNode& node, const std::string& path, const FieldDescriptor* field, Message* out);
  // `value`: null where the name stands alone.
  void ReadEntry(const std::string& name, Position at, const YamlNode* value, const std::string& path,
                 const FieldDescriptor* field, Message* out);
  void ReadStrings(const YamlNode& node, const std::string& path, const FieldDescriptor* field, Message* out);
  void ReadScalar(const YamlNode& node, const std::string& path, const FieldDescriptor* field, Message* out);
  void CheckRequired(const Descriptor* type, const std::string& path, const std::set<std::string>& seen);
  // The text of a scalar with variables put in; reports what isn't a scalar.
  std::optional<std::string> Text(const YamlNode& node, const std::string& path, std::string_view expected);
  // Reports a key that stands twice.
  bool NewKey(const std::string& key, Position at, std::map<std::string, Position>* seen);

  const EnvLookup& env_;
  bool whole_;                   // no part of the topology was lost before
  std::set<std::string> unset_;  // what was said of variables
  Diagnostics& diagnostics_;
};

std::optional<std::string> Reader::Text(const YamlNode& node, const std::string& path, std::string_view expected) {
  if (!node.IsScalar()) {
    diagnostics_.Error(path, absl::StrCat("expected ", std::string(expected), ", found ", What(node)));
    return std::nullopt;
  }
  absl::StatusOr<std::string> text = Substitute(node.text, env_);
  if (text.ok()) return *std::move(text);
  const std::string message(text.status().message());
  if (!unset_.insert(message).second) {  // told at its first place
    diagnostics_.SetBroken(path);
  } else {
    diagnostics_.Error(path, message);
  }
  diagnostics_.SetIncomplete();
  return std::nullopt;
}

bool Reader::NewKey(const std::string& key, Position at, std::map<std::string, Position>* seen) {
  const auto [it, inserted] = seen->emplace(key, at);
  if (inserted) return true;
  diagnostics_.ErrorAt(
      at, absl::StrCat("'", key, "' stands here twice (first at ", diagnostics_.PlaceSeenFrom(it->second, at), ")"));
  return false;
}

void Reader::ReadMessage(const YamlNode& node, const std::string& path, bool keyed, Message* out) {
  const Descriptor* type = out->GetDescriptor();
  const std::string short_form = type->options().GetExtension(topology::short_form);
  const bool only_short = !short_form.empty() && keyed && type->field_count() == 2;
  if (!short_form.empty() && (node.IsScalar() || only_short)) {
    ReadField(node, path, type->FindFieldByName(short_form), out);
    return;
  }
  std::vector<std::string> names;
  for (int i = 0; i < type->field_count(); ++i) {
    if (!keyed || type->field(i)->name() != "name") names.push_back(type->field(i)->name());
  }
  std::vector<std::string> known = names;
  if (path.empty()) known.insert(known.end(), {"include", "templates", "use"});  // compose.h has read these
  if (!node.IsMapping()) {
    diagnostics_.Error(path, absl::StrCat("expected a mapping", short_form.empty() ? "" : " or a " + short_form,
                                          ", found ", What(node), "; its fields: ", absl::StrJoin(names, ", ")));
    return;
  }
  std::map<std::string, Position> seen;
  std::set<std::string> present;
  for (const YamlEntry& entry : node.entries) {
    const std::string& key = entry.key;
    if (IsExtension(key) || !NewKey(key, entry.at, &seen)) continue;
    const FieldDescriptor* field = type->FindFieldByName(key);
    if (field == nullptr || (keyed && key == "name")) {
      if (const std::string instead = NotImplemented(type, key); !instead.empty()) {
        diagnostics_.ErrorAt(entry.at, instead);
        if (!path.empty()) diagnostics_.SetBroken(path);
        present.insert("topic");
        continue;
      }
      diagnostics_.ErrorAt(entry.at, absl::StrCat("unknown field '", key, "'", DidYouMean(key, known)));
      // What was meant is not also missing, but what needs it can't be checked.
      const std::optional<std::string> meant = Nearest(key, known);
      const FieldDescriptor* of_meant = meant ? type->FindFieldByName(*meant) : nullptr;
      if (of_meant != nullptr) {
        present.insert(*meant);
        const bool required = of_meant->options().GetExtension(topology::required);
        diagnostics_.SetBroken(required && !path.empty() ? path : path.empty() ? *meant : path + "/" + *meant);
      } else if (meant) {
        whole_ = false;
        diagnostics_.SetIncomplete();
      }
      continue;
    }
    present.insert(key);
    const std::string field_path = path.empty() ? key : absl::StrCat(path, "/", key);
    diagnostics_.SetPosition(field_path, entry.place());
    ReadField(*entry.value, field_path, field, out);
  }
  CheckRequired(type, path, present);
}

void Reader::CheckRequired(const Descriptor* type, const std::string& path, const std::set<std::string>& seen) {
  if (path.empty() && !whole_) return;
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (field->options().GetExtension(topology::required) && !seen.contains(field->name())) {
      diagnostics_.Error(path, absl::StrCat("missing field '", field->name(), "'"));
    }
  }
}

void Reader::ReadField(const YamlNode& node, const std::string& path, const FieldDescriptor* field, Message* out) {
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    if (field->is_repeated()) {
      ReadEntries(node, path, field, out);
    } else {
      ReadMessage(node, path, false, out->GetReflection()->MutableMessage(out, field));
    }
  } else if (field->is_repeated()) {
    ReadStrings(node, path, field, out);
  } else {
    ReadScalar(node, path, field, out);
  }
}

void Reader::ReadEntries(const YamlNode& node, const std::string& path, const FieldDescriptor* field, Message* out) {
  const topology::Shape shape = ShapeOf(field);
  std::map<std::string, Position> seen;
  if (node.IsMapping() && shape != topology::ITEMS) {
    for (const YamlEntry& entry : node.entries) {
      if (NewKey(entry.key, entry.at, &seen)) ReadEntry(entry.key, entry.place(), entry.value.get(), path, field, out);
    }
    return;
  }
  if (shape == topology::LISTS) return ReadLists(node, path, field, out);
  const std::string word = field->options().GetExtension(topology::word);
  if (node.IsScalar() && !word.empty() && node.text == word) {
    ReadEntry(node.text, node.at, nullptr, path, field, out);
    return;
  }
  if (!node.IsList() || shape == topology::MAPPING) {
    const char* expected = shape == topology::MAPPING           ? "a mapping"
                           : shape == topology::LIST_OR_MAPPING ? "a list or a mapping"
                                                                : "a list";
    const std::string instead = shape == topology::MAPPING ? "; write { NAME: ... }, a name for each"
                                : node.IsScalar()          ? absl::StrCat("; write [", node.text, "]")
                                                           : "";
    diagnostics_.Error(path, absl::StrCat("expected ", expected, ", found ", What(node), instead));
    return;
  }
  for (const YamlPtr& item : node.items) {
    if (item->IsMapping() && shape == topology::ITEMS) {
      for (const YamlEntry& entry : item->entries) {
        if (NewKey(entry.key, entry.at, &seen)) {
          ReadEntry(entry.key, entry.place(), entry.value.get(), path, field, out);
        }
      }
    } else if (!item->IsScalar()) {
      diagnostics_.SetPosition(absl::StrCat(path, "/?"), item->at);
      diagnostics_.Error(absl::StrCat(path, "/?"), absl::StrCat("expected a name, found ", What(*item)));
    } else if (NewKey(item->text, item->at, &seen)) {
      ReadEntry(item->text, item->at, nullptr, path, field, out);
    }
  }
}

void Reader::ReadLists(const YamlNode& node, const std::string& path, const FieldDescriptor* field, Message* out) {
  if (!node.IsList()) {
    diagnostics_.Error(path, absl::StrCat("expected a list of lists, found ", What(node),
                                          node.IsScalar() ? absl::StrCat("; write [[", node.text, "]]") : ""));
    return;
  }
  for (size_t i = 0; i < node.items.size(); ++i) {
    const std::string item_path = absl::StrCat(path, "/", i);
    diagnostics_.SetPosition(item_path, node.items[i]->at);
    Message* list = out->GetReflection()->AddMessage(out, field);
    ReadStrings(*node.items[i], item_path, list->GetDescriptor()->field(0), list);
  }
}

void Reader::ReadEntry(const std::string& name, Position at, const YamlNode* value, const std::string& path,
                       const FieldDescriptor* field, Message* out) {
  const std::string entry_path = absl::StrCat(path, "/", name);
  diagnostics_.SetPosition(entry_path, at);
  Message* entry = out->GetReflection()->AddMessage(out, field);
  entry->GetReflection()->SetString(entry, entry->GetDescriptor()->FindFieldByName("name"), name);
  if (value != nullptr) ReadMessage(*value, entry_path, true, entry);
}

void Reader::ReadStrings(const YamlNode& node, const std::string& path, const FieldDescriptor* field, Message* out) {
  const auto add = [&](const YamlNode& item, size_t i) {
    const std::string item_path = absl::StrCat(path, "/", i);
    diagnostics_.SetPosition(item_path, item.at);
    if (const auto text = Text(item, item_path, "a name")) out->GetReflection()->AddString(out, field, *text);
  };
  if (node.IsScalar() && ShapeOf(field) == topology::ONE_OR_LIST) {
    add(node, 0);
  } else if (!node.IsList()) {
    diagnostics_.Error(path, absl::StrCat("expected a list, found ", What(node),
                                          node.IsScalar() ? absl::StrCat("; write [", node.text, "]") : ""));
  } else {
    for (size_t i = 0; i < node.items.size(); ++i) add(*node.items[i], i);
  }
}

void Reader::ReadScalar(const YamlNode& node, const std::string& path, const FieldDescriptor* field, Message* out) {
  const auto* reflection = out->GetReflection();
  const topology::Unit unit = field->options().GetExtension(topology::unit);
  const char* expected = unit == topology::DURATION ? "a duration such as 100ms, 5s, 10m, 1h or 1d"
                         : unit == topology::SIZE   ? "a size such as 64KiB, 128MiB or 2GiB"
                         : field->cpp_type() == FieldDescriptor::CPPTYPE_BOOL   ? "true or false"
                         : field->cpp_type() == FieldDescriptor::CPPTYPE_STRING ? "a string"
                                                                                : "a whole number";
  std::vector<std::string> words;
  for (int i = 0; i < field->options().ExtensionSize(topology::values); ++i) {
    words.push_back(field->options().GetExtension(topology::values, i));
  }
  // YAML takes a bare `null` for nothing; where it is a word of ours, it is that word.
  const bool null_word =
      node.kind == YamlNode::Kind::kNothing && std::find(words.begin(), words.end(), "null") != words.end();
  const std::optional<std::string> text = null_word ? "null" : Text(node, path, expected);
  if (!text) return;
  const auto refuse = [&] { diagnostics_.Error(path, absl::StrCat("expected ", expected, ", found '", *text, "'")); };
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      if (*text != "true" && *text != "false") return refuse();
      return reflection->SetBool(out, field, *text == "true");
    case FieldDescriptor::CPPTYPE_INT32: {
      int32_t value = 0;
      if (!absl::SimpleAtoi(*text, &value)) return refuse();
      return reflection->SetInt32(out, field, value);
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      std::optional<int64_t> value;
      if (unit == topology::DURATION) value = ParseDuration(*text);
      if (unit == topology::SIZE) value = ParseSize(*text);
      if (int64_t number = 0; unit == topology::NONE && absl::SimpleAtoi(*text, &number)) value = number;
      if (!value) return refuse();
      return reflection->SetInt64(out, field, *value);
    }
    default:
      break;
  }
  if (!words.empty() && std::find(words.begin(), words.end(), *text) == words.end()) {
    diagnostics_.Error(path, words.size() == 1
                                 ? absl::StrCat("'", *text, "' isn't implemented; ", field->name(), " is ", words[0])
                                 : absl::StrCat("unknown ", field->name(), " '", *text, "'", DidYouMean(*text, words)));
    return;
  }
  reflection->SetString(out, field, *text);
}

}  // namespace

topology::Topology ReadTopology(const YamlNode& root, const EnvLookup& env, Diagnostics* diagnostics) {
  topology::Topology out;
  Reader(env, diagnostics).ReadMessage(root, "", false, &out);
  return out;
}

}  // namespace tidemark
