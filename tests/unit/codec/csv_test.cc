// CSV in values: what counts as a field, and that any text comes back as it was written.
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/codec/csv/scanner.h"
#include "src/codec/row_encoder.h"
#include "src/codec/source_decoder.h"
#include "tests/unit/codec/codec_fixture.h"

namespace tidemark {
namespace {

using codec_test::FakeFetch;
using codec_test::Rec;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Options = std::map<std::string, std::string, std::less<>>;

DecodedRows Decode(SourcePlan plan, const std::vector<Rec>& records, const Options& options = {}) {
  plan.format = "csv";
  plan.format.options = options;
  const FakeFetch fetch(records);
  SourceTime time;
  auto decoded = SourceDecoder::Make(plan).value()->Decode(fetch, 0, 1, &time);
  EXPECT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_TRUE(decoded->rows->ValidateFull().ok()) << decoded->rows->ValidateFull();
  return *std::move(decoded);
}

std::vector<std::string> Reasons(const DecodedRows& decoded) {
  std::vector<std::string> reasons;
  for (const DecodeError& error : decoded.errors) reasons.push_back(error.reason);
  return reasons;
}

const SourcePlan& ItemPlan() {
  static const auto& plan = *new SourcePlan(codec_test::PlanOf({"item string", "price double null"}));
  return plan;
}

TEST(Csv, AValueIsOneOrManyLines) {
  const DecodedRows decoded = Decode(ItemPlan(), {{"a,1"},
                                                  {"b,2\nc,3\r\n\n\"d\",-4e1\n"},
                                                  {""},
                                                  {"\n\n"},
                                                  {"\xef\xbb\xbf"
                                                   "e,"}});
  EXPECT_THAT(codec_test::Rows(ItemPlan().columns, decoded.rows),
              ElementsAre(R"({"item":"a","price":1})", R"({"item":"b","price":2})", R"({"item":"c","price":3})",
                          R"({"item":"d","price":-40})", R"({"item":"e","price":null})"));
  EXPECT_EQ(decoded.empty_records, 2);
  EXPECT_THAT(decoded.errors, IsEmpty());
}

TEST(Csv, QuotesHoldDelimitersLineEndsAndThemselves) {
  const DecodedRows decoded = Decode(ItemPlan(), {{"\"a,\"\"b\"\"\nc\",1\n\"\",3"}, {"\"\"\"\",4"}});
  EXPECT_THAT(
      codec_test::Rows(ItemPlan().columns, decoded.rows),
      ElementsAre(R"({"item":"a,\"b\"\nc","price":1})", R"({"item":"","price":3})", R"({"item":"\"","price":4})"));
}

TEST(Csv, AnyBadLineTakesItsRecordAndSaysWhere) {
  const DecodedRows decoded = Decode(ItemPlan(), {{"a,1\nb,many"},
                                                  {"a"},
                                                  {"a,1,2"},
                                                  {"\"a,1"},
                                                  {"\"a\"b,1"},
                                                  {",1"},
                                                  {"\xff,1"},
                                                  {std::nullopt},
                                                  {"\"x\ny\",1\nz,?"},
                                                  {"good,1"}});
  EXPECT_THAT(codec_test::Rows(ItemPlan().columns, decoded.rows), ElementsAre(R"({"item":"good","price":1})"));
  EXPECT_THAT(Reasons(decoded), ElementsAre(HasSubstr("line 2: column price: "), "line 1: expected 2 fields, found 1",
                                            "line 1: expected 2 fields, found 3", "line 1: a quoted field isn't closed",
                                            "line 1: text behind the quote that closes a field",
                                            "missing required column item", HasSubstr("line 1: column item: "),
                                            "value is null (tombstone)", HasSubstr("line 3: column price: ")));
}

// Nobody knows where such a field was meant to end: `5" disk, "new` may be one field or two.
TEST(Csv, AQuoteInAFieldThatIsNotQuotedIsAnError) {
  const DecodedRows decoded = Decode(ItemPlan(), {{"x\"y,2"}, {"a,1\n5\" disk,2"}, {" \"b\",1"}, {"\"5\"\" disk\",2"}});
  EXPECT_THAT(codec_test::Rows(ItemPlan().columns, decoded.rows), ElementsAre(R"({"item":"5\" disk","price":2})"));
  EXPECT_THAT(Reasons(decoded), ElementsAre("line 1: a quote in a field that isn't quoted",
                                            "line 2: a quote in a field that isn't quoted",
                                            "line 1: a quote in a field that isn't quoted"));
  const DecodedRows plain = Decode(ItemPlan(), {{"5\" disk,2"}}, {{"quote", ""}});
  EXPECT_THAT(codec_test::Rows(ItemPlan().columns, plain.rows), ElementsAre(R"({"item":"5\" disk","price":2})"));
}

// What a file's reader sees of a text, piece by piece, is what a record's sees of it as a whole.
TEST(Csv, ATextThatComesInPiecesHasTheSameLines) {
  using Next = CsvScanner::Next;
  static constexpr const char* kPieces[] = {"a", "\"", "\"\"", ",", "\n", "\r\n", "\r", " ", "\"b\"", "\"c\nd\""};
  const auto line = [](const CsvScanner& scanner, Next next) {
    std::string out = next == Next::kBad ? scanner.reason() : scanner.blank() ? "blank" : "";
    for (const CsvField& field : scanner.fields()) {
      if (next == Next::kLine) out += (field.quoted ? "<" : "[") + std::string(field.text) + "]";
    }
    return out;
  };
  std::mt19937_64 random(11);
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (uint64_t n = random() % 12; n > 0; --n) text += kPieces[random() % std::size(kPieces)];
    std::vector<std::string> whole, pieces;
    CsvScanner scanner{CsvDialect{.trim = round % 2 == 0}};
    scanner.Start(text);
    Next next = scanner.Read();
    for (; next == Next::kLine || next == Next::kBad; next = scanner.Read()) whole.push_back(line(scanner, next));
    size_t begin = 0, seen = random() % (text.size() + 1);
    while (true) {
      scanner.Start(std::string_view(text).substr(begin, seen - begin), seen == text.size());
      const Next found = scanner.Read();
      if (found == Next::kEnd || (found == Next::kCut && seen == text.size())) {
        EXPECT_EQ(found, next) << text;
        break;
      }
      if (found == Next::kCut) {
        seen += 1 + random() % (text.size() - seen);
        continue;
      }
      pieces.push_back(line(scanner, found));
      begin += scanner.used();
    }
    ASSERT_EQ(pieces, whole) << text;
  }
}

TEST(Csv, ADialectIsTheTopologys) {
  const Options semicolons = {{"delimiter", ";"}, {"quote", "'"}, {"trim", "true"}, {"null_text", "-"}};
  const DecodedRows decoded = Decode(ItemPlan(), {{" a ;\t1 \n 'b;' ; - \n;3"}}, semicolons);
  EXPECT_THAT(codec_test::Rows(ItemPlan().columns, decoded.rows),
              ElementsAre(R"({"item":"a","price":1})", R"({"item":"b;","price":null})", R"({"item":"","price":3})"));
  const DecodedRows plain = Decode(ItemPlan(), {{"\"a\t1"}}, {{"delimiter", "\t"}, {"quote", ""}});
  EXPECT_THAT(codec_test::Rows(ItemPlan().columns, plain.rows), ElementsAre(R"({"item":"\"a","price":1})"));
}

TEST(Csv, AHeaderNamesTheFields) {
  const Options header = {{"header", "true"}};
  const DecodedRows decoded =
      Decode(ItemPlan(),
             {{"price,x,item\n1,?,a\n2,?,b"}, {"item\nc"}, {"x\n1"}, {"item,item\n1,2"}, {""}, {"item,price"}}, header);
  EXPECT_THAT(codec_test::Rows(ItemPlan().columns, decoded.rows),
              ElementsAre(R"({"item":"a","price":1})", R"({"item":"b","price":2})", R"({"item":"c","price":null})"));
  EXPECT_THAT(Reasons(decoded), ElementsAre("missing required column item", "line 1: there are several columns item",
                                            HasSubstr("the header is missing")));
  EXPECT_EQ(decoded.empty_records, 1);
}

TEST(Csv, APathMayBeAPlace) {
  SourcePlan plan = codec_test::PlanOf({"price double", "item string"});
  plan.columns[0].path = {"3"};
  plan.columns[1].path = {"1"};
  const DecodedRows decoded = Decode(plan, {{"a,?,1,?"}, {"a,?"}});
  EXPECT_THAT(codec_test::Rows(plan.columns, decoded.rows), ElementsAre(R"({"price":1,"item":"a"})"));
  EXPECT_THAT(Reasons(decoded), ElementsAre("line 1: expected 3 fields or more, found 2"));
}

TEST(Csv, WhateverIsWrittenIsReadAsTheSame) {
  std::mt19937_64 random(7);
  const std::vector<Options> dialects = {{},
                                         {{"delimiter", ";"}, {"quote", "'"}},
                                         {{"trim", "true"}, {"null_text", "NULL"}},
                                         {{"header", "true"}, {"delimiter", "\t"}}};
  SourcePlan plan =
      codec_test::PlanOf({"n int64 null", "a string null", "b string", "y bytes null", "t timestamp null"});
  static constexpr const char* kPieces[] = {"a",  "\"", "'",    ",",      ";", "\t",          " ",
                                            "\n", "\r", "NULL", "\u20ac", "-", "\xef\xbb\xbf"};
  for (const Options& options : dialects) {
    std::vector<Rec> made;
    for (int i = 0; i < 2'000; ++i) {
      const auto text = [&] {
        std::string s;
        for (uint64_t n = random() % 5; n > 0; --n) s += kPieces[random() % std::size(kPieces)];
        std::string json;
        TextBuffer buffer(&json);
        WriteJsonString(s, &buffer);
        json.resize(buffer.size());
        return json;
      };
      const auto or_null = [&](std::string s) { return random() % 4 == 0 ? "null" : s; };
      made.push_back({"{\"n\":" + or_null(std::to_string(static_cast<int64_t>(random()))) +
                      ",\"a\":" + or_null(text()) + ",\"b\":" + text() + ",\"y\":" + or_null("\"AP8=\"") +
                      ",\"t\":" + or_null("\"2026-01-02T03:04:05.000006Z\"") + "}"});
    }
    SourceTime time;
    const FakeFetch fetch(made);
    const Batch rows = SourceDecoder::Make(plan).value()->Decode(fetch, 0, 1, &time)->rows;
    ASSERT_EQ(rows->num_rows(), 2'000);
    RowEncoderOptions to_csv;
    to_csv.schema = plan.schema();
    to_csv.format = "csv";
    to_csv.format.options = options;
    EncodedRecords encoded;
    ASSERT_TRUE(RowEncoder::Make(to_csv).value()->Encode(*rows, 1, 0, &encoded).ok());
    std::vector<Rec> written;
    for (const OutRecord& record : encoded.records) written.push_back({std::string(*record.value)});
    const DecodedRows back = Decode(plan, written, options);
    for (const DecodeError& error : back.errors) FAIL() << *written[error.record].value << ": " << error.reason;
    EXPECT_EQ(codec_test::Rows(plan.columns, back.rows), codec_test::Rows(plan.columns, rows));
  }
}

}  // namespace
}  // namespace tidemark
