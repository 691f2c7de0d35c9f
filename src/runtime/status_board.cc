#include "src/runtime/status_board.h"

#include <chrono>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <glog/logging.h>

#include "src/base/status.h"
#include "src/base/status_topic.h"
#include "src/status/told.h"

namespace tidemark {
namespace {

constexpr int64_t kEveryUs = 2 * kSecond;
constexpr int64_t kRememberEveryUs = 10 * kSecond;
constexpr int kMoments = 90;  // a quarter of an hour
constexpr int64_t kConnectAgainUs = 5 * kSecond;
constexpr int64_t kGoodbyeUs = kSecond / 5, kOthersGoodbyeUs = kSecond / 2;
// Of a report in the topic; one that is larger goes without what its tasks' nodes count.
constexpr size_t kMostBytes = 900'000;

std::string RandomName() {
  std::random_device device;
  return absl::StrFormat("%08x%08x", device(), device());
}

}  // namespace

TopicToCreate StatusTopicToCreate(const Plan& plan) {
  TopicToCreate topic;
  topic.topic = StatusTopic(plan.application);
  topic.replication_factor = plan.internal_topics.replication_factor;
  // Nobody needs more of it than the last few seconds.
  topic.config = {{"cleanup.policy", "delete"},
                  {"retention.ms", "3600000"},
                  {"retention.bytes", "16777216"},
                  {"segment.bytes", "4194304"},
                  {"message.timestamp.type", "LogAppendTime"}};
  return topic;
}

StatusBoard::StatusBoard(const Plan& plan, Clock* clock, BoxTexts texts)
    : plan_(plan),
      clock_(clock),
      texts_(std::move(texts)),
      graph_(MakeGraph(plan)),
      svg_(DrawSvg(graph_, texts_)),
      process_(RandomName()) {}

void StatusBoard::Open(const Runtime* runtime, std::string address, std::function<WorkerStatus()> look,
                       MakeAppender appender) {
  runtime_ = runtime;
  look_ = std::move(look);
  make_appender_ = std::move(appender);
  reporter_.emplace(plan_, process_, std::move(address));
}

absl::Status StatusBoard::Step(int64_t max_wait_us) {
  if (appender_ == nullptr && clock_->MonotonicUs() >= connect_at_us_) {
    const absl::Status connected = Connect();
    note_ =
        connected.ok() ? "" : absl::StrCat("other workers aren't heard: ", AsUtf8(std::string(connected.message())));
    if (!connected.ok()) {
      LOG_FIRST_N(WARNING, 1) << "status: " << note_;
    }
    connect_at_us_ = clock_->MonotonicUs() + kConnectAgainUs;
  }
  if (clock_->MonotonicUs() >= say_at_us_) {
    live::WorkerReport own = reporter_->Make(look_());
    if (observe_) observe_(Others(), &own);
    Publish(own);
    Say(std::move(own));
    say_at_us_ = clock_->MonotonicUs() + kEveryUs;
  }
  if (appender_ == nullptr) {
    std::this_thread::sleep_for(std::chrono::microseconds(max_wait_us));
    return absl::OkStatus();
  }
  const absl::Status heard = reader_->Step(max_wait_us);
  if (!heard.ok()) {
    note_ = absl::StrCat("other workers aren't heard: ", AsUtf8(std::string(heard.message())));
    std::this_thread::sleep_for(std::chrono::microseconds(max_wait_us));
  } else {
    note_.clear();
  }
  return absl::OkStatus();
}

absl::Status StatusBoard::Connect() {
  const TopicToCreate topic = StatusTopicToCreate(plan_);
  TM_ASSIGN_OR_RETURN(const auto found, runtime_->kafka->admin().Describe({topic.topic}));
  if (found.empty()) {
    if (!plan_.create_internal_topics) {
      return absl::NotFoundError(absl::StrCat("topic '", topic.topic,
                                              "' doesn't exist and internal_topics.create is "
                                              "false; `tidemark describe --format kafka` has the command"));
    }
    TM_RETURN_IF_ERROR(runtime_->kafka->admin().CreateTopics({topic}));
  }
  TM_ASSIGN_OR_RETURN(std::unique_ptr<Appender> appender, make_appender_());
  reader_.emplace(plan_, runtime_->kafka, clock_);
  appender_ = std::move(appender);
  return absl::OkStatus();
}

void StatusBoard::Say(live::WorkerReport report) {
  if (appender_ == nullptr) return;
  if (report.ByteSizeLong() > kMostBytes) {
    for (live::TaskReport& task : *report.mutable_tasks()) task.clear_nodes();
  }
  // Whether it arrives is nobody's affair: another one comes in two seconds.
  appender_->Append(StatusTopic(plan_.application), 0, report.SerializeAsString(), [](const Appended&) {});
}

std::vector<HeardReport> StatusBoard::Others() const {
  std::vector<HeardReport> others;
  if (!reader_) return others;
  for (HeardReport& heard : reader_->reports()) {
    if (heard.report.worker() != runtime_->options.instance_id) others.push_back(std::move(heard));
  }
  return others;
}

void StatusBoard::Publish(const live::WorkerReport& own) {
  std::vector<HeardReport> reports = {{own, 0}};
  for (HeardReport& heard : Others()) reports.push_back(std::move(heard));
  live::Application application = Fold(plan_, graph_, texts_, reports, static_cast<double>(clock_->WallUs() / 1000));
  application.set_note(note_);
  Remember(application);
  std::string json = StatusAsJson(application);
  const absl::MutexLock lock(&mutex_);
  json_ = std::move(json);
}

void StatusBoard::Remember(const live::Application& application) {
  const int64_t now = clock_->MonotonicUs();
  if (now < remember_at_us_) return;
  remember_at_us_ = now + kRememberEveryUs;
  live::Moment moment;
  moment.set_wall_ms(application.wall_ms());
  for (const live::Node& node : application.nodes()) {
    live::Figures& figures = (*moment.mutable_nodes())[node.name()];
    figures.set_in_per_s(node.in_per_s());
    figures.set_busy(node.busy());
    figures.set_lag(node.lag());
  }
  const absl::MutexLock lock(&mutex_);
  *history_.add_moments() = std::move(moment);
  if (history_.moments_size() > kMoments) history_.mutable_moments()->DeleteSubrange(0, 1);
}

void StatusBoard::Close() {
  if (appender_ == nullptr) return;
  live::WorkerReport last;
  last.set_worker(runtime_->options.instance_id);
  last.set_process(process_);
  last.set_stops(true);
  Say(last);
  appender_->Close(kGoodbyeUs);
  appender_.reset();
  if (!observe_) return;
  const int64_t until = clock_->MonotonicUs() + kOthersGoodbyeUs;
  while (clock_->MonotonicUs() < until && reader_->Step(kGoodbyeUs / 4).ok()) {
  }
  observe_(Others(), &last);
}

std::string StatusBoard::json() const {
  const absl::MutexLock lock(&mutex_);
  return json_;
}

std::string StatusBoard::history() const {
  const absl::MutexLock lock(&mutex_);
  return HistoryAsJson(history_);
}

std::string StatusBoard::JsonOfStart(const WorkerStatus& now) const {
  return StatusAsJson(Fold(plan_, graph_, texts_, {{StatusReporter(plan_, process_, "").Make(now), 0}},
                           static_cast<double>(now.wall_us / 1000)));
}

}  // namespace tidemark
