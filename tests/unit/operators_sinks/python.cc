#include "tests/unit/operators_sinks/python.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <absl/strings/str_cat.h>

namespace tidemark {

std::optional<std::string> VenvProgram(const std::string& name) {
  const char* given = std::getenv("TIDEMARK_VENV");
  const std::filesystem::path program = std::filesystem::path(given == nullptr ? ".deps/venv" : given) / "bin" / name;
  if (!std::filesystem::exists(program)) return std::nullopt;
  return std::filesystem::absolute(program).string();
}

std::string RunPython(const std::string& script) {
  char path[] = "/tmp/tidemark-script-XXXXXX";
  close(mkstemp(path));
  std::ofstream(path) << script;
  FILE* output = popen(absl::StrCat(VenvProgram("python").value(), " ", path, " 2>&1").c_str(), "r");
  std::string text;
  char piece[4096];
  while (const size_t size = fread(piece, 1, sizeof(piece), output)) text.append(piece, size);
  pclose(output);
  std::filesystem::remove(path);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace tidemark
