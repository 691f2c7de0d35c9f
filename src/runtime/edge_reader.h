// One partition of an internal topic, from its reader's side: records become rows of the edge as it is now, and none is
// missing or comes twice. What it knows is part of the reader's durable position: a task keeps it in its commit record,
// a sink as text beside the offset it goes on from. Without either it begins with the topic.
//
// Used by the reader's thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/record.h"
#include "src/codec/rows_reader.h"
#include "src/runtime/heard.h"

namespace tidemark {

class EdgeReader {
 public:
  EdgeReader(TopicPartition partition, std::shared_ptr<arrow::Schema> schema, std::vector<std::string> had = {})
      : partition_(std::move(partition)), rows_(std::move(schema), std::move(had)) {}

  // The next record. Errors name topic, partition and offset. FailedPrecondition: it doesn't follow the last one
  // (heard.h), or its rows can't be read (rows_reader.h). DataLoss: it is damaged. After an error the position must
  // stay in front of the record.
  absl::StatusOr<UnpackedRows> Read(const RecordView& record);

  // A task's: numbers are said with every commit, schemas where they change.
  void Restore(const packed::CommitRecord& record);
  void SaveHeard(packed::Heard* out) const { heard_.Save(out); }
  void SaveSchemas(packed::Standing* standing) const;

  // A sink's, in one line of text without spaces. The empty text is that of a position which an earlier version kept.
  std::string ToText() const;
  // FailedPrecondition: not such a text.
  absl::Status RestoreText(std::string_view text);

 private:
  const TopicPartition partition_;
  Heard heard_;
  RowsReader rows_;
};

}  // namespace tidemark
