#include "src/trial/test_file.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/status.h"
#include "src/base/suggest.h"
#include "src/base/value_text.h"
#include "src/base/whole_file.h"
#include "src/plan/units.h"
#include "src/plan/yaml_tree.h"
#include "src/sim/chaos.h"
#include "src/trial/row_text.h"

namespace tidemark::trial {
namespace {

constexpr int32_t kMostPartitions = 1'000;

class Reader {
 public:
  explicit Reader(TestFile* file) : file_(*file), places_(file->places) {}

  void Read(const YamlNode& root) {
    if (!Mapping(root, root.at, "a mapping with `topology` and `tests`", {"topology", "vars", "tests"})) return;
    if (const YamlEntry* topology = Need(root, root.at, "topology", "the topology's YAML file")) {
      file_.topology = Beside(Text(*topology));
      file_.topology_at = topology->place();
    }
    if (const YamlEntry* vars = root.Find("vars")) ReadVars(*vars);
    const YamlEntry* tests = Need(root, root.at, "tests", "a list of tests");
    if (tests == nullptr || !List(*tests)) return;
    if (tests->value->items.empty())
      places_.ErrorAt(tests->place(), "tests: the list is empty: it would pass whatever the topology does");
    for (const YamlPtr& test : tests->value->items) ReadTest(*test);
  }

 private:
  // ---- Shapes

  bool Mapping(const YamlNode& node, Position at, std::string_view what, const std::vector<std::string>& fields) {
    if (!node.IsMapping()) {
      places_.ErrorAt(at, absl::StrCat("expected ", std::string(what), ", found ", What(node)));
      return false;
    }
    for (const YamlEntry& entry : node.entries) {
      if (fields.empty() || IsExtension(entry.key)) continue;
      if (std::find(fields.begin(), fields.end(), entry.key) != fields.end()) continue;
      places_.ErrorAt(entry.at, absl::StrCat("unknown field '", entry.key, "'", DidYouMean(entry.key, fields)));
    }
    return true;
  }
  bool List(const YamlEntry& entry) {
    if (entry.value->IsList()) return true;
    places_.ErrorAt(entry.place(), absl::StrCat(entry.key, ": expected a list, found ", What(*entry.value)));
    return false;
  }
  const YamlEntry* Need(const YamlNode& node, Position at, const char* field, const char* what) {
    const YamlEntry* const entry = node.Find(field);
    if (entry == nullptr) places_.ErrorAt(at, absl::StrCat("'", field, "' is missing: ", what));
    return entry;
  }
  std::string Text(const YamlEntry& entry) {
    if (entry.value->IsScalar()) return entry.value->text;
    places_.ErrorAt(entry.place(), absl::StrCat(entry.key, ": expected a text, found ", What(*entry.value)));
    return "";
  }
  bool Bool(const YamlEntry& entry) {
    const std::string text = Text(entry);
    if (text == "true" || text == "false") return text == "true";
    places_.ErrorAt(entry.place(), absl::StrCat(entry.key, ": expected true or false, found '", text, "'"));
    return false;
  }
  std::string Beside(const std::string& path) const {
    const auto folder = std::filesystem::path(file_.path).parent_path();
    return path.empty() ? path : (folder / path).lexically_normal().string();
  }

  // ---- Parts

  void ReadVars(const YamlEntry& vars) {
    if (!Mapping(*vars.value, vars.place(), "a mapping of variables", {})) return;
    for (const YamlEntry& var : vars.value->entries) file_.vars[var.key] = Text(var);
  }

  void ReadTest(const YamlNode& node) {
    static const std::vector<std::string> fields = {"name",          "given",     "script",     "expect",
                                                    "dead_letters",  "ledger",    "partitions", "clock",
                                                    "close_windows", "tolerance", "invariants", "faults"};
    if (!Mapping(node, node.at, "a mapping with `name`, `given` and `expect`", fields)) return;
    Case test;
    test.at = node.at;
    if (const YamlEntry* name = Need(node, node.at, "name", "what the test claims")) test.name = Text(*name);
    if (const YamlEntry* given = node.Find("given")) {
      test.script.push_back({ScriptEntry::What::kGiven, given->at, ReadRowSets(*given, false), 0});
    }
    if (const YamlEntry* script = node.Find("script"); script != nullptr && List(*script)) {
      for (const YamlPtr& entry : script->value->items) ReadScriptEntry(*entry, &test);
    }
    if (const YamlEntry* expect = node.Find("expect")) test.expect = ReadRowSets(*expect, true);
    if (const YamlEntry* letters = node.Find("dead_letters")) {
      test.dead_letters = ReadRowSet(*letters, true);
    } else {
      test.dead_letters.name = "dead_letters";
      test.dead_letters.at = test.dead_letters.value = node.at;
    }
    if (const YamlEntry* ledger = node.Find("ledger")) ReadLedger(*ledger, &test);
    if (const YamlEntry* invariants = node.Find("invariants")) ReadInvariants(*invariants, &test);
    if (const YamlEntry* faults = node.Find("faults")) ReadFaults(*faults, &test);
    ReadSettings(node, &test);
    if (node.Find("expect") == nullptr && node.Find("ledger") == nullptr && node.Find("dead_letters") == nullptr &&
        node.Find("invariants") == nullptr) {
      places_.ErrorAt(node.at,
                      "the test expects nothing: `expect`, `invariants`, `dead_letters` or `ledger` is missing");
    }
    file_.tests.push_back(std::move(test));
  }

  void ReadInvariants(const YamlEntry& entry, Case* test) {
    static const std::vector<std::string> fields = {"unique", "always", "count"};
    if (!Mapping(*entry.value, entry.place(), "a mapping of steps and sinks, each with what must be so", {})) return;
    for (const YamlEntry& named : entry.value->entries) {
      if (!Mapping(*named.value, named.place(), "a mapping with `unique`, `always` or `count`", fields)) continue;
      Invariant invariant{.of = named.key, .at = named.at, .unique = {}, .always = "", .count = {}};
      if (const YamlEntry* unique = named.value->Find("unique"); unique != nullptr && List(*unique)) {
        for (const YamlPtr& column : unique->value->items) invariant.unique.push_back(column->text);
      }
      if (const YamlEntry* always = named.value->Find("always")) invariant.always = Text(*always);
      if (const YamlEntry* count = named.value->Find("count")) {
        if (!absl::SimpleAtoi(Text(*count), &invariant.count.emplace())) {
          places_.ErrorAt(count->place(), "count: expected a number of rows");
        }
      }
      if (invariant.unique.empty() && invariant.always.empty() && !invariant.count) {
        places_.ErrorAt(named.at, absl::StrCat(named.key, ": one of unique, always and count is expected"));
      }
      test->invariants.push_back(std::move(invariant));
    }
  }

  void ReadFaults(const YamlEntry& entry, Case* test) {
    if (!List(entry)) return;
    test->faults.emplace();
    for (const YamlPtr& kind : entry.value->items) {
      if (TestableFaults().contains(kind->text)) {
        test->faults->insert(kind->text);
      } else {
        places_.ErrorAt(kind->at, absl::StrCat("there are no faults of kind '", kind->text,
                                               "'; there are: ", absl::StrJoin(TestableFaults(), ", ")));
      }
    }
  }

  void ReadSettings(const YamlNode& node, Case* test) {
    if (const YamlEntry* partitions = node.Find("partitions")) {
      const std::string text = Text(*partitions);
      if (!absl::SimpleAtoi(text, &test->partitions) || test->partitions < 1 || test->partitions > kMostPartitions) {
        places_.ErrorAt(partitions->place(), absl::StrCat("partitions: expected a number from 1 to ", kMostPartitions,
                                                          ", found '", text, "'"));
      }
    }
    if (const YamlEntry* clock = node.Find("clock")) {
      int64_t us = 0;
      if (ParseRfc3339(Text(*clock), &us) != Fit::kOk) {
        places_.ErrorAt(clock->place(), absl::StrCat("clock: expected a time such as 2026-01-01T00:00:00Z, found '",
                                                     Text(*clock), "'"));
      }
      test->clock_us = us;
    }
    if (const YamlEntry* close = node.Find("close_windows")) test->close_windows = Bool(*close);
    if (const YamlEntry* tolerance = node.Find("tolerance")) {
      if (ParseDouble(Text(*tolerance), &test->tolerance) != Fit::kOk || test->tolerance < 0) {
        places_.ErrorAt(tolerance->place(), "tolerance: expected how much doubles may differ, such as 0.001");
      }
    }
  }

  void ReadScriptEntry(const YamlNode& node, Case* test) {
    static const std::vector<std::string> words = {"given", "advance", "crash", "restart", "rebalance"};
    const bool bare = node.IsScalar();
    if (!bare && (!node.IsMapping() || node.entries.size() != 1)) {
      return places_.ErrorAt(node.at, absl::StrCat("expected one of ", absl::StrJoin(words, ", "), ", found ",
                                                   node.IsMapping() ? "several fields" : What(node)));
    }
    const std::string& word = bare ? node.text : node.entries[0].key;
    ScriptEntry entry;
    entry.at = node.at;
    if (word == "crash" || word == "restart" || word == "rebalance") {
      entry.what = word == "crash"     ? ScriptEntry::What::kCrash
                   : word == "restart" ? ScriptEntry::What::kRestart
                                       : ScriptEntry::What::kRebalance;
      if (!bare && node.entries[0].value->kind != YamlNode::Kind::kNothing) {
        places_.ErrorAt(node.entries[0].place(), absl::StrCat(word, " takes no value"));
      }
    } else if (word == "given" && !bare) {
      entry.given = ReadRowSets(node.entries[0], false);
    } else if (word == "advance" && !bare) {
      entry.what = ScriptEntry::What::kAdvance;
      const std::string text = Text(node.entries[0]);
      const auto us = ParseDuration(text);
      if (!us) {
        places_.ErrorAt(node.entries[0].place(),
                        absl::StrCat("advance: expected a duration such as 30s, found '", text, "'"));
      }
      entry.advance_us = us.value_or(0);
    } else {
      return places_.ErrorAt(node.at,
                             word == "given" || word == "advance"
                                 ? absl::StrCat("'", word, "' has no value")
                                 : absl::StrCat("'", word, "' can't happen to a topology", DidYouMean(word, words)));
    }
    test->script.push_back(std::move(entry));
  }

  void ReadLedger(const YamlEntry& ledger, Case* test) {
    if (!Mapping(*ledger.value, ledger.place(), "a mapping of steps", {})) return;
    for (const YamlEntry& step : ledger.value->entries) {
      if (!Mapping(*step.value, step.place(), "a mapping of counters, such as { duplicate: 1 }", {})) continue;
      auto& counts = test->ledger.emplace_back(LedgerSet{step.key, step.at, {}}).counts;
      for (const YamlEntry& count : step.value->entries) {
        Count& read = counts.emplace_back(Count{count.key, count.place(), 0});
        if (!absl::SimpleAtoi(Text(count), &read.value)) {
          places_.ErrorAt(count.place(), absl::StrCat(count.key, ": expected a number of rows"));
        }
      }
    }
  }

  std::vector<RowSet> ReadRowSets(const YamlEntry& entry, bool expected) {
    std::vector<RowSet> sets;
    if (!Mapping(*entry.value, entry.place(),
                 expected ? "a mapping of steps and sinks, each with its rows" : "a mapping of sources and tables", {}))
      return sets;
    for (const YamlEntry& named : entry.value->entries) sets.push_back(ReadRowSet(named, expected));
    return sets;
  }

  RowSet ReadRowSet(const YamlEntry& entry, bool expected) {
    RowSet set;
    set.name = entry.key;
    set.at = set.value = entry.at;
    const YamlNode& node = *entry.value;
    if (node.IsList()) {
      ReadList(node, &set);
      return set;
    }
    std::vector<std::string> fields = {"rows", "csv", "jsonl", "file"};
    if (expected) fields.push_back("ordered");
    if (!Mapping(node, entry.place(), "a list of rows, or a mapping with `csv`, `jsonl` or `file`", fields)) return set;
    int written = 0;
    for (const YamlEntry& field : node.entries) {
      if (field.key == "ordered") {
        set.in_order = Bool(field);
        continue;
      }
      ++written;
      set.value = field.at;
      if (field.key == "rows" && List(field)) ReadList(*field.value, &set);
      if (field.key == "csv") ReadText(field, RowSet::Form::kCsv, &set);
      if (field.key == "jsonl") ReadText(field, RowSet::Form::kJsonLines, &set);
      if (field.key == "file") ReadFile(field, &set);
    }
    if (written != 1) places_.ErrorAt(entry.at, "expected one of rows, csv, jsonl and file");
    return set;
  }

  void ReadList(const YamlNode& list, RowSet* set) {
    for (const YamlPtr& item : list.items) {
      if (!item->IsMapping()) {
        places_.ErrorAt(item->at, absl::StrCat("expected a row such as { id: 1 }, found ", What(*item)));
        continue;
      }
      set->rows.push_back(RowOfYaml(*item));
    }
  }

  // A block's text begins in the line below the mark.
  void ReadText(const YamlEntry& entry, RowSet::Form form, RowSet* set) {
    set->form = form;
    Position first = entry.value->at;
    ++first.line;
    first.column = 1;
    Take(form == RowSet::Form::kCsv ? RowsOfCsv(Text(entry), first) : RowsOfJsonLines(Text(entry), first), set);
  }

  void ReadFile(const YamlEntry& entry, RowSet* set) {
    set->file = Beside(Text(entry));
    const bool csv = absl::EndsWith(set->file, ".csv");
    if (!csv && !absl::EndsWith(set->file, ".jsonl")) {
      return places_.ErrorAt(
          entry.place(), absl::StrCat("file: expected the name of a .csv or .jsonl file, found '", Text(entry), "'"));
    }
    set->form = csv ? RowSet::Form::kCsvFile : RowSet::Form::kJsonLinesFile;
    const absl::StatusOr<std::string> text = ReadWholeFile(set->file);
    if (!text.ok()) {
      return places_.ErrorAt(entry.place(),
                             absl::StrCat(set->file, " can't be read: ", std::string(text.status().message())));
    }
    const Position first{.file = places_.AddFile(set->file, *text)};
    Take(csv ? RowsOfCsv(*text, first) : RowsOfJsonLines(*text, first), set);
  }

  void Take(ReadRows read, RowSet* set) {
    set->rows = std::move(read.rows);
    for (const auto& [at, message] : read.errors) places_.ErrorAt(at, message);
  }

  TestFile& file_;
  Diagnostics& places_;
};

}  // namespace

const Cell* Row::Find(std::string_view column) const {
  const auto found = std::find_if(cells.begin(), cells.end(), [&](const Cell& c) { return c.column == column; });
  return found == cells.end() ? nullptr : &*found;
}

const std::set<std::string>& TestableFaults() {
  static const auto* const kinds = [] {
    auto* const all = new std::set<std::string>(sim::AllFaultKinds());
    all->erase("trims");
    return all;
  }();
  return *kinds;
}

absl::Status TestFile::Error(Position at, std::string_view message) const {
  return absl::InvalidArgumentError(absl::StrCat(places.Place(at), ": ", std::string(message)));
}

absl::StatusOr<TestFile> ReadTestFile(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadWholeFile(path);
  if (!text.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, " can't be read: ", std::string(text.status().message())));
  }
  TestFile file;
  file.path = path;
  file.text = *text;
  file.places = Diagnostics(path, *text);
  const YamlPtr root = ReadYaml(0, *text, &file.places);
  if (root != nullptr) {
    Reader(&file).Read(*root);
  } else if (file.places.ok()) {
    return absl::InvalidArgumentError(path + ": there are no tests in it");
  }
  TM_RETURN_IF_ERROR(file.places.ToStatus());
  return file;
}

}  // namespace tidemark::trial
