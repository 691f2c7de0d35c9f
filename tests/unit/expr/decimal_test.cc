#include "src/expr/decimal.h"

#include <gtest/gtest.h>

#include "src/expr/text_form.h"

namespace tidemark::internal {
namespace {

std::string Text(std::optional<Int128> value, int scale) {
  if (!value) return "overflow";
  std::string text;
  AppendDecimal(*value, scale, &text);
  return text;
}

std::string Parsed(std::string_view text, int scale = -1) {
  DecimalError error;
  auto parsed = ParseDecimal(text, scale, &error);
  if (!parsed) return error == DecimalError::kSyntax ? "syntax" : "too long";
  return Text(parsed->value, parsed->scale);
}

TEST(DecimalTest, TextKeepsItsScale) {
  EXPECT_EQ(Parsed("1.50"), "1.50");
  EXPECT_EQ(Parsed(" -0.001 "), "-0.001");
  EXPECT_EQ(Parsed("1e3"), "1000");
  EXPECT_EQ(Parsed("1.5e-3"), "0.0015");
  EXPECT_EQ(Parsed("12345678901234567890123456789012345678"), "12345678901234567890123456789012345678");
  EXPECT_EQ(Parsed("123456789012345678901234567890123456789"), "too long");
  for (const char* text : {"", ".", "-", "1e", "1.2.3", "abc", "0x1", "1 2"}) EXPECT_EQ(Parsed(text), "syntax") << text;
}

TEST(DecimalTest, ReadingRoundsHalfAwayFromZero) {
  EXPECT_EQ(Parsed("2.345", 2), "2.35");
  EXPECT_EQ(Parsed("-2.345", 2), "-2.35");
  EXPECT_EQ(Parsed("0.004", 2), "0.00");
  EXPECT_EQ(Parsed("0.5", 0), "1");
  EXPECT_EQ(Parsed("0.04", 0), "0");
  EXPECT_EQ(Parsed("99.995", 2), "100.00");
  EXPECT_EQ(Parsed("1e-50", 2), "0.00");
}

TEST(DecimalTest, DivisionIsExactBeyond128Bits) {
  EXPECT_EQ(Text(DivideDecimal(1, 0, 3, 0, 16), 16), "0.3333333333333333");
  EXPECT_EQ(Text(DivideDecimal(-2, 0, 3, 0, 2), 2), "-0.67");
  Int128 large = kPowersOfTen[37];
  EXPECT_EQ(Text(DivideDecimal(large, 0, large, 0, 16), 16), "1.0000000000000000");
  EXPECT_EQ(Text(DivideDecimal(large, 0, 1, 0, 16), 16), "overflow");
  EXPECT_EQ(Text(DivideDecimal(kPowersOfTen[30], 0, 3, 10, 10), 10), "overflow");
  EXPECT_EQ(Text(DivideDecimal(kPowersOfTen[25], 0, 7 * kPowersOfTen[10], 10, 12), 12),
            "1428571428571428571428571.428571428571");
}

TEST(DecimalTest, ComparisonNeedsNoCommonScale) {
  EXPECT_GT(CompareDecimal(kPowersOfTen[37], 0, 1, 38), 0);
  EXPECT_LT(CompareDecimal(-kPowersOfTen[37], 0, 1, 38), 0);
  EXPECT_EQ(CompareDecimal(15, 1, 150, 2), 0);
  EXPECT_LT(CompareDecimal(1, 38, kPowersOfTen[37], 0), 0);
}

TEST(DecimalTest, DoublesAreTheNearest) {
  EXPECT_EQ(DecimalToDouble(1, 1), 0.1);
  EXPECT_EQ(DecimalToDouble(kPowersOfTen[30] + 1, 15), 1e15);
  EXPECT_EQ(DecimalToDouble(12345678901234567, 3), 12345678901234.567);
}

TEST(TextFormTest, DoublesAreWrittenShortest) {
  auto text = [](double value) {
    std::string out;
    AppendDouble(value, &out);
    return out;
  };
  EXPECT_EQ(text(0.1), "0.1");
  EXPECT_EQ(text(1e15), "1e+15");
  EXPECT_EQ(text(123456789012345.0), "123456789012345");
  EXPECT_EQ(text(1e-5), "1e-05");
  EXPECT_EQ(text(-0.0), "-0");
}

}  // namespace
}  // namespace tidemark::internal
