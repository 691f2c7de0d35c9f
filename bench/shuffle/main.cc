// `tidemark` with the operators of ShuffleBench: all commands and flags are the same.
#include <cstdio>

#include "bench/shuffle/operators.h"
#include "src/cli/main.h"

int main(int argc, char** argv) {
  if (const absl::Status registered = RegisterShuffleOperators(); !registered.ok()) {
    std::fprintf(stderr, "%s\n", registered.ToString().c_str());
    return 1;
  }
  return tidemark::TidemarkMain(argc, argv);
}
