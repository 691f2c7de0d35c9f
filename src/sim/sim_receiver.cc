#include "src/sim/sim_receiver.h"

#include <utility>

#include <glog/logging.h>

namespace tidemark::sim {

class SimReceiver::Session final : public Webhook {
 public:
  Session(SimReceiver* receiver, std::shared_ptr<const bool> dead) : receiver_(*receiver), dead_(std::move(dead)) {}

  absl::Status Post(const std::string& id, const std::string& body, int64_t) override {
    if (*dead_ || interrupted_ || receiver_.outside_.FailsBefore()) return absl::UnavailableError("no answer");
    if (receiver_.ids_.insert(id).second) receiver_.bodies_.push_back(body);
    return receiver_.outside_.FailsAfter() ? absl::UnavailableError("the answer was lost") : absl::OkStatus();
  }
  void Interrupt() override { interrupted_ = true; }

 private:
  SimReceiver& receiver_;
  const std::shared_ptr<const bool> dead_;
  bool interrupted_ = false;
};

std::unique_ptr<Webhook> SimReceiver::NewSession(std::shared_ptr<const bool> dead) {
  return std::make_unique<Session>(this, std::move(dead));
}

// The row is the last member of a body, and what is before it are texts, in which quotes are escaped.
std::vector<std::string> SimReceiver::Rows() const {
  static constexpr std::string_view kRow = ",\"row\":";
  std::vector<std::string> rows;
  for (const std::string& body : bodies_) {
    const size_t at = body.find(kRow);
    CHECK(at != std::string::npos && body.ends_with('}')) << body;
    const size_t begin = at + kRow.size();
    rows.push_back(body.substr(begin, body.size() - 1 - begin));
  }
  return rows;
}

}  // namespace tidemark::sim
