#include "src/runtime/node_gate.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/json_text.h"
#include "src/base/status.h"
#include "src/codec/column_text.h"
#include "src/codec/json/value_writer.h"
#include "src/http/listener.h"
#include "src/plan/operator_kind.h"
#include "src/runtime/letter_gate.h"

namespace tidemark {
namespace {

// Of a row as JSON; one that is larger is told by its size.
constexpr size_t kMostRowBytes = 16 << 10;

HttpResponse Json(int status, std::string body) {
  HttpResponse response{status, "application/json", std::move(body), {{"Cache-Control", "no-store"}}};
  if (status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}
HttpResponse Error(int status, std::string_view why) {
  return Json(status, absl::StrCat("{\"error\":", JsonQuoted(why), "}\n"));
}

const char* OpName(int8_t op) {
  switch (static_cast<Op>(op)) {
    case Op::kUpdateBefore:
      return "update_before";
    case Op::kUpdateAfter:
      return "update_after";
    case Op::kDelete:
      return "delete";
    case Op::kInsert:
      break;
  }
  return "insert";
}

// The rows of a sample without some of its columns.
struct Narrowed {
  Schema schema;
  std::vector<int> columns;  // that are left, in the batch
};
Narrowed Without(const Schema& schema, const std::set<std::string>& hidden) {
  std::vector<Column> left;
  Narrowed narrowed;
  for (size_t c = 0; c < schema.size(); ++c) {
    if (hidden.contains(schema[c].name)) continue;
    left.push_back(schema[c]);
    narrowed.columns.push_back(static_cast<int>(c));
  }
  narrowed.schema = Schema(std::move(left));
  return narrowed;
}

std::string RowText(const Narrowed& narrowed, const RowSample& sample, const arrow::RecordBatch& rows, int64_t row) {
  std::string text = RowToJson(narrowed.schema, rows, row);
  const size_t bytes = text.size();
  if (bytes > kMostRowBytes) text = absl::StrCat("null,\"bytes\":", bytes);
  std::string out =
      absl::StrCat("{\"partition\":", sample.partition, ",\"commit\":", sample.commit,
                   ",\"committed_at\":", JsonQuoted(TimestampText(sample.committed_us, TimestampForm::kRfc3339)));
  const int64_t* const times = HiddenInt64(*sample.rows, Hidden::kTime);
  if (times != nullptr) {
    absl::StrAppend(&out, ",\"time\":", JsonQuoted(TimestampText(times[row], TimestampForm::kRfc3339)));
  }
  const int8_t* const ops = HiddenOps(*sample.rows);
  if (ops != nullptr) absl::StrAppend(&out, ",\"op\":\"", OpName(ops[row]), "\"");
  return absl::StrCat(out, ",\"row\":", text, "}");
}

}  // namespace

// What is asked for by a node's name.
struct NodeGate::Shown {
  std::string step;                 // whose rows they are
  std::vector<std::string> stages;  // that have it
};

struct NodeGate::State {
  TokenFiles files;
  RowSamples* samples = nullptr;
  Personal personal;
  std::string worker;
  Partitions partitions;
  std::map<std::string, Shown> nodes;
  bool loopback = false;

  // Nothing: it may ask.
  std::optional<HttpResponse> Refuse(const HttpRequest& head, const std::string& node) const {
    if (files.empty()) {
      if (loopback) return std::nullopt;
      return Error(403, "the topology names no file of tokens, so rows are told on this machine's own address alone");
    }
    const auto who = CheckTokens(files, head.Header("authorization"), {kAdminScope, kRowsScope + node});
    if (who.ok()) return std::nullopt;
    return Error(absl::IsPermissionDenied(who.status()) ? 403 : 401,
                 absl::StrCat(who.status().message(), ": rows are told to tokens with the scope ", kRowsScope, node,
                              " or ", kAdminScope));
  }

  bool SeesAll(const HttpRequest& head) const {
    return !files.empty() && CheckTokens(files, head.Header("authorization"), {kAdminScope}).ok();
  }

  HttpResponse Tell(const std::string& node, const HttpRequest& request) const {
    if (!request.query.empty()) return Error(400, absl::StrCat("unknown parameter '", request.query[0].first, "'"));
    const Shown& shown = nodes.at(node);
    std::set<std::string> hidden;
    const auto found = personal.find(shown.step);
    if (found != personal.end() && !SeesAll(request)) hidden = found->second;
    const RowSamples::Look look = samples->LookAt(shown.step);
    std::vector<std::string> rows;
    std::set<std::string> hides;
    for (auto sample = look.samples.rbegin(); sample != look.samples.rend(); ++sample) {
      const Narrowed narrowed = Without(sample->schema, hidden);
      for (const Column& column : sample->schema.columns()) {
        if (hidden.contains(column.name)) hides.insert(column.name);
      }
      const auto some = FromArrow(sample->rows->SelectColumns(narrowed.columns), "the columns of a row");
      if (!some.ok()) return Error(500, std::string(some.status().message()));
      for (int64_t row = sample->rows->num_rows(); row-- > 0 && rows.size() < kSampledRows;) {
        rows.push_back(RowText(narrowed, *sample, **some, row));
      }
    }
    const auto quoted = [](std::string* out, const std::string& name) { out->append(JsonQuoted(name)); };
    std::set<int32_t> own;
    for (const std::string& stage : shown.stages) {
      for (const int32_t partition : partitions(stage)) own.insert(partition);
    }
    return Json(200, absl::StrCat("{\"node\":", JsonQuoted(node), ",\"step\":", JsonQuoted(shown.step),
                                  ",\"worker\":", JsonQuoted(worker), ",\"partitions\":[", absl::StrJoin(own, ","),
                                  "],\"since\":", JsonQuoted(TimestampText(look.since_us, TimestampForm::kRfc3339)),
                                  ",\"hidden\":[", absl::StrJoin(hides, ",", quoted), "],\"rows\":[",
                                  absl::StrJoin(rows, ",\n"), "]}\n"));
  }
};

NodeGate::NodeGate(const Plan& plan, Clock* clock, RowSamples* samples, Personal personal, std::string worker,
                   Partitions partitions)
    : state_(std::make_shared<State>()) {
  state_->files = TokenFilesOf(plan, clock);
  state_->samples = samples;
  state_->personal = std::move(personal);
  state_->worker = std::move(worker);
  state_->partitions = std::move(partitions);
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      const bool gives = node.kind == Node::Kind::kSource || (node.kind == Node::Kind::kOperator &&
                                                              node.spec.kind().phase(node) != OperatorPhase::kPartial);
      if (!gives) continue;
      Shown& shown = state_->nodes[node.step];
      shown.step = node.step;
      shown.stages.push_back(stage.name);
    }
  }
  for (const SinkPlan& sink : plan.sinks) {
    const auto from = state_->nodes.find(sink.from);
    if (from != state_->nodes.end()) state_->nodes.emplace(sink.name, from->second);
  }
}

absl::Status NodeGate::Prepare(const std::string& http_address) {
  state_->loopback = IsLoopback(http_address);
  for (const std::unique_ptr<Tokens>& file : state_->files) TM_RETURN_IF_ERROR(file->Load());
  return absl::OkStatus();
}

HttpEntrances NodeGate::Entrances() const {
  HttpEntrances entrances;
  for (const auto& [name, unused] : state_->nodes) {
    HttpEntrance& entrance = entrances[absl::StrCat("/v1/nodes/", name, "/rows")];
    entrance.method = "GET";
    entrance.listed = false;  // names of steps are told with the status alone
    entrance.large_answers = true;
    entrance.begin = [state = state_, node = name](const HttpRequest& head) { return state->Refuse(head, node); };
    entrance.take = [state = state_, node = name](const HttpRequest& request, const HttpReply& reply) {
      reply(state->Tell(node, request));
    };
    entrance.refuse = [](const HttpRequest*, int status, const std::string& why) { return Error(status, why); };
  }
  return entrances;
}

}  // namespace tidemark
