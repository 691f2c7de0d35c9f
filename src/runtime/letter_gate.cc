#include "src/runtime/letter_gate.h"

#include <atomic>
#include <optional>
#include <set>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "src/base/status.h"
#include "src/base/task_thread.h"
#include "src/runtime/status_guard.h"

namespace tidemark {
namespace {

constexpr int64_t kMostLetters = 1'000;  // that an answer shows
constexpr int64_t kOfNode = 10;          // of a node without more said

HttpResponse Text(int status, std::string text) {
  HttpResponse response{status, "text/plain; charset=utf-8", std::move(text), {{"Cache-Control", "no-store"}}};
  if (status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (status == 429) response.headers.emplace_back("Retry-After", "1");
  return response;
}

int StatusOf(const absl::Status& status) {
  if (absl::IsUnauthenticated(status)) return 401;
  if (absl::IsPermissionDenied(status)) return 403;
  return absl::IsInvalidArgument(status) ? 400 : 503;
}

absl::StatusOr<LetterOrder> OrderOf(const std::string& command, const HttpRequest& request) {
  LetterOrder order{.command = command, .where = "", .set = ""};
  std::optional<bool> dry_run;
  for (const auto& [name, value] : request.query) {
    const bool of_replay = command == "replay";
    if (name == "where") {
      order.where = value;
    } else if (name == "set" && of_replay) {
      order.set = value;
    } else if (name == "dry_run" && of_replay && (value == "true" || value == "false")) {
      dry_run = value == "true";
    } else if (name == "limit" && !of_replay && absl::SimpleAtoi(value, &order.limit) && order.limit >= 1 &&
               order.limit <= kMostLetters) {
      continue;
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("'", name, "=", value, "' isn't understood: ", command, " takes where",
                       of_replay ? ", set and dry_run (true or false)" : " and limit (1 to 1000)"));
    }
  }
  if (command == "replay" && !dry_run) {
    return absl::InvalidArgumentError("dry_run=true says what would be replayed, dry_run=false does it: one is needed");
  }
  order.dry_run = dry_run.value_or(false);
  return order;
}

}  // namespace

struct LetterGate::State {
  TokenFiles files;
  CarryLetters carry;
  std::set<std::string> nodes;  // that letters may be of
  std::atomic<bool> busy = false;
  TaskThread thread;  // last: it ends before what it uses

  absl::StatusOr<std::string> Who(const HttpRequest& head) {
    if (files.empty()) {
      return absl::PermissionDeniedError(
          "the topology names no file of tokens, so nobody may do this here: use `tidemark dead-letters`");
    }
    return CheckTokens(files, head.Header("authorization"), {kAdminScope});
  }

  void Take(const std::string& command, const HttpRequest& request, const HttpReply& reply) {
    auto order = OrderOf(command, request);
    if (!order.ok()) return reply(Text(400, absl::StrCat(order.status().message(), "\n")));
    Carry(*std::move(order), request, reply);
  }

  void TakeOfNode(const std::string& node, const HttpRequest& request, const HttpReply& reply) {
    if (!request.query.empty()) {
      return reply(
          Text(400, absl::StrCat("'", request.query[0].first, "' isn't understood: POST /v1/dead-letters/last ",
                                 "takes where and limit\n")));
    }
    Carry({.command = "last",
           .where = absl::StrCat("step = '", node, "'"),
           .set = "",
           .limit = kOfNode,
           .dry_run = false},
          request, reply);
  }

  void Carry(LetterOrder asked, const HttpRequest& request, const HttpReply& reply) {
    const auto who = Who(request);
    if (!who.ok()) return reply(Text(StatusOf(who.status()), absl::StrCat(who.status().message(), "\n")));
    if (busy.exchange(true)) return reply(Text(429, "dead letters are being read already\n"));
    thread.Run([this, reply, order = std::move(asked), who = *who] {
      if (order.command == "replay" && !order.dry_run) {
        LOG(INFO) << "dead letters are replayed by " << who << ", where " << order.where
                  << (order.set.empty() ? "" : ", set " + order.set);
      }
      const auto said = carry(order);
      busy = false;
      reply(said.ok() ? Text(200, *said) : Text(StatusOf(said.status()), absl::StrCat(said.status().message(), "\n")));
    });
  }
};

LetterGate::LetterGate(const Plan& plan, Clock* clock, CarryLetters carry) : state_(std::make_shared<State>()) {
  state_->files = TokenFilesOf(plan, clock);
  state_->carry = std::move(carry);
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) state_->nodes.insert(node.step);
  }
}

LetterGate::~LetterGate() = default;

absl::Status LetterGate::Prepare() {
  for (const std::unique_ptr<Tokens>& file : state_->files) TM_RETURN_IF_ERROR(file->Load());
  return absl::OkStatus();
}

HttpEntrances LetterGate::Entrances() {
  HttpEntrances entrances;
  const auto add = [&](const std::string& path) -> HttpEntrance& {
    HttpEntrance& entrance = entrances[path];
    entrance.large_answers = true;
    entrance.begin = [state = state_](const HttpRequest& head) -> std::optional<HttpResponse> {
      const auto who = state->Who(head);
      if (who.ok()) return std::nullopt;
      return Text(StatusOf(who.status()), absl::StrCat(who.status().message(), "\n"));
    };
    entrance.refuse = [](const HttpRequest*, int status, const std::string& why) { return Text(status, why + "\n"); };
    return entrance;
  };
  for (const std::string& node : state_->nodes) {
    HttpEntrance& entrance = add(absl::StrCat("/v1/nodes/", node, "/dead-letters"));
    entrance.method = "GET";
    entrance.listed = false;
    entrance.take = [state = state_, node](const HttpRequest& request, const HttpReply& reply) {
      state->TakeOfNode(node, request, reply);
    };
  }
  for (const char* command : {"list", "show", "last", "replay"}) {
    HttpEntrance& entrance = add(absl::StrCat("/v1/dead-letters/", command));
    entrance.take = [state = state_, command = std::string(command)](
                        const HttpRequest& request, const HttpReply& reply) { state->Take(command, request, reply); };
  }
  return entrances;
}

}  // namespace tidemark
