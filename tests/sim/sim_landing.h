// A landing zone in memory, which is away now and then, also in the middle of a move.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <arrow/buffer.h>
#include <arrow/io/memory.h>

#include "src/landing/landing_zone.h"
#include "src/sim/sim_random.h"

namespace tidemark::sim {

struct SimFolder {
  struct File {
    std::string bytes;
    int64_t modified_ns = 0;
  };
  std::map<std::string, File> landing;
  std::map<std::string, std::string> processed, rejected;  // rejected: the reason
  double away = 0;                                         // of any call
  int64_t clock_ns = 1'000'000'000;

  void Land(const std::string& name, std::string bytes) { landing[name] = {std::move(bytes), clock_ns += 1'000'000}; }
};

class SimLandingZone final : public LandingZone {
 public:
  SimLandingZone(SimFolder* folder, SimRandom* random) : folder_(*folder), random_(*random) {}

  absl::StatusOr<std::vector<LandedFile>> List() override {
    if (Away()) return absl::UnavailableError("the folder is away");
    std::vector<LandedFile> files;
    for (const auto& [name, file] : folder_.landing) files.push_back(Landed(name, file));
    return files;
  }
  absl::StatusOr<LandedFile> Stat(const std::string& name) override {
    if (Away()) return absl::UnavailableError("the folder is away");
    const auto found = folder_.landing.find(name);
    if (found == folder_.landing.end()) return absl::NotFoundError(name);
    return Landed(name, found->second);
  }
  absl::StatusOr<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const std::string& name) override {
    const absl::StatusOr<LandedFile> there = Stat(name);
    if (!there.ok()) return there.status();
    return std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(folder_.landing.at(name).bytes));
  }
  absl::Status MoveToProcessed(const LandedFile& file, const std::string& version) override {
    return Move(file,
                [&](const std::string& bytes) { folder_.processed[absl::StrCat(file.name, "~", version)] = bytes; });
  }
  absl::Status MoveToRejected(const LandedFile& file, const std::string& version, const std::string& reason) override {
    return Move(file, [&](const std::string&) { folder_.rejected[absl::StrCat(file.name, "~", version)] = reason; });
  }

 private:
  static LandedFile Landed(const std::string& name, const SimFolder::File& file) {
    return {name, static_cast<int64_t>(file.bytes.size()), file.modified_ns, ""};
  }
  template <typename To>
  absl::Status Move(const LandedFile& file, const To& to) {
    if (Away()) return absl::UnavailableError("the folder is away");
    const auto found = folder_.landing.find(file.name);
    if (found == folder_.landing.end() || !Landed(file.name, found->second).IsSameAs(file)) return absl::OkStatus();
    to(found->second.bytes);
    folder_.landing.erase(found);
    return Away() ? absl::UnavailableError("the answer was lost") : absl::OkStatus();
  }
  bool Away() { return random_.Chance(folder_.away); }

  SimFolder& folder_;
  SimRandom& random_;
};

}  // namespace tidemark::sim
