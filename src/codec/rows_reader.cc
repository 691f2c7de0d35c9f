#include "src/codec/rows_reader.h"

#include <algorithm>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

// So many former schemas are remembered: a writer that has slept through more changes of the topology than this finds
// its rows refused.
constexpr size_t kMostNamed = 8;

bool Same(const packed::PackedSchema& a, const packed::PackedSchema& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

}  // namespace

RowsReader::RowsReader(std::shared_ptr<arrow::Schema> schema, std::vector<std::string> had)
    : schema_(std::move(schema)), had_(std::move(had)), hash_(SchemaHash(*schema_)) {}

void RowsReader::Learn(const packed::PackedSchema& schema) {
  const auto known = std::find_if(named_.begin(), named_.end(), [&](const auto& other) { return Same(other, schema); });
  if (known != named_.end()) {
    std::rotate(known, known + 1, named_.end());
    return;
  }
  if (named_.size() == kMostNamed) named_.erase(named_.begin());
  named_.push_back(schema);
}

absl::StatusOr<RowsReader::Former*> RowsReader::Find(uint64_t hash) {
  const auto found = former_.find(hash);
  if (found != former_.end()) return &found->second;
  for (const packed::PackedSchema& packed : named_) {
    TM_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Schema> schema, UnpackSchema(packed));
    if (SchemaHash(*schema) != hash) continue;
    TM_ASSIGN_OR_RETURN(SchemaChange change, SchemaChange::Make(*schema, schema_, Widening::kYes, had_));
    return &former_.emplace(hash, Former{packed, std::move(schema), std::move(change)}).first->second;
  }
  return absl::FailedPreconditionError(absl::StrCat("rows of another schema than [",
                                                    absl::StrJoin(schema_->field_names(), ", "),
                                                    "], which none of its "
                                                    "writers has named"));
}

absl::StatusOr<UnpackedRows> RowsReader::Read(std::string_view value) {
  TM_ASSIGN_OR_RETURN(PackedRecord record, OpenRecord(value));
  if (record.header.has_schema()) Learn(record.header.schema());
  UnpackedRows unpacked;
  unpacked.header = std::move(record.header);
  if (unpacked.header.rows() == 0) return unpacked;
  if (unpacked.header.schema_hash() == hash_) {
    TM_ASSIGN_OR_RETURN(unpacked.rows, UnpackColumns(record, unpacked.header, schema_));
    return unpacked;
  }
  const absl::StatusOr<Former*> former = Find(unpacked.header.schema_hash());
  if (!former.ok()) {
    return absl::Status(former.status().code(),
                        absl::StrCat("packed rows that another version of the topology has written: ",
                                     std::string(former.status().message()),
                                     ". They stay unread: run that version until it has read them, or give the "
                                     "topology a new name"));
  }
  TM_ASSIGN_OR_RETURN(const Batch rows, UnpackColumns(record, unpacked.header, (*former)->schema));
  TM_ASSIGN_OR_RETURN(unpacked.rows, (*former)->change->Apply(rows));
  return unpacked;
}

}  // namespace tidemark
