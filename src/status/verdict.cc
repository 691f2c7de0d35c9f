#include "src/status/verdict.h"

#include <algorithm>
#include <string>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "src/status/words.h"

namespace tidemark {
namespace {

// Less than this is how far anybody is behind who reads in batches and commits now and then.
constexpr double kBehindS = 2;
// A sink that has failed for less will be through with the next try.
constexpr double kFailingS = 5;
constexpr double kWaitingS = 5;

const live::Node* Find(const live::Application& application, const std::string& name) {
  for (const live::Node& node : application.nodes()) {
    if (node.name() == name) return &node;
  }
  return nullptr;
}

std::string Called(const live::Application& application, const std::string& name) {
  const live::Node* node = Find(application, name);
  return node == nullptr ? name : absl::StrCat(node->kind(), " ", name);
}

live::Verdict Make(std::string state, std::string sentence, std::string node = "") {
  live::Verdict verdict;
  verdict.set_state(std::move(state));
  verdict.set_sentence(std::move(sentence));
  verdict.set_node(std::move(node));
  return verdict;
}

bool Waits(const live::Share& share) { return absl::StartsWith(share.activity(), "waiting for rec"); }

// How long until the reader has what is there now. Where nothing arrives any more, lag has no age.
double Urgency(const live::Reader& reader) {
  if (reader.behind_s() > 0) return reader.behind_s();
  if (reader.to_go_s() > 0) return reader.to_go_s();
  return reader.lag() > 0 && reader.reading() < 0.01 ? 1e9 : 0;  // it stands still
}

// The reader that is furthest behind; null: none is.
const live::Reader* FurthestBehind(const live::Application& application) {
  const live::Reader* furthest = nullptr;
  for (const live::Reader& reader : application.readers()) {
    if (furthest == nullptr || Urgency(reader) > Urgency(*furthest)) furthest = &reader;
  }
  return furthest != nullptr && furthest->lag() >= 2 && Urgency(*furthest) >= kBehindS ? furthest : nullptr;
}

// What limits a sink: what its thread does most, besides waiting for rows.
std::string LimitOfSink(const live::Application& application, const live::Reader& reader, std::string* node) {
  const live::Share* most = nullptr;
  for (const live::Share& share : reader.time()) {
    if (share.activity() == "waiting for rows") continue;
    if (most == nullptr || share.share() > most->share()) most = &share;
  }
  *node = reader.name();
  if (most == nullptr || most->share() < 0.2) {
    return absl::StrCat("The limit is the brokers: ", Called(application, reader.name()),
                        " mostly waits for rows from its feed.");
  }
  return absl::StrCat("The limit is ", Called(application, reader.name()), ": ", most->activity(), " takes ",
                      Percent(most->share()), " of its time.");
}

// What limits a stage: what the threads of its late tasks do most.
std::string LimitOfThreads(const live::Application& application, const live::Reader& reader, std::string* node) {
  const live::Share* most = nullptr;
  double kafka = 0, idle = 0;
  for (const live::Share& share : reader.time()) {
    if (Waits(share)) {
      idle += share.share();
    } else if (absl::StartsWith(share.activity(), "waiting")) {
      kafka += share.share();
    } else if (most == nullptr || share.share() > most->share()) {
      most = &share;
    }
  }
  *node = reader.name();
  const double work = most == nullptr ? 0 : most->share();
  if (idle > 0.5 && idle > kafka && idle > work) {
    return absl::StrCat("The limit is the brokers: threads wait for their records ", Percent(idle), " of the time.");
  }
  if (kafka > work) {
    return absl::StrCat("The limit is Kafka: waiting until it acknowledges and commits takes ", Percent(kafka),
                        " of the threads' time.");
  }
  if (most == nullptr) return "";
  *node = most->activity();
  const live::Node* named = Find(application, most->activity());
  const bool reads = named != nullptr && named->kind() == "source";
  return absl::StrCat("The limit is ", Called(application, most->activity()), ": ",
                      reads ? "decoding its records" : "it", " takes ", Percent(work), " of the threads' time.");
}

live::Verdict Behind(const live::Application& application, const live::Reader& reader) {
  std::string node;
  const std::string limit =
      reader.sink() ? LimitOfSink(application, reader, &node) : LimitOfThreads(application, reader, &node);
  std::string how;
  if (reader.behind_s() > 0) {
    how = absl::StrCat("Behind by ", Seconds(reader.behind_s()));
  } else {
    how = absl::StrCat("Behind by ", Many(reader.lag(), "record"));
  }
  if (reader.to_go_s() > 0) {
    absl::StrAppend(&how, " and catching up (", Seconds(reader.to_go_s()), " to go)");
  } else if (reader.reading() < 0.01) {
    absl::StrAppend(&how, ", and ", Called(application, reader.name()), " stands still");
  } else {
    absl::StrAppend(
        &how, reader.arriving() > reader.reading() * 1.01 ? " and falling further behind" : " and not catching up");
  }
  live::Verdict verdict = Make("behind", absl::StrCat(how, ". ", limit), node);
  verdict.set_behind_s(reader.behind_s());
  verdict.set_to_go_s(reader.to_go_s());
  verdict.set_behind_records(reader.lag());
  return verdict;
}

live::Verdict UpToDate(const live::Application& application) {
  const live::Node* busiest = nullptr;
  for (const live::Node& node : application.nodes()) {
    if (busiest == nullptr || node.busy() > busiest->busy()) busiest = &node;
  }
  if (busiest == nullptr || busiest->busy() < 0.05) return Make("up_to_date", "Up to date.");
  const bool own = !busiest->time().empty();  // a sink with a thread of its own
  return Make("up_to_date",
              absl::StrCat("Up to date. The busiest is ", busiest->kind(), " ", busiest->name(), ": ",
                           Percent(busiest->busy()), own ? " of its time." : " of its threads' time."),
              busiest->name());
}

}  // namespace

live::Verdict Judge(const live::Application& application) {
  if (application.workers().empty()) return Make("no_worker", "No worker runs.");
  const auto& workers = application.workers();
  const auto starts = [](const live::WorkerLine& worker) { return absl::StartsWith(worker.state(), "starting"); };
  if (std::all_of(workers.begin(), workers.end(), starts)) {
    return Make("starting", absl::StrCat("Worker ", workers[0].worker(), " is ", workers[0].state(), "."));
  }
  if (const auto& unread = application.unread(); !unread.empty()) {
    return Make("unread",
                absl::StrCat("Nobody reads ", unread[0].topic(), "-", unread[0].partition(),
                             unread.size() > 1 ? absl::StrCat(" and ", Many(unread.size() - 1, "other input")) : "",
                             ": ", unread[0].why(), "."));
  }
  for (const live::Node& node : application.nodes()) {
    if (node.error().empty() || node.failing_s() < kFailingS) continue;
    return Make(
        "failing",
        absl::StrCat("Sink ", node.name(), " hasn't got through for ", Seconds(node.failing_s()), ": ", node.error()),
        node.name());
  }
  for (const live::Node& node : application.nodes()) {
    if (node.waiting_s() < kWaitingS) continue;
    return Make("waiting",
                absl::StrCat("Source ", node.name(), " has waited for ", node.waits_for(), " for ",
                             Seconds(node.waiting_s()), "."),
                node.name());
  }
  const live::Reader* reader = FurthestBehind(application);
  return reader == nullptr ? UpToDate(application) : Behind(application, *reader);
}

}  // namespace tidemark
