// Python with DuckDB and pyarrow: readers that share no code with the sinks.
#pragma once

#include <optional>
#include <string>

namespace tidemark {

// The program in the project's environment (.deps/venv/bin/NAME, or in $TIDEMARK_VENV); nothing where there is none.
std::optional<std::string> VenvProgram(const std::string& name);

// What the script prints, without the last newline; its error output comes along.
std::string RunPython(const std::string& script);

}  // namespace tidemark
