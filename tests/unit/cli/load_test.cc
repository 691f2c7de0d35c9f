// What a worker that begins anew reads of its topology.
#include "src/cli/load.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace tidemark {
namespace {

void Write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

TEST(FilesAsFirstRead, StayWhatTheyWereWhateverIsEdited) {
  const std::string folder = ::testing::TempDir() + "/files_as_first_read";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  const std::string file = folder + "/t.yaml", part = folder + "/part.yaml";
  const auto topology = [&](const std::string& topic) {
    return "name: app\ninclude: [part.yaml]\nsinks:\n  out: { from: in, topic: " + topic + " }\n";
  };
  Write(file, topology("first"));
  Write(part, "sources:\n  in: { topic: rows, columns: { id: int64 } }\n");
  const FilesAsFirstRead files;
  const auto load = [&](const TopologyFiles& from) {
    TopologyText text;
    const auto plan = LoadTopology(file, &text, AskForTopics::kNever, nullptr, from);
    EXPECT_TRUE(plan.ok()) << plan.status();
    return text.yaml;
  };
  const std::string first = load(files);
  EXPECT_EQ(files.Match(folder + "/*.yaml").size(), 2u);
  Write(file, topology("second"));
  Write(part, "sources:\n  in: { topic: others, columns: { id: int64 } }\n");
  Write(folder + "/more.yaml", "");
  EXPECT_EQ(load(files), first);
  EXPECT_EQ(files.Match(folder + "/*.yaml").size(), 2u);
  EXPECT_NE(load(FilesOnDisk()), first);
}

}  // namespace
}  // namespace tidemark
