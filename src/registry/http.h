// The seam between the registry's protocol and what carries it. Calls wait for their answer; any thread.
#pragma once

#include <memory>
#include <string>

#include "src/plan/registry_spec.h"

namespace tidemark {

struct RegistryAnswer {
  int status = 0;  // of HTTP; 0: there was none
  std::string body;
  std::string error;  // why there was none
};

class RegistryHttp {
 public:
  virtual ~RegistryHttp() = default;
  // `path` begins with a slash. An empty body is a GET, another one a POST.
  virtual RegistryAnswer Call(const std::string& path, const std::string& body) = 0;
  // A call under way ends soon, and later ones at once.
  virtual void Interrupt() {}
};

// Asks the registry's addresses in turn until one answers.
std::unique_ptr<RegistryHttp> NewRegistryHttp(const RegistrySpec& spec);

}  // namespace tidemark
