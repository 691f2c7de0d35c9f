// How a format of values and keys is written in a topology and checked. Each format is a FormatSyntax of its own folder
// (src/codec/<format>/, by way of src/codec/format.h); the planner is given the list of them and knows none by name,
// but for what the defaults are.
//
// Most is asked here and said by the planner, so that all formats refuse in the same words: what the format is for,
// which options it takes, whether it holds columns by name or is one column as a whole, and of which types. What else
// there is to check of options and columns, Check does. Stateless objects that live for ever; any thread may ask.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "proto/topology.pb.h"
#include "src/base/schema.h"
#include "src/plan/diagnostics.h"
#include "src/plan/format_spec.h"
#include "src/plan/registry_spec.h"

namespace tidemark {

enum class FormatUse { kReadValue, kReadKey, kWriteValue, kWriteKey };

inline bool IsKey(FormatUse use) { return use == FormatUse::kReadKey || use == FormatUse::kWriteKey; }

// A column that a format is to hold.
struct FormatColumn {
  Column column;
  std::vector<std::string> path;  // where it stands in what is read; by its name alone in what is written
  std::string as;                 // how it is written, as the topology says
  std::string at;                 // where an error of it is reported
};

// What the check of one use of a format is given, and how it reports.
class FormatCheck {
 public:
  FormatCheck(const FormatSpec& spec, FormatUse use, std::string path, const std::vector<FormatColumn>& columns,
              Diagnostics* diagnostics)
      : spec_(spec), use_(use), path_(std::move(path)), columns_(columns), diagnostics_(*diagnostics) {}

  const FormatSpec& spec() const { return spec_; }
  FormatUse use() const { return use_; }
  const std::vector<FormatColumn>& columns() const { return columns_; }

  // Always false, so that a check can end with it.
  bool Error(std::string_view message) {
    diagnostics_.Error(path_, message);
    return false;
  }
  bool OptionError(std::string_view option, std::string_view message);
  bool ColumnError(const FormatColumn& column, std::string_view message) {
    diagnostics_.Error(column.at, message);
    return false;
  }

 private:
  const FormatSpec& spec_;
  const FormatUse use_;
  const std::string path_;
  const std::vector<FormatColumn>& columns_;
  Diagnostics& diagnostics_;
};

// A column that a schema has.
struct TakenColumn {
  Column column;
  std::vector<std::string> path;
  std::optional<std::string> default_value;  // as SourceColumn::default_value
};

class FormatSyntax {
 public:
  virtual ~FormatSyntax() = default;

  virtual std::string_view name() const = 0;
  // The fields of topology.Format that it takes besides `type`.
  virtual std::vector<std::string_view> options() const { return {}; }
  virtual bool Serves(FormatUse /*use*/) const { return true; }
  // It holds any number of columns by name, also NULLs; else it is one column as a whole, which can't be NULL.
  virtual bool holds_names() const = 0;
  // What is read stands at its place among the columns that are read, where its path says no other.
  virtual bool by_place(const FormatSpec& /*spec*/) const { return false; }
  // A record may be any number of rows.
  virtual bool ManyRows(const FormatSpec& /*spec*/) const { return false; }
  // The types it holds, for people: "int32, int64 or string"; and whether this is one of them.
  virtual std::string Types(FormatUse use) const = 0;
  virtual bool Holds(const Type& type, FormatUse use) const = 0;
  // Values are changes of a table's rows: the source has a key, and its rows replace each other by it.
  virtual bool tells_changes() const { return false; }
  // What records have beside a row, for columns `from: NAME`: whether there is this, and for people ("": nothing).
  virtual bool HasBeside(const std::vector<std::string>& /*path*/) const { return false; }
  virtual std::string Beside() const { return ""; }
  // Columns may say how they are written (`as`); which words there are, Check knows.
  virtual bool takes_as() const { return false; }
  // Whether `coerce`, and `timestamp_format` with `time_zone`, mean anything to what is read: values that have types of
  // their own have nothing to coerce.
  virtual bool coerces() const { return true; }
  virtual bool takes_timestamp_format() const { return true; }
  // Schemas are in the topology's registry.
  virtual bool NeedsRegistry(const FormatSpec& /*spec*/, FormatUse /*use*/) const { return false; }
  // Adds the options that follow from the topic where they aren't stated.
  virtual void Complete(const std::string& /*topic*/, FormatUse /*use*/, FormatSpec* /*spec*/) const {}
  // The columns of values by their schema (`columns: from_schema`), of the newest one that the registry has for the
  // topic or of one that the options name. May ask the registry, and wait for it.
  virtual absl::StatusOr<std::vector<TakenColumn>> Columns(const FormatSpec& /*spec*/, const std::string& /*topic*/,
                                                           const RegistrySpec& /*registry*/) const {
    return absl::UnimplementedError(std::string(name()) + " has no schema that columns could be taken from");
  }
  // What else there is to say of its options and columns. False: something was reported.
  virtual bool Check(FormatCheck& /*check*/) const { return true; }
};

using FormatList = std::vector<const FormatSyntax*>;

// ---- For the planner

const FormatSyntax* FindFormat(const FormatList& formats, std::string_view name);

// The format that stands at `path`, with its options; reports one that isn't there, isn't for this, or doesn't take an
// option, and then is nothing.
std::optional<FormatSpec> ReadFormat(const topology::Format& yaml, const FormatList& formats, FormatUse use,
                                     const std::string& path, Diagnostics* diagnostics);

// Whether the format, stated at `path` or taken there by default, can hold these columns; reports why not.
bool CheckFormat(const FormatSpec& spec, const FormatList& formats, FormatUse use, const std::string& path,
                 const std::vector<FormatColumn>& columns, Diagnostics* diagnostics);

}  // namespace tidemark
