// Files of a folder over the simulated Kafka: each row of each version of each file is in its topic exactly once,
// whoever dies when, and each file ends where it belongs.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/operators.h"
#include "src/base/mutation.h"
#include "src/plan/planner.h"
#include "src/runtime/file_source.h"
#include "src/sim/sim_kafka.h"
#include "src/storage/memory_store.h"
#include "tests/sim/sim_landing.h"

namespace tidemark::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A lake as one process has it: what a dead one still does, as its objects go, reaches nothing.
class ProcessStore final : public ObjectStore {
 public:
  ProcessStore(MemoryObjectStore* store, std::shared_ptr<const bool> alive)
      : store_(*store), alive_(std::move(alive)) {}

  std::string_view path() const override { return store_.path(); }
  size_t max_open_files() const override { return store_.max_open_files(); }
  absl::StatusOr<std::shared_ptr<arrow::io::OutputStream>> Create(const std::string& name) override {
    if (!*alive_) return Dead();
    return store_.Create(name);
  }
  absl::Status Sync(const std::string& name) override { return *alive_ ? store_.Sync(name) : Dead(); }
  absl::Status Move(const std::string& from, const std::string& to) override {
    return *alive_ ? store_.Move(from, to) : Dead();
  }
  absl::StatusOr<bool> Exists(const std::string& name) override {
    if (!*alive_) return Dead();
    return store_.Exists(name);
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& folder, const std::string& prefix) override {
    if (!*alive_) return Dead();
    return store_.List(folder, prefix);
  }
  absl::Status Delete(const std::string& name) override { return *alive_ ? store_.Delete(name) : Dead(); }

 private:
  static absl::Status Dead() { return absl::UnavailableError("the process is dead"); }

  MemoryObjectStore& store_;
  const std::shared_ptr<const bool> alive_;
};

class FilesWorld {
 public:
  explicit FilesWorld(uint64_t seed, const std::string& options = "whole: renamed, order: unordered",
                      const std::string& more = "", const std::string& columns = "")
      : random_(seed), cluster_(Options(seed), &clock_) {
    const std::string yaml = absl::StrCat(
        "name: app\nkafka: { brokers: simulated }\nsources:\n  surveys:\n    files: { path: \"landing/**/*\", ",
        options, " }\n    columns: { id: int64, who: { type: string, nullable: true }", columns, " }\n", more,
        "sinks:\n  out: { from: surveys, topic: out, create: {} }\n");
    absl::StatusOr<Plan> plan =
        PlanFromYaml(yaml, "sim.yaml", Operators(), OwnFormats().list(), [](std::string_view) { return std::nullopt; });
    EXPECT_TRUE(plan.ok()) << plan.status();
    plan_ = *std::move(plan);
    plan_.commit_interval_us = 20 * kMillisecond;
    partitions_ = plan_.sources[0].files->partitions;
    cluster_.CreateTopic(names_.Topic(), partitions_);
    cluster_.CreateTopic(names_.PositionsTopic(), 1);
    cluster_.CreateTopic(names_.NotesTopic(), 1);
    cluster_.CreateTopic(plan_.dead_letter_topic, 1);
  }

  void Boot(int worker) {
    Process& process = processes_[worker];
    End(process);
    process.alive = std::make_shared<bool>(true);
    process.kafka = cluster_.NewClient(worker);
    process.runtime = Runtime();
    process.runtime.plan = &plan_;
    process.runtime.kafka = process.kafka.get();
    process.runtime.clock = &clock_;
    process.runtime.control = &control_;
    process.runtime.options.commit_bytes = 8 << 10;  // so that files are read in several pieces
    process.runtime.partitions = {{names_.Topic(), partitions_}, {plan_.dead_letter_topic, 1}};
    process.split = std::make_unique<SplitIntake>(
        process.runtime, SplitIntake::Split{"surveys", 0, 1},
        [this, &process](int32_t) {
          return std::make_unique<FileSource>(
              plan_.sources[0], OwnFormats(), &clock_, std::make_unique<SimLandingZone>(&folder_, &random_),
              std::make_unique<FileCopies>(*plan_.sources[0].files, "app.surveys",
                                           [this, alive = process.alive](const std::string&) { return Lake(alive); }),
              [this](int64_t us) { clock_.Advance(std::max<int64_t>(us, 1)); });
        },
        [](int64_t) {});
  }
  bool Booted(int worker) const { return processes_.contains(worker) && processes_.at(worker).split != nullptr; }
  // False: the process is dead, or its split has ended.
  bool Step(int worker) {
    Process& process = processes_[worker];
    clock_.Advance(5 * kMillisecond);
    if (process.split == nullptr) return false;
    const absl::Status status = process.split->Step(10 * kMillisecond);
    if (status.ok() && cluster_.Alive(worker)) return true;
    if (cluster_.Alive(worker)) last_end_ = status;
    End(process);
    return false;
  }
  void Run(int worker, int steps) {
    for (int i = 0; i < steps; ++i) ASSERT_TRUE(Step(worker)) << last_end_;
  }

  std::vector<std::string> Values() {
    std::vector<std::string> values;
    for (int32_t p = 0; p < partitions_; ++p) {
      for (const SimRecord& record : cluster_.CommittedRecords({names_.Topic(), p})) values.push_back(*record.value);
    }
    return values;
  }
  // The values of this header in the rows that have it.
  std::vector<std::string> Headers(const std::string& name) {
    std::vector<std::string> values;
    for (int32_t p = 0; p < partitions_; ++p) {
      for (const SimRecord& record : cluster_.CommittedRecords({names_.Topic(), p})) {
        for (const auto& [header, value] : record.headers) {
          if (header == name) values.push_back(value.value_or(""));
        }
      }
    }
    return values;
  }
  std::vector<std::string> Letters() {
    std::vector<std::string> letters;
    for (const SimRecord& record : cluster_.CommittedRecords({plan_.dead_letter_topic, 0})) {
      letters.push_back(record.headers.front().second.value_or(""));
    }
    return letters;
  }
  // The last of each key.
  std::map<std::string, std::optional<std::string>> Notes() {
    std::map<std::string, std::optional<std::string>> notes;
    for (const SimRecord& record : cluster_.CommittedRecords({names_.NotesTopic(), 0})) {
      notes[record.key.value_or("")] = record.value;
    }
    return notes;
  }
  IntakeStatus status(int worker) { return processes_[worker].split->status(); }
  SimCluster& cluster() { return cluster_; }
  SimClock& clock() { return clock_; }
  SimRandom& random() { return random_; }
  SimFolder& folder() { return folder_; }
  MemoryObjectStore& lake() { return lake_; }
  absl::Status last_end() const { return last_end_; }

 private:
  struct Process {
    std::unique_ptr<KafkaClient> kafka;
    Runtime runtime;
    std::unique_ptr<SplitIntake> split;
    std::shared_ptr<bool> alive;
  };
  static void End(Process& process) {
    if (process.alive != nullptr) *process.alive = false;
    process.split.reset();
  }
  absl::StatusOr<std::unique_ptr<ObjectStore>> Lake(std::shared_ptr<const bool> alive) {
    if (random_.Chance(folder_.away)) return absl::UnavailableError("the lake is away");
    return std::make_unique<ProcessStore>(&lake_, std::move(alive));
  }
  static SimCluster::Options Options(uint64_t seed) {
    SimCluster::Options options;
    options.seed = seed;
    options.marker_delay_us = seed % 2 == 0 ? 3'000 : 0;
    return options;
  }

  SimClock clock_;
  SimRandom random_;
  SimCluster cluster_;
  Plan plan_;
  const IntakeNames names_{{"app"}, "surveys"};
  int32_t partitions_ = 1;
  RunControl control_;
  SimFolder folder_;
  MemoryObjectStore lake_;
  std::map<int, Process> processes_;
  absl::Status last_end_;
};

std::string Row(int64_t id) { return absl::StrCat("{\"id\":", id, "}"); }

TEST(FileSource, AFileIsReadOnceAndMovedWhenItsRowsAreIn) {
  FilesWorld world(1);
  world.folder().Land("a/x.csv", "who,id\n,1\n\"Ann\nB\",2\r\n");
  world.Boot(0);
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1), "{\"id\":2,\"who\":\"Ann\\nB\"}"));
  EXPECT_THAT(world.folder().landing, IsEmpty());
  EXPECT_EQ(world.folder().processed.size(), 1u);
  world.folder().Land("a/x.csv", "who,id\n,1\n\"Ann\nB\",2\r\n");
  world.Boot(1);
  world.Run(1, 900);
  EXPECT_EQ(world.Values().size(), 2u) << "the same content under the same name";
  EXPECT_EQ(world.status(1).counts()["files_skipped"], 1);
  world.folder().Land("a/x.csv", "id\n3\n");
  world.Run(1, 900);
  EXPECT_EQ(world.Values().back(), Row(3)) << "another content is another version";
  EXPECT_EQ(world.status(1).counts()["files_of_new_versions"], 1);
  EXPECT_EQ(world.status(1).counts()["files_read"], 2);
  EXPECT_THAT(world.folder().landing, IsEmpty());
}

TEST(FileSource, BadRecordsAreDeadLettersWithFileAndLine) {
  FilesWorld world(2);
  world.folder().Land("x.csv", "id\n1\nseven\n\"2\nx\"\n3,4\n5\n");
  world.Boot(0);
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1), Row(5)));
  const std::vector<std::string> letters = world.Letters();
  ASSERT_EQ(letters.size(), 3u);
  EXPECT_THAT(letters[0], HasSubstr("x.csv: line 3: column id: expected int64"));
  EXPECT_THAT(letters[1], HasSubstr("x.csv: line 4: column id"));
  EXPECT_THAT(letters[2], HasSubstr("x.csv: line 6: 2 cells where the header has 1"));
  EXPECT_EQ(world.status(0).refused(), 3);
}

TEST(FileSource, HowFarAheadARowIsTheTopicsReaderJudgesByItsArrival) {
  for (const char* time : {"{ expression: \"to_timestamp(id)\" }", "{ column: at }"}) {
    FilesWorld world(
        2, "whole: renamed, order: unordered", absl::StrCat("    event_time: ", time, "\n"),
        ", at: { type: timestamp, default: \"2026-01-01T00:00:00Z\" }, read: { type: timestamp, from: timestamp, "
        "nullable: true }");
    // Far ahead of the file's own time.
    world.folder().Land("x.json", "[{\"id\":1767225600},{\"id\":1767225601}]\n");
    world.Boot(0);
    world.Run(0, 300);
    EXPECT_THAT(world.Letters(), IsEmpty()) << time;
    EXPECT_EQ(world.Values().size(), 2u) << time;
  }
}

TEST(FileSource, AFileThatCantBeReadToItsEndGivesNoRowAtAll) {
  FilesWorld world(3);
  world.folder().Land("cut.csv", "id\n1\n2\n\"3");
  world.folder().Land("other.csv", "name\nx\n");
  world.folder().Land("a.xml", "<a/>");
  world.folder().Land("b.orc", "ORC");
  world.folder().Land("z.jsonl", std::string("\x1f\x8b", 2) + "no gzip");
  world.Boot(0);
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), IsEmpty());
  std::string reasons;
  for (const auto& [name, reason] : world.folder().rejected) reasons += reason;
  EXPECT_THAT(reasons, HasSubstr("line 4: a quoted cell of the record that begins here has no end"));
  EXPECT_THAT(reasons, HasSubstr("the header has no column 'id'"));
  EXPECT_THAT(reasons, HasSubstr("the source doesn't say which `row` it has"));
  EXPECT_THAT(reasons, HasSubstr("the name doesn't tell it"));
  EXPECT_THAT(reasons, HasSubstr("damaged or cut off gzip"));
  EXPECT_EQ(world.status(0).counts()["files_rejected"], 5);
  // Sent again as it should be.
  world.folder().Land("cut.csv", "id\n1\n2\n3\n");
  world.Run(0, 900);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1), Row(2), Row(3)));
}

TEST(FileSource, OneBadRecordRejectsTheFileWhereThatIsStated) {
  FilesWorld world(4, "whole: renamed, order: unordered, on_error: reject_file");
  world.folder().Land("x.csv", "id\n1\nseven\n");
  world.folder().Land("y.csv", "id\n2\n");
  world.Boot(0);
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), ElementsAre(Row(2)));
  EXPECT_THAT(world.Letters(), IsEmpty());
  ASSERT_EQ(world.folder().rejected.size(), 1u);
  EXPECT_THAT(world.folder().rejected.begin()->second, HasSubstr("line 3: column id: expected int64"));
  EXPECT_EQ(world.status(0).counts()["records_of_rejected_files"], 2);
}

TEST(FileSource, AnOrderThatIsStatedIsKeptTo) {
  FilesWorld world(5, "whole: renamed, order: by_name");
  world.folder().Land("a/2.csv", "id\n2\n");
  world.folder().Land("a/1.csv", "id\n1\n");
  world.folder().Land("b/1.csv", "id\n10\n");
  world.Boot(0);
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1), Row(2), Row(10)));
  world.folder().Land("a/15.csv", "id\n15\n");
  world.folder().Land("a/3.csv", "id\n3\n");
  world.folder().Land("a/1.csv", "id\n100\n");
  world.Boot(1);
  world.Run(1, 900);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1), Row(2), Row(10), Row(100), Row(3)));
  ASSERT_EQ(world.folder().rejected.size(), 1u);
  EXPECT_THAT(world.folder().rejected.begin()->second, HasSubstr("out of order: a/2.csv was read before"));
}

TEST(FileSource, ContentThatComesBackIsAnotherBatch) {
  FilesWorld world(9, "whole: renamed, order: unordered, partitions: 1", "",
                   ", batch: { type: string, from: \"header:tidemark.batch\" }");
  world.Boot(0);
  for (const char* id : {"1", "2", "1"}) {
    world.folder().Land("x.csv", absl::StrCat("id\n", id, "\n"));
    world.Run(0, 900);
  }
  const std::vector<std::string> batches = world.Headers("tidemark.batch");
  ASSERT_EQ(batches.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_THAT(batches[i], testing::StartsWith(absl::StrCat("x.csv@", i + 1, "-")));
  EXPECT_EQ(batches[0].substr(8), batches[2].substr(8)) << "of the same content";
}

TEST(FileSource, WhatWasReadIsKnownThoughAnotherVersionWasRejected) {
  FilesWorld world(8);
  world.folder().Land("x.csv", "id\n1\n");
  world.Boot(0);
  world.Run(0, 900);
  world.folder().Land("x.csv", "id\n\"2");
  world.Run(0, 900);
  world.folder().Land("x.csv", "id\n1\n");
  world.Run(0, 900);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1)));
  EXPECT_EQ(world.status(0).counts()["files_rejected"], 1);
  EXPECT_EQ(world.status(0).counts()["files_skipped"], 1);
}

TEST(FileSource, UnchangedMeansForTwoLooks) {
  FilesWorld world(6, "whole: unchanged, order: unordered, look_every: 1s");
  world.Boot(0);
  for (int i = 0; i < 10; ++i) {
    world.folder().Land("x.csv", absl::StrCat("id\n", i, "\n"));
    world.Run(0, 20);
    world.clock().Advance(600 * kMillisecond);
  }
  EXPECT_THAT(world.Values(), IsEmpty()) << "it is still written";
  world.Run(0, 900);
  EXPECT_THAT(world.Values(), ElementsAre(Row(9)));
}

TEST(FileSource, AFileThatIsChangedUnderItsReaderEndsIt) {
  std::string large = "id\n";
  for (int i = 0; i < 5'000; ++i) absl::StrAppend(&large, i, "\n");
  for (const bool skip : {false, true}) {
    FilesWorld world(7, "whole: renamed, order: unordered", skip ? "    on_data_loss: skip\n" : "");
    world.folder().Land("x.csv", large);
    world.Boot(0);
    while (world.Values().empty()) ASSERT_TRUE(world.Step(0));
    world.folder().Land("x.csv", "id\n-1\n");
    world.Boot(1);
    if (!skip) {
      while (world.Step(1)) {
      }
      EXPECT_THAT(std::string(world.last_end().message()), HasSubstr("the file x.csv was changed while it was read"));
    } else {
      world.Run(1, 900);
      EXPECT_EQ(world.Values().back(), Row(-1));
      EXPECT_EQ(world.status(1).counts()["files_broken"], 1);
    }
  }
}

std::multiset<std::string> CopiesOf(FilesWorld& world) {
  std::multiset<std::string> contents;
  for (const auto& [name, bytes] : world.lake().Files()) {
    EXPECT_THAT(name, ::testing::MatchesRegex("date=1970-01-01/f[0-9]~[0-9a-f]+\\.csv")) << "nothing else is left";
    contents.insert(bytes);
  }
  return contents;
}

// A lake that fails before and after each of its calls, loses power, and three workers that die and believe too long to
// be the reader: when all is through, each content that came is there once, and no part of one.
bool EachContentThatWasReadHasItsCopy(uint64_t seed) {
  FilesWorld world(seed, "whole: renamed, order: unordered, look_every: 100ms, archive: kept");
  SimRandom& random = world.random();
  SimFaults& faults = world.cluster().faults();
  faults.unavailable = 0.02;
  faults.commit_unknown = 0.05;
  faults.commit_aborted = 0.05;
  faults.crash = 0.01;
  world.folder().away = 0.05;
  double away = 0.1;
  world.lake().SetFaults([&](MemoryObjectStore::Call, const std::string&, bool) {
    return random.Chance(away) ? absl::UnavailableError("the lake is away") : absl::OkStatus();
  });
  std::multiset<std::string> expected;
  int64_t next_id = 0;
  for (int turn = 0; turn < 600; ++turn) {
    const int worker = static_cast<int>(random.Below(3));
    if (!world.Booted(worker) || random.Below(80) == 0) world.Boot(worker);
    const std::string name = absl::StrCat("f", random.Below(4), ".csv");
    if (turn % 10 == 0 && !world.folder().landing.contains(name)) {
      std::string text = "id\n";
      for (int64_t i = 1 + static_cast<int64_t>(random.Below(3000)); i > 0; --i)
        absl::StrAppend(&text, next_id++, "\n");
      expected.insert(text);
      world.folder().Land(name, text);
    }
    if (random.Below(40) == 0) world.lake().Crash();
    if (random.Below(30) == 0) world.clock().Advance(static_cast<int64_t>(random.Below(12)) * kSecond);
    world.Step(worker);
    EXPECT_TRUE(world.last_end().ok()) << world.last_end();
  }
  faults = SimFaults();
  world.folder().away = away = 0;
  for (const int other : {1, 2}) world.cluster().Kill(other);
  world.Boot(0);
  world.Run(0, 3000);
  // What the last owner's predecessors have left goes with the next copy.
  world.folder().Land("f0.csv", "id\n-1\n");
  expected.insert("id\n-1\n");
  world.Run(0, 3000);
  EXPECT_THAT(world.folder().landing, IsEmpty());
  EXPECT_EQ(world.Values().size(), static_cast<size_t>(next_id + 1));
  return CopiesOf(world) == expected;
}

TEST(FileSource, EachContentThatWasReadHasItsCopyWhateverFails) {
  for (uint64_t seed = 1; seed <= 10; ++seed) EXPECT_TRUE(EachContentThatWasReadHasItsCopy(seed)) << "seed " << seed;
}

#ifdef TIDEMARK_WITH_MUTATIONS
TEST(FileSource, AFileThatIsReadWithoutItsCopyIsFound) {
  SetMutation(Mutation::kFileReadWithoutItsCopy, true);
  bool found = false;
  for (uint64_t seed = 1; seed <= 20 && !found; ++seed) found = !EachContentThatWasReadHasItsCopy(seed);
  SetMutation(Mutation::kFileReadWithoutItsCopy, false);
  EXPECT_TRUE(found);
}
#endif

// ---- Sets

constexpr char kSets[] =
    "whole: renamed, order: unordered, look_every: 100ms, manifest: { name: \"*.manifest\", deadline: 5s }";

void LandNow(FilesWorld& world, const std::string& name, const std::string& text) {
  world.folder().clock_ns = world.clock().WallUs() * 1000;
  world.folder().Land(name, text);
}

std::string ManifestOf(const std::map<std::string, std::string>& files, int64_t rows_more = 0) {
  std::vector<std::string> entries;
  for (const auto& [name, text] : files) {
    const auto rows = std::count(text.begin(), text.end(), '\n') - 1 + rows_more;
    entries.push_back(absl::StrCat("{\"name\":\"", name, "\",\"bytes\":", text.size(), ",\"rows\":", rows, "}"));
  }
  return absl::StrCat("{\"files\":[", absl::StrJoin(entries, ","), "]}");
}

TEST(FileSets, AreReadWhenAllTheirFilesAreThereAndMovedAsAWhole) {
  FilesWorld world(1, kSets, "", ", set: { type: string, from: \"header:tidemark.batch\" }");
  world.Boot(0);
  const std::map<std::string, std::string> files = {{"a.csv", "id\n1\n2\n"}, {"in/b.csv", "id\n3\n"}};
  LandNow(world, "x/a.csv", files.at("a.csv"));
  LandNow(world, "x/day.manifest", ManifestOf(files));
  world.Run(0, 200);
  EXPECT_THAT(world.Values(), IsEmpty()) << "a file is missing";
  LandNow(world, "x/in/b.csv", files.at("in/b.csv"));
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1), Row(2), Row(3)));
  EXPECT_THAT(world.Headers("tidemark.file"), ElementsAre("x/a.csv", "x/a.csv", "x/in/b.csv"));
  const std::vector<std::string> batches = world.Headers("tidemark.batch");
  EXPECT_EQ(std::set<std::string>(batches.begin(), batches.end()).size(), 1u) << "one batch";
  EXPECT_THAT(world.Headers("tidemark.rows"), ElementsAre("3", "3", "3"));
  EXPECT_THAT(world.folder().landing, IsEmpty());
  EXPECT_EQ(world.folder().processed.size(), 3u);
  EXPECT_EQ(world.status(0).counts()["files_read"], 1);
}

TEST(FileSets, WhatIsntWholeByItsDeadlineOrIsntWhatTheManifestSaysIsRejectedWhole) {
  FilesWorld world(2, kSets);
  world.Boot(0);
  LandNow(world, "late/a.csv", "id\n1\n");
  LandNow(world, "late/x.manifest", ManifestOf({{"a.csv", "id\n1\n"}, {"b.csv", "id\n2\n"}}));
  LandNow(world, "rows/a.csv", "id\n1\n");
  LandNow(world, "rows/x.manifest", ManifestOf({{"a.csv", "id\n1\n"}}, 1));
  LandNow(world, "sum/a.csv", "id\n1\n");
  LandNow(world, "sum/x.manifest",
          absl::StrCat("{\"files\":[{\"name\":\"a.csv\",\"sha256\":\"", std::string(64, '0'), "\"}]}"));
  LandNow(world, "odd/x.manifest", "{\"files\":[{\"name\":\"../a.csv\",\"bytes\":1}]}");
  LandNow(world, "odd/y.manifest", "{\"files\":[{\"name\":\"a.csv\",\"md5\":\"00\"}]}");
  LandNow(world, "orphan.csv", "id\n9\n");
  world.Run(0, 300);
  EXPECT_EQ(world.folder().rejected.size(), 6u) << "all but the late one";
  world.clock().Advance(6 * kSecond);
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), IsEmpty());
  std::string reasons;
  for (const auto& [name, reason] : world.folder().rejected) reasons += reason;
  EXPECT_THAT(reasons, HasSubstr("not whole by its deadline: the file late/b.csv isn't there"));
  EXPECT_THAT(reasons, HasSubstr("rows/a.csv: it has 1 records, and is to have 2"));
  EXPECT_THAT(reasons, HasSubstr("sum/a.csv: its sha256 is "));
  EXPECT_THAT(reasons, HasSubstr("'../a.csv', which is no name of a file in its folder or below"));
  EXPECT_THAT(reasons, HasSubstr("md5"));
  EXPECT_EQ(world.status(0).counts()["files_rejected"], 5);
  EXPECT_EQ(world.folder().landing.size(), 1u) << "what no manifest names waits";
}

TEST(FileSets, AFileIsOfOneSet) {
  FilesWorld world(3, kSets);
  world.Boot(0);
  const std::map<std::string, std::string> files = {{"a.csv", "id\n1\n"}};
  LandNow(world, "a.csv", files.at("a.csv"));
  LandNow(world, "x.manifest", ManifestOf(files));
  world.Run(0, 300);
  LandNow(world, "a.csv", files.at("a.csv"));
  LandNow(world, "y.manifest", ManifestOf(files));
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1)));
  ASSERT_EQ(world.folder().rejected.size(), 2u);
  EXPECT_THAT(world.folder().rejected.begin()->second, HasSubstr("the file a.csv was read before, with x.manifest"));
  LandNow(world, "a.csv", files.at("a.csv"));
  LandNow(world, "x.manifest", ManifestOf(files));
  world.Run(0, 300);
  EXPECT_EQ(world.status(0).counts()["files_skipped"], 1) << "the same set again";
  EXPECT_THAT(world.Values(), ElementsAre(Row(1)));
}

// A producer that tries again lists its files in another order, or counts their rows.
TEST(FileSets, TheSameSetIsSkippedHoweverItsManifestIsWritten) {
  FilesWorld world(4, kSets);
  world.Boot(0);
  const auto land = [&](const std::string& manifest) {
    LandNow(world, "a.csv", "id\n1\n");
    LandNow(world, "b.csv", "id\n2\n");
    LandNow(world, "x.manifest", manifest);
    world.Run(0, 300);
  };
  land(R"({"files":[{"name":"a.csv","bytes":5},{"name":"b.csv","bytes":5}]})");
  const std::vector<std::string> once = {Row(1), Row(2)};
  EXPECT_EQ(world.Values(), once);
  land(R"({"files":[{"name":"b.csv","bytes":5},{"name":"a.csv","bytes":5}]})");
  land(R"({"rows":2,"files":[{"name":"a.csv","bytes":5,"rows":1},{"name":"b.csv","bytes":5}]})");
  world.Boot(1);
  LandNow(world, "a.csv", "id\n1\n");
  LandNow(world, "x.manifest", R"({"files":[{"name":"a.csv","bytes":5}]})");
  world.Run(1, 300);
  EXPECT_EQ(world.Values(), once);
  EXPECT_EQ(world.status(1).counts()["files_skipped"], 3);
  EXPECT_THAT(world.folder().rejected, IsEmpty());
  EXPECT_THAT(world.folder().landing, IsEmpty());
}

TEST(FileSets, AnotherVersionOfASetHasOtherFilesOrIsRejected) {
  FilesWorld world(5, kSets);
  world.Boot(0);
  LandNow(world, "a.csv", "id\n1\n");
  LandNow(world, "x.manifest", ManifestOf({{"a.csv", "id\n1\n"}}));
  world.Run(0, 300);
  LandNow(world, "a.csv", "id\n1\n");
  LandNow(world, "b.csv", "id\n2\n");
  LandNow(world, "x.manifest", ManifestOf({{"a.csv", "id\n1\n"}, {"b.csv", "id\n2\n"}}));
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1)));
  ASSERT_EQ(world.folder().rejected.size(), 3u);
  EXPECT_THAT(world.folder().rejected.begin()->second, HasSubstr("the file a.csv was read before, with x.manifest"));
  LandNow(world, "a.csv", "id\n3\n");
  LandNow(world, "b.csv", "id\n2\n");
  LandNow(world, "x.manifest", ManifestOf({{"a.csv", "id\n3\n"}, {"b.csv", "id\n2\n"}}));
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1), Row(3), Row(2)));
}

// `cp -p` and `rsync -a` bring yesterday's times.
TEST(FileSets, TheDeadlineOfAnOldManifestCountsFromWhenItIsSeen) {
  FilesWorld world(6, kSets);
  world.clock().Advance(24 * 3600 * kSecond);
  world.Boot(0);
  const std::map<std::string, std::string> files = {{"a.csv", "id\n1\n"}};
  world.folder().Land("x.manifest", ManifestOf(files));  // of 1970
  world.Run(0, 100);
  EXPECT_THAT(world.folder().rejected, IsEmpty());
  world.folder().Land("a.csv", files.at("a.csv"));
  world.Run(0, 100);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1)));
  world.folder().Land("y.manifest", ManifestOf({{"b.csv", "id\n1\n"}}));
  world.Run(0, 100);
  world.clock().Advance(6 * kSecond);
  world.Run(0, 100);
  EXPECT_EQ(world.folder().rejected.size(), 1u);
}

// What is noted of sets that aren't whole yet, by the last note of each key: how many.
size_t Awaited(FilesWorld& world) {
  size_t awaited = 0;
  for (const auto& [key, value] : world.Notes()) awaited += value && key.find('\0') != std::string::npos ? 1 : 0;
  return awaited;
}

TEST(FileSets, ADeadlineIsOneHoweverOftenAWorkerTakesOver) {
  FilesWorld world(8, kSets);
  const int64_t landed_us = world.clock().WallUs();
  LandNow(world, "a.csv", "id\n1\n");
  LandNow(world, "x.manifest", ManifestOf({{"a.csv", "id\n1\n"}, {"b.csv", "id\n2\n"}}));
  while (world.folder().rejected.empty() && world.clock().WallUs() < landed_us + 20 * kSecond) {
    const int worker = world.Booted(0) ? 1 : 0;
    world.Boot(worker);
    world.cluster().Kill(1 - worker);
    world.Run(worker, 50);
    EXPECT_EQ(Awaited(world), world.folder().rejected.empty() ? 1u : 0u);
    world.clock().Advance(kSecond);
  }
  EXPECT_EQ(world.folder().rejected.size(), 2u);
  EXPECT_LT(world.clock().WallUs(), landed_us + 8 * kSecond);
  EXPECT_EQ(Awaited(world), 0u);
}

TEST(FileSets, ASetIsAwaitedUntilItIsDecidedOrItsManifestGoes) {
  FilesWorld world(9, kSets);
  world.Boot(0);
  LandNow(world, "gone/x.manifest", ManifestOf({{"a.csv", "id\n1\n"}}));
  LandNow(world, "whole/x.manifest", ManifestOf({{"a.csv", "id\n2\n"}}));
  world.Run(0, 100);
  EXPECT_EQ(Awaited(world), 2u);
  world.folder().landing.erase("gone/x.manifest");
  world.Run(0, 100);
  EXPECT_EQ(Awaited(world), 1u);
  LandNow(world, "whole/a.csv", "id\n2\n");
  world.Run(0, 100);
  EXPECT_EQ(Awaited(world), 0u);
  EXPECT_THAT(world.Values(), ElementsAre(Row(2)));
  // Another manifest of the name has a time of its own.
  LandNow(world, "again/x.manifest", ManifestOf({{"a.csv", "id\n3\n"}}));
  world.Run(0, 50);
  world.clock().Advance(2500 * kMillisecond);
  LandNow(world, "again/x.manifest", ManifestOf({{"b.csv", "id\n3\n"}}));
  world.Run(0, 20);
  world.clock().Advance(2500 * kMillisecond);
  world.Run(0, 20);
  EXPECT_THAT(world.folder().rejected, IsEmpty());
}

// Workers that die all the time, brokers and a folder that fail: a set that never gets whole is rejected in time.
TEST(FileSets, WhatNeverGetsWholeIsRejectedInTimeWhateverFails) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    FilesWorld world(seed, kSets);
    SimRandom& random = world.random();
    SimFaults& faults = world.cluster().faults();
    faults.unavailable = 0.01;
    faults.lost_answer = 0.01;
    faults.commit_unknown = 0.05;
    faults.commit_aborted = 0.05;
    faults.crash = 0.005;
    const int64_t landed_us = world.clock().WallUs();
    LandNow(world, "x.manifest", ManifestOf({{"a.csv", "id\n1\n"}}));
    while (world.folder().rejected.empty() && world.clock().WallUs() < landed_us + 60 * kSecond) {
      const int worker = static_cast<int>(random.Below(2));
      if (!world.Booted(worker) || random.Below(30) == 0) world.Boot(worker);
      if (random.Below(20) == 0) world.clock().Advance(kSecond);
      world.Step(worker);
      ASSERT_TRUE(world.last_end().ok()) << world.last_end();
    }
    EXPECT_EQ(world.folder().rejected.size(), 1u);
    EXPECT_LT(world.clock().WallUs(), landed_us + 12 * kSecond);
  }
}

// In one transaction or one after the other, and whoever moves them.
TEST(FileSets, AFileThatWasReadIsNotFiledAsRejected) {
  for (const bool together : {true, false}) {
    FilesWorld world(7, kSets);
    world.Boot(0);
    LandNow(world, "f.csv", "id\n1\n");
    if (together) LandNow(world, "a.manifest", ManifestOf({{"f.csv", "id\n1\n"}}, 1));  // counts wrongly
    LandNow(world, "b.manifest", ManifestOf({{"f.csv", "id\n1\n"}}));
    LandNow(world, "c.manifest", ManifestOf({{"f.csv", "id\n1\n"}}));
    world.Run(0, 300);
    EXPECT_THAT(world.Values(), ElementsAre(Row(1)));
    EXPECT_THAT(world.folder().landing, IsEmpty());
    EXPECT_EQ(world.folder().processed.size(), 2u) << "the file, and its manifest";
    for (const auto& [name, reason] : world.folder().rejected) EXPECT_THAT(name, HasSubstr(".manifest~"));
  }
}

// Three workers that die and believe too long to be the reader, a folder and brokers that fail: the rows of each set
// are in once each, or none is, and its files lie where it belongs.
TEST(FileSets, EachIsInWholeExactlyOnceOrNotAtAllWhateverFails) {
  int64_t read = 0, rejected = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    FilesWorld world(seed, kSets);
    SimRandom& random = world.random();
    SimFaults& faults = world.cluster().faults();
    faults.unavailable = 0.02;
    faults.lost_answer = 0.01;
    faults.commit_unknown = 0.05;
    faults.commit_aborted = 0.05;
    faults.crash = 0.005;
    world.folder().away = 0.05;
    std::vector<std::string> expected;
    int64_t next_id = 0;
    size_t bad = 0, sets = 0;
    for (int turn = 0; turn < 600; ++turn) {
      const int worker = static_cast<int>(random.Below(3));
      if (!world.Booted(worker) || random.Below(100) == 0) world.Boot(worker);
      if (turn % 20 == 0 && turn < 500) {
        const bool wrong = random.Below(4) == 0;
        std::map<std::string, std::string> files;
        for (uint64_t f = 1 + random.Below(3); f > 0; --f) {
          std::string text = "id\n";
          for (uint64_t i = 1 + random.Below(900); i > 0; --i) {
            if (!wrong) expected.push_back(Row(next_id));
            absl::StrAppend(&text, next_id++, "\n");
          }
          files[absl::StrCat("f", f, ".csv")] = text;
        }
        const std::string folder = absl::StrCat("s", sets++, "/");
        LandNow(world, folder + "x.manifest", ManifestOf(files, wrong ? 1 : 0));
        for (const auto& [name, text] : files) LandNow(world, folder + name, text);
        bad += wrong ? 1 : 0;
      }
      if (random.Below(30) == 0) world.clock().Advance(static_cast<int64_t>(random.Below(3)) * kSecond);
      world.Step(worker);
      ASSERT_TRUE(world.last_end().ok()) << world.last_end();
    }
    faults = SimFaults();
    world.folder().away = 0;
    for (const int other : {1, 2}) world.cluster().Kill(other);
    world.Boot(0);
    world.Run(0, 2000);
    EXPECT_THAT(world.folder().landing, IsEmpty());
    std::vector<std::string> values = world.Values();
    std::sort(values.begin(), values.end());
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(values, expected);
    EXPECT_EQ(world.status(0).counts()["files_rejected"], static_cast<int64_t>(bad));
    read += world.status(0).counts()["files_read"];
    rejected += static_cast<int64_t>(bad);
  }
  EXPECT_GT(read, 300);
  EXPECT_GT(rejected, 50);
}

// A folder into which files come, come again and come as others, and three workers of which each may believe to be the
// one that reads it; a folder and brokers that fail.
TEST(FileSource, EachRowOfEachVersionIsInExactlyOnceWhateverFails) {
  int64_t ended = 0, skipped = 0, versions = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    FilesWorld world(seed, "whole: renamed, order: unordered, partitions: 3, look_every: 100ms");
    SimRandom& random = world.random();
    SimFaults& faults = world.cluster().faults();
    faults.unavailable = 0.02;
    faults.lost_answer = 0.01;
    faults.commit_unknown = 0.05;
    faults.commit_aborted = 0.05;
    faults.crash = 0.005;
    world.folder().away = 0.05;
    std::map<std::string, std::string> newest;  // content by name
    std::vector<std::string> expected;
    size_t letters = 0;
    int64_t next_id = 0;
    for (int turn = 0; turn < 1200; ++turn) {
      const int worker = static_cast<int>(random.Below(3));
      if (!world.Booted(worker) || random.Below(150) == 0) world.Boot(worker);
      const std::string name = absl::StrCat("f", random.Below(6), random.Below(2) == 0 ? ".csv" : ".jsonl");
      if (turn % 10 == 0 && !world.folder().landing.contains(name)) {
        if (newest.contains(name) && random.Below(4) == 0) {
          world.folder().Land(name, newest[name]);
        } else {
          const bool csv = name.ends_with(".csv");
          std::string text = csv ? "id\n" : "";
          for (int64_t i = 1 + static_cast<int64_t>(random.Below(30)); i > 0; --i) {
            if (random.Below(20) == 0) {
              absl::StrAppend(&text, "x", next_id++, "\n");
              ++letters;
              continue;
            }
            expected.push_back(Row(next_id));
            absl::StrAppend(&text, csv ? absl::StrCat(next_id) : Row(next_id), "\n");
            ++next_id;
          }
          world.folder().Land(name, text);
          newest[name] = text;
        }
      }
      if (random.Below(30) == 0) world.clock().Advance(static_cast<int64_t>(random.Below(12)) * kSecond);
      if (!world.Step(worker)) ++ended;
      ASSERT_TRUE(world.last_end().ok()) << world.last_end();
    }
    faults = SimFaults();
    world.folder().away = 0;
    for (const int other : {1, 2}) world.cluster().Kill(other);
    world.Boot(0);
    world.Run(0, 3000);
    EXPECT_THAT(world.folder().landing, IsEmpty());
    std::vector<std::string> values = world.Values();
    std::sort(values.begin(), values.end());
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(values, expected);
    ASSERT_EQ(world.Letters().size(), letters);
    EXPECT_EQ(world.status(0).rows(), static_cast<int64_t>(expected.size()));
    EXPECT_EQ(world.status(0).refused(), static_cast<int64_t>(letters));
    skipped += world.status(0).counts()["files_skipped"];
    versions += world.status(0).counts()["files_of_new_versions"];
  }
  EXPECT_GT(ended, 100);
  EXPECT_GT(skipped, 100);
  EXPECT_GT(versions, 300);
}

}  // namespace
}  // namespace tidemark::sim
