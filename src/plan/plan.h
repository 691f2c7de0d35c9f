// The checked plan: what a topology.yaml means, with every name resolved, every type known and the cut into stages
// made. Built by src/plan/planner.h from YAML (or by C++ code that links tidemark::tidemark), read by everything else.
// Plain values; immutable once built, usable from any thread.
//
// A plan is a list of stages. A stage is a graph of nodes that runs on one partition at a time (a task is one stage on
// one partition): inputs at its top (source topics, internal topics), operators, outputs at its bottom (Kafka sinks,
// repartition topics, feeds of external sinks). Rows never leave a task except through an output node.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "src/base/application.h"
#include "src/base/batch.h"
#include "src/base/schema.h"
#include "src/base/time.h"
#include "src/plan/alarm_spec.h"
#include "src/plan/format_spec.h"
#include "src/plan/operator_spec.h"
#include "src/plan/registry_spec.h"

namespace tidemark {

// ---- Kafka and the process -----------------------------------------------------------------------------------------

struct KafkaSettings {
  std::string brokers;
  std::vector<std::pair<std::string, std::string>> properties;  // librdkafka's, as given
};

// How a topic is made where it is missing.
struct TopicCreation {
  int32_t partitions = 0;           // 0: as many as the largest input of the topology
  int32_t replication_factor = -1;  // -1: the broker's default
  std::map<std::string, std::string> config;
};

// ---- Sources and tables --------------------------------------------------------------------------------------------

struct SourceColumn {
  // kValue: a part of the record's value. kRaw (`from: value`): the value itself, as it is. kBeside: what the format's
  // records have beside the row.
  enum class From { kValue, kKey, kHeader, kPartition, kOffset, kTimestamp, kRaw, kBeside, kTopic };
  enum class OnError { kDeadLetter, kNull };

  Column column;
  From from = From::kValue;
  // kValue, kKey, kBeside: names from the root of what is read; empty: it as a whole
  std::vector<std::string> path;
  size_t place = 0;    // kValue, of formats that go by places: from 1; 0: its path, a number, says it
  std::string header;  // kHeader: its name
  std::string as;      // how the format writes it, where it can't say so itself
  std::optional<std::string>
      default_value;  // as text in the JSON form of the type; used where the value is missing or null
  OnError on_error = OnError::kDeadLetter;
  bool coerce = false;                      // src/codec/coerce.h
  std::string timestamp_format, time_zone;  // src/base/timestamp_format.h; empty: RFC 3339
};

enum class WhenAllIdle { kHold, kFollowClock };

struct EventTimeSpec {
  std::optional<size_t> column;                 // position among the columns, a timestamp
  std::string expression;                       // over the columns. Neither: the record's timestamp
  TimestampForm form = TimestampForm::kMillis;  // of whichever it is
  int64_t max_out_of_orderness_us = 0;
  int64_t idle_after_us = 10 * kSecond;
  WhenAllIdle when_all_idle = WhenAllIdle::kHold;
  int64_t max_ahead_us = 3600 * kSecond;
};

// Where a partition starts that has neither a committed offset nor a commit record.
struct StartPosition {
  enum class At { kEarliest, kLatest, kTimestamp } at = At::kEarliest;
  int64_t timestamp_ms = 0;
};

// Files that land in a folder; Tidemark brings their rows into a topic of its own, which the source reads.
struct FilesSpec {
  enum class Format { kCsv, kJsonLines, kJson, kParquet, kXml };
  enum class Whole { kRenamed, kDoneMark, kUnchanged };  // how a file shows that nothing more of it comes

  std::string path;              // as stated: a folder or s3://bucket/prefix, below it names with '*', '?' and '**'
  std::optional<Format> format;  // none: by the file's name
  Whole whole = Whole::kRenamed;
  bool ordered = false;             // files of one folder are read in the order of their names
  bool reject_file = false;         // on_error: a file with a bad row is rejected as a whole
  std::string processed, rejected;  // folders that files go to, in S3 where `path` is; empty: they stay
  std::string raw, archive;         // folders or s3:// for copies, decrypted and as they came; empty: none
  int64_t look_every_us = kSecond;
  char delimiter = ',';          // csv
  int32_t partitions = 1;        // of the topic
  std::string encoding;          // of texts, by a name of iconv's; empty: UTF-8
  std::vector<std::string> row;  // xml: the elements from the root to a row; empty: not stated
  std::string members;           // of archives, names with '*', '?' and '**'; empty: all

  // Sets of files (src/landing/manifest.h): names of manifests, with '*' and '?'; empty: files come one by one.
  std::string manifest;
  int64_t manifest_deadline_us = 0;  // from a manifest's time, by which its set is whole, or is rejected

  bool in_s3() const { return path.compare(0, 5, "s3://") == 0; }

  // What opens encrypted files; each a file's path. Nothing of what stands in there is ever kept in a plan.
  struct Decrypt {
    std::string secret_keys;             // of OpenPGP; empty: none is opened
    std::string secret_keys_passphrase;  // empty: they have none
    std::string signed_by;               // empty: nobody need have signed
    std::string zip_passphrase;          // empty: no encrypted zip archive is opened
  } decrypt;
};

// Bodies that clients post; Tidemark keeps them in a log of its own, and brings their rows into the source's topic.
struct HttpSpec {
  std::string path;                           // of the worker's HTTP server
  std::string tokens;                         // the file of those who may; empty: anybody on this machine
  int64_t max_body_bytes = int64_t{1} << 20;  // uncompressed
  char delimiter = ',';                       // csv
  int32_t partitions = 1;                     // of the log and of the topic, and how many splits there are
};

// A table of a PostgreSQL database whose changes a replication slot tells; Tidemark brings its rows and their changes
// into a topic of its own, as records of format debezium without schema part.
struct PostgresTableSpec {
  std::string url;
  std::string publication, slot;  // the slot is made where it is missing
  std::string schema = "public", table;
  bool stop_on_truncate = true;
  bool shares_slot = false;  // with the other tables of its database
  int32_t partitions = 1;    // of the topic
};

// Of type bytes, never null: what a record of a changing table says besides the row (src/codec/debezium/change.h).
// Users can't declare such a name.
inline constexpr char kChangeColumn[] = "__change";

// What a column may be called.
inline bool IsColumnName(std::string_view name) { return !name.empty() && !name.starts_with("__"); }
inline constexpr char kColumnNames[] = "names are not empty and don't start with __";

struct SourcePlan {
  std::string name;
  int32_t order = 0;  // its number, the value of Hidden::kSource: by name, no position (src/plan/inputs.cc)
  std::string topic;
  StartPosition start;
  FormatSpec format = kJsonFormat;
  FormatSpec key_format;  // none: the key isn't read
  std::vector<SourceColumn> columns;
  EventTimeSpec event_time;
  std::vector<size_t> partitioned_by;  // positions among the columns; empty: no promise
  // Of a table that changes: rows replace each other by these columns, and the last column, kChangeColumn, is the
  // decoder's word to the step that keeps them (OperatorSyntax::Behind). Else empty.
  std::vector<size_t> key;
  bool skip_lost = false;            // on_data_loss: skip: go on where records are gone that were never read
  bool verify_partitioning = false;  // the columns are the record key, so murmur2 can be checked
  HiddenSet hidden;
  std::optional<FilesSpec> files;
  std::optional<HttpSpec> http;
  std::optional<PostgresTableSpec> postgres;

  // As the YAML names it: a topic that a pattern has matched is a source NAME[TOPIC].
  std::string declared() const { return name.substr(0, name.find('[')); }
  bool of_pattern() const { return name.find('[') != std::string::npos; }

  // Its topic is Tidemark's own, filled by an intake (src/runtime/intake.h).
  bool intake() const { return files || http || postgres; }
  int32_t intake_partitions() const {
    return files ? files->partitions : http ? http->partitions : postgres ? postgres->partitions : 0;
  }
  // That the outside is cut into: files are read as one, and so is a replication slot.
  int32_t intake_splits() const { return http ? http->partitions : files || postgres ? 1 : 0; }

  std::string renamed_from = {};  // empty: it has always been called so
  // The name under which its counts, and the stage that it begins, are kept.
  const std::string& kept_as() const { return renamed_from.empty() ? name : renamed_from; }

  Schema schema() const;  // the columns as a Schema
  Schema rows() const;    // of the rows that steps read: without kChangeColumn
};

// A source of the YAML that reads all topics whose names match (src/plan/topic_patterns.h): each of them is a source of
// the plan. Where nobody has looked which topics there are, one source stands for all under the name alone, its topic
// is the pattern, and it can't be run.
struct TopicPatternPlan {
  std::string source;
  std::string pattern;
};

struct TablePlan {
  enum class FileFormat { kParquet, kCsv, kJsonLines };

  std::string name;
  std::string topic;  // either a topic (compacted, null value = row deleted)
  std::string file;   // or a file
  FileFormat file_format = FileFormat::kJsonLines;
  int64_t reload_us = 0;            // of a file: how often it is looked at; 0: it is read at the start alone
  FormatSpec format = kJsonFormat;  // of a topic
  FormatSpec key_format;            // as for sources; needed where a column comes `from: key`
  std::vector<SourceColumn> columns;
  std::vector<size_t> key;  // positions among the columns

  Schema schema() const;
  // Rows may change while a worker runs.
  bool changes() const { return !topic.empty() || reload_us > 0; }
};

// ---- Sinks ---------------------------------------------------------------------------------------------------------

struct KafkaSinkSpec {
  std::string topic;
  std::vector<size_t> key;  // positions among the step's columns; empty: no record key
  FormatSpec format = kJsonFormat;
  FormatSpec key_format = kTextFormat;
  std::vector<size_t> value;  // positions of the columns that a value holds; empty: all
  bool upsert = false;        // deletes become tombstones, update-before rows are skipped
  std::vector<std::pair<std::string, std::string>> headers;
  std::string compression;  // librdkafka's compression.codec; empty: lz4
  std::optional<TopicCreation> create;
};

// What makes a Kafka sink a view: its topic is Tidemark's own, and workers answer questions about its rows
// (src/views/). The sink's key is the view's.
struct ViewSpec {
  std::vector<std::vector<size_t>> indexes;  // positions among the step's columns, as stated
  int64_t keep_us = 0;                       // rows leave so long after their event time; 0: they stay
  std::string tokens;                        // the file of those who may ask; empty: anybody on this machine
  int64_t rate_limit = 0;                    // requests a second of each token; 0: as many as there are
  std::string audit;                         // the topic that requests are noted in; empty: none
};

struct PostgresSinkSpec {
  std::string url;
  std::string schema = "public";
  std::string table;
  std::vector<size_t> key;
  bool upsert = false;
  bool create = true;
  bool add_columns = false;  // evolve: nullable columns that an existing table lacks are added to it
};

struct ParquetSinkSpec {
  struct PartitionColumn {
    std::string name;        // of the folder: name=value
    std::string expression;  // over the step's columns
  };
  std::string path;      // a folder or s3://bucket/prefix
  bool changes = false;  // of an update step: every change is a row, with LakeSchema's columns beside the step's
  std::vector<PartitionColumn> partition_by;  // over LakeSchema
  int64_t max_bytes = 128 << 20;
  int64_t max_age_us = 300 * kSecond;
};

// The columns of a lake's rows: the step's, and of changes also what a row does ("insert", "update_before",
// "update_after", "delete"), its event time (of what takes a row back that row's), and its place among the changes: the
// feed's partition, the offset from which on a piece of the feed was read, and a number within that piece. In one
// partition (offset, row) only grows; each stands there once.
inline constexpr const char* kLakeOp = "_op";
inline constexpr const char* kLakeTime = "_time";
inline constexpr const char* kLakePartition = "_partition";
inline constexpr const char* kLakeOffset = "_offset";
inline constexpr const char* kLakeRow = "_row";
Schema LakeSchema(const Schema& step, bool changes);

// ---- The graph -----------------------------------------------------------------------------------------------------

// What rows of a step stand for. An update step has the key by which rows replace each other.
struct StepMode {
  bool update = false;
  std::vector<size_t> key;  // update steps: positions among the output columns
};

// One of a node's inputs. Rows of all its nodes have one shape.
struct Port {
  std::vector<int> nodes;  // of this stage, all before this one; several = union
  Schema schema;
  HiddenSet hidden;
  StepMode mode;
  // The columns of `schema` that stand in the output, ascending, where the operator leaves some out
  // (OperatorKind::LeavesOut); nothing: it leaves out none.
  std::optional<std::vector<size_t>> passed;
};

// A column of a node's inputs.
struct PortColumn {
  PortColumn(size_t of_column, size_t of_port = 0) : port(of_port), column(of_column) {}

  size_t port;
  size_t column;

  friend bool operator==(const PortColumn&, const PortColumn&) = default;
};

// Rows that an operator sends elsewhere than to its output, as they came in ("late", "unmatched").
struct SideTopic {
  std::string name;
  std::string topic;
  size_t port = 0;  // whose rows they are
};

struct Node {
  enum class Kind {
    kSource,       // `source`: decoded rows of a source topic
    kInternal,     // `edge`: unpacked rows of an internal topic
    kOperator,     // `spec`
    kKafkaSink,    // `sink`
    kRepartition,  // `edge`: rows packed for another stage
    kFeed,         // `edge`: rows packed for an external sink
  };

  Kind kind = Kind::kOperator;
  std::string step;          // the user's name of the source, step or sink, for people and metrics
  std::string port;          // kRepartition, kInternal: of which port of the step; empty where it has one
  OperatorSpec spec;         // kOperator; columns by position in `inputs`, expressions by text, compiled again by it
  int source = -1;           // kSource: index in Plan::sources
  int edge = -1;             // kInternal, kRepartition, kFeed: index in Plan::edges
  int sink = -1;             // kKafkaSink, kFeed: index in Plan::sinks
  std::vector<Port> inputs;  // kSource, kInternal: none; all but operators: one
  Schema output;
  HiddenSet hidden;
  StepMode mode;
  std::vector<SideTopic> side_topics;
  std::string renamed_from = {};  // of the source, step or sink; empty: it has always been called so

  // The name under which it is kept: of state, of what it has counted and of topics in front of it.
  const std::string& kept_as() const { return renamed_from.empty() ? step : renamed_from; }
  const Port& in(size_t input = 0) const { return inputs[input]; }
  // The nodes of all inputs, port by port.
  std::vector<int> upstream() const;
};

// An internal topic between two stages, or between a stage and an external sink.
struct Edge {
  std::string topic;  // of the application, RepartitionTopic or FeedTopic
  std::string step;
  std::string kept_as;  // the name under which the step or sink is kept, in the topic's
  std::string port;     // of the step that reads it; empty where it has one
  int from_stage = -1;
  int to_stage = -1;  // -1: an external sink
  int to_sink = -1;
  std::vector<size_t> key;  // columns hashed to find the target partition; empty: keep the task's own partition
  Schema schema;
  HiddenSet hidden;
  bool update = false;
  int32_t partitions = 0;  // 0: InternalTopics' rule
  std::string reason;      // why it is there, for people: "counted groups by geographical_location"
};

struct Stage {
  std::string name;         // unique; names the changelog topic
  std::vector<Node> nodes;  // in topological order
  bool stateful = false;
};

struct SinkPlan {
  std::string name;
  std::string from;  // step
  std::variant<KafkaSinkSpec, PostgresSinkSpec, ParquetSinkSpec, WebhookSpec> spec;
  std::optional<ViewSpec> view;            // of a Kafka sink that is one of `views`
  std::optional<FreshnessSpec> freshness;  // none: nobody watches it
  Schema schema;
  HiddenSet hidden;
  StepMode mode;
  std::string renamed_from = {};  // empty: it has always been called so
  std::string from_kept_as = {};  // of a view: the name under which the step is kept

  // The name of its group, feed, fence, manifests and files.
  const std::string& kept_as() const { return renamed_from.empty() ? name : renamed_from; }
};

struct Plan {
  ApplicationId application;
  KafkaSettings kafka;
  RegistrySpec registry;
  int64_t commit_interval_us = 100 * kMillisecond;
  int64_t memory_bytes = int64_t{2} << 30;
  std::string dead_letter_topic;
  TopicCreation dead_letter_creation;
  bool create_internal_topics = true;
  TopicCreation internal_topics;
  std::vector<SourcePlan> sources;
  std::vector<TablePlan> tables;
  std::vector<Stage> stages;  // upstream before downstream
  std::vector<Edge> edges;
  std::vector<SinkPlan> sinks;
  NotifySpec notify;
  std::vector<TopicPatternPlan> patterns;
  std::set<std::string> named_topics;  // that the YAML names; no pattern matches them
};

}  // namespace tidemark
