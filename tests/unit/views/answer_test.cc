// Questions to a view, against what a plain look at its rows gives: which rows, in which order, page by page; which
// index serves them; and what is refused.
#include "src/views/answer.h"

#include <algorithm>
#include <random>

#include <absl/strings/str_join.h>
#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/views/view_kit.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

SalesView Shops(Indexes indexes = {}) { return SalesView(std::move(indexes)); }

// Four shops' sales, with NULLs and equal values.
void Fill(SalesView* view) {
  view->Put({Sale("a", 1, R"("day":"2026-01-01","price":1.50,"weight":0.5,"at":1767225600123456,"paid":true)"),
             Sale("a", 2, R"("day":"2026-01-02","price":-2,"weight":-0.0,"paid":false)"),
             Sale("a", 3, R"("price":1.5,"weight":"NaN","doc":{"x":[1,2]})"),
             Sale("b", 1, R"("day":"2026-01-01","price":10,"weight":"Infinity")"),
             Sale("b", 2, R"("day":"2026-01-03","weight":0)"),
             Sale("\\u0000", 1, R"("day":"2026-01-02","price":3.00)")});
}

std::string Ask(const std::string& question, Indexes indexes = {}) {
  SalesView view = Shops(std::move(indexes));
  Fill(&view);
  return view.Sales(question);
}

const std::string kNul(1, '\0');

TEST(ViewAnswerTest, WithoutAnythingStatedAllRowsComeInTheOrderOfTheKey) {
  EXPECT_EQ(Ask("{}"), kNul + " 1, a 1, a 2, a 3, b 1, b 2");
}

TEST(ViewAnswerTest, ValuesListsRangesAndNullsChooseRows) {
  for (const auto& indexes : {Indexes(), {{1}, {0, 3}, {4}}}) {
    EXPECT_EQ(Ask(R"({"shop":"a"})", indexes), "a 1, a 2, a 3");
    EXPECT_EQ(Ask(R"({"shop":["b","a","a"],"sale":[1,2]})", indexes), "a 1, a 2, b 1, b 2");
    EXPECT_EQ(Ask(R"({"day":null})", indexes), "a 3");
    EXPECT_EQ(Ask(R"({"day":[null,"2026-01-03"],"order":"shop"})", indexes), "a 3, b 2");
    EXPECT_EQ(Ask(R"({"day":{"from":"2026-01-02"}})", indexes), kNul + " 1, a 2, b 2") << "NULL is in no range";
    EXPECT_EQ(Ask(R"({"day":{"after":"2026-01-01","before":"2026-01-03"}})", indexes), kNul + " 1, a 2");
    EXPECT_EQ(Ask(R"({"day":{"to":"2026-01-01"}})", indexes), "a 1, b 1");
    EXPECT_EQ(Ask(R"({"shop":"a","price":{"from":1.5,"to":"1.50"}})", indexes), "a 1, a 3");
    EXPECT_EQ(Ask(R"({"shop":"a","price":{"before":0}})", indexes), "a 2");
    EXPECT_EQ(Ask(R"({"weight":0})", indexes), "a 2, b 2") << "-0 is 0";
    EXPECT_EQ(Ask(R"({"weight":"NaN"})", indexes), "a 3");
    EXPECT_EQ(Ask(R"({"weight":{"after":1}})", indexes), "a 3, b 1") << "NaN is greater than all numbers";
    EXPECT_EQ(Ask(R"({"shop":"a","day":{"from":"2026-01-03","to":"2026-01-01"}})", indexes), "");
    EXPECT_EQ(Ask(R"({"filter":{"shop":"a"},"sale":2})", indexes), "a 2");
    EXPECT_EQ(Ask(R"({"paid":true})", indexes), "a 1");
  }
}

TEST(ViewAnswerTest, TimesMayBeWrittenInTheColumnsFormOrInRfc3339) {
  EXPECT_EQ(Ask(R"({"at":{"from":1767225600123,"to":1767225600124}})"), "a 1");
  EXPECT_EQ(Ask(R"({"at":"2026-01-01T00:00:00.123456Z"})"), "a 1") << "to the microsecond";
  EXPECT_EQ(Ask(R"({"at":1767225600123})"), "");
  EXPECT_EQ(Ask(R"({"at":{"before":"2026-01-01T01:00:00.123456+01:00"}})"), "");
}

TEST(ViewAnswerTest, AnExpressionChoosesRowsAndNullIsNotTrue) {
  EXPECT_EQ(Ask(R"q({"where":"price > 1 and shop in ('a', 'b')"})q"), "a 1, a 3, b 1");
  EXPECT_EQ(Ask(R"({"where":"not paid"})"), "a 2");
  EXPECT_EQ(Ask(R"({"where":"doc ->> 'x' = '[1,2]'"})"), "a 3");
  EXPECT_EQ(Ask(R"({"shop":"a","where":"10 / (sale - 2) > 0","limit":1})"),
            "INVALID_ARGUMENT: where fails on a row: division by zero");
  EXPECT_THAT(Ask(R"({"where":"pric > 1"})"),
              AllOf(StartsWith("INVALID_ARGUMENT: where, at byte 1"), HasSubstr("price")));
  EXPECT_THAT(Ask(R"({"where":"sale + 1"})"), HasSubstr("where is int64, a condition is bool"));
}

TEST(ViewAnswerTest, OrderIsPostgresAndTiesStandInTheOrderOfTheKey) {
  EXPECT_EQ(Ask(R"({"order":"price"})"), "a 2, a 1, a 3, " + kNul + " 1, b 1, b 2") << "NULL is last";
  EXPECT_EQ(Ask(R"({"order":["price desc"]})"), "b 2, b 1, " + kNul + " 1, a 3, a 1, a 2");
  EXPECT_EQ(Ask(R"({"order":["day","shop DESC"]})"), "b 1, a 1, a 2, " + kNul + " 1, b 2, a 3");
  EXPECT_EQ(Ask(R"({"order":"weight desc","weight":{"from":-1}})"), "a 3, b 1, a 1, b 2, a 2");
}

TEST(ViewAnswerTest, TheIndexThatServesMostIsChosen) {
  const SalesView view(Indexes{{1}, {1, 3}, {3}});
  const auto plan = [&](const std::string& question) {
    const ViewPlan found = PlanQuestion(*QuestionOfJson(question, view.plan().schema), view.shape());
    return absl::StrCat(found.scan.index, " with ", found.bound_columns, found.in_order ? " in order" : "",
                        found.scan.backwards ? " backwards" : "", ", ", found.left.size(), " left");
  };
  EXPECT_EQ(plan("{}"), "0 with 0 in order, 0 left");
  EXPECT_EQ(plan(R"({"shop":"a"})"), "0 with 1 in order, 0 left");
  EXPECT_EQ(plan(R"({"shop":"a","sale":{"from":1},"order":"sale desc"})"), "0 with 2 in order backwards, 0 left");
  EXPECT_EQ(plan(R"({"day":"2026-01-01"})"), "1 with 1 in order, 0 left");
  EXPECT_EQ(plan(R"({"day":"2026-01-01","price":{"from":1}})"), "2 with 2, 0 left");
  EXPECT_EQ(plan(R"({"day":"2026-01-01","price":{"from":1},"order":"price"})"), "2 with 2 in order, 0 left");
  EXPECT_EQ(plan(R"({"order":"price desc","paid":true})"), "3 with 0 in order backwards, 1 left");
  EXPECT_EQ(plan(R"({"order":["price desc","shop"]})"), "0 with 0, 0 left");
  EXPECT_EQ(plan(R"({"day":["2026-01-01","2026-01-02"],"shop":"a"})"), "1 with 2, 0 left");
  EXPECT_EQ(plan(R"({"day":"2026-01-01","order":["day","shop","sale"]})"), "1 with 1 in order, 0 left")
      << "one value orders nothing";
}

TEST(ViewAnswerTest, WhatWouldLookAtTooManyRowsIsRefusedWithTheIndexToDeclare) {
  SalesView view(Indexes{{3}});
  Fill(&view);
  EXPECT_EQ(view.Sales(R"({"shop":"a"})", 3), "a 1, a 2, a 3");
  EXPECT_EQ(view.Sales(R"({"limit":2})", 3), kNul + " 1, a 1") << "a page of the key's order costs what it has";
  EXPECT_EQ(view.Sales(R"({"order":"price","limit":2})", 3), "a 2, a 1");
  EXPECT_EQ(view.Sales(R"({"day":{"from":"2026-01-01"},"paid":true})", 3),
            "FAILED_PRECONDITION: more than 3 rows would have to be looked at, as no index leads to fewer: declare "
            "index: [[paid, day]]");
  EXPECT_THAT(view.Sales(R"({"where":"doc ->> 'x' = 'y' and sale = 9"})", 3),
              HasSubstr("declare index: [[sale]] and state what `where` says"));
  EXPECT_THAT(view.Sales(R"({"order":"weight","limit":1})", 3), HasSubstr("[[weight]]"));
}

TEST(ViewAnswerTest, ACursorOfAnotherQuestionIsRefused) {
  SalesView view;
  Fill(&view);
  const std::string next = view.Page(R"({"limit":2})")->next;
  ASSERT_NE(next, "");
  EXPECT_EQ(view.Sales(absl::StrCat(R"({"limit":3,"after":")", next, "\"}")), "a 2, a 3, b 1");
  for (const std::string& other :
       {absl::StrCat(R"({"shop":"a","after":")", next, "\"}"),
        absl::StrCat(R"({"order":"price","after":")", next, "\"}"), std::string(R"({"after":"nonsense"})"),
        absl::StrCat(R"({"after":")", next.substr(0, next.size() - 4), "\"}")}) {
    EXPECT_THAT(view.Sales(other), HasSubstr("not a cursor")) << other;
  }
}

TEST(ViewAnswerTest, PagesGoOnWhereTheyWereThoughRowsComeAndGo) {
  for (const char* order : {"[]", "[\"weight\"]", "[\"weight desc\"]", "[\"price desc\",\"weight\"]"}) {
    SalesView view(Indexes{{4}});
    for (int i = 0; i < 50; ++i) {
      view.Put({Sale("s", i, absl::StrCat(R"("weight":)", i % 7, R"(,"price":)", i % 3))});
    }
    std::string after, asked = std::string(order) == "[]" ? "" : absl::StrCat("\"order\":", order, ",");
    std::vector<int> seen(50);
    for (int page = 0; page < 30; ++page) {
      const auto found = view.Page(absl::StrCat("{", asked, "\"limit\":4",
                                                after.empty() ? "" : absl::StrCat(",\"after\":\"", after, "\""), "}"));
      ASSERT_TRUE(found.ok()) << found.status();
      const auto* sales = found->rows->column(2)->data()->GetValues<int64_t>(1);
      for (int64_t i = 0; i < found->rows->num_rows(); ++i) {
        if (sales[i] < 50) ++seen[static_cast<size_t>(sales[i])];
      }
      // Others come and go: those that stand are told once all the same. The cursor's own row goes, too.
      view.Put({Sale("s", 1000 + page, R"("weight":3,"price":1)")});
      if (page == 5) view.Delete(absl::StrCat(R"({"shop":"s","sale":)", sales[3], "}"));
      after = found->next;
      if (after.empty()) break;
    }
    EXPECT_EQ(after, "");
    EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), 50) << order;
  }
}

// Random rows, indexes and questions: with indexes and without them the answer is the same, and so are its pages.
TEST(ViewAnswerTest, IndexesChangeNoAnswer) {
  std::mt19937 random(7);
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  std::vector<std::string> rows;
  for (int i = 0; i < 400; ++i) {
    std::string more = absl::StrCat(R"("price":)", pick(5), ".5,\"weight\":", pick(4), ".25");
    if (pick(4) > 0) absl::StrAppend(&more, R"(,"day":"2026-01-0)", 1 + pick(5), "\"");
    if (pick(3) > 0) absl::StrAppend(&more, ",\"paid\":", pick(2) == 0 ? "true" : "false");
    rows.push_back(Sale(absl::StrCat("s", pick(6)), i, more));
  }
  SalesView plain, indexed(Indexes{{1}, {3, 4}, {6, 1, 3}, {4, 0}});
  plain.Put(rows);
  indexed.Put(rows);
  const auto condition = [&]() -> std::string {
    switch (pick(7)) {
      case 0:
        return R"("shop":["s1","s4"])";
      case 1:
        return absl::StrCat(R"("day":"2026-01-0)", 1 + pick(5), "\"");
      case 2:
        return absl::StrCat(R"("day":{"from":"2026-01-0)", 1 + pick(5), R"(","before":"2026-01-05"})");
      case 3:
        return absl::StrCat(R"("price":)", pick(5), ".5");
      case 4:
        return absl::StrCat(R"("weight":{"after":)", pick(4), "}");
      case 5:
        return R"("paid":[null,true])";
      default:
        return R"("where":"sale % 3 = 1")";
    }
  };
  constexpr const char* kOrders[] = {"",
                                     "\"order\":\"day\"",
                                     "\"order\":[\"price desc\"]",
                                     "\"order\":[\"weight\",\"shop\"]",
                                     "\"order\":[\"paid desc\",\"day\"]",
                                     "\"order\":[\"weight desc\",\"shop desc\"]"};
  for (int n = 0; n < 400; ++n) {
    std::vector<std::string> parts = {condition()};
    if (std::string other = condition(); other.substr(0, 5) != parts[0].substr(0, 5)) parts.push_back(other);
    if (const std::string order = kOrders[pick(6)]; !order.empty()) parts.push_back(order);
    const std::string stated = absl::StrJoin(parts, ",");
    const std::string all = plain.Sales(absl::StrCat("{", stated, ",\"limit\":10000}"));
    EXPECT_EQ(indexed.Sales(absl::StrCat("{", stated, ",\"limit\":10000}")), all) << stated;
    std::string paged, after;
    do {
      const auto page = indexed.Page(absl::StrCat(
          "{", stated, ",\"limit\":", 7, after.empty() ? "" : absl::StrCat(",\"after\":\"", after, "\""), "}"));
      ASSERT_TRUE(page.ok()) << page.status();
      const std::string some = indexed.SalesOf(*page);
      absl::StrAppend(&paged, paged.empty() || some.empty() ? "" : ", ", some);
      after = page->next;
    } while (!after.empty());
    EXPECT_EQ(paged, all) << stated;
  }
}

TEST(ViewAnswerTest, RowsAreToldAsSinksWriteThem) {
  SalesView view;
  Fill(&view);
  const auto page = view.Page(R"({"shop":"a"})");
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(
      *RenderRows(*page, view.plan().schema, {}, ViewFormat::kJson),
      R"([{"shop":"a","day":"2026-01-01","sale":1,"price":1.50,"weight":0.5,"at":1767225600123,"paid":true,"doc":null},)"
      "\n"
      R"({"shop":"a","day":"2026-01-02","sale":2,"price":-2.00,"weight":0,"at":null,"paid":false,"doc":null},)"
      "\n"
      R"({"shop":"a","day":null,"sale":3,"price":1.50,"weight":"NaN","at":null,"paid":null,"doc":{"x":[1,2]}}])");
  EXPECT_EQ(*RenderRows(*page, view.plan().schema, {2, 3, 1}, ViewFormat::kCsv),
            "sale,price,day\n1,1.50,2026-01-01\n2,-2.00,2026-01-02\n3,1.50,\n");
  const auto bytes = RenderRows(*page, view.plan().schema, {0, 3}, ViewFormat::kArrow);
  ASSERT_TRUE(bytes.ok());
  const auto reader = arrow::ipc::RecordBatchStreamReader::Open(
      std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(*bytes)));
  ASSERT_TRUE(reader.ok());
  const auto table = (*reader)->ToTable();
  ASSERT_TRUE(table.ok());
  EXPECT_EQ((*table)->num_rows(), 3);
  EXPECT_EQ((*table)->schema()->field(1)->name(), "price");
}

TEST(ViewAnswerTest, WhatAQuestionCantBeIsNamed) {
  const auto why = [](const std::string& question) {
    return std::string(QuestionOfJson(question, SalesSchema()).status().message());
  };
  EXPECT_THAT(why(R"({"shup":"a"})"), HasSubstr("unknown column 'shup' (did you mean 'shop'?)"));
  EXPECT_THAT(why(R"({"sale":"one"})"), HasSubstr("column sale: expected int64"));
  EXPECT_THAT(why(R"({"price":1.234})"), HasSubstr("column price"));
  EXPECT_THAT(why(R"({"day":"2026-02-30"})"), HasSubstr("column day"));
  EXPECT_THAT(why(R"({"doc":"x"})"), HasSubstr("json, which has no equality"));
  EXPECT_THAT(why(R"({"order":"doc"})"), HasSubstr("json, which has no equality"));
  EXPECT_THAT(why(R"({"shop":[]})"), HasSubstr("empty"));
  EXPECT_THAT(why(R"({"shop":["a",["b"]]})"), HasSubstr("plain value"));
  EXPECT_THAT(why(R"({"day":{"since":"2026-01-01"}})"), HasSubstr("unknown bound 'since'"));
  EXPECT_THAT(why(R"({"day":{"from":"2026-01-01","after":"2026-01-01"}})"), HasSubstr("two lower bounds"));
  EXPECT_THAT(why(R"({"day":{"from":null}})"), HasSubstr("no bound that is null"));
  EXPECT_THAT(why(R"({"filter":{"shop":"a"},"shop":{"from":"b"}})"), HasSubstr("values and a range"));
  EXPECT_THAT(why(R"({"limit":0})"), HasSubstr("1 to 10000"));
  EXPECT_THAT(why(R"({"limit":"10"})"), HasSubstr("limit: expected"));
  EXPECT_THAT(why(R"({"where":7})"), HasSubstr("where: a string"));
  EXPECT_THAT(why(R"({"order":["shop","shop desc"]})"), HasSubstr("twice"));
  EXPECT_THAT(why(R"({"columns":["shop","shop"]})"), HasSubstr("twice"));
  EXPECT_THAT(why(R"(["shop"])"), HasSubstr("JSON object"));
  EXPECT_THAT(why(R"({"shop":"a"} x)"), HasSubstr("behind the object"));
  EXPECT_THAT(why(R"({"shop":"a)"), HasSubstr("malformed JSON"));
  EXPECT_THAT(why("{\"shop\":\"\xff\"}"), HasSubstr("invalid UTF-8"));
  EXPECT_EQ(why(R"({"filter":{},"limit":1,"order":[ "shop" ]})"), "");
}

TEST(ViewAnswerTest, ParametersOfAnAddressAskTheSame) {
  SalesView view;
  Fill(&view);
  const auto ask = [&](const std::vector<std::pair<std::string, std::string>>& parameters) -> std::string {
    const auto question = QuestionOfParameters(parameters, view.plan().schema);
    if (!question.ok()) return std::string(question.status().message());
    return view.SalesOf(*Answer(*question, view.shape(), view.store()));
  };
  EXPECT_EQ(ask({{"shop", "a"}, {"shop", "b"}, {"sale", "1"}}), "a 1, b 1");
  EXPECT_EQ(ask({{"day.from", "2026-01-02"}, {"order", "day desc,shop desc"}, {"limit", "2"}}), "b 2, a 2");
  EXPECT_EQ(ask({{"at.from", "2026-01-01T00:00:00Z"}}), "a 1");
  EXPECT_EQ(ask({{"at.before", "1767225600124"}}), "a 1");
  EXPECT_EQ(ask({{"paid", "true"}, {"where", "price > 1"}}), "a 1");
  EXPECT_EQ(ask({{"weight", "NaN"}}), "a 3");
  EXPECT_THAT(ask({{"day.since", "2026-01-02"}}), HasSubstr("unknown bound 'since'"));
  EXPECT_THAT(ask({{"limits", "2"}}), HasSubstr("unknown column 'limits'"));
  EXPECT_THAT(ask({{"limit", "ten"}}), HasSubstr("limit: expected"));
}

TEST(ViewAnswerTest, AcceptChoosesTheForm) {
  EXPECT_EQ(FormatOfAccept(""), ViewFormat::kJson);
  EXPECT_EQ(FormatOfAccept("*/*"), ViewFormat::kJson);
  EXPECT_EQ(FormatOfAccept("text/csv; q=0.9, application/json"), ViewFormat::kCsv);
  EXPECT_EQ(FormatOfAccept("text/html, application/vnd.apache.arrow.stream"), ViewFormat::kArrow);
  EXPECT_EQ(FormatOfAccept("text/html"), std::nullopt);
}

}  // namespace
}  // namespace tidemark
