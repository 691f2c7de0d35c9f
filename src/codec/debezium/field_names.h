// The names in objects that look alike, record after record: each is found where it stood the last time, without being
// read. Used by one thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/json_text.h"

namespace tidemark::debezium {

class FieldNames {
 public:
  static constexpr int kOther = -1;

  // A name has its position in here as number. Names that aren't are told to the caller once.
  explicit FieldNames(std::vector<std::string> names) : names_(std::move(names)) {}

  // Takes the name that comes next in an object; `cursor` is 0 at its beginning. False: there is none. `unknown`: a
  // name that was met for the first time and isn't one of ours.
  bool Next(JsonText* text, size_t* cursor, int* number, std::string* unknown) {
    if (text->Peek() != '"') return text->Fail("expected a name in quotes");
    if (*cursor < learned_.size() && text->TakeName(learned_[*cursor].first)) [[likely]] {
      *number = learned_[(*cursor)++].second;
      return true;
    }
    for (size_t i = 0; i < learned_.size(); ++i) {
      if (!text->TakeName(learned_[i].first)) continue;
      *cursor = i + 1;
      *number = learned_[i].second;
      return true;
    }
    const char* const quote = text->position();
    ScalarText name;
    if (!text->ReadPlain(&name, &scratch_)) return false;
    *number = kOther;
    for (size_t i = 0; i < names_.size(); ++i) {
      if (names_[i] == name.text) *number = static_cast<int>(i);
    }
    if (*number == kOther) *unknown = name.text;
    if (learned_.size() < kMaxLearned) learned_.emplace_back(std::string(quote, text->position()), *number);
    *cursor = learned_.size();
    return true;
  }

 private:
  static constexpr size_t kMaxLearned = 1024;

  const std::vector<std::string> names_;
  std::vector<std::pair<std::string, int>> learned_;  // as written, in the order seen first
  std::string scratch_;
};

// Walks the members of the object that begins here, `depth` levels down: visit(number) takes the value and says whether
// it could; unknown(name) as of Next. False: the text is no object, which it then says, or visit has refused.
template <typename Visit, typename Unknown>
bool WalkObject(JsonText* text, FieldNames* names, Visit&& visit, Unknown&& unknown) {
  if (text->Peek() != '{') return text->Fail("expected an object");
  text->Take('{');
  if (text->Take('}')) return true;
  size_t cursor = 0;
  std::string fresh;
  do {
    int number = FieldNames::kOther;
    fresh.clear();
    if (!names->Next(text, &cursor, &number, &fresh)) return false;
    if (!fresh.empty()) unknown(fresh);
    if (!text->Take(':')) return text->Fail("expected a colon");
    if (!visit(number)) return false;
  } while (text->Take(','));
  return text->Take('}') || text->Fail("expected a comma or the end of the object");
}

}  // namespace tidemark::debezium
