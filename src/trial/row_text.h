// Rows as people write them, in YAML, CSV and JSON Lines, with the place of each row and cell; and written again. All
// values are text: what they are is for the columns' types to say (value.h). Functions without state; any thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/plan/yaml_tree.h"
#include "src/trial/test_file.h"

namespace tidemark::trial {

struct ReadRows {
  std::vector<Row> rows;
  std::vector<std::pair<Position, std::string>> errors;
};

// A mapping of columns. Lists and mappings in it become JSON.
Row RowOfYaml(const YamlNode& node);
// With a header line; a field without quotes that is empty is no value. `first`: where the text begins.
ReadRows RowsOfCsv(std::string_view text, Position first);
// An object a line.
ReadRows RowsOfJsonLines(std::string_view text, Position first);

}  // namespace tidemark::trial
