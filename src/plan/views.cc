// Views: what they ask of their step. A view becomes a Kafka sink into a topic of Tidemark's own, so that its rows are
// written, moved together by key and committed like those of any other.
#include <algorithm>
#include <set>

#include <absl/strings/str_cat.h>

#include "src/base/suggest.h"
#include "src/plan/logical.h"

namespace tidemark {
namespace {

constexpr int kMostIndexes = 16;

// The key: as stated, or the step's own.
std::optional<std::vector<size_t>> KeyOf(const topology::View& yaml, const LogicalStep& step, const std::string& path,
                                         Diagnostics* diagnostics) {
  if (yaml.key().empty()) {
    if (step.mode.update) {
      if (!diagnostics->Present(path + "/key")) return step.mode.key;
      diagnostics->Error(path + "/key", "a column at least, or leave `key` out: it is the step's own then");
      return std::nullopt;
    }
    diagnostics->Error(path, absl::StrCat("step ", step.name,
                                          " only adds rows, so `key` has to say which of them replaces which: the "
                                          "columns by which a row is one"));
    return std::nullopt;
  }
  const auto key = FindKeyColumns(yaml.key(), step.output, path + "/key", "step " + step.name, diagnostics);
  if (!key) return std::nullopt;
  for (const size_t k : step.mode.key) {
    if (std::find(key->begin(), key->end(), k) != key->end()) continue;
    diagnostics->Error(path + "/key", absl::StrCat("rows of ", step.name, " replace each other by (",
                                                   ColumnNames(step.output, step.mode.key), "): the key must contain ",
                                                   step.output[k].name));
    return std::nullopt;
  }
  return key;
}

bool ReadIndexes(const topology::View& yaml, const LogicalStep& step, const std::vector<size_t>& key,
                 const std::string& path, Diagnostics* diagnostics, ViewSpec* spec) {
  std::set<std::vector<size_t>> seen = {key};
  for (int i = 0; i < yaml.index_size(); ++i) {
    const std::string at = absl::StrCat(path, "/index/", i);
    const auto columns = FindKeyColumns(yaml.index(i).column(), step.output, at, "step " + step.name, diagnostics);
    if (!columns) return false;
    if (columns->empty()) {
      diagnostics->Error(at, "an index has a column or several");
    } else if (!seen.insert(*columns).second) {
      diagnostics->Error(at, absl::StrCat("(", ColumnNames(step.output, *columns), ") is ",
                                          *columns == key ? "the key, which is an index by itself" : "here twice"));
    } else {
      spec->indexes.push_back(*columns);
    }
  }
  if (yaml.index_size() > kMostIndexes) {
    diagnostics->Error(path + "/index", absl::StrCat("a view has at most ", kMostIndexes, " indexes"));
  }
  return !diagnostics->Broken(path);
}

std::optional<SinkPlan> CheckView(const topology::View& yaml, const LogicalStep* step, const std::string& topic,
                                  Diagnostics* diagnostics) {
  const std::string path = "views/" + yaml.name();
  ViewSpec view;
  view.keep_us = yaml.keep();
  if (yaml.has_keep() && view.keep_us <= 0) diagnostics->Error(path + "/keep", "expected a time longer than nothing");
  view.tokens = yaml.tokens();
  if (yaml.has_tokens() && view.tokens.empty()) diagnostics->Error(path + "/tokens", "a file is expected");
  view.rate_limit = yaml.rate_limit();
  if (yaml.has_rate_limit() && (view.rate_limit < 1 || view.rate_limit > 1'000'000)) {
    diagnostics->Error(path + "/rate_limit", "1 to 1000000 requests a second");
  }
  view.audit = yaml.audit();
  if (yaml.has_audit()) CheckTopicName(view.audit, path + "/audit", diagnostics);
  std::optional<FreshnessSpec> freshness;
  if (yaml.has_freshness()) freshness = ReadFreshness(yaml.freshness(), path + "/freshness", diagnostics);
  if (step == nullptr || diagnostics->Broken(path)) return std::nullopt;
  const auto key = KeyOf(yaml, *step, path, diagnostics);
  if (!key || !ReadIndexes(yaml, *step, *key, path, diagnostics, &view)) return std::nullopt;
  KafkaSinkSpec spec;
  spec.topic = topic;
  spec.key = *key;
  spec.key_format = kJsonFormat;
  spec.upsert = true;
  spec.compression = "lz4";
  SinkPlan out;
  out.name = yaml.name();
  out.renamed_from = yaml.renamed_from();
  out.from = yaml.from();
  out.from_kept_as = step->kept_as();
  out.spec = std::move(spec);
  out.view = std::move(view);
  out.freshness = freshness;
  out.schema = step->output;
  out.mode = step->mode;
  return out;
}

}  // namespace

void CheckViews(const topology::Topology& topology, const Logical& logical, Diagnostics* diagnostics, Plan* plan) {
  std::vector<std::string> readable, taken;
  for (const SourcePlan& source : plan->sources) readable.push_back(source.declared());
  for (const topology::Step& step : topology.steps()) readable.push_back(step.name());
  taken = readable;
  for (const topology::Sink& sink : topology.sinks()) taken.push_back(sink.name());
  for (const topology::View& yaml : topology.views()) {
    const std::string path = "views/" + yaml.name();
    CheckName(yaml.name(), path, "view", diagnostics);
    if (std::find(taken.begin(), taken.end(), yaml.name()) != taken.end()) {
      diagnostics->Error(path, absl::StrCat("'", yaml.name(), "' is the name of a source, step or sink already"));
    }
    if (yaml.from().empty()) continue;
    const LogicalStep* from = nullptr;
    if (std::find(readable.begin(), readable.end(), yaml.from()) == readable.end()) {
      if (!diagnostics->Lost("sources") && !diagnostics->Lost("steps")) {
        diagnostics->Error(path + "/from", absl::StrCat("unknown source or step '", yaml.from(), "'",
                                                        DidYouMean(yaml.from(), readable)));
      }
    } else if (const auto step = logical.by_name.find(yaml.from()); step != logical.by_name.end()) {
      from = &logical.steps[static_cast<size_t>(step->second)];
    }
    auto view = CheckView(yaml, from != nullptr && from->usable ? from : nullptr,
                          plan->application.ViewTopic(yaml.has_renamed_from() ? yaml.renamed_from() : yaml.name()),
                          diagnostics);
    if (view) plan->sinks.push_back(*std::move(view));
  }
  if (topology.views().empty() && diagnostics->Present("views")) {
    diagnostics->Error("views", "at least one view is needed");
  }
}

}  // namespace tidemark
