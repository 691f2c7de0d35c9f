// Sinks: their defaults, what they ask of their step, and what nothing reads.
#include <algorithm>
#include <map>
#include <set>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/suggest.h"
#include "src/expr/expression.h"
#include "src/plan/lake_spec.h"
#include "src/plan/logical.h"

namespace tidemark {
namespace {

constexpr size_t kPostgresNameBytes = 63;
constexpr size_t kPostgresColumns = 1'600;

class SinkCheck {
 public:
  // `step` is null where the step it reads has an error: then only what the sink says by itself is checked.
  SinkCheck(const topology::Sink& yaml, const FormatList& formats, const LogicalStep* step, Diagnostics* diagnostics)
      : yaml_(yaml), formats_(formats), step_(step), diagnostics_(*diagnostics), path_("sinks/" + yaml.name()) {}

  std::optional<SinkPlan> Run();

 private:
  void KafkaAlone(KafkaSinkSpec* spec);
  void PostgresAlone(PostgresSinkSpec* spec);
  void ParquetAlone(ParquetSinkSpec* spec);
  bool Kafka(KafkaSinkSpec* spec);
  bool PostgresColumns();
  bool PostgresTable(PostgresSinkSpec* spec);
  bool ParquetLake(ParquetSinkSpec* spec);
  bool Webhook(WebhookSpec* spec);
  bool Freshness(const ParquetSinkSpec& parquet, SinkPlan* out);
  bool PartitionBy(ParquetSinkSpec* spec);
  bool CheckValue(const KafkaSinkSpec& spec);
  bool CheckKey(const KafkaSinkSpec& spec);
  std::vector<size_t> ValueColumns(const KafkaSinkSpec& spec, const Schema& schema) const;
  // An upsert key must contain the step's key, or rows of different keys would overwrite each other.
  bool CheckUpsertKey(const std::vector<size_t>& key, const std::string& field);
  bool Error(const std::string& field, std::string_view message) {
    diagnostics_.Error(field.empty() ? path_ : absl::StrCat(path_, "/", field), message);
    return false;
  }
  bool Present(const std::string& field) const { return diagnostics_.Present(absl::StrCat(path_, "/", field)); }
  std::string StepKey() const { return ColumnNames(step_->output, step_->mode.key); }

  const topology::Sink& yaml_;
  const FormatList& formats_;
  const LogicalStep* const step_;
  Diagnostics& diagnostics_;
  const std::string path_;
};

std::optional<SinkPlan> SinkCheck::Run() {
  const int kinds =
      int{yaml_.has_topic()} + int{yaml_.has_postgres()} + int{yaml_.has_parquet()} + int{yaml_.has_webhook()};
  if (kinds != 1) {
    if (kinds == 0 && diagnostics_.Broken(path_)) return std::nullopt;
    Error("", "a sink writes to one of: topic, postgres, parquet, webhook");
    return std::nullopt;
  }
  if (!yaml_.has_topic()) {
    for (const char* field : {"format", "key", "key_format", "mode", "headers", "compression", "create"}) {
      if (Present(field)) {
        Error(field, absl::StrCat("'", field, "' beside `from` is for Kafka sinks",
                                  yaml_.has_postgres()  ? "; move it into postgres: {...}"
                                  : yaml_.has_webhook() ? "; move it into webhook: {...}"
                                                        : ""));
      }
    }
  }
  KafkaSinkSpec kafka;
  PostgresSinkSpec postgres;
  ParquetSinkSpec parquet;
  WebhookSpec webhook;
  if (yaml_.has_topic()) KafkaAlone(&kafka);
  if (yaml_.has_postgres()) PostgresAlone(&postgres);
  if (yaml_.has_parquet()) ParquetAlone(&parquet);
  if (yaml_.has_webhook()) webhook = ReadWebhook(yaml_.webhook(), path_ + "/webhook", &diagnostics_);
  if (step_ == nullptr) return std::nullopt;
  SinkPlan out;
  out.name = yaml_.name();
  out.renamed_from = yaml_.renamed_from();
  out.from = yaml_.from();
  out.schema = step_->output;
  out.mode = step_->mode;
  const bool good = yaml_.has_topic()      ? Kafka(&kafka)
                    : yaml_.has_postgres() ? PostgresTable(&postgres)
                    : yaml_.has_parquet()  ? ParquetLake(&parquet)
                                           : Webhook(&webhook);
  if (!Freshness(parquet, &out)) return std::nullopt;
  if (!good || diagnostics_.Broken(path_)) return std::nullopt;
  if (yaml_.has_topic()) out.spec = std::move(kafka);
  if (yaml_.has_postgres()) out.spec = std::move(postgres);
  if (yaml_.has_parquet()) out.spec = std::move(parquet);
  if (yaml_.has_webhook()) out.spec = std::move(webhook);
  return out;
}

bool SinkCheck::CheckUpsertKey(const std::vector<size_t>& key, const std::string& field) {
  if (key.empty()) {
    return Error(Present(field) ? field : "",
                 absl::StrCat("mode: upsert needs a key", step_->mode.update ? " that contains " + StepKey() : ""));
  }
  for (const size_t k : step_->mode.key) {
    if (std::find(key.begin(), key.end(), k) == key.end()) {
      return Error(field, absl::StrCat("rows of ", step_->name, " replace each other by (", StepKey(),
                                       "): the key must contain ", step_->output[k].name));
    }
  }
  return true;
}

bool SinkCheck::CheckValue(const KafkaSinkSpec& spec) {
  std::vector<FormatColumn> columns;
  for (const size_t c : spec.value) {
    columns.push_back({step_->output[c], {step_->output[c].name}, path_ + (Present("format") ? "/format" : "")});
  }
  return CheckFormat(spec.format, formats_, FormatUse::kWriteValue, path_ + "/format", columns, &diagnostics_);
}

bool SinkCheck::CheckKey(const KafkaSinkSpec& spec) {
  if (spec.key.empty()) return Present("key_format") ? Error("key_format", "key_format goes with key") : true;
  std::vector<FormatColumn> columns;
  for (const size_t c : spec.key) {
    columns.push_back({step_->output[c], {step_->output[c].name}, path_ + "/key"});
  }
  if (!CheckFormat(spec.key_format, formats_, FormatUse::kWriteKey, path_ + "/key", columns, &diagnostics_)) {
    return false;
  }
  const FormatSyntax* format = FindFormat(formats_, spec.key_format.name);
  const Column& first = step_->output[spec.key[0]];
  if (spec.upsert && !format->holds_names() && first.nullable) {
    return Error("key", absl::StrCat("column ", first.name,
                                     " can be null, and a record without key can't replace another; "
                                     "use key_format: json, or coalesce it in a project step"));
  }
  return true;
}

// What a value holds: of a format that is one column as a whole, the one that isn't in the key.
std::vector<size_t> SinkCheck::ValueColumns(const KafkaSinkSpec& spec, const Schema& schema) const {
  const FormatSyntax* format = FindFormat(formats_, spec.format.name);
  const bool one = format != nullptr && !format->holds_names();
  std::vector<size_t> columns;
  for (size_t c = 0; c < schema.size(); ++c) {
    if (one && schema.size() > 1 && std::find(spec.key.begin(), spec.key.end(), c) != spec.key.end()) continue;
    columns.push_back(c);
  }
  return columns;
}

void SinkCheck::KafkaAlone(KafkaSinkSpec* spec) {
  spec->topic = yaml_.topic();
  CheckTopicName(spec->topic, path_ + "/topic", &diagnostics_);
  const auto read = [&](const topology::Format& yaml, FormatUse use, const char* field, FormatSpec* format) {
    const std::string at = absl::StrCat(path_, "/", field);
    auto stated = ReadFormat(yaml, formats_, use, at, &diagnostics_);
    if (!stated) return;
    *format = *std::move(stated);
    FindFormat(formats_, format->name)->Complete(spec->topic, use, format);
  };
  if (yaml_.has_format()) read(yaml_.format(), FormatUse::kWriteValue, "format", &spec->format);
  if (yaml_.has_key_format()) read(yaml_.key_format(), FormatUse::kWriteKey, "key_format", &spec->key_format);
  for (const topology::Entry& header : yaml_.headers()) spec->headers.emplace_back(header.name(), header.value());
  spec->compression = yaml_.has_compression() ? yaml_.compression() : "lz4";
  if (yaml_.has_create()) spec->create = ReadTopicCreation(yaml_.create(), path_ + "/create", &diagnostics_);
}

bool SinkCheck::Kafka(KafkaSinkSpec* spec) {
  const auto key = FindKeyColumns(yaml_.key(), step_->output, path_ + "/key", "step " + step_->name, &diagnostics_);
  if (!key) return false;
  spec->key = *key;
  spec->upsert = yaml_.has_mode() ? yaml_.mode() == "upsert" : step_->mode.update;
  if (step_->mode.update && !spec->upsert) {
    return Error("mode", absl::StrCat("step ", step_->name, " updates its rows (key ", StepKey(),
                                      "), which an append sink can't show: use mode: upsert with that key",
                                      OrOnClose(step_->closes)));
  }
  if (spec->upsert && !CheckUpsertKey(spec->key, "key")) return false;
  if (diagnostics_.Broken(path_ + "/format") || diagnostics_.Broken(path_ + "/key_format")) return false;
  spec->value = ValueColumns(*spec, step_->output);
  return CheckKey(*spec) && CheckValue(*spec);
}

void SinkCheck::PostgresAlone(PostgresSinkSpec* spec) {
  const topology::Postgres& yaml = yaml_.postgres();
  spec->url = yaml.url();
  spec->schema = yaml.has_schema() ? yaml.schema() : "public";
  spec->table = yaml.table();
  spec->create = !yaml.has_create() || yaml.create();
  spec->add_columns = yaml.evolve() == "add_columns";
  if (spec->add_columns && !spec->create) {
    Error("postgres/evolve", "`create: false` leaves tables to others, and so their columns: leave one of the two out");
  }
  if (spec->url.empty() && Present("postgres/url")) {
    Error("postgres/url", "expected a PostgreSQL URL such as postgresql://user@host:5432/database");
  }
  for (const auto& [field, name] : {std::pair{"schema", &spec->schema}, std::pair{"table", &spec->table}}) {
    const std::string at = absl::StrCat("postgres/", field);
    if (name->size() > kPostgresNameBytes || (name->empty() && Present(at))) {
      Error(at, "PostgreSQL's names have 1 to 63 bytes");
    }
  }
}

// PostgreSQL cuts longer names without a word, which makes another table than the one that is written to.
bool SinkCheck::PostgresColumns() {
  if (step_->output.size() > kPostgresColumns) {
    return Error("postgres", absl::StrCat("step ", step_->name, " has ", step_->output.size(),
                                          " columns, and a PostgreSQL table at most ", kPostgresColumns,
                                          ": leave some out in a project step"));
  }
  bool good = true;
  for (const Column& column : step_->output.columns()) {
    if (column.name.size() <= kPostgresNameBytes) continue;
    good = Error("postgres", absl::StrCat("column ", column.name, " of step ", step_->name, " has a name of ",
                                          column.name.size(), " bytes, and PostgreSQL's have at most ",
                                          kPostgresNameBytes, ": rename it in a project step"));
  }
  return good;
}

bool SinkCheck::PostgresTable(PostgresSinkSpec* spec) {
  if (!PostgresColumns()) return false;
  const topology::Postgres& yaml = yaml_.postgres();
  const auto key =
      FindKeyColumns(yaml.key(), step_->output, path_ + "/postgres/key", "step " + step_->name, &diagnostics_);
  if (!key) return false;
  spec->key = *key;
  spec->upsert = yaml.has_mode() ? yaml.mode() == "upsert" : !spec->key.empty();
  if (step_->mode.update && !spec->upsert) {
    return Error(Present("postgres/mode") ? "postgres/mode" : "postgres",
                 absl::StrCat("step ", step_->name,
                              " updates its rows, which mode: insert can't show: use mode: upsert "
                              "with a key that contains ",
                              StepKey(), OrOnClose(step_->closes)));
  }
  if (spec->upsert && !CheckUpsertKey(spec->key, "postgres/key")) return false;
  if (!spec->upsert && !spec->key.empty()) return Error("postgres/key", "a key goes with mode: upsert");
  for (const size_t k : spec->key) {
    if (!step_->output[k].nullable) continue;
    Error("postgres/key", absl::StrCat("column ", step_->output[k].name,
                                       " can be null, which a primary key can't hold; "
                                       "coalesce it in a project step"));
  }
  return true;
}

bool SinkCheck::PartitionBy(ParquetSinkSpec* spec) {
  const Schema schema = LakeSchema(step_->output, spec->changes);
  std::set<std::string> names;
  for (const topology::Entry& item : yaml_.parquet().partition_by()) {
    const std::string field = "parquet/partition_by/" + item.name();
    const bool is_column = item.value().empty() && schema.Find(item.name());
    ParquetSinkSpec::PartitionColumn partition;
    partition.expression = is_column ? QuoteIdentifier(item.name()) : item.value().empty() ? item.name() : item.value();
    partition.name = item.name();
    if (item.value().empty() && !is_column) {
      // A bare call names its folder after the function.
      const std::string call = item.name().substr(0, item.name().find('('));
      const bool named =
          call.size() < item.name().size() && !call.empty() &&
          std::all_of(call.begin(), call.end(), [](char c) { return absl::ascii_islower(c) || c == '_'; });
      if (named) partition.name = call;
    }
    const auto expression = Expression::Compile(partition.expression, schema);
    const std::string at = absl::StrCat(path_, "/", field);
    if (!expression.ok()) {
      const auto byte = ErrorPosition(expression.status());
      diagnostics_.ErrorInside(at, partition.expression, byte.value_or(-1), std::string(expression.status().message()));
      continue;
    }
    const Kind kind = expression->type().kind;
    if (kind == Kind::kDouble || kind == Kind::kBytes || kind == Kind::kTimestamp || kind == Kind::kDecimal ||
        kind == Kind::kJson) {
      Error(field, absl::StrCat("a folder can't be named by ", TypeName(expression->type()),
                                "; use date(), date_trunc or a cast"));
    } else if (partition.name.find_first_of("/=()\" ") != std::string::npos || absl::StartsWith(partition.name, "__")) {
      Error(field, absl::StrCat("'", partition.name, "' can't name a folder; write { name: \"", item.name(), "\" }"));
    } else if (!names.insert(partition.name).second) {
      Error(field, absl::StrCat("folder name '", partition.name, "' stands here twice"));
    } else if (const auto column = schema.Find(partition.name);
               column && (expression->AsColumn() != column || *column >= step_->output.size())) {
      // One that tells what a change is has to stand in the file: the folders' names aren't read there.
      const std::string whose = *column < step_->output.size() ? step_->name : "each change, which stays in the file";
      Error(field, absl::StrCat("folder name '", partition.name, "' is also a column of ", whose,
                                "; give it another: "
                                "{ name: \"",
                                partition.expression, "\" }"));
    } else {
      spec->partition_by.push_back(std::move(partition));
    }
  }
  return !diagnostics_.Broken(path_);
}

void SinkCheck::ParquetAlone(ParquetSinkSpec* spec) {
  const topology::Parquet& yaml = yaml_.parquet();
  spec->path = yaml.path();
  spec->changes = yaml.mode() == "changes";
  const std::string wrong = WrongLakePath(spec->path);
  if (!wrong.empty() && Present("parquet/path")) Error("parquet/path", wrong);
  if (yaml.has_max_bytes()) spec->max_bytes = yaml.max_bytes();
  if (yaml.has_max_age()) spec->max_age_us = yaml.max_age();
  if (spec->max_bytes < (1 << 10)) Error("parquet/max_bytes", "expected 1KiB or more");
  if (spec->max_age_us < kMillisecond) Error("parquet/max_age", "max_age must be longer than nothing");
}

bool SinkCheck::ParquetLake(ParquetSinkSpec* spec) {
  if (step_->mode.update && !spec->changes) {
    return Error(Present("parquet/mode") ? "parquet/mode" : "parquet",
                 absl::StrCat("step ", step_->name, " updates its rows (key ", StepKey(),
                              "), and a row in a Parquet file can't be changed: write every change as a row of its own "
                              "with mode: changes",
                              OrOnClose(step_->closes)));
  }
  if (spec->changes && !step_->mode.update) {
    return Error("parquet/mode", absl::StrCat("step ", step_->name, " only adds rows: mode: append"));
  }
  if (spec->changes) {
    for (const char* name : {kLakeOp, kLakeTime, kLakePartition, kLakeOffset, kLakeRow}) {
      if (step_->output.Find(name)) {
        return Error("parquet/mode", absl::StrCat("column ", name, " of step ", step_->name,
                                                  " has the name of one that mode: changes adds; rename it in a "
                                                  "project step"));
      }
    }
  }
  return PartitionBy(spec);
}

// Each row is posted once or more, so it has to stand by itself.
bool SinkCheck::Webhook(WebhookSpec* spec) {
  if (step_->mode.update) {
    return Error("webhook", absl::StrCat("step ", step_->name, " updates its rows (key ", StepKey(),
                                         "), and what was posted can't be taken back", OrOnClose(step_->closes)));
  }
  const auto id =
      FindKeyColumns(yaml_.webhook().id(), step_->output, path_ + "/webhook/id", "step " + step_->name, &diagnostics_);
  if (!id) return false;
  spec->id = *id;
  return true;
}

// A file that is closed after max_age shows its first row when that is so old.
bool SinkCheck::Freshness(const ParquetSinkSpec& parquet, SinkPlan* out) {
  if (!yaml_.has_freshness()) return true;
  out->freshness = ReadFreshness(yaml_.freshness(), path_ + "/freshness", &diagnostics_);
  if (!out->freshness) return false;
  if (!yaml_.has_parquet() || out->freshness->warn_us > parquet.max_age_us) return true;
  return Error("freshness",
               "files are closed `max_age` after their first row, so that `warn` has to be longer than "
               "that, or there would be an alarm for every file: state another `parquet: { max_age }`");
}

// Sources, steps and tables that nothing reads would be work for nothing: more likely a mistyped `from`.
void RefuseUnread(const topology::Topology& topology, const Logical& logical, const Plan& plan,
                  Diagnostics* diagnostics) {
  if (diagnostics->Lost("steps") || diagnostics->Lost("sinks") || diagnostics->Lost("views")) return;
  std::set<std::string> read = logical.read;
  for (const topology::Sink& sink : topology.sinks()) {
    if (sink.from().empty()) return;  // that is reported, and what it would have read isn't known
    read.insert(sink.from());
  }
  for (const topology::View& view : topology.views()) {
    if (view.from().empty()) return;
    read.insert(view.from());
  }
  std::set<std::string> unread;
  for (const SourcePlan& source : plan.sources) {
    if (read.contains(source.declared()) || !unread.insert(source.declared()).second) continue;
    diagnostics->Error("sources/" + source.declared(),
                       absl::StrCat("no step, sink or view reads source '", source.declared(), "'"));
  }
  for (const topology::Step& step : topology.steps()) {
    if (!read.contains(step.name())) {
      diagnostics->Error("steps/" + step.name(), absl::StrCat("no step, sink or view reads step '", step.name(), "'"));
    }
  }
  for (const TablePlan& table : plan.tables) {
    if (!logical.joined.contains(table.name)) {
      diagnostics->Error("tables/" + table.name, absl::StrCat("no step joins table '", table.name, "'"));
    }
  }
}

// Who writes records of its own into a topic.
struct Writer {
  std::string path, label;
  const Schema* schema;
  const KafkaSinkSpec* sink;  // null: late or unmatched rows

  // What its readers rely on, the columns in any order.
  std::string Columns() const {
    std::vector<std::string> columns;
    for (const Column& column : schema->columns()) columns.push_back(column.name + " " + TypeName(column.type));
    std::sort(columns.begin(), columns.end());
    return absl::StrCat("columns (", absl::StrJoin(columns, ", "), ")");
  }
  std::string Key() const {
    if (sink == nullptr || sink->key.empty()) return "no key";
    return absl::StrCat("key (", ColumnNames(*schema, sink->key), ") in key_format: ", sink->key_format.ToString());
  }
  std::string Format() const {
    return absl::StrCat("format: ", sink == nullptr ? std::string(kJsonFormat) : sink->format.ToString());
  }
  std::string Mode() const { return sink != nullptr && sink->upsert ? "mode: upsert" : "mode: append"; }
  std::string Compression() const { return "compression: " + (sink == nullptr ? "lz4" : sink->compression); }
};

// Records of one topic are told apart by nothing: its readers take them all for the same.
void CheckSharedTopics(const Logical& logical, const Plan& plan, Diagnostics* diagnostics) {
  std::map<std::string, Writer> first;
  const auto add = [&](const std::string& topic, const Writer& writer) {
    const auto [at, is_first] = first.emplace(topic, writer);
    if (is_first) return;
    for (const auto say : {&Writer::Columns, &Writer::Format, &Writer::Key, &Writer::Mode, &Writer::Compression}) {
      const std::string ours = (writer.*say)(), theirs = (at->second.*say)();
      if (ours == theirs) continue;
      diagnostics->Error(writer.path,
                         absl::StrCat(writer.label, " writes topic ", topic, " with ", ours, ", ", at->second.label,
                                      " with ", theirs, ": give each a topic of its own, or make them equal"));
      return;
    }
  };
  for (const SinkPlan& sink : plan.sinks) {
    const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec);
    if (kafka != nullptr && !sink.view)
      add(kafka->topic, {"sinks/" + sink.name + "/topic", "sink " + sink.name, &sink.schema, kafka});
  }
  for (const LogicalStep& step : logical.steps) {
    if (!step.usable) continue;
    for (const LogicalStep::Side& side : step.sides) {
      add(side.topic.topic, {side.path, absl::StrCat(side.topic.name, " of step ", step.name),
                             &step.in(side.topic.port).schema, nullptr});
    }
  }
}

// Output that would come back as input, or mix with dead letters.
void CheckTopics(const topology::Topology& topology, const Logical& logical, const Plan& plan,
                 Diagnostics* diagnostics) {
  const auto check = [&](const std::string& topic, const std::string& path) {
    for (const SourcePlan& source : plan.sources) {
      if (source.topic == topic && !topic.empty()) {
        diagnostics->Error(path, absl::StrCat("source ", source.name, " reads topic ", topic,
                                              ": the topology would read its own output"));
      }
    }
    for (const TablePlan& table : plan.tables) {
      if (table.topic == topic && !topic.empty()) {
        diagnostics->Error(path, absl::StrCat("table ", table.name, " reads topic ", topic,
                                              ": the topology would read its own output"));
      }
    }
  };
  for (const topology::Sink& sink : topology.sinks()) {
    const std::string path = "sinks/" + sink.name() + "/topic";
    check(sink.topic(), path);
    if (sink.has_topic() && sink.topic() == plan.dead_letter_topic) {
      diagnostics->Error(path, absl::StrCat("topic ", sink.topic(), " holds the dead letters; see dead_letter.topic"));
    }
  }
  for (const LogicalStep& step : logical.steps) {
    for (const LogicalStep::Side& side : step.sides) check(side.topic.topic, side.path);
  }
  check(plan.dead_letter_topic, "dead_letter/topic");
}

}  // namespace

void CheckSinks(const topology::Topology& topology, const FormatList& formats, const Logical& logical,
                Diagnostics* diagnostics, Plan* plan) {
  std::vector<std::string> names;
  for (const SourcePlan& source : plan->sources) names.push_back(source.declared());
  for (const topology::Step& step : topology.steps()) names.push_back(step.name());
  for (const topology::Sink& yaml : topology.sinks()) {
    const std::string path = "sinks/" + yaml.name();
    CheckName(yaml.name(), path, "sink", diagnostics);
    if (std::find(names.begin(), names.end(), yaml.name()) != names.end()) {
      const std::string source = "sources/" + yaml.name(), step = "steps/" + yaml.name();
      diagnostics->Error(path,
                         absl::StrCat("'", yaml.name(), "' is the name of a source or step already",
                                      diagnostics->Elsewhere(diagnostics->Present(source) ? source : step, path)));
    }
    if (yaml.from().empty()) continue;
    const bool all_known = !diagnostics->Lost("sources") && !diagnostics->Lost("steps");
    if (std::find(names.begin(), names.end(), yaml.from()) == names.end()) {
      if (all_known)
        diagnostics->Error(path + "/from",
                           absl::StrCat("unknown source or step '", yaml.from(), "'", DidYouMean(yaml.from(), names)));
      SinkCheck(yaml, formats, nullptr, diagnostics).Run();
      continue;
    }
    const auto step = logical.by_name.find(yaml.from());  // missing: part of a cycle
    const LogicalStep* from = nullptr;
    if (step != logical.by_name.end()) from = &logical.steps[static_cast<size_t>(step->second)];
    auto sink = SinkCheck(yaml, formats, from != nullptr && from->usable ? from : nullptr, diagnostics).Run();
    if (!sink) continue;
    CheckAtomic(yaml, *plan, logical, *sink, diagnostics);
    plan->sinks.push_back(*std::move(sink));
  }
  CheckViews(topology, logical, diagnostics, plan);
  std::sort(plan->sinks.begin(), plan->sinks.end(),
            [](const SinkPlan& a, const SinkPlan& b) { return a.name < b.name; });
  if (topology.sinks().empty() && diagnostics->Present("sinks"))
    diagnostics->Error("sinks", "at least one sink is needed");
  RefuseUnread(topology, logical, *plan, diagnostics);
  CheckTopics(topology, logical, *plan, diagnostics);
  CheckSharedTopics(logical, *plan, diagnostics);
}

}  // namespace tidemark
