#include "src/codec/json/tree.h"

#include <absl/status/status.h>

#include "src/base/json_text.h"
#include "src/codec/column_text.h"

namespace tidemark {
namespace {

// Schemas are shallow; each level of a tree is one of the stack.
constexpr int kMaxTreeDepth = 200;

bool ReadTree(JsonText* text, int depth, std::string* scratch, JsonTree* out);

bool ReadMembers(JsonText* text, int depth, std::string* scratch, JsonTree* out) {
  if (text->Take('}')) return true;
  do {
    if (text->Peek() != '"') return text->Fail("expected a name in quotes");
    ScalarText name;
    if (!text->ReadPlain(&name, scratch)) return false;
    auto& member = out->members.emplace_back(std::string(name.text), JsonTree());
    if (!text->Take(':')) return text->Fail("expected a colon");
    if (!ReadTree(text, depth + 1, scratch, &member.second)) return false;
  } while (text->Take(','));
  return text->Take('}') || text->Fail("expected a comma or the end of the object");
}

bool ReadItems(JsonText* text, int depth, std::string* scratch, JsonTree* out) {
  if (text->Take(']')) return true;
  do {
    if (!ReadTree(text, depth + 1, scratch, &out->items.emplace_back())) return false;
  } while (text->Take(','));
  return text->Take(']') || text->Fail("expected a comma or the end of the array");
}

bool ReadTree(JsonText* text, int depth, std::string* scratch, JsonTree* out) {
  if (depth > kMaxTreeDepth) return text->Fail("nesting too deep");
  text->Peek();
  if (text->Take('{')) {
    out->kind = JsonTree::Kind::kObject;
    return ReadMembers(text, depth, scratch, out);
  }
  if (text->Take('[')) {
    out->kind = JsonTree::Kind::kArray;
    return ReadItems(text, depth, scratch, out);
  }
  ScalarText value;
  if (!text->ReadPlain(&value, scratch)) return false;
  out->kind = value.kind;
  if (value.kind == JsonTree::Kind::kNumber || value.kind == JsonTree::Kind::kString) {
    out->text = std::string(value.text);
  }
  return true;
}

void Write(const JsonTree& tree, TextBuffer* out) {
  const char* between = "";
  switch (tree.kind) {
    case JsonTree::Kind::kNull:
      return out->Append("null");
    case JsonTree::Kind::kTrue:
      return out->Append("true");
    case JsonTree::Kind::kFalse:
      return out->Append("false");
    case JsonTree::Kind::kNumber:
    case JsonTree::Kind::kJson:
      return out->Append(tree.text);
    case JsonTree::Kind::kString:
      return WriteJsonString(tree.text, out);
    case JsonTree::Kind::kObject:
      out->Append("{");
      for (const auto& [name, value] : tree.members) {
        out->Append(between);
        WriteJsonString(name, out);
        out->Append(":");
        Write(value, out);
        between = ",";
      }
      return out->Append("}");
    case JsonTree::Kind::kArray:
      out->Append("[");
      for (const JsonTree& item : tree.items) {
        out->Append(between);
        Write(item, out);
        between = ",";
      }
      return out->Append("]");
  }
}

}  // namespace

const JsonTree* JsonTree::Find(std::string_view name) const {
  for (auto it = members.rbegin(); it != members.rend(); ++it) {
    if (it->first == name) return &it->second;
  }
  return nullptr;
}

std::string_view JsonTree::Text(std::string_view name) const {
  const JsonTree* const found = Find(name);
  return found != nullptr && found->kind == Kind::kString ? std::string_view(found->text) : std::string_view();
}

absl::StatusOr<JsonTree> ParseJson(std::string_view text) {
  JsonText scanner(text);
  JsonTree tree;
  std::string scratch;
  if (!ReadTree(&scanner, 0, &scratch, &tree)) return absl::InvalidArgumentError(scanner.Reason());
  if (scanner.Peek() != '\0' || scanner.position() != text.data() + text.size()) {
    scanner.Fail("something stands behind the value");
    return absl::InvalidArgumentError(scanner.Reason());
  }
  return tree;
}

std::string ToJson(const JsonTree& tree) {
  std::string json;
  TextBuffer out(&json);
  Write(tree, &out);
  json.resize(out.size());
  return json;
}

}  // namespace tidemark
