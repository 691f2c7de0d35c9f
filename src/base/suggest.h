// "did you mean": the nearest valid name to a mistyped one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark {

// The candidate with the smallest edit distance to `name` (case ignored), if that is at most a third of its length
// (and at least 1); the first of equals.
std::optional<std::string> Nearest(std::string_view name, const std::vector<std::string>& candidates);

// " (did you mean 'x'?)" or, with no near candidate and at most 8 of them, " (one of: a, b)"; else "".
std::string DidYouMean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace tidemark
