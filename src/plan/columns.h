// The columns that a source or a table declares: names, types, where each comes from and how its texts are read. For
// the checks of sources and tables (inputs.cc, tables.cc); which formats hold the columns is asked in input_formats.h.
#pragma once

#include <string>

#include "proto/topology.pb.h"
#include "src/plan/diagnostics.h"
#include "src/plan/format_syntax.h"
#include "src/plan/plan.h"

namespace tidemark {

// How texts are read into columns, where a source says it for all of them.
struct Reading {
  bool coerce = false;
  std::string timestamp_format, time_zone;
  const FormatSyntax* key_format = nullptr;  // where it is stated; else JSON or text
};

// `format`: of the values; null where it isn't known, which was reported. Reports what is wrong with the column.
SourceColumn CheckColumn(const topology::Column& yaml, const FormatSyntax* format, const Reading& reading,
                         const std::string& path, bool table, Diagnostics* diagnostics);

// Of a column or a source at `path`.
void CheckTimestampFormat(const std::string& format, const std::string& zone, const std::string& path,
                          Diagnostics* diagnostics);

// It is written as RFC 3339, or as a timestamp_format says.
inline bool IsTextTimestamp(const Type& type) {
  return type.kind == Kind::kTimestamp && type.form == TimestampForm::kRfc3339;
}

}  // namespace tidemark
