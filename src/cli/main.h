// The command line as a function, so that a program with operators of its own is `tidemark` with those operators:
//
//   int main(int argc, char** argv) {
//     if (const absl::Status status = RegisterSilence(); !status.ok()) { ... }
//     return tidemark::TidemarkMain(argc, argv);
//   }
//
// Installs signal handlers and parses flags: once a process, from main.
#pragma once

namespace tidemark {

// The exit code: 0 done, 1 failed, 2 the user's mistake.
int TidemarkMain(int argc, char** argv);

}  // namespace tidemark
