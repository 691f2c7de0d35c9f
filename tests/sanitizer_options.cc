// What AddressSanitizer does unless ASAN_OPTIONS says otherwise. One frame of where memory came from instead of thirty:
// remembering these stacks was a third of the simulator's time. A report that needs them is had by running its test
// again with ASAN_OPTIONS=malloc_context_size=30.

extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "malloc_context_size=1"; }
