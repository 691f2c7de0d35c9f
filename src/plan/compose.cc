#include "src/plan/compose.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <map>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/plan/parameters.h"
#include "src/plan/templates.h"

namespace tidemark {
namespace {

// Sections of things by name: those of all files together. The word is for messages.
struct SectionWord {
  const char* section;
  const char* word;
};
constexpr SectionWord kNamed[] = {{"sources", "source"}, {"tables", "table"}, {"steps", "step"},
                                  {"sinks", "sink"},     {"views", "view"},   {"dashboards", "dashboard"}};

const char* WordOf(std::string_view section) {
  for (const SectionWord& named : kNamed) {
    if (section == named.section) return named.word;
  }
  return nullptr;
}

bool HasPattern(std::string_view path) { return path.find_first_of("*?[") != std::string_view::npos; }

// A folder's name in front of a pattern stands for itself.
std::string Escaped(std::string_view folder) {
  std::string out;
  for (const char c : folder) {
    if (c == '*' || c == '?' || c == '[' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

class Composer {
 public:
  Composer(const TopologyFiles& files, const EnvLookup& env, Diagnostics* diagnostics)
      : files_(files), env_(env), diagnostics_(*diagnostics), templates_(env, &expander_, diagnostics) {}

  Composed Run(std::string_view filename, std::string_view text);

 private:
  struct Section {
    YamlEntry entry;                // where it stands first; its value once all is gathered
    std::vector<YamlEntry> things;  // of a named section
    std::map<std::string, Position> at;
    YamlPtr other;  // what isn't a mapping
  };

  void ReadFile(const std::string& name, int number, std::string_view text, std::vector<std::string> chain);
  void Include(const YamlEntry& entry, const std::string& by, const std::vector<std::string>& chain);
  void IncludePattern(const YamlNode& node, const std::string& by, const std::vector<std::string>& chain);
  void IncludeFile(const std::string& path, Position at, const std::vector<std::string>& chain);
  void AddTopEntry(const YamlEntry& entry, const std::vector<std::string>& within);
  void AddThings(const YamlEntry& section, const char* word);
  void DefineTemplates(const YamlEntry& entry);
  void QueueUses(const YamlEntry& entry, const std::vector<std::string>& within);
  void ExpandUses();
  // True where the name is new; else reports both places.
  bool IsNew(const YamlEntry& entry, const char* what, std::map<std::string, Position>* at);
  YamlPtr Root(Position at);
  void Lost(Position at, const std::string& message) {
    diagnostics_.ErrorAt(at, message);
    diagnostics_.SetIncomplete();
  }

  const TopologyFiles& files_;
  const EnvLookup& env_;
  Diagnostics& diagnostics_;
  int64_t left_ = kMostValues;
  Expander expander_{&diagnostics_, &left_};
  Templates templates_;
  std::vector<std::string> read_;
  std::vector<std::string> order_;  // of sections
  std::map<std::string, Section> sections_;
  std::map<std::string, Position> template_at_, use_at_;
  std::deque<TemplateUse> uses_;
};

bool Composer::IsNew(const YamlEntry& entry, const char* what, std::map<std::string, Position>* at) {
  const auto [first, is_new] = at->emplace(entry.key, entry.at);
  if (is_new) return true;
  Position same = first->second;
  same.note = entry.at.note;
  const bool one_line = same == entry.at;  // of a template that is used twice
  diagnostics_.ErrorAt(
      entry.at, absl::StrCat(what, " '", entry.key, "' is defined twice, first at ", diagnostics_.Place(first->second),
                             one_line ? "; put $(name) into its name" : ""));
  return false;
}

// ---- Files ---------------------------------------------------------------------------------------------------------

void Composer::ReadFile(const std::string& name, int number, std::string_view text, std::vector<std::string> chain) {
  read_.push_back(name);
  chain.push_back(name);
  const Position top{.file = number};
  const size_t errors = diagnostics_.count();
  const YamlPtr root = ReadYaml(number, text, &diagnostics_);
  if (root == nullptr || root->kind == YamlNode::Kind::kNothing) {
    if (diagnostics_.count() == errors) {
      diagnostics_.ErrorAt(top, number == 0 ? "the file is empty; `tidemark init` writes a topology to start from"
                                            : "the file is empty");
    }
    return diagnostics_.SetIncomplete();
  }
  if (!root->IsMapping()) {
    return Lost(root->at,
                absl::StrCat("expected a mapping, found ", What(*root),
                             "; its fields: name, include, "
                             "sources, tables, steps, sinks, views, dashboards, templates, use, and settings"));
  }
  const YamlPtr merged = expander_.Merge(root);
  for (const YamlEntry& entry : merged->entries) {
    if (entry.key == "include") {
      Include(entry, name, chain);
    } else {
      AddTopEntry(entry, {});
    }
  }
}

void Composer::Include(const YamlEntry& entry, const std::string& by, const std::vector<std::string>& chain) {
  const YamlNode& value = *entry.value;
  if (value.IsScalar()) return IncludePattern(value, by, chain);
  if (!value.IsList()) {
    return Lost(entry.place(), absl::StrCat("expected a file or a list of files, found ", What(value)));
  }
  for (const YamlPtr& item : value.items) {
    if (item->IsScalar()) {
      IncludePattern(*item, by, chain);
    } else {
      Lost(item->at, absl::StrCat("expected a file, found ", What(*item)));
    }
  }
}

void Composer::IncludePattern(const YamlNode& node, const std::string& by, const std::vector<std::string>& chain) {
  const absl::StatusOr<std::string> pattern = Substitute(node.text, env_);
  if (!pattern.ok()) return Lost(node.at, std::string(pattern.status().message()));
  if (pattern->empty()) return Lost(node.at, "expected a file, found ''");
  if (absl::StrContains(*pattern, "**")) {
    return Lost(node.at,
                absl::StrCat("'**' isn't implemented: name each folder, such as [\"a/*.yaml\", \"b/*.yaml\"]"));
  }
  const std::filesystem::path folder = std::filesystem::path(by).parent_path();
  if (!HasPattern(*pattern)) return IncludeFile((folder / *pattern).lexically_normal().string(), node.at, chain);
  std::vector<std::string> found = files_.Match((std::filesystem::path(Escaped(folder.string())) / *pattern).string());
  for (std::string& path : found) path = std::filesystem::path(path).lexically_normal().string();
  std::sort(found.begin(), found.end());
  if (found.empty()) {
    return Lost(node.at, absl::StrCat("no file matches '", *pattern, "' in ",
                                      folder.empty() ? "the current folder" : folder.string()));
  }
  for (const std::string& path : found) IncludeFile(path, node.at, chain);
}

void Composer::IncludeFile(const std::string& path, Position at, const std::vector<std::string>& chain) {
  const auto again = std::find(chain.begin(), chain.end(), path);
  if (again != chain.end()) {
    return Lost(at, absl::StrCat("files that include each other without end: ",
                                 absl::StrJoin(std::vector<std::string>(again, chain.end()), " -> "), " -> ", path));
  }
  if (std::find(read_.begin(), read_.end(), path) != read_.end()) return;  // by two ways: what it says holds once
  const absl::StatusOr<std::string> text = files_.Read(path);
  if (!text.ok()) return Lost(at, absl::StrCat(path, " can't be read: ", std::string(text.status().message())));
  ReadFile(path, diagnostics_.AddFile(path, *text), *text, chain);
}

// ---- Sections ------------------------------------------------------------------------------------------------------

void Composer::AddTopEntry(const YamlEntry& entry, const std::vector<std::string>& within) {
  if (IsExtension(entry.key)) return;
  if (entry.key == "templates") return DefineTemplates(entry);
  if (entry.key == "use") return QueueUses(entry, within);
  if (const char* word = WordOf(entry.key)) return AddThings(entry, word);
  // A setting; or what isn't known, for the reader to say so.
  const auto known = sections_.find(entry.key);
  if (known != sections_.end()) {
    return diagnostics_.ErrorAt(
        entry.at, absl::StrCat("'", entry.key, "' is set twice, first at ", diagnostics_.Place(known->second.entry.at),
                               "; a setting stands in one file as a whole"));
  }
  order_.push_back(entry.key);
  Section section;
  section.entry = entry;
  section.other = expander_.Expand(entry.value, nullptr);
  sections_.emplace(entry.key, std::move(section));
}

void Composer::AddThings(const YamlEntry& entry, const char* word) {
  const auto [at, is_first] = sections_.try_emplace(entry.key);
  Section& section = at->second;
  if (is_first) {
    order_.push_back(entry.key);
    section.entry = entry;
  }
  const YamlPtr things = expander_.Expand(entry.value, nullptr);
  if (things == nullptr) return;
  if (!things->IsMapping()) {  // for the reader to say so
    section.entry.at = entry.at;
    section.other = things;
    return;
  }
  for (const YamlEntry& thing : things->entries) {
    const std::string what(word);
    if (IsNew(thing, what.c_str(), &section.at)) section.things.push_back(thing);
  }
}

void Composer::DefineTemplates(const YamlEntry& entry) {
  const YamlPtr all = entry.value->IsMapping() ? expander_.Merge(entry.value) : entry.value;
  if (!all->IsMapping()) {
    return Lost(entry.place(),
                absl::StrCat("expected a mapping, found ", What(*all), "; write { NAME: ... }, a name for each"));
  }
  for (const YamlEntry& each : all->entries) {
    if (IsNew(each, "template", &template_at_)) templates_.Define(each);
  }
}

void Composer::QueueUses(const YamlEntry& entry, const std::vector<std::string>& within) {
  const YamlPtr uses = expander_.Expand(entry.value, nullptr);
  if (uses == nullptr) return;
  if (!uses->IsMapping()) {
    return Lost(entry.place(), absl::StrCat("expected a mapping, found ", What(*uses),
                                            "; write { NAME: { template: ..., with: { ... } } }"));
  }
  for (const YamlEntry& use : uses->entries) {
    if (IsNew(use, "use", &use_at_)) uses_.push_back({use, within});
  }
}

// Templates may stand in any file, so that uses wait for all of them.
void Composer::ExpandUses() {
  while (!uses_.empty()) {
    const TemplateUse use = std::move(uses_.front());
    uses_.pop_front();
    std::vector<std::string> within = use.within;
    const YamlPtr made = templates_.Use(use, &within.emplace_back());
    if (left_ < 0) {
      return Lost(use.entry.at, absl::StrCat("with this use the topology has more than ", kMostValues,
                                             " values, a long text counting as several"));
    }
    if (made == nullptr) {
      diagnostics_.SetIncomplete();
      continue;
    }
    for (const YamlEntry& section : made->entries) AddTopEntry(section, within);
  }
}

YamlPtr Composer::Root(Position at) {
  auto root = std::make_shared<YamlNode>();
  root->kind = YamlNode::Kind::kMapping;
  root->at = at;
  for (const std::string& name : order_) {
    Section& section = sections_.at(name);
    YamlEntry entry = section.entry;
    if (section.other != nullptr) {
      entry.value = section.other;
    } else {
      auto things = std::make_shared<YamlNode>();
      things->kind = YamlNode::Kind::kMapping;
      things->at = section.entry.value->at;
      for (YamlEntry& thing : section.things) things->Add(std::move(thing));
      entry.value = std::move(things);
    }
    root->Add(std::move(entry));
  }
  return root;
}

Composed Composer::Run(std::string_view filename, std::string_view text) {
  Composed out;
  ReadFile(std::filesystem::path(filename).lexically_normal().string(), 0, text, {});
  ExpandUses();
  if (left_ < 0 && !diagnostics_.incomplete()) {
    Lost({}, absl::StrCat("the topology has more than ", kMostValues, " values, a long text counting as several"));
  }
  out.root = Root({});
  out.files = std::move(read_);
  return out;
}

}  // namespace

Composed Compose(std::string_view filename, std::string_view text, const TopologyFiles& files, const EnvLookup& env,
                 Diagnostics* diagnostics) {
  return Composer(files, env, diagnostics).Run(filename, text);
}

}  // namespace tidemark
