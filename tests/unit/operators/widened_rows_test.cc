// Rows that were kept under narrower columns are rows under wider ones: a step that goes on with them gives what one
// gives that had the wider columns from the beginning.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <arrow/util/utf8.h>
#include <gtest/gtest.h>

#include "src/base/memory_budget.h"
#include "tests/unit/operators/harness.h"
#include "tests/unit/operators/kept_rows.h"

namespace tidemark {
namespace {

constexpr int64_t kRowCount = 90, kNarrowCount = 50;

// The i-th row of a port, as the port has it.
TestRow RowOf(const Port& port, int64_t i) {
  const bool updates = port.hidden.Has(Hidden::kOp), wide = i >= kNarrowCount;
  TestRow row{.time = i * kSecond, .watermark = std::max<int64_t>(0, i - 6) * kSecond, .offset = i};
  for (const Column& column : port.schema.columns()) {
    Cell& cell = row.cells.emplace_back();
    if (column.name == "id") {
      cell = absl::StrCat("k", updates ? i / 2 : i % 5);  // a row of each port has one key
    } else if (column.name == "name") {
      if (!wide || i % 7 != 0) cell = absl::StrCat("n", i);
    } else if (column.type.kind == Kind::kDecimal) {
      cell = wide && i % 3 == 0 ? int64_t{123'456'789'012'345} + i : i * 37 % 1000;
    } else {
      cell = i * kSecond;
    }
  }
  return row;
}

std::vector<std::string> Texts(const std::vector<TestRow>& rows) {
  std::vector<std::string> texts;
  for (const TestRow& row : rows) texts.push_back(ToString(row));
  return texts;
}

void Feed(int64_t begin, int64_t end, size_t batch, Harness* h) {
  const size_t ports = h->node().inputs.size();
  std::vector<std::vector<TestRow>> rows(ports);
  for (int64_t i = begin; i < end; ++i) {
    const size_t port = static_cast<size_t>(i) % ports;
    rows[port].push_back(RowOf(h->node().in(port), i));
    if (rows[port].size() >= batch || i + 1 == end) {
      for (size_t p = 0; p < ports; ++p) {
        if (!rows[p].empty()) h->Process(rows[p], p);
        rows[p].clear();
      }
      h->Advance(std::max<int64_t>(0, i - 6) * kSecond);
    }
    if (i % 11 == 0) h->Commit();
  }
  h->Commit();
}

TEST(WidenedRows, AStepGoesOnWithWhatItKeptAsIfItHadAlwaysBeenWide) {
  arrow::util::InitializeUTF8();
  for (const KeptRowsCase& one : KeptRowsCases()) {
    const Node narrow = KeptRowsNode(one, kNarrowRows), wide = KeptRowsNode(one, kWideRows);
    for (const size_t batch : {1, 7, 1000}) {
      for (const bool cold : {false, true}) {
        SCOPED_TRACE(absl::StrCat(one.name, ", batches of ", batch, cold ? ", on disk" : ""));
        MemoryBudget none(0, 0), none_either(0, 0);
        Harness widened(narrow, {}, cold ? &none : nullptr), always(wide, {}, cold ? &none_either : nullptr);
        Feed(0, kNarrowCount, batch, &widened);
        Feed(0, kNarrowCount, batch, &always);
        widened.GoOnWith(wide);
        always.Crash();
        for (Harness* h : {&widened, &always}) {
          Feed(kNarrowCount, kRowCount, batch, h);
          h->Crash();
          h->Advance((kRowCount + 600) * kSecond);
          h->Commit();
        }
        EXPECT_GT(always.out().rows.size(), 0u);
        EXPECT_EQ(Texts(widened.out().rows), Texts(always.out().rows));
        if (HasFailure()) return;
      }
    }
  }
}

}  // namespace
}  // namespace tidemark
