// Nasty Avro schemas and messages, encoded by fastavro or by hand (tests/corpus/make_avro.py): each becomes the row
// that is stated, or is refused for the reason that is.
#include <fstream>

#include <absl/strings/escaping.h>
#include <absl/strings/str_split.h>
#include <arrow/record_batch.h>
#include <arrow/util/utf8.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/codec/avro/scan_plan.h"
#include "src/codec/json/tree.h"
#include "tests/unit/codec/codec_fixture.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;

struct Case {
  std::string schema, value;
  std::vector<std::string> references;
  std::vector<SourceColumn> columns;
};

// "a int64 null @after.a": the path where it isn't the name.
SourceColumn ColumnOf(const std::string& declaration) {
  const std::vector<std::string> parts = absl::StrSplit(declaration, " @");
  SourceColumn column = codec_test::Col(parts[0]);
  if (parts.size() > 1) column.path = absl::StrSplit(parts[1], '.');
  return column;
}

Case CaseOf(const JsonTree& tree) {
  Case made;
  made.schema = ToJson(*tree.Find("schema"));
  made.value = absl::HexStringToBytes(std::string(tree.Text("value")));
  for (const JsonTree& reference : tree.Find("references")->items) made.references.push_back(ToJson(reference));
  for (const JsonTree& column : tree.Find("columns")->items) made.columns.push_back(ColumnOf(column.text));
  return made;
}

// The row as JSON, or the reason.
std::string Read(const Case& of, std::string_view value) {
  const auto schema = AvroSchema::Parse(of.schema, of.references);
  if (!schema.ok()) return std::string(schema.status().message());
  std::vector<ReadTarget> targets;
  for (size_t c = 0; c < of.columns.size(); ++c) targets.push_back({of.columns[c].path, c, of.columns[c].column.type});
  ColumnSet columns(of.columns);
  const auto plan = CompileAvro(**schema, targets);
  if (!plan.ok()) return std::string(plan.status().message());
  columns.Start(1);
  columns.BeginRow(0);
  std::optional<std::string> reason = ScanAvro(*plan, value, 0, &columns);
  if (!reason) reason = columns.EndRow();
  if (reason) return *reason;
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  columns.Finish(1, &arrays);
  const Schema row = codec_test::SchemaFor(of.columns);
  const auto batch =
      arrow::RecordBatch::Make(BatchSchema(row, HiddenSet().Without(Hidden::kTime)), 1, std::move(arrays));
  EXPECT_TRUE(batch->ValidateFull().ok());
  return RowToJson(row, *batch, 0);
}

std::vector<JsonTree> Corpus() {
  arrow::util::InitializeUTF8();
  std::vector<JsonTree> all;
  std::ifstream file("tests/corpus/avro.jsonl");
  for (std::string line; std::getline(file, line);) all.push_back(ParseJson(line).value());
  return all;
}

TEST(AvroCorpus, EachBecomesWhatIsStated) {
  const std::vector<JsonTree> corpus = Corpus();
  ASSERT_GE(corpus.size(), 30u);
  for (const JsonTree& tree : corpus) {
    SCOPED_TRACE(tree.Text("name"));
    const Case of = CaseOf(tree);
    const std::string read = Read(of, of.value);
    if (const JsonTree* row = tree.Find("row")) {
      EXPECT_EQ(read, ToJson(*row));
    } else {
      EXPECT_THAT(read, HasSubstr(std::string(tree.Text("reason"))));
    }
  }
}

// Cut anywhere, and with any byte turned over, it is a row or a reason: what the sanitizers see is the test.
TEST(AvroCorpus, ADamagedMessageIsARowOrAReason) {
  for (const JsonTree& tree : Corpus()) {
    SCOPED_TRACE(tree.Text("name"));
    const Case of = CaseOf(tree);
    for (size_t size = 0; size < of.value.size(); ++size) {
      // Of its own, so that a read beyond it is one beyond its memory.
      const std::vector<char> cut(of.value.begin(), of.value.begin() + static_cast<int64_t>(size));
      EXPECT_NE(Read(of, {cut.data(), cut.size()}), "");
    }
    for (size_t at = 0; at < of.value.size(); ++at) {
      for (const int flip : {0x01, 0x80, 0xFF}) {
        std::vector<char> damaged(of.value.begin(), of.value.end());
        damaged[at] = static_cast<char>(damaged[at] ^ flip);
        EXPECT_NE(Read(of, {damaged.data(), damaged.size()}), "");
      }
    }
  }
}

}  // namespace
}  // namespace tidemark
