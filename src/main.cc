// tidemark: the command line of src/cli/main.h, with the built-in operators.
#include "src/cli/main.h"

int main(int argc, char** argv) { return tidemark::TidemarkMain(argc, argv); }
