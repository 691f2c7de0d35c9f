// The schema registry of a topology: how it is reached. A value.
#pragma once

#include <string>
#include <vector>

namespace tidemark {

struct RegistrySpec {
  std::vector<std::string> urls;  // none: the topology has no registry
  std::string user, password;
  std::string ca_file;  // whose certificates are trusted; empty: those of the system

  bool none() const { return urls.empty(); }
};

}  // namespace tidemark
