// Dead letters, read back from their topic: what docs/dead-letters.md says of their headers, as values, and as rows
// that an SQL condition chooses from. Plain values and functions without state; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>

#include "src/base/batch.h"
#include "src/base/clock.h"
#include "src/base/record.h"
#include "src/base/schema.h"
#include "src/kafka/client.h"

namespace tidemark {

struct Letter {
  TopicPartition log;  // where the letter stands
  Offset offset = 0;
  int64_t timestamp_ms = -1;
  std::string reason, step;
  std::optional<std::string> batch, rule, expression, file, line, lsn, client, request;
  std::optional<std::string> source_topic;  // where the record, or the row's input, came from
  std::optional<int32_t> source_partition;
  std::optional<Offset> source_offset;
  // It is a record of a source that could not become a row: key, value and `headers` are that record's own. Otherwise
  // the value is a row, and `headers` is empty.
  bool of_record = false;
  std::optional<std::string> key, value;
  // Of the whole key or value (XXH3, hexadecimal), where the letter has only the beginning of it.
  std::optional<std::string> cut_key, cut_value;
  HeaderList headers;
};

Letter ReadLetter(const TopicPartition& log, const RecordView& record, HeaderList headers);

// What a condition over letters may name: docs/dead-letters.md lists the columns. key and value are NULL where they
// aren't UTF-8.
const Schema& LetterSchema();
Batch LetterRows(const std::vector<Letter>& letters);

// Calls `take` with all committed letters that the topic has now, some at a time, partition by partition, in order.
// `newest`: only those at so many offsets before each partition's end; 0: all. InvalidArgument: there is no such topic.
absl::Status ReadLetters(KafkaClient& kafka, Clock& clock, const std::string& topic,
                         absl::FunctionRef<absl::Status(std::vector<Letter>)> take, Offset newest = 0);

}  // namespace tidemark
