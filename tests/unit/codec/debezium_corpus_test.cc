// Nasty Debezium records of PostgreSQL and MySQL, in JSON and in Avro (tests/corpus/make_debezium.py): each becomes the
// row that is stated, whatever it is encoded in, or is refused for the reason that is.
#include <fstream>
#include <map>

#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <arrow/array.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/codec/debezium/change.h"
#include "src/codec/debezium/format.h"
#include "src/codec/json/tree.h"
#include "src/codec/source_decoder.h"
#include "tests/unit/codec/codec_fixture.h"

namespace tidemark {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

class FakeLookup final : public SchemaLookup {
 public:
  Answer Find(int32_t id) override {
    if (const auto found = schemas.find(id); found != schemas.end()) {
      return {std::make_shared<const WrittenSchema>(WrittenSchema{"AVRO", found->second, {}}), false, ""};
    }
    return {nullptr, away, away ? "the schema" : "unknown"};
  }
  Answer Registered(const std::string&, const WrittenSchema&, int32_t*) override { return {nullptr, false, "no"}; }

  std::map<int32_t, std::string> schemas;
  bool away = false;
};

struct Case {
  SourcePlan plan;
  codec_test::Rec record;
  FakeLookup lookup;
};

// "a int64 null", "lsn int64 ^source.lsn".
SourceColumn ColumnOf(const std::string& declaration) {
  const std::vector<std::string> parts = absl::StrSplit(declaration, " ^");
  SourceColumn column = codec_test::Col(parts[0]);
  if (parts.size() > 1) {
    column.from = SourceColumn::From::kBeside;
    column.path = absl::StrSplit(parts[1], '.');
  }
  return column;
}

void Make(const JsonTree& tree, Case* made) {
  const bool avro = tree.Text("encoding") == "avro";
  const auto bytes = [&](std::string_view name) {
    const std::string text(tree.Text(name));
    return avro ? absl::HexStringToBytes(text) : text;
  };
  std::vector<SourceColumn> columns;
  for (const JsonTree& column : tree.Find("columns")->items) columns.push_back(ColumnOf(column.text));
  made->plan = codec_test::PlanOf(std::move(columns));
  made->plan.format = "debezium";
  made->plan.format.options["on_truncate"] = "dead_letter";
  if (avro) made->plan.format.options["encoding"] = "avro";
  made->plan.key = made->plan.partitioned_by = {0};
  SourceColumn change = codec_test::Col("__change bytes");
  change.from = SourceColumn::From::kBeside;
  made->plan.columns.push_back(change);
  made->record = {.value = bytes("value"), .key = bytes("key")};
  if (!avro) return;
  for (const auto& [id, schema] : tree.Find("schemas")->members) made->lookup.schemas[std::stoi(id)] = schema.text;
}

struct Read {
  std::string row, reason, change;
  std::vector<std::string> unnamed;
  bool nothing = false, waits = false;
};

Read Decode(Case* of, const std::string& value) {
  const auto debezium = MakeDebeziumFormat(&of->lookup);
  Formats formats;
  formats.Set(debezium.get());
  const auto decoder = SourceDecoder::Make(of->plan, formats).value();
  SourceTime time;
  codec_test::Rec record = of->record;
  record.value = value;
  auto decoded = decoder->Decode(codec_test::FakeFetch({record}), 0, 0, &time);
  EXPECT_TRUE(decoded.ok()) << decoded.status();
  if (!decoded.ok()) return {};
  EXPECT_TRUE(decoded->rows->ValidateFull().ok());
  Read read;
  read.unnamed = decoded->unnamed;
  read.nothing = decoded->empty_records == 1;
  read.waits = !decoded->waits_for.empty();
  if (!decoded->errors.empty()) read.reason = decoded->errors[0].reason;
  if (decoded->rows->num_rows() == 1) {
    read.row = RowToJson(of->plan.rows(), *decoded->rows, 0);
    const int last = static_cast<int>(of->plan.columns.size()) - 1;
    read.change = static_cast<const arrow::BinaryArray&>(*decoded->rows->column(last)).GetString(0);
  }
  return read;
}

std::vector<JsonTree> Corpus() {
  std::vector<JsonTree> all;
  std::ifstream file("tests/corpus/debezium.jsonl");
  for (std::string line; std::getline(file, line);) all.push_back(ParseJson(line).value());
  return all;
}

std::vector<std::string> Texts(const JsonTree* list) {
  std::vector<std::string> texts;
  if (list == nullptr) return texts;
  for (const JsonTree& item : list->items) texts.push_back(item.text);
  return texts;
}

TEST(DebeziumCorpus, EachBecomesWhatIsStated) {
  const std::vector<JsonTree> corpus = Corpus();
  ASSERT_GE(corpus.size(), 60u);
  for (const JsonTree& tree : corpus) {
    SCOPED_TRACE(tree.Text("name"));
    Case of;
    Make(tree, &of);
    const Read read = Decode(&of, *of.record.value);
    if (tree.Find("reason") != nullptr) {
      EXPECT_THAT(read.reason, HasSubstr(std::string(tree.Text("reason"))));
      continue;
    }
    EXPECT_EQ(read.reason, "");
    EXPECT_EQ(read.nothing, tree.Find("nothing") != nullptr);
    if (const JsonTree* const row = tree.Find("row")) {
      EXPECT_EQ(read.row, ToJson(*row));
    }
    if (tree.Find("unnamed") != nullptr) {
      EXPECT_THAT(read.unnamed, ElementsAreArray(Texts(tree.Find("unnamed"))));
    }
    if (read.nothing) continue;
    std::string_view bytes = read.change;
    Change change;
    ASSERT_TRUE(TakeChange(&bytes, &change));
    EXPECT_EQ(change.deletes, tree.Find("deletes") != nullptr);
    EXPECT_EQ(change.committed_us, 1'767'225'600'000'001);
    EXPECT_FALSE(change.position.empty());
    std::vector<std::string> unchanged;
    for (size_t c = 0; c < of.plan.columns.size(); ++c) {
      if (change.IsUnchanged(c)) unchanged.push_back(of.plan.columns[c].column.name);
    }
    EXPECT_THAT(unchanged, ElementsAreArray(Texts(tree.Find("unchanged"))));
  }
}

// The same change is the same, whatever it is encoded in: what is kept of one encoding is compared with the other.
TEST(DebeziumCorpus, BothEncodingsSayTheSame) {
  std::map<std::string, Read> in_json;
  size_t compared = 0;
  for (const JsonTree& tree : Corpus()) {
    const std::string name(tree.Text("name"));
    Case of;
    Make(tree, &of);
    const Read read = Decode(&of, *of.record.value);
    if (absl::EndsWith(name, " (json)")) {
      in_json[name.substr(0, name.size() - 7)] = read;
    } else if (const auto other = in_json.find(name.substr(0, name.size() - 7)); other != in_json.end()) {
      SCOPED_TRACE(name);
      EXPECT_EQ(read.row, other->second.row);
      EXPECT_EQ(read.change, other->second.change);
      ++compared;
    }
  }
  EXPECT_GE(compared, 30u);
}

TEST(DebeziumCorpus, ARecordWhoseSchemaIsntHereYetWaits) {
  for (const int32_t missing : {7, 8}) {
    SCOPED_TRACE(missing);
    Case of;
    Make(Corpus()[1], &of);
    const std::string schema = of.lookup.schemas.at(missing);
    of.lookup.schemas.erase(missing);
    of.lookup.away = true;
    const Read read = Decode(&of, *of.record.value);
    EXPECT_TRUE(read.waits);
    EXPECT_EQ(read.row, "");
    of.lookup.schemas[missing] = schema;
    EXPECT_NE(Decode(&of, *of.record.value).row, "");
  }
}

// Bare bytes may look as if the number of a schema stood in front of them.
TEST(DebeziumCorpus, NoNumberIsReadWhereAHeaderOfApicuriosNamesTheSchema) {
  for (const std::string part : {"value", "key"}) {
    SCOPED_TRACE(part);
    Case of;
    Make(Corpus()[1], &of);
    of.record.headers = {{absl::StrCat("apicurio.", part, ".globalId"), std::string("\0\0\0\0\0\0\0\7", 8)}};
    const Read read = Decode(&of, *of.record.value);
    EXPECT_EQ(read.row, "");
    EXPECT_THAT(read.reason, HasSubstr(absl::StrCat("its header apicurio.", part, ".globalId says")));
  }
}

// Cut anywhere, and with any byte turned over, it is a row, nothing or a reason: what the sanitizers see is the test.
TEST(DebeziumCorpus, ADamagedRecordIsARowOrAReason) {
  for (const JsonTree& tree : Corpus()) {
    if (tree.Text("encoding") != "avro") continue;
    SCOPED_TRACE(tree.Text("name"));
    Case of;
    Make(tree, &of);
    const std::string& value = *of.record.value;
    for (size_t at = 0; at < value.size(); at += 13) {
      (void)Decode(&of, value.substr(0, at));
      std::string damaged = value;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x81);
      (void)Decode(&of, damaged);
    }
  }
}

}  // namespace
}  // namespace tidemark
