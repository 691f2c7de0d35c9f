// The names of an intake (src/runtime/intake.h) outside its process, beside those of application.h and by its rules: a
// source shares its name with no step and no sink, the kinds of topics are others than theirs, and a split's number
// stands where a sink has its worker. Plain values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/base/application.h"

namespace tidemark {

// Headers of the records of an intake's topic. Its split and its number among all that the split has written to the
// partition: "0:17". And of those from files: the file, below the landing folder, and the line that the record begins
// in (or its row, of files without lines).
inline constexpr char kIntakeNumberHeader[] = "tidemark.number";
// Behind them stands what an earlier version must not take as if it knew it: the record's form, "0:17:2". Nothing is 1.
// 2: of a table that was taken anew (src/runtime/resnapshot.h), whose records belong to the last snapshot. A version
// that doesn't know the form stops at the record; the first ones took nothing but two numbers.
inline constexpr int kIntakeForm = 2;
inline constexpr char kIntakeFileHeader[] = "tidemark.file";
inline constexpr char kIntakeLineHeader[] = "tidemark.line";
// Of files whose source reads either: the file and which content of it, "rates.csv.gz@1-9f86d081884c7d65", and how many
// records it has, those that can't be rows included.
inline constexpr char kIntakeBatchHeader[] = "tidemark.batch";
inline constexpr char kIntakeRowsHeader[] = "tidemark.rows";
// And of those that were posted: who did it, by the name of their token, and where the request stands in the log of
// requests, as the answer to it said: "3:17".
inline constexpr char kIntakeClientHeader[] = "tidemark.client";
inline constexpr char kIntakeRequestHeader[] = "tidemark.request";
// And of dead letters of a PostgreSQL table: where in the database's log the change stands, "16/B374D848".
inline constexpr char kIntakeLsnHeader[] = "tidemark.lsn";

struct IntakeNames {
  ApplicationId application;
  std::string source;

  std::string Topic() const { return application.TopicPrefix() + source + ".intake"; }
  std::string PositionsTopic() const { return application.TopicPrefix() + source + ".positions"; }
  std::string NotesTopic() const { return application.TopicPrefix() + source + ".notes"; }
  // Of a source that is posted to: whole bodies, before their rows come into the topic.
  std::string RequestsTopic() const { return application.TopicPrefix() + source + ".requests"; }
  std::vector<std::string> Topics() const { return {Topic(), PositionsTopic(), NotesTopic(), RequestsTopic()}; }
  // Of those who may run a split: each partition of the positions is one.
  std::string Group() const { return application.SinkGroup(source); }
  // Of whoever runs the split.
  std::string TransactionalId(int32_t split) const {
    return application.SinkTransactionalId(source, std::to_string(split));
  }
};

}  // namespace tidemark
