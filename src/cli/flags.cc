#include "src/cli/flags.h"

#include <algorithm>
#include <map>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>
#include <gflags/gflags.h>

#include "src/base/status.h"
#include "src/base/suggest.h"

DEFINE_string(config, "", "the topology's YAML file");
DEFINE_string(state_dir, "tidemark-state", "folder of the local state; locked, made where it is missing");
DEFINE_int32(threads, 0, "stream threads; 0: the smaller of cores and the largest partition count");
DEFINE_string(instance_id, "", "name of this worker in its consumer group; default: the host's name");
DEFINE_string(http_certificate, "", "PEM file with a certificate: what is on --http_address is HTTPS then");
DEFINE_string(http_key, "", "PEM file with the key of --http_certificate");
DEFINE_string(http_address, "",
              "host:port of the page, /metrics, /healthz, /readyz and of what is posted to; default 127.0.0.1:9464, or "
              "a free port");
DEFINE_bool(leave_on_stop, false,
            "give up the group membership at the end (scale-in), so that others take over at once");
DEFINE_string(stop_within, "5s", "a stop that takes longer ends the process, as a crash would; from 3s to 1h");
DEFINE_bool(until_end, false, "process what the sources hold now, wait until every sink has it, and exit");
DEFINE_bool(close_windows, false, "with --until_end: close open windows; data for them that comes later will be late");
DEFINE_string(log_format, "text", "text or json");
DEFINE_bool(online, false,
            "also check topics, partition counts, tables in PostgreSQL and write access to lakes; changes nothing");
DEFINE_string(format, "text",
              "text or json; of describe also dot, svg (a picture), kafka (commands that create the topics), yaml (one "
              "file for all "
              "that were read), markdown (a catalogue), openlineage and prometheus-rules");
DEFINE_string(against, "running", "what to compare with: running (what stands under the topology's name), or a file");
DEFINE_string(
    allow_drop, "",
    "steps that the topology no longer has, with commas between: the state that was kept of them is given up; also one "
    "that it has again behind that, which begins empty");
DEFINE_bool(to_earliest, false, "begin where the sources begin");
DEFINE_bool(to_latest, false, "begin with what comes from now on");
DEFINE_string(to_timestamp, "", "begin with the first records that aren't older, such as 2026-01-01T00:00:00Z");
DEFINE_string(to_offsets, "", "begin where this file says: a line `topic partition offset` for each partition");
DEFINE_string(shift_by, "", "begin so much before the records that were read last, such as -1h");
DEFINE_bool(execute, false, "do it; without, it is only told what would be done");
DEFINE_string(brokers, "localhost:9092", "bootstrap servers");
DEFINE_int64(records, 1'000'000, "records to generate");
DEFINE_uint64(seed, 1,
              "of generate: the same seed gives the same records; of test: only the run of this seed, 0 the plain one");
DEFINE_uint64(seeds, 20, "runs of each test with faults, besides the plain one");
DEFINE_int64(record, 0, "with --config and --output: write a test of so many of each source's newest records; 0: none");
DEFINE_bool(update, false, "rewrite what is expected with what the plain run finds");
DEFINE_double(rate, 0, "records a second, paced by the clock; 0: as fast as possible");
DEFINE_double(duplicates, 0.05, "share of records that repeat an earlier one");
DEFINE_double(hot_location, 0, "share of records in location 1; 0: Zipf");
DEFINE_double(late, 0, "share of records that come too late for their window");
DEFINE_int32(partitions, 4, "partitions of the generated topic, where it is made");
DEFINE_int32(idle_partition, -1, "a partition that gets no records; -1: none");
DEFINE_double(idle_from, 0, "with --idle_partition: from this share of the records on");
DEFINE_int64(skip, 0, "records left out at the front: a second call goes on where the first one ended");
DEFINE_double(events_per_second, 10'000, "how fast event time goes by: one record each");
DEFINE_int64(out_of_orderness_ms, 2'000, "event times are up to this much out of order");
DEFINE_int64(locations, 10'000, "locations, by Zipf's law; every hundredth is missing from the table");
DEFINE_int64(cameras, 20'000, "cameras, evenly");
DEFINE_int64(items, 500, "item names, by Zipf's law");
DEFINE_int32(replication_factor, -1, "of topics that are made; -1: the broker's default");
DEFINE_bool(live, false, "event times are the wall clock's");
DEFINE_string(topic, "detections", "topic of the generated records");
DEFINE_string(table_topic, "locations", "topic of the reference table");
DEFINE_string(where, "", "an SQL condition over the columns of dead letters, such as \"reason like '%int64%'\"");
DEFINE_string(set, "", "replay: another value or key, such as \"value = replace(value, ',', '.')\"");
DEFINE_int64(limit, 20, "kinds that are listed, or letters that are shown");
DEFINE_bool(dry_run, false, "only say what would be done");
DEFINE_string(active, "", "the file of the topology that runs now; needed for the first replay of an application");
DEFINE_string(accept_edit, "",
              "the topology is the next version of the active generation's, whose text has this fingerprint");
DEFINE_string(from, "",
              "where a new generation, or a run over a part of the past, begins: earliest, or a time; a generation's "
              "default: where its sources' `start` says");
DEFINE_string(to, "", "with --from: run over the records from there to this time, once, beside what runs, and exit");
DEFINE_string(into, "", "with --to: shadows (targets of its own, beside the real ones; the default), or targets");
DEFINE_string(lakes, "",
              "raw lakes with the records that sources' topics have no more, in place of what sources say by `replay`: "
              "SOURCE=FOLDER, several with commas between");
DEFINE_string(holes, "", "offsets that a raw lake has no record of: stop (the default), or pass");
DEFINE_string(name, "", "with --to: what the run is called; default: made of the two times");
DEFINE_int32(generation, 0, "one that was left: it is built again from where it stands, to go back to");
DEFINE_int64(left_by, 0,
             "with --generation, where it has been built again before: the switch that has left it since, as "
             "`generations list` says");
DEFINE_string(max_live_lag, "2s", "reads nothing while the active generation is further behind its sources' ends");
DEFINE_string(when, "lag < 2s", "how close the new generation has to be before anything happens");
DEFINE_string(within, "2m", "the switch is taken back where it isn't decided after so long");
DEFINE_string(
    verify, "",
    "compare what the two generations have made, and take the switch back where a sink differs by more, such as "
    "\"diff <= 0.1%\"; rows are compared by the columns that both have, or \"diff <= 0.1% in all columns\"");
DEFINE_string(verify_sinks, "", "with --verify: only these sinks and views, with commas between; default: all");
DEFINE_bool(back, false, "only to an earlier generation");
DEFINE_bool(cancel, false, "take back a switch that isn't decided");
DEFINE_string(output, "topology.yaml", "the file to write");

namespace tidemark {
namespace {

std::string Dashed(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::vector<std::string> FlagNames(const Command& command) {
  std::vector<std::string> names;
  for (const std::string& flag : command.flags) names.push_back("--" + flag);
  return names;
}

bool HasFlag(const Command& command, const std::string& flag) {
  return std::find(command.flags.begin(), command.flags.end(), flag) != command.flags.end();
}

// What a word that is no flag was meant to be, where the command takes none.
absl::Status CheckArgument(const Command& command, const std::string& before, const std::string& word) {
  if (!command.arguments.empty()) return absl::OkStatus();
  std::string advice;
  if (word.size() > 1 && word[0] == '-') {
    advice = ": flags begin with two dashes, `--" + word.substr(1) + "`";
  } else if (before.rfind("--", 0) == 0 && before.find('=') == std::string::npos) {
    advice = absl::StrCat(": a switch takes its value after an equals sign, `", before, "=", word, "`");
  } else if (HasFlag(command, "config")) {
    advice = ": the topology's file is named by `--config " + word + "`";
  }
  return absl::InvalidArgumentError(absl::StrCat("tidemark ", command.name, " takes no '", word, "'", advice));
}

}  // namespace

const std::vector<Command>& Commands() {
  static const auto* const commands = new std::vector<Command>{
      {"run",
       "run the topology as a worker of its consumer group",
       {"config",      "state_dir",     "threads",     "instance_id", "http_address",  "http_certificate",
        "http_key",    "leave_on_stop", "stop_within", "until_end",   "close_windows", "allow_drop",
        "accept_edit", "log_format",    "from",        "to",          "into",          "name",
        "lakes",       "holes"},
       {}},
      {"replay",
       "build another generation of the topology beside the one that runs, as a worker of it",
       {"config", "active", "from", "generation", "left_by", "max_live_lag", "lakes", "holes", "state_dir", "threads",
        "instance_id", "http_address", "http_certificate", "http_key", "leave_on_stop", "stop_within", "log_format"},
       {}},
      {"switch",
       "put the generation that was built into the place of the active one",
       {"config", "when", "within", "verify", "verify_sinks", "dry_run", "back", "cancel"},
       {}},
      {"generations",
       "which generations and runs over the past there are: generations list, or generations drop N (or a run's name)",
       {"config"},
       {"list|drop", "[N]"}},
      {"validate", "check a topology and report all its errors", {"config", "online"}, {}},
      {"plan",
       "tell what a change of a topology does to what runs, before it does",
       {"config", "against", "allow_drop", "format"},
       {}},
      {"reset",
       "begin anew under the topology's name, at other places of its sources",
       {"config", "to_earliest", "to_latest", "to_timestamp", "to_offsets", "shift_by", "execute"},
       {}},
      {"resnapshot",
       "take tables of PostgreSQL anew, with what they hold now: resnapshot SOURCE...",
       {"config"},
       {"SOURCE..."}},
      {"test",
       "run tests of topologies: test FILE...",
       {"seeds", "seed", "update", "record", "config", "output"},
       {"FILE..."}},
      {"status",
       "tell how the application runs: what limits it, and what keeps rows from showing",
       {"config", "format"},
       {}},
      {"describe", "show stages, tasks, topics and state of a topology", {"config", "format"}, {}},
      {"dead-letters",
       "what was put aside: dead-letters list, show, last or replay",
       {"config", "where", "limit", "format", "set", "dry_run"},
       {"list|show|last|replay"}},
      {"generate",
       "fill topics with the data of a workload: generate htx",
       {"brokers",    "records",        "seed",      "rate",  "duplicates",  "hot_location",      "late",
        "partitions", "idle_partition", "idle_from", "skip",  "live",        "events_per_second", "out_of_orderness_ms",
        "locations",  "cameras",        "items",     "topic", "table_topic", "replication_factor"},
       {"htx"}},
      {"init", "write a commented topology.yaml", {"output"}, {}},
      {"version", "print the version", {}, {}},
      {"help", "this text, or that of a command", {}, {"[command]"}},
  };
  return *commands;
}

const Command* FindCommand(const std::string& name) {
  for (const Command& command : Commands()) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

absl::Status UnknownCommand(const std::string& name) {
  std::vector<std::string> names;
  for (const Command& command : Commands()) names.push_back(command.name);
  std::string hint = DidYouMean(name, names);
  if (hint.empty()) hint = absl::StrCat(" (one of: ", absl::StrJoin(names, ", "), ")");
  return absl::InvalidArgumentError(absl::StrCat("unknown command '", name, "'", hint));
}

absl::StatusOr<ParsedLine> ParseCommandLine(int argc, char** argv) {
  ParsedLine line;
  if (argc < 2 || std::string(argv[1]) == "--help" || std::string(argv[1]) == "-h") {
    line.command = FindCommand("help");
    return line;
  }
  const std::string name = argv[1];
  line.command = FindCommand(name == "--version" ? "version" : name);
  if (line.command == nullptr) return UnknownCommand(name);
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--help" || word == "-h") {
      line.arguments = {line.command->name};
      line.command = FindCommand("help");
      return line;
    }
    if (word.rfind("--", 0) != 0) {
      TM_RETURN_IF_ERROR(CheckArgument(*line.command, argv[i - 1], word));
      line.arguments.push_back(word);
      continue;
    }
    const size_t equals = word.find('=');
    std::string flag = word.substr(2, equals == std::string::npos ? std::string::npos : equals - 2);
    std::replace(flag.begin(), flag.end(), '-', '_');
    if (!HasFlag(*line.command, flag)) {
      return absl::InvalidArgumentError(absl::StrCat("tidemark ", name, " has no flag '", word, "'",
                                                     DidYouMean("--" + flag, FlagNames(*line.command))));
    }
    const gflags::CommandLineFlagInfo info = gflags::GetCommandLineFlagInfoOrDie(flag.c_str());
    std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (equals == std::string::npos) {
      if (info.type == "bool") {
        value = "true";
      } else if (i + 1 < argc) {
        value = argv[++i];
      } else {
        return absl::InvalidArgumentError(absl::StrCat("--", flag, " needs a value (", info.type, ")"));
      }
    }
    if (gflags::SetCommandLineOption(flag.c_str(), value.c_str()).empty()) {
      return absl::InvalidArgumentError(absl::StrCat("--", flag, ": '", value, "' is not a valid ", info.type));
    }
  }
  return line;
}

std::string HelpText(const Command* command) {
  std::string text;
  if (command == nullptr) {
    absl::StrAppend(&text, "tidemark: exactly-once stream processing from Kafka to Kafka, PostgreSQL and Parquet\n\n",
                    "usage: tidemark COMMAND [flags]\n\n");
    for (const Command& each : Commands()) absl::StrAppendFormat(&text, "  %-13s %s\n", each.name, each.summary);
    absl::StrAppend(&text, "\ntidemark help COMMAND shows its flags. Exit codes: 0 done, 1 failed, ",
                    "start it again, 2 another start won't help, the message says what will; ",
                    "of plan also 3, something needs a decision, and of switch, the generations differ.\n");
    return text;
  }
  absl::StrAppend(&text, "tidemark ", command->name);
  for (const std::string& argument : command->arguments) absl::StrAppend(&text, " ", argument);
  absl::StrAppend(&text, ": ", command->summary, "\n");
  for (const std::string& flag : command->flags) {
    const gflags::CommandLineFlagInfo info = gflags::GetCommandLineFlagInfoOrDie(flag.c_str());
    const std::string fallback = info.default_value.empty() ? "" : absl::StrCat(" (", info.default_value, ")");
    absl::StrAppendFormat(&text, "  --%-16s %s%s\n", Dashed(flag), info.description, fallback);
  }
  return text;
}

}  // namespace tidemark
