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
#include <yaml-cpp/yaml.h>

#include "src/base/suggest.h"
#include "src/plan/units.h"

namespace tidemark {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

Position At(const YAML::Mark& mark) { return mark.is_null() ? Position{} : Position{mark.line + 1, mark.column + 1}; }

topology::Shape ShapeOf(const FieldDescriptor* field) { return field->options().GetExtension(topology::shape); }

std::string What(const YAML::Node& node) {
  if (node.IsMap()) return "a mapping";
  if (node.IsSequence()) return "a list";
  if (node.IsNull()) return "nothing";
  return absl::StrCat("'", node.Scalar(), "'");
}

class Reader {
 public:
  Reader(const EnvLookup& env, Diagnostics* diagnostics) : env_(env), diagnostics_(*diagnostics) {}

  // `keyed`: the message's `name` is the key it stands under, not a field of the file.
  void ReadMessage(const YAML::Node& node, const std::string& path, bool keyed, Message* out);

 private:
  void ReadField(const YAML::Node& node, const std::string& path, const FieldDescriptor* field, Message* out);
  void ReadEntries(const YAML::Node& node, const std::string& path, const FieldDescriptor* field, Message* out);
  void ReadEntry(const YAML::Node& key, const YAML::Node* value, const std::string& path, const FieldDescriptor* field,
                 Message* out);
  void ReadStrings(const YAML::Node& node, const std::string& path, const FieldDescriptor* field, Message* out);
  void ReadScalar(const YAML::Node& node, const std::string& path, const FieldDescriptor* field, Message* out);
  void CheckRequired(const Descriptor* type, const std::string& path, const std::set<std::string>& seen);
  // The text of a scalar with variables put in; reports what isn't a scalar.
  std::optional<std::string> Text(const YAML::Node& node, const std::string& path, std::string_view expected);
  // Reports a key that isn't a string or stands twice.
  bool NewKey(const YAML::Node& key, std::map<std::string, Position>* seen);

  const EnvLookup& env_;
  std::set<std::string> unset_;  // what was said of variables
  Diagnostics& diagnostics_;
};

std::optional<std::string> Reader::Text(const YAML::Node& node, const std::string& path, std::string_view expected) {
  if (!node.IsScalar()) {
    diagnostics_.Error(path, absl::StrCat("expected ", std::string(expected), ", found ", What(node)));
    return std::nullopt;
  }
  absl::StatusOr<std::string> text = Substitute(node.Scalar(), env_);
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

bool Reader::NewKey(const YAML::Node& key, std::map<std::string, Position>* seen) {
  if (!key.IsScalar()) {
    diagnostics_.ErrorAt(At(key.Mark()), "expected a name before the colon");
    return false;
  }
  const auto [it, inserted] = seen->emplace(key.Scalar(), At(key.Mark()));
  if (inserted) return true;
  diagnostics_.ErrorAt(At(key.Mark()),
                       absl::StrCat("'", key.Scalar(), "' stands here twice (first at line ", it->second.line, ")"));
  return false;
}

void Reader::ReadMessage(const YAML::Node& node, const std::string& path, bool keyed, Message* out) {
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
  if (!node.IsMap()) {
    diagnostics_.Error(path, absl::StrCat("expected a mapping", short_form.empty() ? "" : " or a " + short_form,
                                          ", found ", What(node), "; its fields: ", absl::StrJoin(names, ", ")));
    return;
  }
  std::map<std::string, Position> seen;
  std::set<std::string> present;
  for (const auto& pair : node) {
    if (!NewKey(pair.first, &seen)) continue;
    const std::string key = pair.first.Scalar();
    const FieldDescriptor* field = type->FindFieldByName(key);
    if (field == nullptr || (keyed && key == "name")) {
      diagnostics_.ErrorAt(At(pair.first.Mark()), absl::StrCat("unknown field '", key, "'", DidYouMean(key, names)));
      // What was meant is not also missing, but what needs it can't be checked.
      if (const auto meant = Nearest(key, names)) {
        present.insert(*meant);
        const bool required = type->FindFieldByName(*meant)->options().GetExtension(topology::required);
        diagnostics_.SetBroken(required && !path.empty() ? path : path.empty() ? *meant : path + "/" + *meant);
      }
      continue;
    }
    present.insert(key);
    const std::string field_path = path.empty() ? key : absl::StrCat(path, "/", key);
    const bool scalar = pair.second.IsScalar();
    diagnostics_.SetPosition(field_path, At((scalar ? pair.second : pair.first).Mark()));
    ReadField(pair.second, field_path, field, out);
  }
  CheckRequired(type, path, present);
}

void Reader::CheckRequired(const Descriptor* type, const std::string& path, const std::set<std::string>& seen) {
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (field->options().GetExtension(topology::required) && !seen.contains(field->name())) {
      diagnostics_.Error(path, absl::StrCat("missing field '", field->name(), "'"));
    }
  }
}

void Reader::ReadField(const YAML::Node& node, const std::string& path, const FieldDescriptor* field, Message* out) {
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

void Reader::ReadEntries(const YAML::Node& node, const std::string& path, const FieldDescriptor* field, Message* out) {
  const topology::Shape shape = ShapeOf(field);
  std::map<std::string, Position> seen;
  if (node.IsMap() && shape != topology::ITEMS) {
    for (const auto& pair : node) {
      if (NewKey(pair.first, &seen)) ReadEntry(pair.first, &pair.second, path, field, out);
    }
    return;
  }
  if (!node.IsSequence() || shape == topology::MAPPING) {
    const char* expected = shape == topology::MAPPING           ? "a mapping"
                           : shape == topology::LIST_OR_MAPPING ? "a list or a mapping"
                                                                : "a list";
    const std::string instead = shape == topology::MAPPING ? "; write { NAME: ... }, a name for each"
                                : node.IsScalar()          ? absl::StrCat("; write [", node.Scalar(), "]")
                                                           : "";
    diagnostics_.Error(path, absl::StrCat("expected ", expected, ", found ", What(node), instead));
    return;
  }
  for (const YAML::Node& item : node) {
    if (item.IsMap() && shape == topology::ITEMS) {
      for (const auto& pair : item) {
        if (NewKey(pair.first, &seen)) ReadEntry(pair.first, &pair.second, path, field, out);
      }
    } else if (!item.IsScalar()) {
      diagnostics_.SetPosition(absl::StrCat(path, "/?"), At(item.Mark()));
      diagnostics_.Error(absl::StrCat(path, "/?"), absl::StrCat("expected a name, found ", What(item)));
    } else if (NewKey(item, &seen)) {
      ReadEntry(item, nullptr, path, field, out);
    }
  }
}

void Reader::ReadEntry(const YAML::Node& key, const YAML::Node* value, const std::string& path,
                       const FieldDescriptor* field, Message* out) {
  const std::string entry_path = absl::StrCat(path, "/", key.Scalar());
  const bool scalar = value != nullptr && value->IsScalar();
  diagnostics_.SetPosition(entry_path, At((scalar ? *value : key).Mark()));
  Message* entry = out->GetReflection()->AddMessage(out, field);
  entry->GetReflection()->SetString(entry, entry->GetDescriptor()->FindFieldByName("name"), key.Scalar());
  if (value != nullptr) ReadMessage(*value, entry_path, true, entry);
}

void Reader::ReadStrings(const YAML::Node& node, const std::string& path, const FieldDescriptor* field, Message* out) {
  const auto add = [&](const YAML::Node& item, size_t i) {
    const std::string item_path = absl::StrCat(path, "/", i);
    diagnostics_.SetPosition(item_path, At(item.Mark()));
    if (const auto text = Text(item, item_path, "a name")) out->GetReflection()->AddString(out, field, *text);
  };
  if (node.IsScalar() && ShapeOf(field) == topology::ONE_OR_LIST) {
    add(node, 0);
  } else if (!node.IsSequence()) {
    diagnostics_.Error(path, absl::StrCat("expected a list, found ", What(node),
                                          node.IsScalar() ? absl::StrCat("; write [", node.Scalar(), "]") : ""));
  } else {
    for (size_t i = 0; i < node.size(); ++i) add(node[i], i);
  }
}

void Reader::ReadScalar(const YAML::Node& node, const std::string& path, const FieldDescriptor* field, Message* out) {
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
  const bool null_word = node.IsNull() && std::find(words.begin(), words.end(), "null") != words.end();
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

// The first line that is indented with a tab, which YAML doesn't take; "" where there is none.
std::string TabHint(std::string_view text) {
  int line = 1;
  bool indent = true;
  for (const char c : text) {
    if (c == '\t' && indent)
      return absl::StrCat("; line ", line, " is indented with a tab, and YAML takes blanks alone");
    indent = c == '\n' || (indent && c == ' ');
    if (c == '\n') ++line;
  }
  return "";
}

}  // namespace

topology::Topology ReadTopology(std::string_view text, const EnvLookup& env, Diagnostics* diagnostics) {
  topology::Topology out;
  std::vector<YAML::Node> documents;
  try {  // yaml-cpp throws; its exceptions end here
    documents = YAML::LoadAll(std::string(text));
    if (documents.size() > 1) {
      diagnostics->ErrorAt(At(documents[1].Mark()), "a second YAML document; a topology file holds one");
    } else if (documents.empty() || documents[0].IsNull()) {
      diagnostics->ErrorAt({}, "the file is empty; `tidemark init` writes a topology to start from");
    } else {
      Reader(env, diagnostics).ReadMessage(documents[0], "", false, &out);
    }
  } catch (const YAML::Exception& e) {
    diagnostics->ErrorAt(At(e.mark), absl::StrCat("not YAML: ", e.msg, TabHint(text)));
  }
  return out;
}

}  // namespace tidemark
