#include "src/plan/canonical_yaml.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>
#include <google/protobuf/descriptor.h>

#include "proto/topology.pb.h"

namespace tidemark {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// Words that YAML, or a reader of an older YAML, takes for something else.
bool IsWordOfYaml(const std::string& text) {
  static constexpr const char* kWords[] = {"null", "y", "n", "yes", "no", "on", "off"};
  return std::any_of(std::begin(kWords), std::end(kWords),
                     [&](const char* word) { return absl::EqualsIgnoreCase(text, word); });
}

std::string Scalar(const std::string& text) {
  const bool plain = !text.empty() && (absl::ascii_isalnum(static_cast<unsigned char>(text[0])) || text[0] == '_') &&
                     std::all_of(text.begin(), text.end(), [](unsigned char c) {
                       return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '/' || c == '-';
                     });
  if (plain && !IsWordOfYaml(text)) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.append({'\\', c});
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      absl::StrAppendFormat(&out, "\\x%02x", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

// In one line, for what stands in lists.
std::string Flow(const YamlNode& node) {
  std::vector<std::string> parts;
  switch (node.kind) {
    case YamlNode::Kind::kNothing:
      return "null";
    case YamlNode::Kind::kScalar:
      return Scalar(node.text);
    case YamlNode::Kind::kList:
      for (const YamlPtr& item : node.items) parts.push_back(Flow(*item));
      return absl::StrCat("[", absl::StrJoin(parts, ", "), "]");
    case YamlNode::Kind::kMapping:
      break;
  }
  for (const YamlEntry& entry : node.entries)
    parts.push_back(absl::StrCat(Scalar(entry.key), ": ", Flow(*entry.value)));
  return absl::StrCat("{ ", absl::StrJoin(parts, ", "), " }");
}

// The fields of a mapping in the order of the schema.
std::vector<YamlEntry> InOrder(const YamlNode& node, const Descriptor& type) {
  std::vector<YamlEntry> entries;
  for (int i = 0; i < type.field_count(); ++i) {
    if (const YamlEntry* entry = node.Find(type.field(i)->name())) entries.push_back(*entry);
  }
  return entries;
}

// A mapping that says no more than its short form.
const YamlNode* ShortForm(const YamlNode& node, const Descriptor& type) {
  const std::string field = type.options().GetExtension(topology::short_form);
  if (field.empty() || !node.IsMapping()) return nullptr;
  const std::vector<YamlEntry> entries = InOrder(node, type);
  return entries.size() == 1 && entries[0].key == field && entries[0].value->IsScalar() ? entries[0].value.get()
                                                                                        : nullptr;
}

class Writer {
 public:
  // `type`: of the fields; null: the keys are names, of things of `things`.
  void Mapping(const std::vector<YamlEntry>& entries, const Descriptor* type, const Descriptor* things, int indent) {
    for (const YamlEntry& entry : entries) {
      const FieldDescriptor* field = type == nullptr ? nullptr : type->FindFieldByName(entry.key);
      if (indent == 0 && !out_.empty() && entry.value->IsMapping()) out_ += "\n";
      absl::StrAppend(&out_, std::string(static_cast<size_t>(indent), ' '),
                      field == nullptr ? Scalar(entry.key) : entry.key, ":");
      if (field == nullptr) {
        Value(*entry.value, things, nullptr, indent);
      } else if (field->is_repeated()) {
        Value(*entry.value, nullptr, field->message_type(), indent);
      } else {
        Value(*entry.value, field->message_type(), nullptr, indent);
      }
    }
  }

  std::string Take() { return std::move(out_); }

 private:
  void Value(const YamlNode& node, const Descriptor* type, const Descriptor* things, int indent) {
    const YamlNode* brief = type == nullptr ? nullptr : ShortForm(node, *type);
    const YamlNode& value = brief == nullptr ? node : *brief;
    if (!value.IsMapping()) {
      absl::StrAppend(&out_, " ", Flow(value), "\n");
      return;
    }
    std::vector<YamlEntry> entries = type == nullptr ? value.entries : InOrder(value, *type);
    if (indent == 0 && things != nullptr) {  // sources, tables, steps, sinks
      std::sort(entries.begin(), entries.end(), [](const YamlEntry& a, const YamlEntry& b) { return a.key < b.key; });
    }
    if (entries.empty()) {
      out_ += " {}\n";
      return;
    }
    out_ += "\n";
    Mapping(entries, type, things, indent + 2);
  }

  std::string out_;
};

}  // namespace

std::string CanonicalYaml(const YamlNode& root) {
  const Descriptor* type = topology::Topology::descriptor();
  Writer writer;
  writer.Mapping(InOrder(root, *type), type, nullptr, 0);
  return writer.Take();
}

}  // namespace tidemark
