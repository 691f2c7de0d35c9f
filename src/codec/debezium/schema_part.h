// The schema part of a Debezium record, as Kafka Connect's JsonConverter writes it: which types the table's columns
// have. It is the same text in record after record and many times as long as the row, so it is read once and then
// recognised. Pure function; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/codec/debezium/row_reader.h"

namespace tidemark::debezium {

// How each of the columns is read, in their order. `row`: the member of the record that holds rows, "after"; empty: the
// record is the row, as a key is. The reason, where the text is no schema.
std::optional<std::string> ReadSchemaPart(std::string_view schema, std::string_view row,
                                          const std::vector<RowColumn>& columns, std::vector<Reading>* readings);

}  // namespace tidemark::debezium
