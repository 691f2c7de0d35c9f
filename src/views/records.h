// A view's topic: what tasks write there and every worker reads back. Internal, compacted, one partition, so that its
// records have one order and a position in it is one number. Pure functions; any thread.
//
//   key {"shop":"a","place":1}   a row, as JSON, or its end (no value); header "writer": the number of its task
//   key mark/3                   a ViewMark of task 3: what that task wrote before belongs to commits that end here
//
// Rows are told by their columns' names, so that those of another version of the topology can be read: columns added
// since are NULL, columns taken out are left. `__time` is the row's event time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "proto/packed.pb.h"
#include "src/base/record.h"
#include "src/base/time.h"
#include "src/codec/row_encoder.h"
#include "src/plan/plan.h"

namespace tidemark {

// Brokers keep the news of a row that has gone for so long (delete.retention.ms).
inline constexpr int64_t kViewDeletionsKeptUs = int64_t{86'400} * kSecond;

inline constexpr char kViewWriterHeader[] = "writer";
inline constexpr char kViewTimeColumn[] = "__time";

// The rows as they stand in records: timestamps as microseconds whatever their declared form, which might tell less.
Schema ViewRecordSchema(const Schema& rows);
// ... and the event time behind them.
RowEncoderOptions ViewEncoderOptions(const SinkPlan& view);
// The same from the reader's side; the last column is the event time.
TablePlan ViewTable(const SinkPlan& view);

std::string ViewMarkKey(int32_t writer);
// The task whose mark has this key; nothing: it is a row's.
std::optional<int32_t> ViewMarkWriter(std::string_view key);

// What a task notes of the view in its commit record: the rows' columns and types, their key and where they come from.
packed::Standing::Edge ViewStanding(const SinkPlan& view);
// Why rows that were noted so can't stand beside those of this view; "": they can.
std::string WhyNotTheView(const packed::Standing::Edge& before, const SinkPlan& view);

}  // namespace tidemark
