#include "src/plan/yaml_tree.h"

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

namespace tidemark {
namespace {

constexpr int kDeepest = 100;

// Ends the reading of a file that the YAML itself allows.
struct Refused {
  Position at;
  std::string message;
};

class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(int file, Diagnostics* diagnostics) : file_(file), diagnostics_(*diagnostics) {}

  const YamlPtr& root() const { return root_; }
  Position At(const YAML::Mark& mark) const {
    if (mark.is_null()) return {.file = file_};
    return {.file = file_, .line = mark.line + 1, .column = mark.column + 1};
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (root_) throw Refused{At(mark), "a second YAML document; a topology file holds one"};
    anchors_.clear();
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Put(New(YamlNode::Kind::kNothing, mark), anchor, mark);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    CheckTag(mark, tag);
    auto node = New(YamlNode::Kind::kScalar, mark);
    node->text = value;
    bare_ = tag == "?";
    Put(std::move(node), anchor, mark);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto named = anchors_.find(anchor);
    if (named == anchors_.end()) throw Refused{At(mark), "this alias stands inside of what it names"};
    bare_ = false;
    Put(named->second, 0, mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    CheckTag(mark, tag);
    open_.push_back({New(YamlNode::Kind::kList, mark), anchor, mark, {}, {}});
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    CheckTag(mark, tag);
    open_.push_back({New(YamlNode::Kind::kMapping, mark), anchor, mark, {}, {}});
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapEnd() override { Close(); }

 private:
  struct Open {
    std::shared_ptr<YamlNode> node;
    YAML::anchor_t anchor;
    YAML::Mark mark;
    std::optional<YamlEntry> key;  // kMapping: read, its value comes next
    std::map<std::string, Position> seen;
  };

  std::shared_ptr<YamlNode> New(YamlNode::Kind kind, const YAML::Mark& mark) const {
    auto node = std::make_shared<YamlNode>();
    node->kind = kind;
    node->at = At(mark);
    return node;
  }

  void CheckTag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.size() < 2 || tag[0] != '!') return;
    diagnostics_.ErrorAt(At(mark), absl::StrCat("the tag '", tag, "' has no meaning here",
                                                tag == "!include" ? "; write include: FILE at the top of the file" : "",
                                                tag == "!env" || tag == "!ENV" ? "; write ${VARIABLE}" : ""));
  }

  void Close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    bare_ = false;
    Put(std::move(done.node), done.anchor, done.mark);
  }

  void Put(YamlPtr node, YAML::anchor_t anchor, const YAML::Mark& mark) {
    if (node->values > kMostValues) {
      throw Refused{At(mark), absl::StrCat("with its aliases this stands for ", node->values,
                                           " values; a topology has at most ", kMostValues)};
    }
    if (node->depth > kDeepest) throw Refused{At(mark), "nested deeper than a topology can be"};
    if (anchor != 0) anchors_[anchor] = node;
    if (open_.empty()) {
      root_ = std::move(node);
    } else if (Open& open = open_.back(); open.node->IsList()) {
      open.node->Add(std::move(node));
    } else if (!open.key) {
      open.key = YamlEntry{node->text, At(mark), bare_ && node->text == "<<", nullptr};
      open.key->value = std::move(node);  // for its kind, until its own value comes
    } else {
      PutEntry(open, std::move(node));
    }
  }

  void PutEntry(Open& open, YamlPtr value) {
    YamlEntry entry = *std::exchange(open.key, std::nullopt);
    if (!entry.value->IsScalar()) return diagnostics_.ErrorAt(entry.at, "expected a name before the colon");
    entry.value = std::move(value);
    const auto [first, is_first] = open.seen.emplace(entry.key, entry.at);
    if (!is_first) {
      diagnostics_.ErrorAt(entry.at,
                           absl::StrCat("'", entry.key, "' stands here twice (first at line ", first->second.line, ")",
                                        entry.merge ? "; write <<: [*first, *second]" : ""));
      return;
    }
    open.node->Add(std::move(entry));
  }

  const int file_;
  Diagnostics& diagnostics_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, YamlPtr> anchors_;
  bool bare_ = false;  // what is put is a scalar without quotes
  YamlPtr root_;
};

// The first line that is indented with a tab, which YAML doesn't take; "" where there is none.
std::string TabHint(std::string_view text) {
  int line = 1;
  bool indent = true;
  for (const char c : text) {
    if (c == '\t' && indent)
      return absl::StrCat("; line ", line, " is indented with a tab, and YAML takes blanks alone");
    indent = c == '\n' || (indent && c == ' ');
    if (c == '\n') ++line;
  }
  return "";
}

std::string Hint(const YAML::Exception& error, std::string_view text) {
  if (absl::StrContains(error.msg, "anchor")) {
    return "; an anchor stands above its aliases, in the same file: what several files share is a template";
  }
  return TabHint(text);
}

}  // namespace

Position YamlEntry::place() const { return value != nullptr && value->IsScalar() ? value->at : at; }

const YamlEntry* YamlNode::Find(std::string_view key) const {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const YamlEntry& e) { return e.key == key; });
  return found == entries.end() ? nullptr : &*found;
}

void YamlNode::Add(YamlPtr item) {
  values = std::min(values + item->values, int64_t{1} << 40);
  depth = std::max(depth, item->depth + 1);
  merges = merges || item->merges;
  items.push_back(std::move(item));
}

void YamlNode::Add(YamlEntry entry) {
  values = std::min(values + entry.value->values, int64_t{1} << 40);
  depth = std::max(depth, entry.value->depth + 1);
  merges = merges || entry.merge || entry.value->merges;
  entries.push_back(std::move(entry));
}

bool IsExtension(std::string_view key) { return key.starts_with("x-"); }

std::string What(const YamlNode& node) {
  if (node.IsMapping()) return "a mapping";
  if (node.IsList()) return "a list";
  if (!node.IsScalar()) return "nothing";
  return absl::StrCat("'", node.text, "'");
}

YamlPtr ReadYaml(int file, std::string_view text, Diagnostics* diagnostics) {
  TreeBuilder builder(file, diagnostics);
  try {  // yaml-cpp throws; its exceptions end here
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& e) {
    diagnostics->ErrorAt(builder.At(e.mark), absl::StrCat("not YAML: ", e.msg, Hint(e, text)));
    return nullptr;
  } catch (const Refused& refused) {
    diagnostics->ErrorAt(refused.at, refused.message);
    return nullptr;
  }
  return builder.root();
}

}  // namespace tidemark
