#include "src/plan/topology_files.h"

#include <glob.h>
#include <sys/stat.h>

#include "src/base/whole_file.h"

namespace tidemark {
namespace {

bool IsFile(const char* path) {
  struct stat info{};
  return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

class Disk final : public TopologyFiles {
 public:
  absl::StatusOr<std::string> Read(const std::string& path) const override { return ReadWholeFile(path); }

  std::vector<std::string> Match(const std::string& pattern) const override {
    std::vector<std::string> files;
    glob_t found{};
    if (glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0) {
      for (size_t i = 0; i < found.gl_pathc; ++i) {
        if (IsFile(found.gl_pathv[i])) files.emplace_back(found.gl_pathv[i]);
      }
    }
    globfree(&found);
    return files;
  }
};

}  // namespace

const TopologyFiles& FilesOnDisk() {
  static const Disk disk;
  return disk;
}

}  // namespace tidemark
