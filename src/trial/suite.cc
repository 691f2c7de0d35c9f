#include "src/trial/suite.h"

#include <chrono>
#include <fstream>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "src/base/many.h"
#include "src/base/status.h"
#include "src/trial/run.h"
#include "src/trial/subject.h"
#include "src/trial/test_file.h"
#include "src/trial/update.h"

namespace tidemark::trial {
namespace {

class Suite {
 public:
  Suite(const SuiteOptions& options, std::ostream& out) : options_(options), out_(out) {}

  // Of all files together, before anything runs.
  absl::Status Load(const std::vector<std::string>& paths) {
    std::string mistakes;
    for (const std::string& path : paths) {
      const absl::Status loaded = Load(path);
      if (!loaded.ok()) absl::StrAppend(&mistakes, mistakes.empty() ? "" : "\n", std::string(loaded.message()));
    }
    return mistakes.empty() ? absl::OkStatus() : absl::InvalidArgumentError(mistakes);
  }

  absl::Status Run() {
    for (auto& [file, subjects] : files_) {
      if (options_.update) {
        TM_RETURN_IF_ERROR(Update(file, subjects));
        TM_ASSIGN_OR_RETURN(file, ReadTestFile(file.path));
      }
      for (size_t t = 0; t < file.tests.size(); ++t) TM_RETURN_IF_ERROR(RunOne(file, file.tests[t], subjects[t]));
    }
    return absl::OkStatus();
  }
  int failed() const { return failed_; }
  void TellSum() { out_ << passed_ << " passed, " << failed_ << " failed" << std::endl; }

 private:
  absl::Status Load(const std::string& path) {
    TM_ASSIGN_OR_RETURN(TestFile file, ReadTestFile(path));
    std::vector<Subject> subjects;
    for (const Case& test : file.tests) {
      TM_ASSIGN_OR_RETURN(Subject subject, Subject::Load(file, test));
      subjects.push_back(std::move(subject));
    }
    files_.emplace_back(std::move(file), std::move(subjects));
    return absl::OkStatus();
  }

  absl::Status RunOne(const TestFile& file, const Case& test, const Subject& subject) {
    const auto began = std::chrono::steady_clock::now();
    const uint64_t first = options_.seed.value_or(0), last = options_.seed.value_or(options_.seeds);
    for (uint64_t seed = first; seed <= last; ++seed) {
      TM_ASSIGN_OR_RETURN(const RunResult result, RunTest(file, test, subject, seed));
      if (result.differences.empty()) continue;
      ++failed_;
      out_ << "FAIL " << file.path << ": " << test.name << "\n" << result.differences;
      // The first run is the one that a person can follow; where only another fails, it says in what it differs.
      if (seed != 0) {
        out_ << "  with seed " << seed << " (" << result.how << ")";
        if (!options_.seed) {
          out_ << (seed > first ? "; the plain run is as expected" : "") << ". Again: tidemark test " << file.path
               << " --seed " << seed;
          if (test.partitions == 0) {
            out_ << "\n  if the order between partitions is meant to matter, state `partitions: 1` in the test";
          }
        }
        out_ << "\n";
      }
      out_.flush();
      return absl::OkStatus();
    }
    ++passed_;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    const std::string runs =
        options_.seed ? absl::StrCat("seed ", *options_.seed) : Many(static_cast<double>(options_.seeds), "seed");
    out_ << "ok   " << file.path << ": " << test.name << " (" << runs << absl::StrFormat(", %.1f s)", took.count())
         << std::endl;
    return absl::OkStatus();
  }

  absl::Status Update(const TestFile& file, const std::vector<Subject>& subjects) {
    std::vector<RunResult> results;
    for (size_t t = 0; t < file.tests.size(); ++t) {
      TM_ASSIGN_OR_RETURN(RunResult result, RunTest(file, file.tests[t], subjects[t], 0));
      if (!result.ended) return absl::AbortedError(result.differences);
      results.push_back(std::move(result));
    }
    TM_ASSIGN_OR_RETURN(const std::vector<NewText> texts, UpdatedFiles(file, results));
    for (const NewText& text : texts) {
      std::ofstream written(text.path);
      written << text.text;
      if (!written.flush()) return absl::InvalidArgumentError(text.path + " can't be written");
      out_ << "updated " << text.path << "\n";
    }
    return absl::OkStatus();
  }

  const SuiteOptions options_;
  std::ostream& out_;
  std::vector<std::pair<TestFile, std::vector<Subject>>> files_;
  int passed_ = 0, failed_ = 0;
};

}  // namespace

absl::StatusOr<int> RunTestFiles(const std::vector<std::string>& paths, const SuiteOptions& options,
                                 std::ostream& out) {
  Suite suite(options, out);
  TM_RETURN_IF_ERROR(suite.Load(paths));
  TM_RETURN_IF_ERROR(suite.Run());
  suite.TellSum();
  return suite.failed();
}

}  // namespace tidemark::trial
