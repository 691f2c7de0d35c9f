// Parameters in the texts of a template, `$(name)`, and what they become where the template is used. `$$(` is a literal
// `$(`. Variables of the environment, `${X}`, are another thing and are put in later (substitute.h): a parameter may
// hold one.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "src/plan/yaml_tree.h"

namespace tidemark {

// A piece of a text: a parameter's name, or what stands for itself.
struct TextPiece {
  std::string text;
  bool parameter = false;
};

// InvalidArgument: a `$(` that isn't a parameter; says what to write.
absl::StatusOr<std::vector<TextPiece>> SplitParameters(std::string_view text);

// The values of one use of a template, by name; null: what has the parameter as its whole value is left out.
struct ParameterValues {
  std::string of;  // "template 'service'", for messages
  int note = -1;   // Diagnostics::AddNote: where it is used
  std::map<std::string, YamlPtr> values;
};

// Makes trees that mean the same without merge keys and, within a template, without parameters.
class Expander {
 public:
  // `left`: how many more values the topology may have; shared by all expansions.
  Expander(Diagnostics* diagnostics, int64_t* left) : diagnostics_(*diagnostics), left_(*left) {}

  // Null where nothing is left. `parameters`: null outside of templates, where `$(` means nothing.
  YamlPtr Expand(const YamlPtr& node, const ParameterValues* parameters);
  // The entries of one mapping with what its merge key brings; the values stay as they are.
  YamlPtr Merge(const YamlPtr& mapping);

 private:
  YamlPtr Text(const YamlNode& node, const ParameterValues& parameters);
  YamlPtr Argument(const YamlNode& at, const std::string& name, const ParameterValues& parameters);
  YamlPtr Mapping(const YamlNode& node, const ParameterValues* parameters);
  // A copy that says of every value how it came here.
  YamlPtr Renote(const YamlNode& node, const std::string& note, std::map<int, int>* notes);
  // A text that is copied is paid for by its size. False: there isn't so much left.
  bool Charge(const std::string& text);
  std::vector<YamlPtr> Merged(const YamlEntry& merge);

  Diagnostics& diagnostics_;
  int64_t& left_;
};

}  // namespace tidemark
