#include "src/plan/templates.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "proto/topology.pb.h"
#include "src/base/application.h"
#include "src/base/suggest.h"
#include "src/plan/units.h"

namespace tidemark {
namespace {

using Type = TemplateParameter::Type;

constexpr std::string_view kOwnName = "name";

struct TypeWords {
  Type type;
  const char* word;
  const char* expected;
};
constexpr TypeWords kTypes[] = {{Type::kString, "string", "a string"},
                                {Type::kName, "name", "a name (letters, digits, '_' and '-')"},
                                {Type::kInteger, "integer", "a whole number"},
                                {Type::kBool, "bool", "true or false"},
                                {Type::kDuration, "duration", "a duration such as 100ms, 5s, 10m, 1h or 1d"},
                                {Type::kSize, "size", "a size such as 64KiB, 128MiB or 2GiB"},
                                {Type::kList, "list", "a list"},
                                {Type::kMapping, "mapping", "a mapping"}};

const TypeWords& WordsOf(Type type) {
  return *std::find_if(std::begin(kTypes), std::end(kTypes), [&](const TypeWords& t) { return t.type == type; });
}

std::optional<Type> TypeNamed(std::string_view word) {
  for (const TypeWords& t : kTypes) {
    if (word == t.word) return t.type;
  }
  return std::nullopt;
}

std::vector<std::string> TypeNames() {
  std::vector<std::string> names;
  for (const TypeWords& t : kTypes) names.emplace_back(t.word);
  return names;
}

bool HoldsText(Type type) { return type != Type::kList && type != Type::kMapping; }

bool TextFits(const std::string& text, Type type) {
  int64_t number = 0;
  switch (type) {
    case Type::kName:
      return IsName(text);
    case Type::kInteger:
      return absl::SimpleAtoi(text, &number);
    case Type::kBool:
      return text == "true" || text == "false";
    case Type::kDuration:
      return ParseDuration(text).has_value();
    case Type::kSize:
      return ParseSize(text).has_value();
    default:
      return true;
  }
}

// What stands at the top of a file alone.
bool IsOfFile(const std::string& key) {
  return key == "include" || key == "templates" || topology::Topology::descriptor()->FindFieldByName(key) != nullptr;
}

}  // namespace

const TemplateParameter* Template::Find(std::string_view parameter) const {
  const auto found = std::find_if(parameters.begin(), parameters.end(),
                                  [&](const TemplateParameter& p) { return p.name == parameter; });
  return found == parameters.end() ? nullptr : &*found;
}

std::vector<std::string> Template::Names() const {
  std::vector<std::string> names;
  for (const TemplateParameter& p : parameters) names.push_back(p.name);
  return names;
}

// ---- Definitions ---------------------------------------------------------------------------------------------------

void Templates::Define(const YamlEntry& entry) { templates_.emplace(entry.key, Read(entry)); }

Template Templates::Read(const YamlEntry& entry) {
  Template out;
  out.name = entry.key;
  out.at = entry.at;
  out.parameters.push_back({std::string(kOwnName), entry.at, Type::kName, true, nullptr});
  const auto bad = [&](Position at, const std::string& message) {
    diagnostics_.ErrorAt(at, message);
    out.usable = false;
  };
  static const std::vector<std::string> kFields = {"description", "parameters", "sources", "tables",
                                                   "steps",       "sinks",      "views",   "use"};
  if (!entry.value->IsMapping()) {
    bad(entry.place(), absl::StrCat("expected a mapping, found ", What(*entry.value),
                                    "; fields of a template: ", absl::StrJoin(kFields, ", ")));
    return out;
  }
  auto body = std::make_shared<YamlNode>();
  body->kind = YamlNode::Kind::kMapping;
  body->at = entry.value->at;
  const YamlPtr whole = expander_.Merge(entry.value);
  bool known = true;  // which parameters there are
  if (const YamlEntry* parameters = whole->Find("parameters")) {
    const YamlPtr expanded = expander_.Expand(parameters->value, nullptr);
    if (expanded != nullptr && (expanded->IsMapping() || expanded->IsList())) {
      ReadParameters(*expanded, &out);
    } else if (expanded != nullptr) {
      known = false;
      bad(parameters->place(), absl::StrCat("expected a list or a mapping, found ", What(*expanded),
                                            "; write { NAME: TYPE }, of types ", absl::StrJoin(TypeNames(), ", ")));
    }
  }
  for (const YamlEntry& field : whole->entries) {
    if (field.key == "parameters" || field.key == "description" || IsExtension(field.key)) continue;
    if (std::find(kFields.begin(), kFields.end(), field.key) != kFields.end()) {
      body->Add(field);
    } else if (IsOfFile(field.key)) {
      bad(field.at, absl::StrCat("'", field.key, "' stands at the top of a file, not in a template"));
    } else {
      bad(field.at, absl::StrCat("unknown field '", field.key, "' of a template", DidYouMean(field.key, kFields)));
    }
  }
  out.body = std::move(body);
  if (known) CheckBody(&out);
  return out;
}

void Templates::ReadParameters(const YamlNode& node, Template* out) {
  for (const YamlEntry& entry : node.entries) out->coming.insert(entry.key);
  for (const YamlEntry& entry : node.entries) ReadParameter(entry, out);
  out->coming.clear();
  for (const YamlPtr& item : node.items) {
    if (item->IsScalar()) {
      ReadParameter({item->text, item->at, false, nullptr}, out);
    } else {
      diagnostics_.ErrorAt(item->at, absl::StrCat("expected the name of a parameter, found ", What(*item)));
      out->usable = false;
    }
  }
}

void Templates::ReadParameter(const YamlEntry& entry, Template* out) {
  const auto bad = [&](Position at, const std::string& message) {
    diagnostics_.ErrorAt(at, message);
    out->usable = false;
  };
  if (entry.key == kOwnName) {
    return bad(entry.at, "every template has the parameter 'name' already: that of the use");
  }
  if (!IsName(entry.key)) {
    return bad(entry.at, absl::StrCat("parameter '", entry.key,
                                      "': letters, digits, '_' and '-', 1 to 100 of them, "
                                      "not starting with __"));
  }
  if (out->Find(entry.key) != nullptr) {
    return bad(entry.at, absl::StrCat("parameter '", entry.key, "' stands here twice"));
  }
  TemplateParameter parameter;
  parameter.name = entry.key;
  parameter.at = entry.at;
  const YamlNode* type = nullptr;
  Position type_at = entry.place();
  if (entry.value != nullptr && entry.value->IsScalar()) {
    type = entry.value.get();
  } else if (entry.value != nullptr && entry.value->IsMapping()) {
    static const std::vector<std::string> kFields = {"type", "default", "description"};
    for (const YamlEntry& field : entry.value->entries) {
      if (field.key == "type") {
        type = field.value.get();
        type_at = field.place();
      } else if (field.key == "default") {
        parameter.required = false;
        if (field.value->kind != YamlNode::Kind::kNothing) parameter.fallback = field.value;
        if (field.value->IsList()) parameter.type = Type::kList;
        if (field.value->IsMapping()) parameter.type = Type::kMapping;
      } else if (field.key != "description" && !IsExtension(field.key)) {
        bad(field.at, absl::StrCat("unknown field '", field.key, "' of a parameter", DidYouMean(field.key, kFields)));
      }
    }
  } else if (entry.value != nullptr) {
    bad(entry.at, absl::StrCat("expected a type (", absl::StrJoin(TypeNames(), ", "),
                               ") or { type: ..., default: ... }, found ", What(*entry.value)));
  }
  if (type != nullptr) {
    const std::optional<Type> named = type->IsScalar() ? TypeNamed(type->text) : std::nullopt;
    if (named) {
      parameter.type = *named;
    } else {
      bad(type_at, absl::StrCat("unknown type ", What(*type), " of a parameter",
                                DidYouMean(type->IsScalar() ? type->text : "", TypeNames())));
    }
  }
  if (parameter.fallback != nullptr) {
    // It may name the parameters before it.
    std::set<std::string> named;
    const bool usable = out->usable;
    CheckTree(*parameter.fallback, out, &named);
    if (out->usable && named.empty() && !Fits(*parameter.fallback, parameter.fallback->at, parameter, *out)) {
      out->usable = false;
    }
    out->usable = out->usable && usable;
  }
  out->parameters.push_back(std::move(parameter));
}

void Templates::CheckBody(Template* out) {
  std::set<std::string> used = {std::string(kOwnName)};
  for (const TemplateParameter& parameter : out->parameters) {
    if (parameter.fallback != nullptr) CheckTree(*parameter.fallback, out, &used);
  }
  CheckTree(*out->body, out, &used);
  for (const TemplateParameter& parameter : out->parameters) {
    if (used.contains(parameter.name)) continue;
    diagnostics_.ErrorAt(parameter.at, absl::StrCat("parameter '", parameter.name, "' isn't used in template '",
                                                    out->name, "'; write $(", parameter.name, ") where it belongs"));
    out->usable = false;
  }
  if (out->body->entries.empty() && out->usable) {
    diagnostics_.ErrorAt(out->at, absl::StrCat("template '", out->name,
                                               "' makes nothing: no sources, tables, steps, "
                                               "sinks, views or use"));
    out->usable = false;
  }
}

void Templates::CheckTree(const YamlNode& node, Template* of, std::set<std::string>* used) {
  if (node.IsScalar()) CheckText(node.text, node.at, true, of, used);
  for (const YamlPtr& item : node.items) CheckTree(*item, of, used);
  for (const YamlEntry& entry : node.entries) {
    if (!entry.merge) CheckText(entry.key, entry.at, false, of, used);
    CheckTree(*entry.value, of, used);
  }
}

void Templates::CheckText(const std::string& text, Position at, bool whole_counts, Template* of,
                          std::set<std::string>* used) {
  const auto bad = [&](const std::string& message) {
    diagnostics_.ErrorAt(at, message);
    of->usable = false;
  };
  const auto pieces = SplitParameters(text);
  if (!pieces.ok()) return bad(std::string(pieces.status().message()));
  for (const TextPiece& piece : *pieces) {
    if (!piece.parameter) continue;
    const TemplateParameter* parameter = of->Find(piece.text);
    if (parameter == nullptr && of->coming.contains(piece.text)) {
      bad(absl::StrCat("parameter '", piece.text, "' stands behind this default, which can name those before it"));
      continue;
    }
    if (parameter == nullptr) {
      bad(absl::StrCat("template '", of->name, "' has no parameter '", piece.text, "'",
                       DidYouMean(piece.text, of->Names())));
      continue;
    }
    used->insert(piece.text);
    if (HoldsText(parameter->type) || (whole_counts && pieces->size() == 1)) continue;
    bad(absl::StrCat("parameter '", piece.text, "' is ", WordsOf(parameter->type).expected,
                     ", and can only be a whole value: KEY: $(", piece.text, ")"));
  }
}

// ---- Uses ----------------------------------------------------------------------------------------------------------

bool Templates::CheckUse(const YamlEntry& use, std::string* as, YamlPtr* with) {
  static const std::vector<std::string> kFields = {"template", "with"};
  const auto bad = [&](Position at, const std::string& message) {
    diagnostics_.ErrorAt(at, message);
    return false;
  };
  if (use.value->IsScalar()) {
    *as = use.value->text;
    return true;
  }
  if (!use.value->IsMapping()) {
    return bad(use.place(), absl::StrCat("expected a mapping or the name of a template, found ", What(*use.value),
                                         "; its fields: template, with"));
  }
  bool good = true, named = false;
  for (const YamlEntry& field : use.value->entries) {
    if (field.key == "template") {
      named = true;
      if (field.value->IsScalar()) {
        *as = field.value->text;
      } else {
        good = bad(field.place(), absl::StrCat("expected the name of a template, found ", What(*field.value)));
      }
    } else if (field.key == "with") {
      *with = field.value;
      if (!field.value->IsMapping()) {
        good = bad(field.place(), absl::StrCat("expected a mapping of parameters, found ", What(*field.value)));
      }
    } else if (!IsExtension(field.key)) {
      good = bad(field.at, absl::StrCat("unknown field '", field.key, "'", DidYouMean(field.key, kFields),
                                        "; parameters stand in with: { ... }"));
    }
  }
  return named || !good ? good : bad(use.at, "missing field 'template'");
}

bool Templates::CheckNames(const Template& of, const YamlNode* with, Position use) {
  bool good = true;
  std::vector<std::string> free;  // parameters that nobody has given: what a mistyped one means
  for (const TemplateParameter& p : of.parameters) {
    if (p.name != kOwnName && (with == nullptr || with->Find(p.name) == nullptr)) free.push_back(p.name);
  }
  std::set<std::string> meant;
  for (const YamlEntry& argument : with == nullptr ? std::vector<YamlEntry>() : with->entries) {
    if (argument.key == kOwnName) {
      diagnostics_.ErrorAt(argument.at, "'name' is the name of the use itself, and not given with it");
      good = false;
    } else if (of.Find(argument.key) == nullptr) {
      if (const auto nearest = Nearest(argument.key, free)) meant.insert(*nearest);
      diagnostics_.ErrorAt(argument.at,
                           absl::StrCat("template '", of.name, "' (", diagnostics_.Place(of.at), ") has no parameter '",
                                        argument.key, "'", DidYouMean(argument.key, free)));
      good = false;
    }
  }
  for (const TemplateParameter& p : of.parameters) {
    const bool given = p.name == kOwnName || (with != nullptr && with->Find(p.name) != nullptr);
    if (given || !p.required || meant.contains(p.name)) continue;
    diagnostics_.ErrorAt(use, absl::StrCat("template '", of.name, "' needs parameter '", p.name, "', ",
                                           WordsOf(p.type).expected, " (", diagnostics_.Place(p.at), ")"));
    good = false;
  }
  return good;
}

bool Templates::Fits(const YamlNode& value, Position at, const TemplateParameter& parameter, const Template& of) {
  bool fits = false;
  if (parameter.type == Type::kList) {
    fits = value.IsList();
  } else if (parameter.type == Type::kMapping) {
    fits = value.IsMapping();
  } else if (value.IsScalar()) {
    // Of an unset variable the reader of fields has more to say.
    const absl::StatusOr<std::string> text = Substitute(value.text, env_);
    fits = !text.ok() || TextFits(*text, parameter.type);
  }
  if (fits) return true;
  diagnostics_.ErrorAt(
      at, absl::StrCat(
              "parameter '", parameter.name, "' of template '", of.name, "' is ", WordsOf(parameter.type).expected,
              ", found ", What(value),
              parameter.fallback.get() == &value ? "" : absl::StrCat(" (", diagnostics_.Place(parameter.at), ")")));
  return false;
}

bool Templates::Bind(const Template& of, const YamlNode* with, const YamlEntry& use, ParameterValues* out) {
  bool good = true;
  for (const TemplateParameter& parameter : of.parameters) {
    if (parameter.name == kOwnName) {
      auto name = std::make_shared<YamlNode>();
      name->kind = YamlNode::Kind::kScalar;
      name->at = use.at;
      name->text = use.key;
      out->values[parameter.name] = std::move(name);
      continue;
    }
    const YamlEntry* argument = with == nullptr ? nullptr : with->Find(parameter.name);
    YamlPtr value = argument != nullptr ? argument->value : nullptr;
    if (argument == nullptr && parameter.fallback != nullptr) value = expander_.Expand(parameter.fallback, out);
    const bool nothing = value == nullptr || value->kind == YamlNode::Kind::kNothing;
    if (nothing && !parameter.required && (argument == nullptr || parameter.fallback == nullptr)) {
      value = nullptr;
    } else if (value == nullptr || !Fits(*value, argument != nullptr ? argument->place() : value->at, parameter, of)) {
      good = false;
    }
    out->values[parameter.name] = std::move(value);
  }
  return good;
}

YamlPtr Templates::Use(const TemplateUse& use, std::string* as) {
  YamlPtr with;
  if (!IsName(use.entry.key)) {
    diagnostics_.ErrorAt(use.entry.at, absl::StrCat("name of a use '", use.entry.key,
                                                    "': letters, digits, '_' and '-', 1 to 100 of them"));
    return nullptr;
  }
  if (!CheckUse(use.entry, as, &with)) return nullptr;
  const auto found = templates_.find(*as);
  if (found == templates_.end()) {
    std::vector<std::string> names;
    for (const auto& [name, unused] : templates_) names.push_back(name);
    const YamlEntry* field = use.entry.value->Find("template");
    diagnostics_.ErrorAt(
        field != nullptr ? field->place() : use.entry.place(),
        absl::StrCat("unknown template '", *as, "'",
                     names.empty() ? "; no file that was read has templates" : DidYouMean(*as, names)));
    return nullptr;
  }
  const Template& of = found->second;
  if (std::find(use.within.begin(), use.within.end(), *as) != use.within.end()) {
    diagnostics_.ErrorAt(
        use.entry.at,
        absl::StrCat("templates that use each other without end: ", absl::StrJoin(use.within, " -> "), " -> ", *as));
    return nullptr;
  }
  if (!of.usable || !CheckNames(of, with.get(), use.entry.at)) return nullptr;
  ParameterValues values;
  values.of = absl::StrCat("template '", of.name, "'");
  // The chain of notes goes on to the use that this one stands in.
  Position at = use.entry.at;
  const int outer = std::exchange(at.note, -1);
  values.note =
      diagnostics_.AddNote(absl::StrCat("in template '", of.name, "', used at ", diagnostics_.Place(at)), outer);
  if (!Bind(of, with.get(), use.entry, &values)) return nullptr;
  return expander_.Expand(of.body, &values);
}

}  // namespace tidemark
