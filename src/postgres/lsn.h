// A place in PostgreSQL's log of changes (WAL): a number that only grows. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidemark {

using Lsn = uint64_t;

// As PostgreSQL writes it: "16/B374D848".
std::string LsnText(Lsn lsn);
std::optional<Lsn> ParseLsn(std::string_view text);

}  // namespace tidemark
