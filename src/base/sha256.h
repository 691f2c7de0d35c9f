// SHA-256. Any thread; a sum is one thread's at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace tidemark {

// 32 bytes.
std::string Sha256(std::string_view text);

// Of what comes piece by piece.
class Sha256Sum {
 public:
  Sha256Sum();
  ~Sha256Sum();

  void Add(std::string_view piece);
  // 64 lower hex digits; once, behind the last piece.
  std::string HexDigits();

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace tidemark
