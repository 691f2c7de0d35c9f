// Seeded damage: whatever the bytes, a record becomes a row or an error, and the batch stays valid. Meant for the
// address sanitizer; the records stand in allocations of exactly their size, so that a byte read behind the end is
// seen.
#include <random>

#include <arrow/record_batch.h>
#include <gtest/gtest.h>

#include "src/codec/source_decoder.h"
#include "tests/unit/codec/codec_fixture.h"

namespace tidemark {
namespace {

using codec_test::Col;

// One record, in a heap block without slack.
class TightFetch : public Fetch {
 public:
  explicit TightFetch(const std::string& value) : bytes_(value.begin(), value.end()) {
    bytes_.shrink_to_fit();
    record_.value = std::string_view(bytes_.data(), bytes_.size());
    record_.key = record_.value;
    record_.timestamp_ms = 0;
  }
  const TopicPartition& source() const override { return source_; }
  std::span<const RecordView> records() const override { return {&record_, 1}; }
  HeaderList Headers(size_t) const override { return {}; }

 private:
  TopicPartition source_{"t", 0};
  std::vector<char> bytes_;
  RecordView record_;
};

std::string Mutate(std::string text, const std::vector<std::string>& seeds, std::mt19937_64* random) {
  static constexpr std::string_view kTokens[] = {"\"",      "\\",      "\\u",
                                                 "\\ud83d", "{",       "}",
                                                 "[",       "]",       ",",
                                                 ":",       "null",    "true",
                                                 "-",       "1e999",   "99999999999999999999",
                                                 "\xff",    "\xc3",    std::string_view("\0", 1),
                                                 " ",       "\n",      "0.",
                                                 "\"id\":", "{\"a\":{"};
  const auto below = [&](size_t n) { return n == 0 ? size_t{0} : static_cast<size_t>((*random)() % n); };
  for (size_t n = 1 + below(4); n > 0; --n) {
    const size_t at = below(text.size() + 1);
    switch (below(6)) {
      case 0:
        text.insert(at, kTokens[below(std::size(kTokens))]);
        break;
      case 1:
        text.erase(at, below(9));
        break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>((*random)());
        break;
      case 3:
        text.resize(at);
        break;
      case 4:
        text.insert(at, text.substr(below(text.size() + 1), below(30)));
        break;
      case 5:
        text.insert(at, seeds[below(seeds.size())]);
        break;
    }
  }
  return text;
}

TEST(DecoderFuzz, NoBytesCrashTheDecoder) {
  SourceColumn deep = Col("deep string null");
  deep.path = {"a", "b", "c"};
  SourceColumn shallow = Col("shallow int64 null");
  shallow.path = {"a"};
  shallow.on_error = SourceColumn::OnError::kNull;
  SourceColumn key = Col("key string null");
  key.from = SourceColumn::From::kKey;
  SourcePlan plan =
      codec_test::PlanOf({Col("id int64 null"), Col("s string null"), Col("y bytes null"), Col("d date null"),
                          Col("m decimal(20,4) null"), Col("t timestamp null"), Col("ms timestamp_ms"),
                          Col("f double null"), Col("b bool null"), Col("i int32 null"), deep, shallow, key});
  plan.event_time.column = 6;
  const std::vector<std::string> seeds = {
      R"({"id":1,"s":"te\u00e9xt \ud83d\ude00","y":"AAEC","d":"2026-01-01","m":12.5,"t":"2026-01-01T00:00:00.5+01:00","ms":5,"f":-1.5e3,"b":true,"i":7,"a":{"b":{"c":"x"}}})",
      R"({"ms":0,"other":[1,{"x":[[],{}]},"y"],"s":null,"a":5})", R"({"ms":-1})",
      "{\"ms\":1,\"s\":\"\xe2\x82\xac and a rather long text without escapes\"}"};
  std::mt19937_64 random(20260101);
  SourceTime time;
  size_t rows = 0, errors_seen = 0;
  for (const char* format : {kTextFormat, kJsonFormat, kBytesFormat}) {
    plan.key_format = format;
    if (plan.key_format == FormatSpec(kBytesFormat)) plan.columns.back().column.type.kind = Kind::kBytes;
    const auto decoder = SourceDecoder::Make(plan).value();
    for (int i = 0; i < 20'000; ++i) {
      const TightFetch fetch(Mutate(seeds[static_cast<size_t>(i) % seeds.size()], seeds, &random));
      const absl::StatusOr<DecodedRows> decoded = decoder->Decode(fetch, 0, 1, &time);
      ASSERT_TRUE(decoded.ok()) << decoded.status();
      const Batch& batch = decoded->rows;
      ASSERT_EQ(batch->num_rows() + static_cast<int64_t>(decoded->errors.size()), 1);
      ASSERT_TRUE(batch->ValidateFull().ok()) << batch->ValidateFull();
      rows += static_cast<size_t>(batch->num_rows());
      errors_seen += decoded->errors.size();
    }
  }
  // The damage is neither always fatal nor never.
  EXPECT_GT(rows, 1000u);
  EXPECT_GT(errors_seen, 1000u);
}

}  // namespace
}  // namespace tidemark
