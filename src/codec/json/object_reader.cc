#include "src/codec/json/object_reader.h"

#include <absl/container/flat_hash_map.h>
#include <absl/strings/str_cat.h>
#include <arrow/util/utf8.h>

#include "src/base/json_text.h"
#include "src/codec/record_rows.h"

namespace tidemark {
namespace {

// How many names of an object are remembered; the others are looked up each time.
constexpr size_t kMaxLearned = 64;

// The fields of an object that lead to columns.
struct ObjectShape {
  struct Field {
    std::vector<size_t> columns;           // take the value itself
    std::unique_ptr<ObjectShape> members;  // look into it
  };
  // A name as it is written, in its quotes, and its field; null: no column wants it.
  struct Learned {
    std::string quoted;
    Field* field = nullptr;
  };

  absl::flat_hash_map<std::string, std::unique_ptr<Field>> fields;
  std::vector<size_t> all_columns;  // at any depth below
  std::vector<Learned> learned;     // in the order seen first
};

std::string_view KindOf(char first) {
  switch (first) {
    case '{':
      return "object";
    case '[':
      return "array";
    case '"':
      return "string";
    case 't':
    case 'f':
      return "bool";
    case 'n':
      return "null";
    default:
      return first == '-' || (first >= '0' && first <= '9') ? "number" : "";
  }
}

}  // namespace

// The functions return false where reading ends; `refused` says why, or else `text` does.
struct JsonObjectReader::Impl {
  std::optional<std::string> Read(std::string_view json);
  std::optional<std::string> ReadArray(std::string_view json, RecordRows* rows);
  std::optional<std::string> Why() { return refused ? std::move(refused) : text.Reason(); }
  bool ReadObject(ObjectShape* shape, int depth);
  bool FindField(ObjectShape* shape, size_t* cursor, ObjectShape::Field** out);
  bool LookUpField(ObjectShape* shape, size_t* cursor, ObjectShape::Field** out);
  bool ReadValue(const ObjectShape::Field& field, int depth);
  bool ReadContainer(const ObjectShape::Field& field, char first, int depth);
  bool SetColumns(const ObjectShape::Field& field, const ScalarText& value);
  bool RejectMembers(const ObjectShape& members, std::string_view found);

  ObjectShape root;
  JsonText text;
  ColumnSet* columns = nullptr;
  std::optional<std::string> refused;
  std::string name_scratch, value_scratch;  // unescaped
};

JsonObjectReader::JsonObjectReader(const std::vector<ReadTarget>& targets) : impl_(std::make_unique<Impl>()) {
  arrow::util::InitializeUTF8();
  for (const ReadTarget& target : targets) {
    ObjectShape* shape = &impl_->root;
    for (size_t i = 0; i < target.path.size(); ++i) {
      shape->all_columns.push_back(target.column);
      std::unique_ptr<ObjectShape::Field>& field = shape->fields[target.path[i]];
      if (!field) field = std::make_unique<ObjectShape::Field>();
      if (i + 1 == target.path.size()) {
        field->columns.push_back(target.column);
      } else {
        if (!field->members) field->members = std::make_unique<ObjectShape>();
        shape = field->members.get();
      }
    }
  }
}

JsonObjectReader::JsonObjectReader(JsonObjectReader&&) noexcept = default;
JsonObjectReader::~JsonObjectReader() = default;

std::optional<std::string> JsonObjectReader::Read(std::string_view json, ColumnSet* columns) {
  impl_->columns = columns;
  return impl_->Read(json);
}

std::optional<std::string> JsonObjectReader::ReadArray(std::string_view json, RecordRows* rows) {
  return impl_->ReadArray(json, rows);
}

std::optional<std::string> JsonObjectReader::Impl::Read(std::string_view json) {
  text = JsonText(json);
  refused.reset();
  const char first = text.Peek();
  if (text.position() == json.data() + json.size()) return "value is empty";
  if (first != '{') {
    const std::string_view kind = KindOf(first);
    if (!kind.empty()) return absl::StrCat("expected a JSON object, found ", std::string(kind));
    text.Fail("expected an object");
    return text.Reason();
  }
  bool good = ReadObject(&root, 0);
  if (good) {
    text.Peek();
    if (text.position() != json.data() + json.size()) good = text.Fail("content after the object");
  }
  if (good) [[likely]]
    return std::nullopt;
  return Why();
}

std::optional<std::string> JsonObjectReader::Impl::ReadArray(std::string_view json, RecordRows* rows) {
  text = JsonText(json);
  refused.reset();
  const char first = text.Peek();
  if (text.position() == json.data() + json.size()) return "value is empty";
  if (first != '[') {
    const std::string_view kind = KindOf(first);
    if (!kind.empty()) return absl::StrCat("expected a JSON array of objects, found ", std::string(kind));
    text.Fail("expected an array");
    return text.Reason();
  }
  text.Take('[');
  if (!text.Take(']')) {
    int number = 0;
    do {
      ++number;
      const auto where = [&](const std::string& reason) {
        return absl::StrCat("object ", number, " of the array: ", reason);
      };
      const char begin = text.Peek();
      if (begin != '{' && !KindOf(begin).empty()) {
        return where("expected an object, found " + std::string(KindOf(begin)));
      }
      columns = &rows->BeginRow();
      if (begin != '{' ? !text.Fail("expected an object") : !ReadObject(&root, 1)) return where(*Why());
      if (!rows->EndRow()) return std::nullopt;
    } while (text.Take(','));
    if (!text.Take(']')) {
      text.Fail(text.Peek() == '\0' ? "the array isn't closed" : "expected a comma or the end of the array");
      return text.Reason();
    }
  }
  text.Peek();
  if (text.position() == json.data() + json.size()) return std::nullopt;
  text.Fail("content after the array");
  return text.Reason();
}

bool JsonObjectReader::Impl::ReadObject(ObjectShape* shape, int depth) {
  text.Take('{');
  if (text.Take('}')) return true;
  size_t cursor = 0;
  do {
    ObjectShape::Field* field = nullptr;
    if (!FindField(shape, &cursor, &field)) return false;
    if (!text.Take(':')) return text.Fail("expected a colon");
    const bool good = field == nullptr ? text.SkipValue(depth + 1) : ReadValue(*field, depth + 1);
    if (!good) [[unlikely]]
      return false;
  } while (text.Take(','));
  if (text.Take('}')) return true;
  return text.Fail(text.Peek() == '\0' ? "the object isn't closed" : "expected a comma or the end of the object");
}

bool JsonObjectReader::Impl::FindField(ObjectShape* shape, size_t* cursor, ObjectShape::Field** out) {
  if (text.Peek() != '"') return text.Fail("expected a name in quotes");
  const std::vector<ObjectShape::Learned>& learned = shape->learned;
  if (*cursor < learned.size() && text.TakeName(learned[*cursor].quoted)) [[likely]] {
    *out = learned[(*cursor)++].field;
    return true;
  }
  // A field was left out or moved: its fellows are likely to follow the one that is found.
  for (size_t i = 0; i < learned.size(); ++i) {
    if (!text.TakeName(learned[i].quoted)) continue;
    *cursor = i + 1;
    *out = learned[i].field;
    return true;
  }
  return LookUpField(shape, cursor, out);
}

bool JsonObjectReader::Impl::LookUpField(ObjectShape* shape, size_t* cursor, ObjectShape::Field** out) {
  const char* const quote = text.position();
  ScalarText name;
  if (!text.ReadPlain(&name, &name_scratch)) return false;
  const auto found = shape->fields.find(absl::string_view(name.text.data(), name.text.size()));
  *out = found == shape->fields.end() ? nullptr : found->second.get();
  if (shape->learned.size() < kMaxLearned) {
    shape->learned.push_back({std::string(quote, text.position()), *out});
    *cursor = shape->learned.size();
  }
  return true;
}

bool JsonObjectReader::Impl::ReadValue(const ObjectShape::Field& field, int depth) {
  const char first = text.Peek();
  if (first == '{' || first == '[') return ReadContainer(field, first, depth);
  ScalarText value;
  if (!text.ReadPlain(&value, &value_scratch)) [[unlikely]]
    return false;
  if (!SetColumns(field, value)) [[unlikely]]
    return false;
  if (!field.members || value.kind == ScalarText::Kind::kNull) [[likely]]
    return true;
  return RejectMembers(*field.members, KindOf(first));
}

bool JsonObjectReader::Impl::ReadContainer(const ObjectShape::Field& field, char first, int depth) {
  const bool object = first == '{';
  // Well-formed first: a document that isn't has no value to forgive.
  const JsonText before = text;
  if (!object || !field.members || !field.columns.empty()) {
    if (!text.SkipValue(depth)) return false;
  }
  const auto kind = object ? ScalarText::Kind::kObject : ScalarText::Kind::kArray;
  const auto size = static_cast<size_t>(text.position() - before.position());
  if (!SetColumns(field, {kind, {before.position(), size}})) return false;
  if (!field.members) return true;
  if (!object) return RejectMembers(*field.members, "array");
  text = before;
  return ReadObject(field.members.get(), depth);
}

bool JsonObjectReader::Impl::SetColumns(const ObjectShape::Field& field, const ScalarText& value) {
  for (const size_t c : field.columns) {
    if (std::optional<std::string> reason = columns->Set(c, value)) [[unlikely]] {
      refused = std::move(reason);
      return false;
    }
  }
  return true;
}

bool JsonObjectReader::Impl::RejectMembers(const ObjectShape& members, std::string_view found) {
  for (const size_t c : members.all_columns) {
    refused = columns->Reject(c, absl::StrCat("expected an object on its path, found ", std::string(found)));
    if (refused) return false;
  }
  return true;
}

}  // namespace tidemark
