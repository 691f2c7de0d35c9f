// Schemas of packed rows: their form in headers and commit records, and how rows under one become rows under another.
// A topology changes, and what it has written under its former schema may still lie in an internal topic: columns that
// were added since are NULL in it, columns that were removed are left out, and an int32 becomes an int64, a decimal one
// of more digits in front of the point. Nothing else is guessed. Of a partial aggregate
// (operators/window/partial_schema.h) NULL is that of no rows, whether its column may be null or not.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <arrow/type_fwd.h>

#include "proto/packed.pb.h"
#include "src/base/batch.h"

namespace tidemark {

// Of names and types, in their order. Whether a column may be null says nothing about its bytes, so it is left out.
uint64_t SchemaHash(const arrow::Schema& schema);

packed::PackedSchema PackSchema(const arrow::Schema& schema);
// FailedPrecondition: a type that this version doesn't know.
absl::StatusOr<std::shared_ptr<arrow::Schema>> UnpackSchema(const packed::PackedSchema& packed);

// Whether a type may become one that holds all of its values.
enum class Widening { kNo, kYes };

// Rows under `from` as rows under `to`.
class SchemaChange {
 public:
  // FailedPrecondition, naming the column: its type has become one that doesn't hold all of its values, or it was added
  // and isn't nullable, so that there is nothing to put in its place, or it was added and is one of `had`, which rows
  // must have had (src/runtime/columns_had.h).
  static absl::StatusOr<SchemaChange> Make(const arrow::Schema& from, std::shared_ptr<arrow::Schema> to,
                                           Widening widening = Widening::kYes,
                                           const std::vector<std::string>& had = {});

  absl::StatusOr<Batch> Apply(const Batch& rows) const;

 private:
  std::shared_ptr<arrow::Schema> to_;
  std::vector<int> sources_;  // by column of `to`: the column of `from`; -1: there is none
};

}  // namespace tidemark
