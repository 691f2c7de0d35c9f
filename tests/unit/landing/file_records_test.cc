// Files as records: CSV, JSON and Parquet, and what they are compressed with.
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <arrow/util/compression.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>

#include "src/landing/content.h"
#include "src/landing/file_records.h"
#include "tests/unit/landing/read_files.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Csv(const std::string& text) { return ReadAll(Plan(), "x.csv", text).values; }
std::string CsvError(const std::string& text) { return ReadAll(Plan(), "x.csv", text).error; }

std::string Compressed(arrow::Compression::type type, const std::string& text) {
  auto codec = arrow::util::Codec::Create(type).ValueOrDie();
  auto compressor = codec->MakeCompressor().ValueOrDie();
  std::string out(text.size() + (1 << 20), '\0');  // lz4 wants room for more than it writes
  auto* const to = reinterpret_cast<uint8_t*>(out.data());
  const auto size = static_cast<int64_t>(out.size());
  const auto step =
      compressor->Compress(static_cast<int64_t>(text.size()), reinterpret_cast<const uint8_t*>(text.data()), size, to)
          .ValueOrDie();
  const auto end = compressor->End(size - step.bytes_written, to + step.bytes_written).ValueOrDie();
  out.resize(static_cast<size_t>(step.bytes_written + end.bytes_written));
  return out;
}

TEST(CsvFile, ColumnsAreFoundByTheHeadersNames) {
  EXPECT_THAT(Csv("name,id\nAnn,1\n"), ElementsAre(R"({"id":1,"name":"Ann"})"));
  EXPECT_THAT(Csv("other,id\nx,1\n"), ElementsAre(R"({"id":1})"))
      << "others are left out, nullable ones may be missing";
  EXPECT_THAT(CsvError("name\nAnn\n"), HasSubstr("line 1: the header has no column 'id'"));
  EXPECT_THAT(CsvError("id,id\n1,2\n"), HasSubstr("twice"));
  EXPECT_THAT(CsvError(""), HasSubstr("the file is empty"));
}

TEST(CsvFile, CellsMayHoldWhateverIsQuoted) {
  EXPECT_THAT(Csv("id,name\n1,\"a,b\"\n2,\"say \"\"hi\"\"\"\n3,\"two\r\nlines\"\n4,x"),
              ElementsAre(R"({"id":1,"name":"a,b"})", R"({"id":2,"name":"say \"hi\""})",
                          R"({"id":3,"name":"two\r\nlines"})", R"({"id":4,"name":"x"})"));
  EXPECT_THAT(ReadAll(Plan(), "x.csv", "id,name\n1,\"a\nb\"\n2,c\n").lines, ElementsAre(2, 4));
}

TEST(CsvFile, MarksAndLineEndsOfOtherSystemsAreNoPartOfIt) {
  EXPECT_THAT(Csv("\xef\xbb\xbfid,name\r\n1,x\r\n\r\n2,\r\n"), ElementsAre(R"({"id":1,"name":"x"})", R"({"id":2})"));
  EXPECT_THAT(ReadAll(Plan(';'), "x.csv", "name;id\n\"a;b\";1\n").values, ElementsAre(R"({"id":1,"name":"a;b"})"));
}

TEST(CsvFile, AnEmptyCellIsNoValueUnlessItIsQuotedText) {
  EXPECT_THAT(Csv("id,name,score\n1,,\n2,\"\",\"\"\n"), ElementsAre(R"({"id":1})", R"({"id":2,"name":""})"));
}

TEST(CsvFile, WhatACellSaysDependsOnItsColumn) {
  EXPECT_THAT(Csv("id,name,score,paid,good,at\n+007,007,.5,1.10,TRUE,1700000000000\n-0,1e3,5.,-.10,false,0\n"),
              ElementsAre(R"({"id":7,"name":"007","score":0.5,"paid":1.10,"good":true,"at":1700000000000})",
                          R"({"id":-0,"name":"1e3","score":5,"paid":-0.10,"good":false,"at":0})"));
  EXPECT_THAT(Csv("id,score,good\nx,1e,yes\n"), ElementsAre(R"({"id":"x","score":"1e","good":"yes"})"))
      << "the decoder says what is wrong";
}

TEST(CsvFile, ARecordThatIsWrongIsOneRecord) {
  EXPECT_THAT(Csv("id,name\n1\n2,a\"b\n3,\"a\"b\n4,x,y\n5,z\n"),
              ElementsAre("2: 1 cell where the header has 2", "3: a quote in a field that isn't quoted",
                          "4: text behind the quote that closes a field", "5: 3 cells where the header has 2",
                          R"({"id":5,"name":"z"})"));
  EXPECT_THAT(CsvError("id\n1\n\"2\n"), HasSubstr("line 3: a quoted cell of the record that begins here has no end"));
}

TEST(CsvFile, PiecesOfAnySizeGiveTheSame) {
  std::string text = "id,name\n";
  for (int i = 0; i < 60'000; ++i) absl::StrAppend(&text, i, i % 7 == 0 ? ",\"a\r\n\"\"b\"\r\n" : ",x\r\n");
  const Found whole = ReadAll(Plan(), "x.csv", text);
  ASSERT_EQ(whole.values.size(), 60'000u);
  EXPECT_EQ(whole.values[7], R"({"id":7,"name":"a\r\n\"b"})");
  EXPECT_EQ(ReadAll(Plan(), "x.csv", text, 1000).values, whole.values);
}

TEST(JsonFile, LinesAreRecordsAsTheyStand) {
  const Found found = ReadAll(Plan(), "x.jsonl", "\xef\xbb\xbf{\"id\": 1}\r\n\n  \n{\"id\": 2, \"more\": []}");
  EXPECT_THAT(found.values, ElementsAre("{\"id\": 1}", "{\"id\": 2, \"more\": []}"));
  EXPECT_THAT(found.lines, ElementsAre(1, 4));
}

TEST(JsonFile, ElementsOfAnArrayAreRecords) {
  const auto values = [](const std::string& text) { return ReadAll(Plan(), "x.json", text).values; };
  const auto error = [](const std::string& text) { return ReadAll(Plan(), "x.json", text).error; };
  EXPECT_THAT(values("[]"), IsEmpty());
  EXPECT_THAT(values(" [ {\"a\": \"]},{\\\"\"} ,\n{\"b\":[1,{}]}, 7 ]\n"),
              ElementsAre("{\"a\": \"]},{\\\"\"}", "{\"b\":[1,{}]}", "7"));
  EXPECT_THAT(error("{\"a\":1}"), HasSubstr("one object a line is format jsonl"));
  EXPECT_THAT(error("[{\"a\":1}"), HasSubstr("the array has no end"));
  EXPECT_THAT(error("[{\"a\":1},\n{\"b\":"), HasSubstr("line 2: an element that begins here has no end"));
  EXPECT_THAT(error("[{\"a\":1} {\"b\":1}]"), HasSubstr("',' or ']' is expected"));
  EXPECT_THAT(error("[1] x"), HasSubstr("something stands behind the array"));
  EXPECT_THAT(error("[1,,2]"), HasSubstr("a value is expected"));
  EXPECT_THAT(error("[1,]"), HasSubstr("value is expected"));
  EXPECT_THAT(error(""), HasSubstr("an array of objects is expected"));
}

TEST(Content, CompressionIsFoundByLooking) {
  const std::string text = "id,name\n1,x\n";
  for (const auto type :
       {arrow::Compression::GZIP, arrow::Compression::ZSTD, arrow::Compression::BZ2, arrow::Compression::LZ4_FRAME}) {
    const std::string packed = Compressed(type, text);
    EXPECT_THAT(ReadAll(Plan(), "x.csv", packed).values, ElementsAre(R"({"id":1,"name":"x"})"));
    const std::string cut = packed.substr(0, packed.size() - 3);
    EXPECT_THAT(ReadAll(Plan(), "x.csv", cut).error, HasSubstr("damaged or cut off")) << type;
  }
  const std::string twice = Compressed(arrow::Compression::GZIP, text) + Compressed(arrow::Compression::GZIP, "2,y\n");
  EXPECT_THAT(ReadAll(Plan(), "x.csv.gz", twice).values,
              ElementsAre(R"({"id":1,"name":"x"})", R"({"id":2,"name":"y"})"))
      << "members one behind the other";
  EXPECT_NE(ReadAll(Plan(), "x.csv.gz", Compressed(arrow::Compression::GZIP, text) + "more").error, "");
}

TEST(Content, WhatIsNotReadYetIsRefusedByName) {
  EXPECT_THAT(ReadAll(Plan(), "x.csv", "7z\xbc\xaf\x27\x1c").error, HasSubstr("7z"));
  EXPECT_THAT(ReadAll(Plan(), "x.csv", "age-encryption.org/v1\n").error, HasSubstr("age"));
  EXPECT_THAT(ReadAll(Plan(), "x.csv", "-----BEGIN PGP MESSAGE-----\n").error,
              HasSubstr("encrypted with OpenPGP, and the source has no decrypt.openpgp"));
  EXPECT_THAT(ReadAll(Plan(), "x.txt", "id\n1\n").error, HasSubstr("the name doesn't tell it"));
}

TEST(Content, TextsOfOtherEncodingsAreReadAsTheySay) {
  SourcePlan plan = Plan();
  std::string wide = "\xff\xfe";
  for (const char c : std::string("id,name\n1,\xe9\n")) wide += {c, '\0'};
  EXPECT_THAT(ReadAll(plan, "x.csv", wide).values, ElementsAre("{\"id\":1,\"name\":\"\u00e9\"}")) << "by its mark";
  EXPECT_THAT(ReadAll(plan, "x.csv", wide.substr(0, wide.size() - 1)).error, HasSubstr("byte 25 is no text in UTF-16"));
  plan.files->encoding = "windows-1252";
  EXPECT_THAT(ReadAll(plan, "x.csv", "id,name\n1,\x80\xe9\n").values,
              ElementsAre("{\"id\":1,\"name\":\"\u20ac\u00e9\"}"));
  EXPECT_THAT(ReadAll(plan, "x.csv", "id,name\n1,\x81\n").error, HasSubstr("byte 11 is no text in windows-1252"));
  EXPECT_THAT(ReadAll(plan, "x.csv", "\xef\xbb\xbfid,name\n1,\u00e9\n").values,
              ElementsAre("{\"id\":1,\"name\":\"\u00e9\"}"))
      << "the mark counts";
  std::string large = "id,name\n";
  for (int i = 0; i < 100'000; ++i) absl::StrAppend(&large, i, ",\xe4\n");
  const Found found = ReadAll(plan, "x.csv", large);
  ASSERT_EQ(found.values.size(), 100'000u) << found.error;
  EXPECT_EQ(found.values[99'999], "{\"id\":99999,\"name\":\"\u00e4\"}");
}

TEST(Content, AFileThatUnpacksToFarMoreThanThereIsOfItIsRejected) {
  const std::string frame = Compressed(arrow::Compression::ZSTD, std::string(1 << 20, ' '));
  std::string packed;
  for (int i = 0; i < 1030; ++i) packed += frame;  // one behind the other: more than 1 GiB in less than 1 MiB
  ASSERT_LT(packed.size(), 1u << 20);
  auto file = OpenFile(std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(packed)), {});
  ASSERT_TRUE(file.ok()) << file.status();
  std::string piece;
  absl::StatusOr<bool> more = true;
  for (; more.ok() && *more; piece.clear()) more = file->content->Read(&piece);
  EXPECT_THAT(std::string(more.status().message()), HasSubstr("unpacks to more than 1 GiB"));

  UnpackBudget large{.packed = 2 << 20};
  EXPECT_TRUE(large.Take(int64_t{1000} * (2 << 20)).ok());
  EXPECT_FALSE(large.Take(1).ok());
}

TEST(Content, TheHashIsOfTheBytesAsTheyLieThere) {
  const std::string text = "id\n1\n";
  EXPECT_EQ(ReadAll(Plan(), "x.csv", text).hash, ReadAll(Plan(), "y.csv", text).hash);
  EXPECT_NE(ReadAll(Plan(), "x.csv", text).hash, ReadAll(Plan(), "x.csv", "id\n2\n").hash);
  EXPECT_NE(ReadAll(Plan(), "x.csv", text).hash,
            ReadAll(Plan(), "x.csv", Compressed(arrow::Compression::GZIP, text)).hash);
}

std::string ParquetFile(const std::shared_ptr<arrow::Table>& table) {
  auto sink = arrow::io::BufferOutputStream::Create().ValueOrDie();
  EXPECT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), sink, 2).ok());
  return sink->Finish().ValueOrDie()->ToString();
}

TEST(ParquetFileRecords, RowsAreTheObjectsThatSayTheSame) {
  arrow::Int32Builder ids;
  arrow::StringBuilder names;
  arrow::Decimal128Builder paid(arrow::decimal128(8, 3));
  arrow::TimestampBuilder at(arrow::timestamp(arrow::TimeUnit::NANO), arrow::default_memory_pool());
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(ids.Append(i).ok());
    ASSERT_TRUE((i == 2 ? names.AppendNull() : names.Append("n\"")).ok());
    ASSERT_TRUE(paid.Append(arrow::Decimal128(1500 * i)).ok());
    ASSERT_TRUE(at.Append(1'700'000'000'123'456'789).ok());
  }
  const auto table =
      arrow::Table::Make(arrow::schema({arrow::field("name", arrow::utf8()), arrow::field("id", arrow::int32()),
                                        arrow::field("paid", arrow::decimal128(8, 3)),
                                        arrow::field("at", arrow::timestamp(arrow::TimeUnit::NANO))}),
                         {*names.Finish(), *ids.Finish(), *paid.Finish(), *at.Finish()});
  const Found found = ReadAll(Plan(), "x.parquet", ParquetFile(table));
  EXPECT_EQ(found.error, "");
  EXPECT_THAT(found.values, ElementsAre(R"({"id":1,"name":"n\"","paid":1.500,"at":1700000000123})",
                                        R"({"id":2,"paid":3.000,"at":1700000000123})",
                                        R"({"id":3,"name":"n\"","paid":4.500,"at":1700000000123})"));
  EXPECT_THAT(found.lines, ElementsAre(1, 2, 3));
  EXPECT_NE(ReadAll(Plan(), "x.parquet", "PAR1 no").error, "");
}

TEST(ParquetFileRecords, AColumnOfTimesIsNotReadAsTextsOfAForm) {
  arrow::TimestampBuilder at(arrow::timestamp(arrow::TimeUnit::MICRO), arrow::default_memory_pool());
  ASSERT_TRUE(at.Append(1'700'000'000'123'456).ok());
  const auto times = arrow::Table::Make(arrow::schema({arrow::field("at", at.type())}), {*at.Finish()});
  arrow::StringBuilder text;
  ASSERT_TRUE(text.Append("31/01/2026").ok());
  const auto texts = arrow::Table::Make(arrow::schema({arrow::field("at", arrow::utf8())}), {*text.Finish()});
  SourcePlan plan = Plan();
  plan.columns = {Value("at", {Kind::kTimestamp})};
  EXPECT_THAT(ReadAll(plan, "x.parquet", ParquetFile(times)).values,
              ElementsAre(R"({"at":"2023-11-14T22:13:20.123456Z"})"));
  plan.columns[0].timestamp_format = "%d/%m/%Y";
  EXPECT_THAT(ReadAll(plan, "x.parquet", ParquetFile(times)).error, HasSubstr("timestamp_format for it"));
  EXPECT_THAT(ReadAll(plan, "x.parquet", ParquetFile(texts)).values, ElementsAre(R"({"at":"31/01/2026"})"));
}

std::string ParquetOfIds(int rows) {
  arrow::Int64Builder ids;
  for (int i = 1; i <= rows; ++i) EXPECT_TRUE(ids.Append(i).ok());
  return ParquetFile(arrow::Table::Make(arrow::schema({arrow::field("id", arrow::int64())}), {*ids.Finish()}));
}

TEST(ParquetFileRecords, TheHashIsOfWhatStandsThereAtTheEndSoAChangeShows) {
  const std::string before = ParquetOfIds(6);
  const std::string hash = ReadAll(Plan(), "x.parquet", before).hash;
  EXPECT_EQ(ReadAll(Plan(), "x.parquet", before, 1).hash, hash);
  std::string bytes = before;  // what the file is read from
  const auto file = std::make_shared<arrow::io::BufferReader>(
      std::make_shared<arrow::Buffer>(reinterpret_cast<const uint8_t*>(bytes.data()), int64_t(bytes.size())));
  auto records = FileRecords::Open(Plan(), "x.parquet", file);
  ASSERT_TRUE(records.ok()) << records.status();
  std::vector<FileRecord> found;
  ASSERT_TRUE(*(*records)->Read(1, &found));
  ++bytes[0];
  while (*(*records)->Read(1 << 20, &found)) continue;
  EXPECT_EQ(found.size(), 6u);
  EXPECT_NE((*records)->hash(), hash);
}

// A disk that fails after so many reads.
class FailingFile final : public arrow::io::RandomAccessFile {
 public:
  FailingFile(const std::string& bytes, int reads) : file_(arrow::Buffer::FromString(bytes)), reads_(reads) {}

  arrow::Result<int64_t> GetSize() override { return file_.GetSize(); }
  arrow::Result<int64_t> ReadAt(int64_t position, int64_t bytes, void* out) override {
    ARROW_RETURN_NOT_OK(Fail());
    return file_.ReadAt(position, bytes, out);
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t bytes) override {
    ARROW_RETURN_NOT_OK(Fail());
    return file_.ReadAt(position, bytes);
  }
  arrow::Result<int64_t> Read(int64_t bytes, void* out) override {
    ARROW_RETURN_NOT_OK(Fail());
    return file_.Read(bytes, out);
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t bytes) override {
    ARROW_RETURN_NOT_OK(Fail());
    return file_.Read(bytes);
  }
  arrow::Status Seek(int64_t position) override { return file_.Seek(position); }
  arrow::Result<int64_t> Tell() const override { return file_.Tell(); }
  arrow::Status Close() override { return file_.Close(); }
  bool closed() const override { return file_.closed(); }

 private:
  arrow::Status Fail() { return --reads_ < 0 ? arrow::Status::IOError("Input/output error") : arrow::Status::OK(); }

  arrow::io::BufferReader file_;
  int reads_;
};

TEST(ParquetFileRecords, ADiskThatFailsIsNoReasonToRejectTheFile) {
  const std::string bytes = ParquetOfIds(6);
  int reads = 0;
  for (bool whole = false; !whole && reads < 1000; ++reads) {
    auto records = FileRecords::Open(Plan(), "x.parquet", std::make_shared<FailingFile>(bytes, reads));
    std::vector<FileRecord> found;
    absl::StatusOr<bool> more = records.ok() ? absl::StatusOr<bool>(true) : records.status();
    while (more.ok() && *more) more = (*records)->Read(1, &found);
    whole = more.ok();
    EXPECT_TRUE(whole || absl::IsUnavailable(more.status())) << "after " << reads << " reads: " << more.status();
  }
  EXPECT_GT(reads, 4) << "it failed in the footer, in groups and in the hash";
}

TEST(ParquetFileRecords, AFileThatNamesPlacesItDoesntHaveIsBad) {
  const std::string bytes = ParquetOfIds(6);
  uint32_t footer = 0;
  std::memcpy(&footer, &bytes[bytes.size() - 8], sizeof(footer));
  EXPECT_NE(ReadAll(Plan(), "x.parquet", "PAR1" + bytes.substr(bytes.size() - 8 - footer)).error, "");
}

}  // namespace
}  // namespace tidemark
