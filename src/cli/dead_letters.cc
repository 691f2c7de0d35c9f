#include "src/cli/dead_letters.h"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>
#include <arrow/array.h>
#include <arrow/util/utf8.h>

#include "src/base/clock.h"
#include "src/base/json_text.h"
#include "src/base/status.h"
#include "src/codec/column_text.h"
#include "src/codec/json/value_writer.h"
#include "src/expr/expression.h"
#include "src/runtime/letter_replay.h"
#include "src/runtime/letters.h"
#include "src/runtime/topics.h"

namespace tidemark {
namespace {

// Different reasons that are told apart; a reason may quote what it is about.
constexpr size_t kMostGroups = 10'000;
// `last` looks at so many offsets before the end of each partition.
constexpr Offset kLastOffsets = 5'000;

std::string Counted(int64_t n, const char* what) { return absl::StrFormat("%d %s%s", n, what, n == 1 ? "" : "s"); }

std::string TimeOf(int64_t ms) {
  return ms < 0 ? "no time" : TimestampText(ms * kMillisecond, TimestampForm::kRfc3339);
}

std::string PlaceOf(const Letter& letter) { return absl::StrCat(ToString(letter.log), "@", letter.offset); }

absl::StatusOr<Expression> CompileOver(const std::string& flag, const std::string& sql) {
  absl::StatusOr<Expression> compiled = Expression::Compile(sql, LetterSchema());
  if (compiled.ok()) return compiled;
  const std::optional<int> at = ErrorPosition(compiled.status());
  return absl::InvalidArgumentError(absl::StrCat("--", flag, at ? absl::StrCat(", at '", sql.substr(*at), "'") : "",
                                                 ": ", compiled.status().message()));
}

// --where: the letters for which it is true. One on which it can't be computed isn't chosen.
class Choice {
 public:
  static absl::StatusOr<Choice> Make(const std::string& where) {
    Choice choice;
    if (where.empty()) return choice;
    TM_ASSIGN_OR_RETURN(choice.condition_, CompileOver("where", where));
    if (choice.condition_->type().kind != Kind::kBool) {
      return absl::InvalidArgumentError(
          absl::StrCat("--where is no condition: it gives a ", TypeName(choice.condition_->type())));
    }
    return choice;
  }

  absl::StatusOr<std::vector<Letter>> Of(std::vector<Letter> letters) const {
    if (!condition_) return letters;
    std::vector<RowError> errors;
    TM_ASSIGN_OR_RETURN(const auto found, condition_->Evaluate(*LetterRows(letters), &errors));
    const auto& chosen = static_cast<const arrow::BooleanArray&>(*found);
    std::vector<Letter> of;
    for (int64_t i = 0; i < chosen.length(); ++i) {
      if (chosen.IsValid(i) && chosen.Value(i)) of.push_back(std::move(letters[static_cast<size_t>(i)]));
    }
    return of;
  }

 private:
  std::optional<Expression> condition_;
};

// --set: another key or value, computed from the letter.
class Change {
 public:
  static absl::StatusOr<Change> Make(const std::string& set) {
    Change change;
    if (set.empty()) return change;
    const size_t equals = set.find('=');
    std::string name = set.substr(0, equals);
    absl::StripAsciiWhitespace(&name);
    if (equals == std::string::npos || (name != "value" && name != "key")) {
      return absl::InvalidArgumentError(
          absl::StrCat("--set: expected `value = EXPRESSION` or `key = EXPRESSION`, found '", set, "'"));
    }
    change.of_key_ = name == "key";
    TM_ASSIGN_OR_RETURN(change.expression_, CompileOver("set", set.substr(equals + 1)));
    const Kind kind = change.expression_->type().kind;
    if (kind != Kind::kString && kind != Kind::kJson && kind != Kind::kBytes) {
      return absl::InvalidArgumentError(absl::StrCat("--set: a ", name, " is text, json or bytes, and this is a ",
                                                     TypeName(change.expression_->type())));
    }
    return change;
  }

  // `failed` gets what couldn't be changed, with why; the others are left in `letters`.
  absl::Status Apply(std::vector<Letter>* letters, std::map<std::string, int64_t>* failed) const {
    if (!expression_) return absl::OkStatus();
    std::vector<RowError> errors;
    TM_ASSIGN_OR_RETURN(const auto found, expression_->Evaluate(*LetterRows(*letters), &errors));
    const auto& made = static_cast<const arrow::BinaryArray&>(*found);
    std::vector<Letter> changed;
    size_t error = 0;
    for (int64_t i = 0; i < made.length(); ++i) {
      Letter& letter = (*letters)[static_cast<size_t>(i)];
      if (error < errors.size() && errors[error].row == i) {
        ++(*failed)["--set fails on them: " + errors[error++].message];
      } else if (made.IsNull(i)) {
        ++(*failed)["--set gives NULL for them"];
      } else {
        (of_key_ ? letter.key : letter.value) = made.GetString(i);
        changed.push_back(std::move(letter));
      }
    }
    *letters = std::move(changed);
    return absl::OkStatus();
  }

 private:
  bool of_key_ = false;
  std::optional<Expression> expression_;
};

absl::Status ForChosen(const Plan& plan, KafkaClient& kafka, const DeadLetterOptions& options,
                       absl::FunctionRef<absl::Status(std::vector<Letter>)> take, Offset newest = 0) {
  TM_ASSIGN_OR_RETURN(const Choice choice, Choice::Make(options.where));
  const auto chosen_of = [&](std::vector<Letter> letters) -> absl::Status {
    TM_ASSIGN_OR_RETURN(std::vector<Letter> chosen, choice.Of(std::move(letters)));
    return chosen.empty() ? absl::OkStatus() : take(std::move(chosen));
  };
  for (const std::string& topic : LetterTopics(plan)) {
    const absl::Status read = ReadLetters(kafka, *SystemClock(), topic, chosen_of, newest);
    // That of a step which no worker has run yet.
    if (absl::IsInvalidArgument(read) && topic != plan.dead_letter_topic) continue;
    TM_RETURN_IF_ERROR(read);
  }
  return absl::OkStatus();
}

// ---- list ----------------------------------------------------------------------------------------------------------

struct Group {
  std::string step, reason;
  int64_t letters = 0, replayed = 0;
  int64_t first_ms = -1, last_ms = -1;
  std::string newest;  // its place
};

void PrintGroup(const Group& group, bool json, std::ostream& out) {
  if (!json) {
    out << absl::StrFormat("%9d  %-24s  %s\n", group.letters, group.step, group.reason);
    out << absl::StrFormat("%9s  %s to %s, the last at %s%s\n", "", TimeOf(group.first_ms), TimeOf(group.last_ms),
                           group.newest,
                           group.replayed == 0 ? "" : absl::StrCat("; ", group.replayed, " were replayed"));
    return;
  }
  std::string line = absl::StrCat("{\"letters\":", group.letters, ",\"replayed\":", group.replayed, ",\"step\":");
  AppendJsonString(group.step, &line);
  line += ",\"reason\":";
  AppendJsonString(group.reason, &line);
  absl::StrAppend(&line, ",\"first\":\"", TimeOf(group.first_ms), "\",\"last\":\"", TimeOf(group.last_ms),
                  "\",\"newest\":\"", group.newest, "\"}\n");
  out << line;
}

absl::Status List(const Plan& plan, KafkaClient& kafka, const DeadLetterOptions& options, std::ostream& out) {
  LetterReplay replay(plan, kafka, *SystemClock());
  TM_RETURN_IF_ERROR(replay.Open(/*write=*/false));
  std::map<std::pair<std::string, std::string>, Group> groups;
  int64_t total = 0;
  TM_RETURN_IF_ERROR(ForChosen(plan, kafka, options, [&](std::vector<Letter> letters) {
    for (const Letter& letter : letters) {
      std::pair<std::string, std::string> key{letter.step, letter.reason};
      if (groups.size() >= kMostGroups && !groups.contains(key)) key.second = "(other reasons)";
      Group& group = groups[key];
      if (group.letters == 0) group.first_ms = letter.timestamp_ms;
      std::tie(group.step, group.reason) = key;
      ++group.letters;
      ++total;
      group.replayed += replay.Replayed(letter) ? 1 : 0;
      group.first_ms = std::min(group.first_ms, letter.timestamp_ms);
      if (letter.timestamp_ms >= group.last_ms) group.newest = PlaceOf(letter);
      group.last_ms = std::max(group.last_ms, letter.timestamp_ms);
    }
    return absl::OkStatus();
  }));
  std::vector<Group> sorted;
  for (auto& [key, group] : groups) sorted.push_back(std::move(group));
  std::stable_sort(sorted.begin(), sorted.end(), [](const Group& a, const Group& b) { return a.letters > b.letters; });
  const size_t shown = std::min(sorted.size(), static_cast<size_t>(options.limit));
  for (size_t i = 0; i < shown; ++i) PrintGroup(sorted[i], options.json, out);
  if (options.json) return absl::OkStatus();
  out << Counted(total, "letter") << " in " << absl::StrJoin(LetterTopics(plan), ", ") << ", "
      << Counted(static_cast<int64_t>(sorted.size()), "kind");
  if (shown < sorted.size()) out << ", the " << shown << " largest are shown (--limit)";
  out << "\n";
  return absl::OkStatus();
}

// ---- show ----------------------------------------------------------------------------------------------------------

// Text as it is, but for what would steer a terminal; of bytes that are no UTF-8 all that isn't ASCII in hexadecimal.
std::string Readable(const std::string& bytes) {
  arrow::util::InitializeUTF8();
  const bool text = arrow::util::ValidateUTF8(bytes);
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    const bool control = (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f;
    if (control || (byte >= 0x80 && !text)) {
      absl::StrAppendFormat(&out, "\\x%02x", byte);
    } else {
      out += c;
    }
  }
  return out;
}

void PrintLetter(const Letter& letter, const LetterReplay& replay, std::ostream& out) {
  out << PlaceOf(letter) << "  " << TimeOf(letter.timestamp_ms) << "  " << letter.step
      << (replay.Replayed(letter) ? "  (replayed)" : "") << "\n";
  const auto line = [&](const char* name, const std::optional<std::string>& text) {
    if (text) out << absl::StrFormat("  %-10s  ", name) << Readable(*text) << "\n";
  };
  line("reason", letter.reason);
  line("batch", letter.batch);
  line("rule", letter.rule);
  line("expression", letter.expression);
  line("file", letter.file);
  line("client", letter.client);
  line("request", letter.request);
  line("line", letter.line);
  line("lsn", letter.lsn);
  if (letter.source_topic) {
    line("from", absl::StrCat(*letter.source_topic, "-", letter.source_partition.value_or(-1),
                              letter.source_offset ? absl::StrCat("@", *letter.source_offset) : ""));
  }
  line("key", letter.key);
  line(letter.cut_value ? "value (cut)" : "value", letter.value.value_or("(null)"));
  for (const auto& [name, value] : letter.headers) line("header", name + ": " + value.value_or("(null)"));
}

absl::Status Show(const Plan& plan, KafkaClient& kafka, const DeadLetterOptions& options, std::ostream& out) {
  LetterReplay replay(plan, kafka, *SystemClock());
  TM_RETURN_IF_ERROR(replay.Open(/*write=*/false));
  int64_t total = 0;
  TM_RETURN_IF_ERROR(ForChosen(plan, kafka, options, [&](std::vector<Letter> letters) {
    const Batch rows = options.json ? LetterRows(letters) : nullptr;
    for (size_t i = 0; i < letters.size(); ++i) {
      if (++total > options.limit) continue;
      if (options.json) {
        out << RowToJson(LetterSchema(), *rows, static_cast<int64_t>(i)) << "\n";
      } else {
        PrintLetter(letters[i], replay, out);
      }
    }
    return absl::OkStatus();
  }));
  if (options.json) return absl::OkStatus();
  out << Counted(total, "letter");
  if (total > options.limit) out << ", the first " << options.limit << " are shown (--limit)";
  out << "\n";
  return absl::OkStatus();
}

// The newest first. Of partitions, whose letters have no order among them, by their time.
absl::Status Last(const Plan& plan, KafkaClient& kafka, const DeadLetterOptions& options, std::ostream& out) {
  LetterReplay replay(plan, kafka, *SystemClock());
  TM_RETURN_IF_ERROR(replay.Open(/*write=*/false));
  const auto limit = static_cast<size_t>(options.limit);
  std::vector<Letter> newest;
  const auto keep = [&](std::vector<Letter> letters) {
    std::move(letters.begin(), letters.end(), std::back_inserter(newest));
    std::stable_sort(newest.begin(), newest.end(), [](const Letter& a, const Letter& b) {
      return std::tie(a.timestamp_ms, a.log.partition, a.offset) > std::tie(b.timestamp_ms, b.log.partition, b.offset);
    });
    if (newest.size() > limit) newest.erase(newest.begin() + static_cast<std::ptrdiff_t>(limit), newest.end());
    return absl::OkStatus();
  };
  TM_RETURN_IF_ERROR(ForChosen(plan, kafka, options, keep, kLastOffsets));
  const Batch rows = options.json ? LetterRows(newest) : nullptr;
  for (size_t i = 0; i < newest.size(); ++i) {
    if (options.json) {
      out << RowToJson(LetterSchema(), *rows, static_cast<int64_t>(i)) << "\n";
    } else {
      PrintLetter(newest[i], replay, out);
    }
  }
  if (options.json) return absl::OkStatus();
  out << "the last " << Counted(static_cast<int64_t>(newest.size()), "letter") << ", of those at the last "
      << kLastOffsets << " offsets of each partition\n";
  return absl::OkStatus();
}

// ---- replay --------------------------------------------------------------------------------------------------------

class Replayer {
 public:
  Replayer(const Plan& plan, KafkaClient& kafka, const DeadLetterOptions& options, Change change)
      : plan_(plan), options_(options), change_(std::move(change)), replay_(plan, kafka, *SystemClock()) {}

  absl::Status Open() { return replay_.Open(!options_.dry_run); }

  absl::Status Take(std::vector<Letter> letters) {
    std::vector<Letter> ready;
    for (Letter& letter : letters) {
      if (replay_.Replayed(letter)) {
        ++before_;
        continue;
      }
      absl::Status can = replay_.SourceOf(letter).status();
      if (can.ok()) can = replay_.Complete(&letter);
      if (can.ok()) {
        ready.push_back(std::move(letter));
      } else if (absl::IsFailedPrecondition(can)) {
        ++refused_[std::string(can.message())];
      } else {
        return can;
      }
    }
    TM_RETURN_IF_ERROR(change_.Apply(&ready, &refused_));
    if (ready.empty()) return absl::OkStatus();
    if (!options_.dry_run) TM_RETURN_IF_ERROR(replay_.Write(ready));
    for (const Letter& letter : ready) ++written_[letter.step];
    return absl::OkStatus();
  }

  void Report(std::ostream& out) const {
    int64_t refused = 0;
    for (const auto& [why, count] : refused_) refused += count;
    for (const auto& [name, count] : written_) {
      const auto source = std::find_if(plan_.sources.begin(), plan_.sources.end(),
                                       [name = name](const SourcePlan& each) { return each.name == name; });
      out << (options_.dry_run ? "would replay " : "replayed ") << Counted(count, "letter") << " to " << source->topic
          << (source->event_time.column || !source->event_time.expression.empty()
                  ? ""
                  : ", where their event time is that of the replay")
          << "\n";
    }
    if (written_.empty()) out << (options_.dry_run ? "would replay" : "replayed") << " no letter\n";
    if (before_ > 0) out << before_ << " were replayed before\n";
    if (refused > 0) out << refused << " can't be replayed:\n";
    for (const auto& [why, count] : refused_) out << absl::StrFormat("%9d  %s\n", count, why);
  }

 private:
  const Plan& plan_;
  const DeadLetterOptions& options_;
  const Change change_;
  LetterReplay replay_;
  std::map<std::string, int64_t> written_;  // by source
  int64_t before_ = 0;
  std::map<std::string, int64_t> refused_;  // by why
};

absl::Status Replay(const Plan& plan, KafkaClient& kafka, const DeadLetterOptions& options, std::ostream& out) {
  TM_ASSIGN_OR_RETURN(Change change, Change::Make(options.set));
  Replayer replayer(plan, kafka, options, std::move(change));
  TM_RETURN_IF_ERROR(replayer.Open());
  const absl::Status status =
      ForChosen(plan, kafka, options, [&](std::vector<Letter> letters) { return replayer.Take(std::move(letters)); });
  replayer.Report(out);  // what is in stays in, whatever came after it
  return status;
}

}  // namespace

absl::Status DeadLettersCommand(const std::string& command, const Plan& plan, KafkaClient& kafka,
                                const DeadLetterOptions& options, std::ostream& out) {
  if (options.limit < 1) return absl::InvalidArgumentError("--limit: expected a number from 1");
  if (command != "replay" && !options.set.empty()) return absl::InvalidArgumentError("--set only goes with replay");
  if (command != "replay" && options.dry_run) return absl::InvalidArgumentError("--dry_run only goes with replay");
  if (command == "replay" && options.json)
    return absl::InvalidArgumentError("--format only goes with list, show and last");
  if (command == "list") return List(plan, kafka, options, out);
  if (command == "show") return Show(plan, kafka, options, out);
  if (command == "last") return Last(plan, kafka, options, out);
  if (command == "replay") return Replay(plan, kafka, options, out);
  return absl::InvalidArgumentError(
      absl::StrCat("tidemark dead-letters takes list, show, last or replay, not '", command, "'"));
}

}  // namespace tidemark
