// One topology out of its files: includes are read, templates expanded, merge keys and extension fields gone. What
// comes out is a tree as one file without any of them would have given, each value with its place, for the reader of
// fields (yaml_reader.h) and for CanonicalYaml (canonical_yaml.h). docs/many-services.md has the rules.
//
// Offline but for the files; the same files give the same tree. Any thread may call.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/plan/diagnostics.h"
#include "src/plan/substitute.h"
#include "src/plan/topology_files.h"
#include "src/plan/yaml_tree.h"

namespace tidemark {

struct Composed {
  YamlPtr root;                    // a mapping; without entries where there was nothing to read, which was reported
  std::vector<std::string> files;  // that were read, the topology's own first
};

// `text` is the topology's own file, number 0 of `diagnostics`. Where a part is lost (a file or a template that can't
// be read) `diagnostics` is set incomplete: what refers to it isn't to be accused.
Composed Compose(std::string_view filename, std::string_view text, const TopologyFiles& files, const EnvLookup& env,
                 Diagnostics* diagnostics);

}  // namespace tidemark
