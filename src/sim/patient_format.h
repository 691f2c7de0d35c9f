// JSON whose records come, some of them, only after they were asked for a few times: as if a schema had to be fetched
// first. Nothing else about them is different, so all that a world ends with must be the same.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "src/base/status.h"
#include "src/codec/formats.h"
#include "src/codec/record_rows.h"

namespace tidemark {

class PatientJsonReader final : public ValueReader {
 public:
  explicit PatientJsonReader(std::unique_ptr<ValueReader> json) : json_(std::move(json)) {}

  absl::Status Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) override {
    for (size_t i = first; i < last; ++i) {
      // By its place alone, so that a seed's run is always the same.
      const auto offset = static_cast<uint64_t>(fetch.records()[i].offset);
      const uint64_t lot = (offset * 2654435761u + static_cast<uint64_t>(fetch.source().partition)) >> 3;
      if (lot % 13 == 0 && asked_[fetch.records()[i].offset]++ < static_cast<int>(lot % 4)) {
        rows->BeginRecord(i);
        rows->Later("its turn");
        return absl::OkStatus();
      }
      TM_RETURN_IF_ERROR(json_->Read(fetch, i, i + 1, rows));
    }
    return absl::OkStatus();
  }

 private:
  const std::unique_ptr<ValueReader> json_;
  std::map<Offset, int> asked_;
};

class PatientJson final : public Format {
 public:
  std::string_view name() const override { return kJsonFormat; }
  bool holds_names() const override { return true; }
  std::string Types(FormatUse) const override { return "any type"; }
  bool Holds(const Type&, FormatUse) const override { return true; }
  absl::StatusOr<std::unique_ptr<ValueReader>> MakeReader(const FormatSpec& spec,
                                                          const std::vector<ReadTarget>& targets) const override {
    TM_ASSIGN_OR_RETURN(auto json, OwnFormats().MakeReader(spec, targets));
    return std::make_unique<PatientJsonReader>(std::move(json));
  }
  absl::StatusOr<std::unique_ptr<KeyReader>> MakeKeyReader(const FormatSpec& spec,
                                                           const std::vector<ReadTarget>& targets) const override {
    return OwnFormats().MakeKeyReader(spec, targets);
  }
  absl::StatusOr<std::unique_ptr<ValueWriter>> MakeWriter(const FormatSpec& spec, const Schema& schema,
                                                          const std::vector<size_t>& columns) const override {
    return OwnFormats().MakeWriter(spec, schema, columns);
  }
  absl::StatusOr<std::unique_ptr<KeyWriter>> MakeKeyWriter(const FormatSpec& spec, const Schema& schema,
                                                           const std::vector<size_t>& columns) const override {
    return OwnFormats().MakeKeyWriter(spec, schema, columns);
  }
};

inline const Formats& PatientFormats() {
  static const auto& formats = *[] {
    auto* patient = new Formats();
    patient->Set(new PatientJson());
    return patient;
  }();
  return formats;
}

}  // namespace tidemark
