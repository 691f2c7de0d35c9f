#include "operators/sinks/parquet/sink.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <arrow/array.h>
#include <arrow/io/memory.h>
#include <arrow/table.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>

#include "operators/sinks/parquet/folders.h"
#include "src/storage/memory_store.h"
#include "tests/unit/operators_sinks/python.h"
#include "tests/unit/operators_sinks/rows.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The column `id` of a file's bytes.
std::vector<int64_t> Ids(const std::string& bytes) {
  auto reader = parquet::arrow::OpenFile(std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(bytes)),
                                         arrow::default_memory_pool());
  std::vector<int64_t> ids;
  const auto table = (*reader)->ReadTable().ValueOrDie();
  const auto column = table->GetColumnByName("id")->chunks();
  for (const auto& chunk : column) {
    const auto& values = static_cast<const arrow::Int64Array&>(*chunk);
    for (int64_t i = 0; i < values.length(); ++i) ids.push_back(values.Value(i));
  }
  return ids;
}

class ParquetSinkTest : public ::testing::Test {
 protected:
  std::unique_ptr<ParquetSink> Open(ObjectStore& lake, uint64_t attempt = 1) {
    auto sink = ParquetSink::Open({spec_, "s3", schema_, mode_, std::string("\x0a\xbc\xde\xf0", 4), 2, attempt}, &lake);
    EXPECT_TRUE(sink.ok()) << sink.status();
    return sink.ok() ? *std::move(sink) : nullptr;
  }
  absl::Status Add(ParquetSink& sink, std::string_view json, int64_t first, int64_t next, int64_t now_us = 0) {
    return sink.Add(Rows(schema_, json), first, next, now_us, &failures_);
  }
  // Cuts, and goes on with what the cut gives back: null where it failed.
  static absl::StatusOr<packed::Manifest> Cut(std::unique_ptr<ParquetSink>& sink) {
    auto staged = ParquetSink::Cut(std::move(sink));
    if (!staged.ok()) return staged.status();
    sink = std::move(staged->sink);
    return std::move(staged->manifest);
  }
  static absl::Status Publish(std::unique_ptr<ParquetSink>& sink) {
    const auto manifest = Cut(sink);
    return manifest.ok() ? sink->Publish(*manifest) : manifest.status();
  }
  // What a *.parquet glob sees.
  std::vector<std::string> Visible() const {
    std::vector<std::string> names;
    for (const auto& [name, bytes] : lake_.Files()) {
      if (absl::EndsWith(name, ".parquet")) names.push_back(name);
    }
    return names;
  }
  std::vector<int64_t> VisibleIds() const {
    std::vector<int64_t> all;
    for (const std::string& name : Visible()) {
      const std::vector<int64_t> ids = Ids(lake_.Files()[name]);
      all.insert(all.end(), ids.begin(), ids.end());
    }
    std::sort(all.begin(), all.end());
    return all;
  }

  MemoryObjectStore lake_;
  ParquetSinkSpec spec_;
  Schema schema_{{Col("id", "int64"), Col("city", "string?")}};
  StepMode mode_;
  std::vector<SinkRowFailure> failures_;
};

TEST_F(ParquetSinkTest, RowsAppearUnderAFinalNameOnlyAfterTheDecision) {
  auto sink = Open(lake_);
  ASSERT_TRUE(sink->Recover(nullptr).ok());
  ASSERT_TRUE(Add(*sink, R"([[1, "a"], [2, "b"]])", 10, 12).ok());
  ASSERT_TRUE(sink->Add(nullptr, 12, 14, 0, &failures_).ok());
  ASSERT_TRUE(Add(*sink, R"([[3, null]])", 14, 15).ok());
  EXPECT_EQ(sink->rows(), 3);
  const auto manifest = Cut(sink);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_THAT(Visible(), IsEmpty());
  EXPECT_EQ(manifest->first_offset(), 10);
  EXPECT_EQ(manifest->next_offset(), 15);
  ASSERT_THAT(manifest->files(), SizeIs(1));
  EXPECT_EQ(manifest->files(0).rows(), 3);
  ASSERT_TRUE(sink->Publish(*manifest).ok());
  EXPECT_THAT(Visible(), ElementsAre("s3-0abcdef0-2-10-14.parquet"));
  EXPECT_EQ(static_cast<int64_t>(lake_.Files().begin()->second.size()), manifest->files(0).bytes());
  EXPECT_THAT(VisibleIds(), ElementsAre(1, 2, 3));
  EXPECT_TRUE(sink->Publish(*manifest).ok());

  ASSERT_TRUE(Add(*sink, R"([[4, "d"]])", 20, 21).ok());
  ASSERT_TRUE(Publish(sink).ok());
  EXPECT_THAT(Visible(), ElementsAre("s3-0abcdef0-2-10-14.parquet", "s3-0abcdef0-2-20-20.parquet"));
}

TEST_F(ParquetSinkTest, ACutWithoutRowsHasOffsetsAndNoFiles) {
  auto sink = Open(lake_);
  ASSERT_TRUE(sink->Add(nullptr, 5, 9, 0, &failures_).ok());
  EXPECT_FALSE(sink->ShouldCut(INT64_MAX - 1));
  const auto manifest = Cut(sink);
  EXPECT_EQ(manifest->next_offset(), 9);
  EXPECT_THAT(manifest->files(), IsEmpty());
}

TEST_F(ParquetSinkTest, OffsetsThatOverlapAreADefect) {
  auto sink = Open(lake_);
  ASSERT_TRUE(Add(*sink, R"([[1, "a"]])", 5, 9).ok());
  EXPECT_TRUE(absl::IsInternal(Add(*sink, R"([[1, "a"]])", 8, 10)));
}

TEST_F(ParquetSinkTest, FoldersAreNamedAsHiveNamesThem) {
  schema_ = Schema({Col("id", "int64"), Col("city", "string?"), Col("t", "timestamp_us")});
  spec_.partition_by = {{"city", "city"}, {"dt", "date(t)"}};
  auto sink = Open(lake_);
  ASSERT_TRUE(
      Add(*sink, R"([[1, "a/b=c", 0], [2, null, 86400000000], [3, "", 86400000000], [4, "a/b=c", 1], [5, "Köln", -1]])",
          0, 5)
          .ok());
  ASSERT_TRUE(Publish(sink).ok());
  EXPECT_THAT(Visible(), ElementsAre("city=K\xc3\xb6ln/dt=1969-12-31/s3-0abcdef0-2-0-4.parquet",
                                     "city=__HIVE_DEFAULT_PARTITION__/dt=1970-01-02/s3-0abcdef0-2-0-4.parquet",
                                     "city=a%2Fb%3Dc/dt=1970-01-01/s3-0abcdef0-2-0-4.parquet"));
  EXPECT_THAT(Ids(lake_.Files()[Visible()[1]]), ElementsAre(2, 3));
  EXPECT_THAT(Ids(lake_.Files()[Visible()[2]]), ElementsAre(1, 4));
}

TEST_F(ParquetSinkTest, ARowWithoutAFolderIsAFailureAndTheRestIsWritten) {
  spec_.partition_by = {{"part", "10 / id"}};
  auto sink = Open(lake_);
  ASSERT_TRUE(Add(*sink, R"([[1, "a"], [0, "b"], [2, "c"]])", 0, 3).ok());
  ASSERT_THAT(failures_, SizeIs(1));
  EXPECT_THAT(failures_[0].reason, HasSubstr("partition_by part"));
  EXPECT_THAT(failures_[0].row_json, HasSubstr("\"b\""));
  ASSERT_TRUE(Publish(sink).ok());
  EXPECT_THAT(VisibleIds(), ElementsAre(1, 2));

  spec_.partition_by = {{"city", "city"}};
  auto long_names = Open(lake_, 2);
  ASSERT_TRUE(
      long_names->Add(Rows(schema_, absl::StrCat("[[1, \"", std::string(300, 'x'), "\"]]")), 3, 4, 0, &failures_).ok());
  EXPECT_THAT(failures_, SizeIs(2));
}

TEST_F(ParquetSinkTest, AFolderNamedLikeAColumnWithOtherValuesIsRefused) {
  spec_.partition_by = {{"city", "lower(city)"}};
  const auto sink = ParquetSink::Open({spec_, "s3", schema_, mode_, "identity", 0, 1}, &lake_);
  EXPECT_TRUE(absl::IsInvalidArgument(sink.status()));
  EXPECT_THAT(std::string(sink.status().message()), HasSubstr("partition_by city"));
}

// A batch of an update step: a time and an op a row beside what is visible.
Batch Changes(const Schema& schema, std::string_view json, const std::vector<Op>& ops, int64_t time_us) {
  const Batch rows = Rows(schema, json, ops);
  arrow::Int64Builder times;
  for (size_t i = 0; i < ops.size(); ++i) (void)times.Append(time_us);
  return rows->AddColumn(static_cast<int>(schema.size()), HiddenField(Hidden::kTime), times.Finish().ValueOrDie())
      .ValueOrDie();
}

TEST_F(ParquetSinkTest, OfAnUpdateStepEveryChangeIsARowWithItsPlace) {
  mode_.update = spec_.changes = true;
  spec_.partition_by = {{"day", "date(_time)"}};
  auto sink = Open(lake_);
  using enum Op;
  const int64_t second_day = 86'400 * kSecond;
  ASSERT_TRUE(
      sink->Add(Changes(schema_, R"([[1, "a"], [1, "a"], [1, null]])", {kInsert, kUpdateBefore, kUpdateAfter}, 5), 10,
                10, 0, &failures_)
          .ok());
  ASSERT_TRUE(sink->Add(Changes(schema_, R"([[2, "b"]])", {kInsert}, 6), 10, 12, 0, &failures_).ok());
  ASSERT_TRUE(sink->Add(Changes(schema_, R"([[1, null]])", {kDelete}, second_day), 12, 13, 0, &failures_).ok());
  ASSERT_TRUE(Publish(sink).ok());
  EXPECT_THAT(failures_, IsEmpty());
  const auto read = [&](const std::string& name) {
    auto reader = parquet::arrow::OpenFile(
        std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(lake_.Files()[name])),
        arrow::default_memory_pool());
    return (*reader)->ReadTable().ValueOrDie()->CombineChunksToBatch().ValueOrDie();
  };
  ASSERT_THAT(Visible(),
              ElementsAre("day=1970-01-01/s3-0abcdef0-2-10-12.parquet", "day=1970-01-02/s3-0abcdef0-2-10-12.parquet"));
  const Batch first = read(Visible()[0]), second = read(Visible()[1]);
  EXPECT_EQ(first->schema()->field_names(),
            (std::vector<std::string>{"id", "city", "_op", "_time", "_partition", "_offset", "_row"}));
  EXPECT_EQ(first->ToString(), Rows(LakeSchema(schema_, true),
                                    R"([[1, "a", "insert", 5, 2, 10, 0], [1, "a", "update_before", 5, 2, 10, 1],
                                        [1, null, "update_after", 5, 2, 10, 2], [2, "b", "insert", 6, 2, 10, 3]])")
                                   ->ToString());
  EXPECT_EQ(second->ToString(),
            Rows(LakeSchema(schema_, true), R"([[1, null, "delete", 86400000000, 2, 12, 0]])")->ToString());
}

TEST_F(ParquetSinkTest, AnUpdateStepWhoseChangesArentAskedForIsRefused) {
  mode_.update = true;
  const auto sink = ParquetSink::Open({spec_, "s3", schema_, mode_, "identity", 0, 1}, &lake_);
  EXPECT_TRUE(absl::IsInvalidArgument(sink.status()));
}

TEST_F(ParquetSinkTest, ACutIsDueByTheAgeOfItsFirstRow) {
  spec_.max_age_us = 60 * kSecond;
  auto sink = Open(lake_);
  EXPECT_EQ(sink->CutDueUs(), kMaxTime.us);
  ASSERT_TRUE(Add(*sink, R"([[1, "a"]])", 0, 1, 100 * kSecond).ok());
  ASSERT_TRUE(Add(*sink, R"([[2, "a"]])", 1, 2, 150 * kSecond).ok());
  EXPECT_EQ(sink->CutDueUs(), 160 * kSecond);
  EXPECT_FALSE(sink->ShouldCut(160 * kSecond - 1));
  EXPECT_TRUE(sink->ShouldCut(160 * kSecond));
  ASSERT_TRUE(Cut(sink).ok());
  EXPECT_FALSE(sink->ShouldCut(1000 * kSecond));
}

// A batch of `count` rows with text that zstd can't shrink much.
std::string NoisyRows(int64_t first, int count) {
  std::string json = "[";
  uint64_t noise = static_cast<uint64_t>(first) * 6364136223846793005u + 1;
  for (int i = 0; i < count; ++i) {
    absl::StrAppend(&json, i > 0 ? "," : "", "[", first + i, ",\"");
    for (int word = 0; word < 8; ++word)
      absl::StrAppend(&json, noise = noise * 6364136223846793005u + 1442695040888963407u);
    absl::StrAppend(&json, "\"]");
  }
  return json + "]";
}

TEST_F(ParquetSinkTest, ACutIsDueWhenAFileReachesMaxBytes) {
  spec_.max_bytes = 1 << 20;
  auto sink = Open(lake_);
  int64_t at = 0;
  for (int cut = 0; cut < 4; ++cut) {
    while (!sink->ShouldCut(0)) {
      ASSERT_TRUE(Add(*sink, NoisyRows(at, 500), at, at + 500).ok());
      at += 500;
    }
    const auto manifest = Cut(sink);
    ASSERT_THAT(manifest->files(), SizeIs(1));
    EXPECT_GT(manifest->files(0).bytes(), cut == 0 ? 300'000 : 700'000);  // the first guesses what zstd will do
    EXPECT_LT(manifest->files(0).bytes(), 1'300'000);
  }
}

TEST_F(ParquetSinkTest, MemoryIsBoundedHoweverManyFoldersThereAre) {
  spec_.partition_by = {{"part", "id % 50"}};
  auto sink = Open(lake_);
  int64_t most = 0;
  std::vector<int64_t> expected;
  for (int64_t at = 0; at < 300'000; at += 20'000) {
    ASSERT_TRUE(Add(*sink, NoisyRows(at, 20'000), at, at + 20'000).ok());
    most = std::max(most, sink->buffered_bytes());
    for (int64_t id = at; id < at + 20'000; ++id) expected.push_back(id);
  }
  EXPECT_GT(most, 16 << 20);
  EXPECT_LE(most, 32 << 20);
  const auto manifest = Cut(sink);
  EXPECT_THAT(manifest->files(), SizeIs(50));
  ASSERT_TRUE(sink->Publish(*manifest).ok());
  EXPECT_EQ(VisibleIds(), expected);
}

TEST_F(ParquetSinkTest, AnAbandonedCutLeavesNothing) {
  spec_.max_bytes = 1;
  auto sink = Open(lake_);
  ASSERT_TRUE(Add(*sink, NoisyRows(0, 150'000), 0, 150'000).ok());
  EXPECT_THAT(lake_.Files(), SizeIs(1));
  sink.reset();
  EXPECT_THAT(lake_.Files(), IsEmpty());
}

TEST_F(ParquetSinkTest, RecoverTouchesOnlyTheStagesOfItsOwnPartition) {
  for (const char* name :
       {"_staging/s3-0abcdef0-2-0000000000000001-0.tmp", "_staging/s3-0abcdef0-22-0000000000000001-0.tmp",
        "_staging/s33-0abcdef0-2-0000000000000001-0.tmp"}) {
    ASSERT_TRUE(lake_.Create(name).ok());
  }
  ASSERT_TRUE(Open(lake_)->Recover(nullptr).ok());
  EXPECT_THAT(lake_.Files(), SizeIs(2));
}

// A frozen owner wakes up with a successor's stages before it, which may be decided by now.
TEST_F(ParquetSinkTest, WhoHasASuccessorDeletesNoStages) {
  ASSERT_TRUE(lake_.Create("_staging/s3-0abcdef0-2-0000000000000001-0.tmp").ok());
  const absl::Status lost = Open(lake_)->Recover(nullptr, [] { return absl::AbortedError("another generation"); });
  EXPECT_TRUE(absl::IsAborted(lost)) << lost;
  EXPECT_THAT(lake_.Files(), SizeIs(1));
  ASSERT_TRUE(Open(lake_)->Recover(nullptr, [] { return absl::OkStatus(); }).ok());
  EXPECT_THAT(lake_.Files(), IsEmpty());
}

// A lake that contradicts itself is asked again.
TEST_F(ParquetSinkTest, AStageThatIsDecidedIsNeverDeleted) {
  auto sink = Open(lake_);
  ASSERT_TRUE(Add(*sink, R"([[1, "a"]])", 0, 1).ok());
  const auto manifest = Cut(sink);
  ASSERT_TRUE(manifest.ok());
  lake_.SetFaults([](MemoryObjectStore::Call call, const std::string&, bool) {
    return call == MemoryObjectStore::Call::kMove ? absl::NotFoundError("neither is there") : absl::OkStatus();
  });
  const absl::Status recovered = Open(lake_, 2)->Recover(&*manifest);
  EXPECT_TRUE(absl::IsUnavailable(recovered)) << recovered;
  lake_.SetFaults(nullptr);
  ASSERT_TRUE(Open(lake_, 3)->Recover(&*manifest).ok());
  EXPECT_THAT(VisibleIds(), ElementsAre(1));
}

// Three cuts of two folders each; the file layer fails at the n-th call, for every n, and the machine loses power
// there. The successor reads the feed from the last committed offset. Whatever n: all rows once, none that isn't
// committed.
TEST_F(ParquetSinkTest, ACrashAtAnyCallLosesAndDoublesNothing) {
  spec_.partition_by = {{"part", "id % 2"}};
  int crashes = 0;
  for (int64_t crash_at = 0;; ++crash_at) {
    lake_ = MemoryObjectStore();
    std::optional<packed::Manifest> committed;
    int64_t offset = 0;
    uint64_t attempt = 0;
    const auto work = [&]() -> absl::Status {
      auto sink = Open(lake_, ++attempt);
      if (const absl::Status s = sink->Recover(committed ? &*committed : nullptr); !s.ok()) return s;
      while (offset < 6) {
        const absl::Status added =
            Add(*sink, absl::StrCat("[[", offset, ", \"a\"], [", offset + 1, ", \"b\"]]"), offset, offset + 2);
        if (!added.ok()) return added;
        auto manifest = Cut(sink);
        if (!manifest.ok()) return manifest.status();
        committed = *manifest;  // the transaction
        offset = manifest->next_offset();
        if (const absl::Status s = sink->Publish(*manifest); !s.ok()) return s;
      }
      return absl::OkStatus();
    };
    lake_.Fail(crash_at, absl::UnavailableError("power"));
    const bool crashed = !work().ok();
    lake_.Crash();
    std::vector<int64_t> all(offset);
    for (int64_t id = 0; id < offset; ++id) all[id] = id;
    for (int64_t id : VisibleIds()) EXPECT_LT(id, offset) << "not committed, crash at call " << crash_at;
    ASSERT_TRUE(work().ok());
    lake_.Crash();
    EXPECT_THAT(VisibleIds(), ElementsAre(0, 1, 2, 3, 4, 5)) << "crash at call " << crash_at;
    EXPECT_EQ(Visible().size(), lake_.Files().size()) << "a stage is left, crash at call " << crash_at;
    crashes += crashed;
    if (!crashed) break;
  }
  EXPECT_GT(crashes, 15);
}

// A frozen owner wakes up after its successor has published its committed cut and gone on.
TEST_F(ParquetSinkTest, AZombieThatPublishesLateChangesNothing) {
  auto zombie = Open(lake_, 1);
  ASSERT_TRUE(Add(*zombie, R"([[1, "a"]])", 0, 1).ok());
  const auto manifest = Cut(zombie);
  auto successor = Open(lake_, 2);
  ASSERT_TRUE(successor->Recover(&*manifest).ok());
  ASSERT_TRUE(Add(*successor, R"([[2, "b"]])", 1, 2).ok());
  ASSERT_TRUE(Publish(successor).ok());
  EXPECT_TRUE(zombie->Publish(*manifest).ok());
  EXPECT_THAT(VisibleIds(), ElementsAre(1, 2));
  EXPECT_THAT(lake_.Files(), SizeIs(2));
}

class LocalParquetTest : public ParquetSinkTest {
 protected:
  void SetUp() override {
    if (!VenvProgram("python")) GTEST_SKIP() << "no Python environment";
    char folder[] = "/tmp/tidemark-lake-XXXXXX";
    folder_ = mkdtemp(folder);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

TEST_F(LocalParquetTest, DuckdbAndPyarrowReadEveryTypeAndTheFolders) {
  schema_ = Schema({Col("id", "int64"), Col("city", "string?"), Col("t", "timestamp_ms?"), Col("n", "decimal(20,3)?"),
                    Col("b", "bytes?"), Col("d", "date?"), Col("f", "double?"), Col("i", "int32?"), Col("o", "bool?")});
  spec_.partition_by = {{"city", "city"}, {"dt", "date(t)"}};
  auto lake = *OpenObjectStore(folder_);
  auto sink = Open(*lake);
  ASSERT_TRUE(Add(*sink, R"([[1, "a b/c", 1767225600123456, "12345678901234567.890", "xy", 20000, 0.1, -5, true],
                             [2, "Köln", 1767312000000000, null, null, null, null, null, null]])",
                  0, 2)
                  .ok());
  const auto manifest = Cut(sink);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  const std::string duckdb = absl::StrCat(
      "import duckdb\nduckdb.sql(\"set timezone='UTC'\")\nprint(duckdb.sql(\"select id, city, t::varchar, n::varchar, "
      "b, d::varchar, "
      "f, i, o, dt::varchar from read_parquet('",
      folder_, "/**/*.parquet', hive_partitioning=1) order by id\").fetchall())");
  EXPECT_THAT(RunPython(duckdb), HasSubstr("No files found"));
  ASSERT_TRUE(sink->Publish(*manifest).ok());
  EXPECT_EQ(
      RunPython(duckdb),
      "[(1, 'a b/c', '2026-01-01 00:00:00.123456+00', '12345678901234567.890', b'xy', '2024-10-04', 0.1, -5, True, "
      "'2026-01-01'), (2, 'Köln', '2026-01-02 00:00:00+00', None, None, None, None, None, None, '2026-01-02')]");
  EXPECT_EQ(RunPython(absl::StrCat("import pyarrow.dataset as ds\nt = ds.dataset('", folder_,
                                   "', partitioning='hive').to_table().sort_by('id')\nprint(t['city'].to_pylist(), "
                                   "t['dt'].to_pylist(), t.schema.field('t').type, t.schema.field('id').nullable)")),
            "['a b/c', 'Köln'] ['2026-01-01', '2026-01-02'] timestamp[us, tz=UTC] False");
}

}  // namespace
}  // namespace tidemark
