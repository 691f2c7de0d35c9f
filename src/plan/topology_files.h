// Where the files of a topology come from: the disk, or a test's own. Paths are as a user writes them, with the folder
// of the including file in front.
#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>

namespace tidemark {

class TopologyFiles {
 public:
  virtual ~TopologyFiles() = default;

  // The whole file; the error says why not, without its name.
  virtual absl::StatusOr<std::string> Read(const std::string& path) const = 0;
  // The files, no folders, that a pattern matches: *, ? and [abc] within a name, \ before a character that stands for
  // itself. In any order.
  virtual std::vector<std::string> Match(const std::string& pattern) const = 0;
};

const TopologyFiles& FilesOnDisk();

}  // namespace tidemark
