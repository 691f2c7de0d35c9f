// Files read as records, for tests.
#pragma once

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <gtest/gtest.h>

#include "src/landing/file_records.h"

namespace tidemark {

inline SourceColumn Value(const std::string& name, Type type, bool nullable = true) {
  SourceColumn column;
  column.column = {name, type, nullable};
  column.path = {name};
  return column;
}

inline SourcePlan Plan(char delimiter = ',') {
  SourcePlan plan;
  plan.name = "surveys";
  plan.columns = {Value("id", {Kind::kInt64}, false), Value("name", {Kind::kString}),
                  Value("score", {Kind::kDouble}),    Value("paid", {Kind::kDecimal, {}, 10, 2}),
                  Value("good", {Kind::kBool}),       Value("at", {Kind::kTimestamp, TimestampForm::kMillis})};
  plan.files.emplace().delimiter = delimiter;
  return plan;
}

struct Found {
  std::vector<std::string> values;  // bad ones: "line: reason"
  std::vector<int64_t> lines;
  std::vector<std::string> members;  // of archives
  std::string error;                 // of the file
  std::string hash;
};

inline Found ReadAll(const SourcePlan& plan, const std::string& name, const std::string& bytes,
                     int64_t at_once = 1 << 20) {
  Found found;
  auto file = std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(bytes));
  auto records = FileRecords::Open(plan, name, file);
  std::vector<FileRecord> all;
  absl::StatusOr<bool> more = records.ok() ? absl::StatusOr<bool>(true) : records.status();
  while (more.ok() && *more) {
    more = (*records)->Read(at_once, &all);
    if (more.ok()) found.members.resize(all.size(), std::string((*records)->member()));
  }
  if (!more.ok()) {
    EXPECT_EQ(more.status().code(), absl::StatusCode::kInvalidArgument) << more.status();
    found.error = std::string(more.status().message());
  } else {
    found.hash = (*records)->hash();
  }
  for (const FileRecord& record : all) {
    found.lines.push_back(record.line);
    found.values.push_back(record.reason.empty() ? record.value : absl::StrCat(record.line, ": ", record.reason));
  }
  return found;
}

// A folder of its own, and what tools make in there.
class Workshop {
 public:
  Workshop() {
    std::string name = testing::TempDir() + "landingXXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~Workshop() { std::filesystem::remove_all(folder_); }
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  void Write(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories(std::filesystem::path(Path(name)).parent_path());
    std::ofstream(Path(name), std::ios::binary) << bytes;
  }
  std::string Bytes(const std::string& name) const {
    std::ifstream file(Path(name), std::ios::binary);
    EXPECT_TRUE(file.good()) << name;
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // In the folder.
  void Run(const std::string& command) const {
    const std::string all = absl::StrCat("cd ", folder_, " && ", command, " > out.log 2>&1");
    if (std::system(all.c_str()) != 0) ADD_FAILURE() << command << "\n" << Bytes("out.log");
  }
  void Python(const std::string& program) const {
    Write("program.py", program);
    Run("python3 program.py");
  }

 private:
  std::string folder_;
};

}  // namespace tidemark
