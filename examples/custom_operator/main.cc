// `tidemark` with one operator more: all commands and flags are the same.
#include <cstdio>

#include "sessions.h"
#include "src/cli/main.h"

int main(int argc, char** argv) {
  if (const absl::Status registered = RegisterSessions(); !registered.ok()) {
    std::fprintf(stderr, "%s\n", registered.ToString().c_str());
    return 1;
  }
  return tidemark::TidemarkMain(argc, argv);
}
