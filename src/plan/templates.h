// Templates of a topology: parts of it that are written once and used by name, with parameters. docs/many-services.md
// has what they mean. The composer (compose.h) defines all of them first and then expands each use into sections.
//
// A template is checked where it stands, used or not: which sections it has, that each `$(name)` in it is a parameter
// and each parameter is used. What its text means is checked after expansion, as anything else in a topology; errors
// then say where it is used, by the notes of positions (diagnostics.h).
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "src/plan/parameters.h"
#include "src/plan/substitute.h"
#include "src/plan/yaml_tree.h"

namespace tidemark {

struct TemplateParameter {
  enum class Type { kString, kName, kInteger, kBool, kDuration, kSize, kList, kMapping };

  std::string name;
  Position at;
  Type type = Type::kString;
  bool required = true;
  YamlPtr fallback;  // where it isn't required; null: nothing
};

struct Template {
  std::string name;
  Position at;
  std::vector<TemplateParameter> parameters;  // `name`, that of the use, comes first
  std::set<std::string> coming;               // while they are read: those that aren't yet
  YamlPtr body;                               // the sections
  bool usable = true;                         // nothing was reported of it

  const TemplateParameter* Find(std::string_view parameter) const;
  std::vector<std::string> Names() const;
};

// A use of a template that is to be expanded.
struct TemplateUse {
  YamlEntry entry;                  // its name and what stands there, without parameters of others
  std::vector<std::string> within;  // the templates that it stands in, the outermost first
};

class Templates {
 public:
  Templates(const EnvLookup& env, Expander* expander, Diagnostics* diagnostics)
      : env_(env), expander_(*expander), diagnostics_(*diagnostics) {}

  // Reports what is wrong with the definition.
  void Define(const YamlEntry& entry);
  // The sections that a use makes, a mapping; null where it can't be made, which is reported. `as`: the template's
  // name.
  YamlPtr Use(const TemplateUse& use, std::string* as);

 private:
  Template Read(const YamlEntry& entry);
  void ReadParameters(const YamlNode& node, Template* out);
  void ReadParameter(const YamlEntry& entry, Template* out);
  void CheckBody(Template* out);
  // Reports what isn't a parameter; adds those that are to `used`.
  void CheckText(const std::string& text, Position at, bool whole_counts, Template* of, std::set<std::string>* used);
  void CheckTree(const YamlNode& node, Template* of, std::set<std::string>* used);

  bool CheckUse(const YamlEntry& use, std::string* as, YamlPtr* with);
  bool CheckNames(const Template& of, const YamlNode* with, Position use);
  bool Bind(const Template& of, const YamlNode* with, const YamlEntry& use, ParameterValues* out);
  // Reports a value that isn't of the parameter's type.
  bool Fits(const YamlNode& value, Position at, const TemplateParameter& parameter, const Template& of);

  const EnvLookup& env_;
  Expander& expander_;
  Diagnostics& diagnostics_;
  std::map<std::string, Template> templates_;
};

}  // namespace tidemark
