// The page that every worker serves: files of src/status/page/, put into the binary when it is built. It needs nothing
// from elsewhere, so it works without a network, and asks the worker for /v1/status, /v1/topology.svg and views.
#pragma once

#include <string>
#include <vector>

namespace tidemark {

struct PageFile {
  std::string path;  // under which it is served
  std::string content_type;
  std::string text;
};

const std::vector<PageFile>& PageFiles();

// What the page may load and ask: this server alone. Styles stand in the picture of the topology, too.
inline constexpr char kPagePolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' "
    "data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace tidemark
