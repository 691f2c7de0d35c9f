// The names of what an application's generations share (src/runtime/generations/), beside those of application.h and by
// its rules: they belong to the application as a whole, so none has a generation in it, and no step can have one.
// Plain values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/strings/str_cat.h>

#include "src/base/application.h"

namespace tidemark {

struct GenerationNames {
  std::string name;  // of the application

  // Which generation is active and which is being built: one partition, whose last record says all.
  std::string Topic() const { return name + ".__generations"; }
  // Of whoever writes it, one at a time.
  std::string TransactionalId() const { return name + "/__generations"; }
  // Of whoever exchanges the contents of a topic, one at a time.
  std::string SwapTransactionalId(const std::string& topic) const {
    return absl::StrCat(name, "/__generations/", topic);
  }
  ApplicationId Of(int32_t generation) const { return {name, generation}; }
  // A run over a part of the past (src/runtime/generations/past_run.h) is an application of its own to everything
  // outside, `town.__run_march`: no generation is called so, as those are numbers. `run`: IsRunName.
  ApplicationId Run(std::string_view run) const { return {name + std::string(kRun).append(run), 1}; }
  // What the internal topics of all runs begin with.
  std::string RunPrefix() const { return name + std::string(kRun); }

  static constexpr std::string_view kRun = ".__run_";
};

}  // namespace tidemark
