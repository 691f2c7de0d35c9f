// A topology as one file, written in the one way that there is for what it says: without includes, templates, anchors
// and extension fields, sections and fields in the order of proto/topology.proto, sources, tables, steps and sinks by
// name. Variables stand as they were written, so that what they hold (passwords) isn't shown. Read again it is the same
// topology: same plan, same identities, same text.
#pragma once

#include <string>

#include "src/plan/yaml_tree.h"

namespace tidemark {

// `root`: of a topology that was read without errors.
std::string CanonicalYaml(const YamlNode& root);

}  // namespace tidemark
