// Sources: what a topology reads, from topics and from outside of Kafka.
#include <algorithm>
#include <map>
#include <set>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/time/time.h>
#include <xxhash.h>

#include "src/base/intake_names.h"
#include "src/base/suggest.h"
#include "src/expr/expression.h"
#include "src/plan/columns.h"
#include "src/plan/input_formats.h"
#include "src/plan/logical.h"
#include "src/plan/topic_patterns.h"

namespace tidemark {
namespace {

constexpr char kPartitioner[] = "partitioner";  // an option of the formats of changing tables

// What a source says of all its columns must be of use to one of them.
Reading CheckSourceReading(const topology::Source& yaml, const FormatList& formats, const std::string& path,
                           Diagnostics* diagnostics) {
  Reading reading{yaml.coerce(), yaml.timestamp_format(), yaml.time_zone()};
  if (yaml.has_key_format()) reading.key_format = FindFormat(formats, yaml.key_format().type());
  if (yaml.has_time_zone() && !yaml.has_timestamp_format()) {
    diagnostics->Error(path + "/time_zone", "time_zone goes with timestamp_format");
  } else if (yaml.has_timestamp_format()) {
    CheckTimestampFormat(reading.timestamp_format, reading.time_zone, path, diagnostics);
  }
  return reading;
}

void RefuseIdleReading(const topology::Source& yaml, const std::vector<SourceColumn>& columns, const std::string& path,
                       Diagnostics* diagnostics) {
  const auto any = [&](auto takes) { return std::any_of(columns.begin(), columns.end(), takes); };
  if (yaml.coerce() && !any([](const SourceColumn& c) { return c.coerce; })) {
    diagnostics->Error(
        path + "/coerce",
        "coerce has no use here: no column is of a type that texts are coerced to, or of a format that has texts");
  }
  if (yaml.has_timestamp_format() && !any([](const SourceColumn& c) { return !c.timestamp_format.empty(); })) {
    diagnostics->Error(path + "/timestamp_format",
                       "timestamp_format has no use here: no column of type timestamp is read as text");
  }
}

// The record as it is, once for each of its rows, would be the square of it.
void RefuseRawOfManyRows(const FormatSpec& format, const FormatList& formats, const std::vector<SourceColumn>& columns,
                         const std::string& path, Diagnostics* diagnostics) {
  const FormatSyntax* const syntax = FindFormat(formats, format.name);
  if (syntax == nullptr || !syntax->ManyRows(format)) return;
  for (const SourceColumn& column : columns) {
    if (column.from != SourceColumn::From::kRaw) continue;
    diagnostics->Error(absl::StrCat(path, "/columns/", column.column.name, "/from"),
                       absl::StrCat("a record of format ", format.ToString(),
                                    " has several rows, and each would hold the whole value: read the topic "
                                    "a second time in a topology of its own, without a format"));
  }
}

void CheckStart(const topology::Source& yaml, const std::string& path, Diagnostics* diagnostics, StartPosition* start) {
  if (!yaml.has_start() || yaml.start() == "earliest") return;
  if (yaml.start() == "latest") {
    start->at = StartPosition::At::kLatest;
    return;
  }
  absl::Time time;
  std::string error;
  if (absl::ParseTime(absl::RFC3339_full, yaml.start(), &time, &error)) {
    start->at = StartPosition::At::kTimestamp;
    start->timestamp_ms = absl::ToUnixMillis(time);
    return;
  }
  diagnostics->Error(path, absl::StrCat("expected earliest, latest or a time such as 2026-01-01T00:00:00Z, found '",
                                        yaml.start(), "'", DidYouMean(yaml.start(), {"earliest", "latest"})));
}

// Of what type a column of event times is, where it is read as this one.
const char* AsTimestamp(Kind kind) {
  if (kind == Kind::kInt32 || kind == Kind::kInt64) {
    return "; numbers since 1970 are of type timestamp_s, timestamp_ms or timestamp_us";
  }
  return kind == Kind::kString ? "; RFC 3339 text is of type timestamp" : "";
}

void CheckEventTime(const topology::EventTime& yaml, const Schema& schema, const std::string& path,
                    Diagnostics* diagnostics, EventTimeSpec* spec) {
  if (yaml.has_max_out_of_orderness()) spec->max_out_of_orderness_us = yaml.max_out_of_orderness();
  if (yaml.has_idle_after()) spec->idle_after_us = yaml.idle_after();
  if (yaml.has_max_ahead()) spec->max_ahead_us = yaml.max_ahead();
  if (yaml.when_all_idle() == "follow_clock") spec->when_all_idle = WhenAllIdle::kFollowClock;
  if (yaml.has_idle_after() && yaml.idle_after() == 0) {
    diagnostics->Error(path + "/idle_after", "idle_after must be longer than nothing");
  }
  if (yaml.has_column() && yaml.has_expression()) {
    diagnostics->Error(path + "/expression", "event time is either a column or an expression");
    return;
  }
  if (yaml.has_expression()) {
    const auto expression = Expression::Compile(yaml.expression(), schema);
    if (!expression.ok()) {
      diagnostics->ErrorInside(path + "/expression", yaml.expression(), ErrorPosition(expression.status()).value_or(-1),
                               std::string(expression.status().message()));
    } else if (expression->type().kind != Kind::kTimestamp) {
      diagnostics->Error(path + "/expression",
                         absl::StrCat("event time is a timestamp, this is ", TypeName(expression->type())));
    } else {
      spec->expression = yaml.expression();
      spec->form = expression->type().form;
    }
    return;
  }
  if (!yaml.has_column()) return;
  const auto column = schema.Find(yaml.column());
  if (!column) {
    diagnostics->Error(path + "/column",
                       absl::StrCat("unknown column '", yaml.column(), "'", DidYouMean(yaml.column(), schema.Names())));
  } else if (schema[*column].type.kind != Kind::kTimestamp) {
    diagnostics->Error(path + "/column",
                       absl::StrCat("event time is a timestamp column, but '", yaml.column(), "' is ",
                                    TypeName(schema[*column].type), AsTimestamp(schema[*column].type.kind)));
  } else if (schema[*column].nullable) {
    diagnostics->Error(path + "/column",
                       absl::StrCat("event time can't be null: column '", yaml.column(), "' must not be nullable"));
  } else {
    spec->column = *column;
    spec->form = schema[*column].type.form;
  }
}

// The number that a registry has given to the key's schema stands in front of it, and is another once its columns,
// their types or names are.
bool HasSchemaNumber(const FormatSpec& key_format) {
  const bool by_default =
      (key_format.name == "avro" || key_format.name == "protobuf") && !key_format.options.contains("schema_file");
  return key_format.Option("schema_id", by_default ? "prefix" : "none") != "none";
}

// What makes keys of equal values differ, so that the partition of a key proves nothing about values; "": nothing does.
// `trusted`: that a schema's number stays what it is.
std::string WhyKeysDiffer(const SourceColumn& column, const FormatSpec& key_format, bool trusted) {
  if (column.coerce) return "it is coerced; say `coerce: false` for it if its keys have one form only";
  if (key_format.name == "uuid") return "a UUID has digits of either size";
  if (!trusted && HasSchemaNumber(key_format)) {
    return absl::StrCat("the number of its schema is a part of a key in ", key_format.name,
                        ", and another one when that schema changes");
  }
  const Type& type = column.column.type;
  if (type.kind == Kind::kDouble) return "0 and -0 are equal doubles, as are 1 and 1.0";
  if (type.kind == Kind::kDecimal) return "1.5 and 1.50 are equal decimals";
  if (IsTextTimestamp(type)) return "a timestamp can be written in several ways";
  return "";
}

// A key decides on the partition as a whole, so it says nothing of rows that are equal in a part of it.
void CheckWholeKey(const SourcePlan& source, const std::string& path, Diagnostics* diagnostics) {
  std::vector<std::string> all, missing;
  for (size_t c = 0; c < source.columns.size(); ++c) {
    if (source.columns[c].from != SourceColumn::From::kKey) continue;
    const std::vector<size_t>& promised = source.partitioned_by;
    all.push_back(source.columns[c].column.name);
    if (std::find(promised.begin(), promised.end(), c) == promised.end()) missing.push_back(all.back());
  }
  if (missing.empty()) return;
  diagnostics->Error(
      path, absl::StrCat("the record key as a whole decides on the partition, and ", absl::StrJoin(missing, ", "),
                         missing.size() == 1 ? " is" : " are", " in it as well: name all of its columns (",
                         absl::StrJoin(all, ", "), ")", source.key.empty() ? ", or leave partitioned_by out" : ""));
}

// The promise of `partitioned_by`, and whether the record key can prove it.
void CheckPromise(const topology::Source& yaml, const FormatList& formats, const std::string& path,
                  Diagnostics* diagnostics, SourcePlan* source) {
  const auto columns = FindKeyColumns(yaml.partitioned_by(), source->schema(), path + "/partitioned_by",
                                      "source " + yaml.name(), diagnostics);
  if (!columns || columns->empty()) return;
  source->partitioned_by = *columns;
  const auto from_key = [&](size_t c) { return source->columns[c].from == SourceColumn::From::kKey; };
  const bool all_from_key = std::all_of(columns->begin(), columns->end(), from_key);
  const bool any_from_key = std::any_of(source->columns.begin(), source->columns.end(),
                                        [](const SourceColumn& c) { return c.from == SourceColumn::From::kKey; });
  // Where the key is read into other columns, the promised ones are not the key.
  source->verify_partitioning = all_from_key || (yaml.has_key_format() && !any_from_key);
  if (!source->verify_partitioning) return;
  if (all_from_key) CheckWholeKey(*source, path + "/partitioned_by", diagnostics);
  for (int i = 0; i < yaml.partitioned_by_size(); ++i) {
    const std::string why =
        WhyKeysDiffer(source->columns[(*columns)[static_cast<size_t>(i)]], source->key_format, false);
    if (why.empty()) continue;
    diagnostics->Error(absl::StrCat(path, "/partitioned_by/", i),
                       absl::StrCat("equal values of ", yaml.partitioned_by(i), " may have different keys (", why,
                                    "): leave partitioned_by out"));
  }
  if (any_from_key || source->key_format.none()) return;
  // Nobody reads the key, but it is said to be these columns.
  std::vector<FormatColumn> key;
  for (const size_t c : *columns) {
    const Column& column = source->columns[c].column;
    key.push_back({column, {column.name}, "", path + "/partitioned_by"});
  }
  CheckFormat(source->key_format, formats, FormatUse::kReadKey, path + "/partitioned_by", key, diagnostics);
}

void AddChangeColumn(std::vector<std::string> path, SourcePlan* source) {
  SourceColumn change;
  change.column = {kChangeColumn, {.kind = Kind::kBytes}, false};
  change.from = SourceColumn::From::kBeside;
  change.path = std::move(path);
  source->columns.push_back(std::move(change));
}

// Event time of a deletion, which has no row.
void RefuseTimeOfRows(const SourcePlan& source, const std::string& path, Diagnostics* diagnostics) {
  if (source.event_time.expression.empty()) return;
  diagnostics->Error(path + "/event_time/expression",
                     "a deletion has only its key, so event time of a changing table is a column or the record's");
}

// A topic of rows that replace each other by the record key, and go with a null value: each record is a change, and
// says nothing more than its row.
void CheckUpserts(const topology::Source& yaml, const FormatSyntax* format, const std::string& path,
                  Diagnostics* diagnostics, SourcePlan* source) {
  if (yaml.key().empty() || format == nullptr) {
    if (diagnostics->Present(path + "/key") && !diagnostics->Broken(path + "/key")) {
      diagnostics->Error(path + "/key", "at least one column is needed, of those that come `from: key`");
    }
    return;
  }
  if (!yaml.has_topic()) {
    diagnostics->Error(path + "/key",
                       "what is in files or posted has no record key: `key` is for rows of a topic that replace each "
                       "other, and for tables of PostgreSQL");
    return;
  }
  if (format->ManyRows(source->format)) {
    diagnostics->Error(path + "/key", absl::StrCat("a record of format ", source->format.ToString(),
                                                   " has several rows, which can't all have its key"));
    return;
  }
  if (!yaml.partitioned_by().empty()) {
    diagnostics->Error(path + "/partitioned_by", "rows lie by the record key, which is the source's `key`");
  }
  RefuseTimeOfRows(*source, path, diagnostics);
  const auto key = FindKeyColumns(yaml.key(), source->schema(), path + "/key", "source " + yaml.name(), diagnostics);
  if (!key) return;
  const bool any = source->format.Option(kPartitioner, "murmur2") != "murmur2";
  for (int i = 0; i < yaml.key_size(); ++i) {
    const SourceColumn& column = source->columns[(*key)[static_cast<size_t>(i)]];
    const std::string at = absl::StrCat(path, "/columns/", column.column.name);
    const std::string why = WhyKeysDiffer(column, source->key_format, any);
    const bool number = WhyKeysDiffer(column, source->key_format, true).empty();
    if (column.from != SourceColumn::From::kKey) {
      diagnostics->Error(at, "rows replace each other by the record key: a column of `key` comes `from: key`");
    } else if (column.column.nullable) {
      diagnostics->Error(at, "a key column can't be nullable");
    } else if (!why.empty()) {
      diagnostics->Error(
          absl::StrCat(path, "/key/", i),
          absl::StrCat("equal values of ", yaml.key(i), " may have different keys (", why,
                       "), and lie in different partitions: they can't replace each other",
                       number ? "; where that schema never changes, say `partitioner: any` in the format" : ""));
    }
  }
  source->key = source->partitioned_by = *key;
  CheckWholeKey(*source, path + "/key", diagnostics);
  source->verify_partitioning = source->format.Option(kPartitioner, "murmur2") == "murmur2";
  AddChangeColumn({}, source);
}

// A table that changes: its key, by which its rows lie in the topic, and the decoder's column.
void CheckChanges(const topology::Source& yaml, const FormatSyntax* format, const std::string& path,
                  Diagnostics* diagnostics, SourcePlan* source) {
  if (format == nullptr || !format->tells_changes()) {
    if (yaml.key().empty() && yaml.format().has_partitioner()) {
      diagnostics->Error(path + "/format/partitioner",
                         "'partitioner' goes with `key`: how records of one key lie in the topic");
    }
    CheckUpserts(yaml, format, path, diagnostics, source);
    return;
  }
  for (const char* field : {"partitioned_by", "key_format"}) {
    if (!diagnostics->Present(absl::StrCat(path, "/", field))) continue;
    diagnostics->Error(absl::StrCat(path, "/", field), yaml.has_postgres()
                                                           ? "rows lie by the source's `key`"
                                                           : "rows lie by the record key, which is the source's `key`");
  }
  RefuseTimeOfRows(*source, path, diagnostics);
  const auto key = FindColumns(yaml.key(), source->schema(), path + "/key", "source " + yaml.name(), diagnostics);
  if (!key) return;
  if (key->empty()) {
    diagnostics->Error(diagnostics->Present(path + "/key") ? path + "/key" : path,
                       absl::StrCat("`key` is needed: the columns of the ",
                                    yaml.has_postgres() ? "table's primary key, by which its rows replace each other"
                                                        : "record key, by which rows replace each other"));
    return;
  }
  for (const size_t c : *key) {
    const SourceColumn& column = source->columns[c];
    const std::string at = absl::StrCat(path, "/columns/", column.column.name);
    if (column.column.nullable) diagnostics->Error(at, "a key column can't be nullable");
    if (column.from != SourceColumn::From::kValue) diagnostics->Error(at, "a key column stands in the row");
  }
  source->key = source->partitioned_by = *key;
  source->verify_partitioning = source->format.Option(kPartitioner, "murmur2") == "murmur2";
  AddChangeColumn({kChangeColumn}, source);
}

// A transaction lies in one task, or it would be shown by several commits.
void CheckTransactions(const std::string& path, Diagnostics* diagnostics, SourcePlan* source) {
  if (!source->postgres) {
    const bool debezium = source->format.name == "debezium";
    diagnostics->Error(path + "/atomic",
                       absl::StrCat("transactions are kept together of tables that are read with `postgres`",
                                    debezium ? ": a record of Debezium's doesn't say where its transaction ends, and "
                                               "the topic that does isn't read"
                                             : "; rows of other sources are kept together by a batch step"));
    return;
  }
  if (source->postgres->partitions != 1) {
    diagnostics->Error(path + "/postgres/partitions",
                       "with atomic: transactions there is one: a transaction lies in one task, leave it out");
  }
  source->format.options["atomic"] = "transactions";
}

// What has one reader, or answers for one source.
void RefuseTwice(const SourcePlan& source, const SourcePlan& other, const std::string& path, Diagnostics* diagnostics) {
  if (source.http && other.http && source.http->path == other.http->path) {
    diagnostics->Error(path + "/http/path", absl::StrCat("'", source.http->path, "' is source ", other.name, "'s"));
  }
  if (!source.postgres || !other.postgres || source.postgres->slot != other.postgres->slot ||
      source.postgres->url != other.postgres->url) {
    return;
  }
  const PostgresTableSpec &ours = *source.postgres, &theirs = *other.postgres;
  if (!ours.shares_slot || !theirs.shares_slot) {
    diagnostics->Error(absl::StrCat(path, "/postgres/", ours.shares_slot ? "database" : "slot"),
                       absl::StrCat("slot ", ours.slot, " is source ", other.name,
                                    "'s: a slot has one reader; sources share one by `databases`"));
  } else if (ours.schema == theirs.schema && ours.table == theirs.table) {
    diagnostics->Error(path + "/postgres/table", absl::StrCat("table ", ours.schema, ".", ours.table, " is source ",
                                                              other.name, "'s: several steps can read one source"));
  }
}

// State keeps the numbers of the sources that its rows came from, so a source's stays what it is as long as the YAML
// declares the same ones, whatever topics there are. That of a topic of a pattern follows from its name, and lies above
// all others; should two names ask for one number, the later one by name has the next.
void NumberSources(Plan* plan) {
  constexpr int32_t kFirstOfPatterns = int32_t{1} << 30;
  constexpr uint64_t kNumbersOfPatterns = uint64_t{1} << 30;
  const auto declared = [&](const SourcePlan& source) {
    return source.of_pattern() ? source.declared() : source.kept_as();
  };
  std::map<std::string, int32_t> ranks;
  for (const SourcePlan& source : plan->sources) ranks[declared(source)] = 0;
  int32_t rank = 0;
  for (auto& [name, of_it] : ranks) of_it = rank++;
  std::set<uint64_t> taken;
  for (SourcePlan& source : plan->sources) {
    source.order = ranks[declared(source)];
    if (!source.of_pattern()) continue;
    uint64_t number = XXH3_64bits(source.topic.data(), source.topic.size()) % kNumbersOfPatterns;
    while (!taken.insert(number).second) number = (number + 1) % kNumbersOfPatterns;
    source.order = kFirstOfPatterns + static_cast<int32_t>(number);
  }
}

}  // namespace

void CheckSources(const topology::Topology& topology, const FormatList& formats, const std::vector<std::string>* names,
                  Diagnostics* diagnostics, Plan* plan) {
  CheckDatabases(topology, diagnostics);
  for (const topology::Source& stated : topology.sources()) {
    const std::string path = "sources/" + stated.name();
    const topology::Source yaml =
        stated.has_postgres() ? PostgresAsDebezium(WithDatabase(stated, topology, path, diagnostics), path, diagnostics)
                              : stated;
    SourcePlan source;
    source.name = yaml.name();
    source.renamed_from = yaml.renamed_from();
    CheckName(yaml.name(), path, "source", diagnostics);
    const bool outside = yaml.has_files() || yaml.has_http() || yaml.has_postgres();
    source.topic = outside ? IntakeNames{plan->application, yaml.name()}.Topic() : yaml.topic();
    if (!yaml.has_topic() && !yaml.has_topics() && !outside && !diagnostics->Broken(path)) {
      diagnostics->Error(path, "a source has 'topic', 'topics', 'files', 'http' or 'postgres'");
    }
    if (yaml.has_topics()) CheckTopicsOf(yaml, path, diagnostics);
    if (yaml.has_topic()) CheckTopicName(yaml.topic(), path + "/topic", diagnostics);
    CheckStart(yaml, path + "/start", diagnostics, &source.start);
    source.skip_lost = yaml.on_data_loss() == "skip";
    const FormatSyntax* const format = FormatOf(yaml, formats);
    const Reading reading = CheckSourceReading(yaml, formats, path, diagnostics);
    source.columns = CheckColumns(yaml.columns(), format, reading, path + "/columns", false, diagnostics);
    source.format = CheckValueFormat(yaml, formats, path, plan->registry, diagnostics, &source.columns);
    if (diagnostics->incomplete()) continue;
    RefuseIdleReading(yaml, source.columns, path, diagnostics);
    RefuseRawOfManyRows(source.format, formats, source.columns, path, diagnostics);
    source.key_format = CheckKeyFormat(yaml, formats, path, diagnostics, &source.columns);
    CheckEventTime(yaml.event_time(), source.schema(), path + "/event_time", diagnostics, &source.event_time);
    CheckPromise(yaml, formats, path, diagnostics, &source);
    if (outside) CheckOutside(yaml, path, diagnostics, &source);
    // A key format that nothing looks at would do nothing.
    const bool from_key = std::any_of(source.columns.begin(), source.columns.end(),
                                      [](const SourceColumn& c) { return c.from == SourceColumn::From::kKey; });
    const bool changes = format != nullptr && format->tells_changes();
    if (yaml.has_key_format() && !from_key && yaml.partitioned_by().empty() && !changes) {
      diagnostics->Error(path + "/key_format",
                         "key_format has no use here: no column comes `from: key`, and nothing is "
                         "promised by partitioned_by");
    }
    CheckChanges(yaml, format, path, diagnostics, &source);
    if (!yaml.atomic().empty()) CheckTransactions(path, diagnostics, &source);
    if (source.postgres) CheckPostgresKey(source, path, diagnostics);
    for (const SourcePlan& other : plan->sources) RefuseTwice(source, other, path, diagnostics);
    if (yaml.has_topics()) {
      plan->patterns.push_back({yaml.name(), yaml.topics()});
      for (SourcePlan& each : SourcesOfPattern(std::move(source), yaml.topics(), *plan, names, path, diagnostics)) {
        plan->sources.push_back(std::move(each));
      }
      continue;
    }
    plan->sources.push_back(std::move(source));
  }
  std::sort(plan->sources.begin(), plan->sources.end(),
            [](const SourcePlan& a, const SourcePlan& b) { return a.kept_as() < b.kept_as(); });
  NumberSources(plan);
  std::map<std::string, std::string> topics;
  for (size_t i = 0; i < plan->sources.size(); ++i) {
    const auto [it, fresh] = topics.emplace(plan->sources[i].topic, plan->sources[i].name);
    if (!fresh && !plan->sources[i].topic.empty()) {
      const SourcePlan& source = plan->sources[i];
      const std::string path = absl::StrCat("sources/", source.declared(), source.of_pattern() ? "/topics" : "/topic");
      const std::string other = absl::StrCat("sources/", it->second, "/topic");
      diagnostics->Error(path,
                         absl::StrCat("topic ", plan->sources[i].topic, " is already read by source ", it->second,
                                      diagnostics->Elsewhere(other, path), "; several steps can read one source"));
    }
  }
}

}  // namespace tidemark
