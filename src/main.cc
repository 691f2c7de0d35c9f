// tidemark: the command line of src/cli/main.h, with the built-in operators.
#include "src/cli/main.h"

// Read by jemalloc when the process starts. Tables of state are read at random: with pages of 4 KiB the translation of
// their addresses costs more than reading them. What is freed goes back to the system after a second.
extern "C" {
const char* malloc_conf = "thp:always,dirty_decay_ms:1000,muzzy_decay_ms:0";
}

int main(int argc, char** argv) { return tidemark::TidemarkMain(argc, argv); }
