#include "operators/custom/custom_operator.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include "src/plan/units.h"

namespace tidemark {
namespace {

// Never destroyed: plans may be made until the very end.
std::map<std::string, CustomOperator, std::less<>>& Registry() {
  static auto& registry = *new std::map<std::string, CustomOperator, std::less<>>;
  return registry;
}

}  // namespace

void CustomShape::Keep(const Schema& input, size_t column) {
  output.Add(input[column]);
  origin.push_back(column);
}

void CustomShape::Add(Column column) {
  output.Add(std::move(column));
  origin.push_back(std::nullopt);
}

absl::Status RegisterOperator(CustomOperator custom) {
  if (custom.name.empty() || !custom.plan || !custom.make) {
    return absl::InvalidArgumentError(
        absl::StrCat("custom operator '", custom.name, "': name, plan and make are needed"));
  }
  const std::string name = custom.name;
  if (!Registry().emplace(name, std::move(custom)).second) {
    return absl::AlreadyExistsError(absl::StrCat("a custom operator '", name, "' is registered already"));
  }
  return absl::OkStatus();
}

const CustomOperator* FindCustomOperator(std::string_view name) {
  const auto it = Registry().find(name);
  return it == Registry().end() ? nullptr : &it->second;
}

std::vector<std::string> CustomOperatorNames() {
  std::vector<std::string> names;
  for (const auto& [name, custom] : Registry()) names.push_back(name);
  return names;
}

std::optional<std::string> TextParameter(const CustomSpec& spec, const std::string& name) {
  const auto it = spec.parameters.find(name);
  return it == spec.parameters.end() ? std::nullopt : std::make_optional(it->second);
}

std::optional<int64_t> IntegerParameter(const CustomSpec& spec, const std::string& name) {
  const auto text = TextParameter(spec, name);
  int64_t value = 0;
  return text && absl::SimpleAtoi(*text, &value) ? std::make_optional(value) : std::nullopt;
}

std::optional<int64_t> DurationParameter(const CustomSpec& spec, const std::string& name) {
  const auto text = TextParameter(spec, name);
  return text ? ParseDuration(*text) : std::nullopt;
}

std::optional<int64_t> SizeParameter(const CustomSpec& spec, const std::string& name) {
  const auto text = TextParameter(spec, name);
  return text ? ParseSize(*text) : std::nullopt;
}

}  // namespace tidemark
