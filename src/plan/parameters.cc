#include "src/plan/parameters.h"

#include <algorithm>
#include <set>
#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

namespace tidemark {
namespace {

bool IsParameterName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(),
                                      [](unsigned char c) { return absl::ascii_isalnum(c) || c == '_' || c == '-'; });
}

void AddText(std::string_view text, std::vector<TextPiece>* pieces) {
  if (text.empty()) return;
  if (pieces->empty() || pieces->back().parameter) pieces->emplace_back();
  pieces->back().text.append(text);
}

// The one parameter that a text consists of; "" where it is more, or none.
std::string WholeParameter(const std::vector<TextPiece>& pieces) {
  return pieces.size() == 1 && pieces[0].parameter ? pieces[0].text : "";
}

std::shared_ptr<YamlNode> Empty(const YamlNode& like) {
  auto out = std::make_shared<YamlNode>();
  out->kind = like.kind;
  out->at = like.at;
  return out;
}

}  // namespace

absl::StatusOr<std::vector<TextPiece>> SplitParameters(std::string_view text) {
  std::vector<TextPiece> pieces;
  while (true) {
    const size_t at = text.find("$(");
    if (at == std::string_view::npos) break;
    if (at > 0 && text[at - 1] == '$') {  // the first $ escapes
      AddText(text.substr(0, at - 1), &pieces);
      AddText("$(", &pieces);
      text.remove_prefix(at + 2);
      continue;
    }
    AddText(text.substr(0, at), &pieces);
    text.remove_prefix(at + 2);
    const size_t end = text.find(')');
    if (end == std::string_view::npos) {
      return absl::InvalidArgumentError("'$(' without ')'; write $$( for a literal $(");
    }
    if (!IsParameterName(text.substr(0, end))) {
      return absl::InvalidArgumentError(absl::StrCat("'", std::string(text.substr(0, end)),
                                                     "' isn't the name of a parameter; write $$( for a literal $("));
    }
    pieces.push_back({std::string(text.substr(0, end)), true});
    text.remove_prefix(end + 1);
  }
  AddText(text, &pieces);
  return pieces;
}

YamlPtr Expander::Expand(const YamlPtr& node, const ParameterValues* parameters) {
  if (parameters == nullptr && !node->merges) return node;
  if (--left_ < 0) return nullptr;
  if (node->IsScalar()) return parameters == nullptr ? node : Text(*node, *parameters);
  if (node->IsMapping()) {
    const YamlPtr mapping = Mapping(*node, parameters);
    return node->merges ? Merge(mapping) : mapping;
  }
  auto out = Empty(*node);
  if (parameters != nullptr) out->at.note = parameters->note;
  for (const YamlPtr& item : node->items) {
    if (YamlPtr expanded = Expand(item, parameters)) out->Add(std::move(expanded));
  }
  return out;
}

YamlPtr Expander::Mapping(const YamlNode& node, const ParameterValues* parameters) {
  auto out = Empty(node);
  if (parameters != nullptr) out->at.note = parameters->note;
  for (YamlEntry entry : node.entries) {
    if (parameters != nullptr) {
      YamlNode key;
      key.kind = YamlNode::Kind::kScalar;
      key.at = entry.at;
      key.text = entry.key;
      entry.at.note = parameters->note;
      if (const YamlPtr text = Text(key, *parameters)) {
        entry.key = text->text;
      } else {
        diagnostics_.ErrorAt(entry.at, absl::StrCat("'", entry.key, "' of ", parameters->of,
                                                    " is nothing, and stands before a colon here"));
      }
    }
    entry.value = Expand(entry.value, parameters);
    if (entry.value != nullptr) out->Add(std::move(entry));
  }
  return out;
}

bool Expander::Charge(const std::string& text) {
  left_ -= static_cast<int64_t>(text.size() / kBytesOfAValue);
  return left_ >= 0;
}

YamlPtr Expander::Text(const YamlNode& node, const ParameterValues& parameters) {
  auto out = Empty(node);
  out->at.note = parameters.note;
  const auto pieces = SplitParameters(node.text);
  if (!pieces.ok()) return out;  // reported where the template is
  if (const std::string whole = WholeParameter(*pieces); !whole.empty()) return Argument(node, whole, parameters);
  for (const TextPiece& piece : *pieces) {
    if (!piece.parameter) {
      out->text += piece.text;
    } else if (const YamlPtr& value = parameters.values.at(piece.text); value != nullptr) {
      // Before it is made: parameters that hold each other twice double it.
      if (!Charge(value->text)) return nullptr;
      out->text += value->text;
    } else {
      diagnostics_.ErrorAt(out->at, absl::StrCat("parameter '", piece.text, "' of ", parameters.of,
                                                 " is nothing, and stands inside of a text here"));
    }
  }
  return out;
}

YamlPtr Expander::Argument(const YamlNode& at, const std::string& name, const ParameterValues& parameters) {
  const YamlPtr& value = parameters.values.at(name);
  if (value == nullptr) return nullptr;
  std::map<int, int> notes;
  return Renote(*value, absl::StrCat("parameter '", name, "' of ", parameters.of, " at ", diagnostics_.Place(at.at)),
                &notes);
}

YamlPtr Expander::Renote(const YamlNode& node, const std::string& note, std::map<int, int>* notes) {
  --left_;
  Charge(node.text);
  const auto noted = [&](Position at) {
    const auto [known, fresh] = notes->emplace(at.note, 0);
    if (fresh) known->second = diagnostics_.AddNote(note, at.note);
    at.note = known->second;
    return at;
  };
  auto out = Empty(node);
  out->at = noted(node.at);
  if (left_ < 0) return out;
  out->text = node.text;
  for (const YamlPtr& item : node.items) out->Add(Renote(*item, note, notes));
  for (YamlEntry entry : node.entries) {
    entry.at = noted(entry.at);
    entry.value = Renote(*entry.value, note, notes);
    out->Add(std::move(entry));
  }
  return out;
}

YamlPtr Expander::Merge(const YamlPtr& mapping) {
  const bool has_key =
      std::any_of(mapping->entries.begin(), mapping->entries.end(), [](const YamlEntry& entry) { return entry.merge; });
  if (!has_key) return mapping;
  auto out = Empty(*mapping);
  std::set<std::string> taken;  // the mapping's own first, then who comes first
  for (const YamlEntry& entry : mapping->entries) {
    if (!entry.merge) taken.insert(entry.key);
  }
  for (const YamlEntry& entry : mapping->entries) {
    if (!entry.merge) {
      out->Add(entry);
      continue;
    }
    for (const YamlPtr& brought : Merged(entry)) {
      for (const YamlEntry& of_it : brought->entries) {
        if (taken.insert(of_it.key).second) out->Add(of_it);
      }
    }
  }
  return out;
}

// The mappings that a merge key names.
std::vector<YamlPtr> Expander::Merged(const YamlEntry& merge) {
  std::vector<YamlPtr> out;
  const std::vector<YamlPtr> one = {merge.value};
  for (const YamlPtr& item : merge.value->IsList() ? merge.value->items : one) {
    if (item->IsMapping()) {
      out.push_back(Merge(item));
    } else {
      diagnostics_.ErrorAt(item->IsScalar() ? item->at : merge.at,
                           absl::StrCat("'<<' takes a mapping, or a list of mappings, found ", What(*item)));
    }
  }
  return out;
}

}  // namespace tidemark
