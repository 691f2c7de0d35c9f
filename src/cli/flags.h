// The command line: `tidemark COMMAND [flags]`. gflags parses, this file decides which flags belong to which command,
// so that help shows only ours and a flag of another command is refused with the nearest valid name. Main thread only.
#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>

namespace tidemark {

// A command with its flags' names (underscores) and what it does.
struct Command {
  std::string name;
  std::string summary;
  std::vector<std::string> flags;
  std::vector<std::string> arguments;  // words after the command, e.g. the workload of generate
};

const std::vector<Command>& Commands();
const Command* FindCommand(const std::string& name);
// InvalidArgument: there is no such command, and which one may be meant.
absl::Status UnknownCommand(const std::string& name);

// Parses argv behind the program's name: returns the command and its arguments; flags have been set. Dashes in flag
// names count as underscores. InvalidArgument: unknown command or flag, missing or malformed value.
struct ParsedLine {
  const Command* command = nullptr;
  std::vector<std::string> arguments;
};
absl::StatusOr<ParsedLine> ParseCommandLine(int argc, char** argv);

// The text of `help [command]`.
std::string HelpText(const Command* command);

}  // namespace tidemark
