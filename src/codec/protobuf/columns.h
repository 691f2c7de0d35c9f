// The columns that a message has, for `columns: from_schema`: its fields in their order, those of messages within it
// under their names joined by _, each with the type that loses nothing of it. Repeated fields, maps and messages that
// contain themselves are json columns. A column may be NULL where its field, or one on its path, may be absent.
#pragma once

#include <vector>

#include <absl/status/statusor.h>
#include <google/protobuf/descriptor.h>

#include "src/plan/format_syntax.h"

namespace tidemark {

// InvalidArgument: it has no field that a column can hold, too many, or two columns would have one name.
absl::StatusOr<std::vector<TakenColumn>> ColumnsOfProtobuf(const google::protobuf::Descriptor& message);

}  // namespace tidemark
