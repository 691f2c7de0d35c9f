// A page of a view as JSON, CSV or an Arrow stream.
#include <numeric>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/string_view.h>
#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/writer.h>

#include "src/base/status.h"
#include "src/codec/column_text.h"
#include "src/codec/formats.h"
#include "src/views/answer.h"

namespace tidemark {
namespace {

// A name as a field of CSV's first line.
std::string CsvName(const std::string& name) {
  const bool plain = !name.empty() && name.find_first_of(",\"\r\n") == std::string::npos;
  if (plain) return name;
  std::string quoted = "\"";
  for (const char c : name) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + "\"";
}

absl::StatusOr<std::string> AsText(const Batch& rows, const Schema& schema, const std::vector<size_t>& columns,
                                   bool json) {
  TM_ASSIGN_OR_RETURN(const auto writer, OwnFormats().MakeWriter(json ? kJsonFormat : "csv", schema, columns));
  std::vector<int32_t> all(static_cast<size_t>(rows->num_rows()));
  std::iota(all.begin(), all.end(), 0);
  std::string text;
  std::vector<size_t> ends;
  TextBuffer buffer(&text);
  TM_RETURN_IF_ERROR(writer->Write(ViewColumns(schema, *rows), all, &buffer, &ends));
  std::string out;
  out.reserve(buffer.size() + all.size() + 64);
  if (!json) {
    for (size_t i = 0; i < columns.size(); ++i) {
      absl::StrAppend(&out, i > 0 ? "," : "", CsvName(schema[columns[i]].name));
    }
    out += '\n';
  } else {
    out += '[';
  }
  for (size_t i = 0, begin = 0; i < ends.size(); begin = ends[i++]) {
    if (json && i > 0) out += ",\n";
    out += buffer.View(begin, ends[i]);
    if (!json) out += '\n';
  }
  if (json) out += ']';
  return out;
}

absl::StatusOr<std::string> AsArrow(const Batch& rows, const std::vector<size_t>& columns) {
  std::vector<int> positions(columns.begin(), columns.end());
  TM_ASSIGN_OR_RETURN(const Batch some, FromArrow(rows->SelectColumns(positions), "the columns of an answer"));
  TM_ASSIGN_OR_RETURN(const auto sink, FromArrow(arrow::io::BufferOutputStream::Create(), "an Arrow stream"));
  TM_ASSIGN_OR_RETURN(const auto writer,
                      FromArrow(arrow::ipc::MakeStreamWriter(sink, some->schema()), "an Arrow stream"));
  TM_RETURN_IF_ERROR(FromArrow(writer->WriteRecordBatch(*some), "an Arrow stream"));
  TM_RETURN_IF_ERROR(FromArrow(writer->Close(), "an Arrow stream"));
  TM_ASSIGN_OR_RETURN(const auto bytes, FromArrow(sink->Finish(), "an Arrow stream"));
  return bytes->ToString();
}

}  // namespace

const char* ContentTypeOf(ViewFormat format) {
  switch (format) {
    case ViewFormat::kCsv:
      return "text/csv; charset=utf-8; header=present";
    case ViewFormat::kArrow:
      return "application/vnd.apache.arrow.stream";
    case ViewFormat::kJson:
      break;
  }
  return "application/json";
}

// The first that is known; weights are passed over, as nobody who asks for data states any.
std::optional<ViewFormat> FormatOfAccept(std::string_view accept) {
  const absl::string_view text = absl::StripAsciiWhitespace(absl::string_view(accept.data(), accept.size()));
  if (text.empty()) return ViewFormat::kJson;
  for (const absl::string_view item : absl::StrSplit(text, ',')) {
    const absl::string_view type = absl::StripAsciiWhitespace(*absl::StrSplit(item, absl::MaxSplits(';', 1)).begin());
    if (absl::EqualsIgnoreCase(type, "application/json") || type == "*/*" || type == "application/*") {
      return ViewFormat::kJson;
    }
    if (absl::EqualsIgnoreCase(type, "text/csv") || type == "text/*") return ViewFormat::kCsv;
    if (absl::EqualsIgnoreCase(type, "application/vnd.apache.arrow.stream")) return ViewFormat::kArrow;
  }
  return std::nullopt;
}

absl::StatusOr<std::string> RenderRows(const ViewPage& page, const Schema& schema, const std::vector<size_t>& columns,
                                       ViewFormat format) {
  std::vector<size_t> told = columns;
  if (told.empty()) {
    told.resize(schema.size());
    std::iota(told.begin(), told.end(), size_t{0});
  }
  if (format == ViewFormat::kArrow) return AsArrow(page.rows, told);
  return AsText(page.rows, schema, told, format == ViewFormat::kJson);
}

}  // namespace tidemark
