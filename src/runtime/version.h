// The version of Tidemark: shown by --version and by the metric tidemark_build_info.
#pragma once

namespace tidemark {

inline constexpr char kTidemarkVersion[] = "0.1.0";

}  // namespace tidemark
