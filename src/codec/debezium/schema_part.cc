#include "src/codec/debezium/schema_part.h"

#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include "src/base/json_text.h"

namespace tidemark::debezium {
namespace {

// A JSON value as a whole: schemas are small and come seldom.
struct Tree {
  std::string text;  // of a plain value
  std::vector<std::pair<std::string, Tree>> members;
  std::vector<Tree> items;

  const Tree* Find(std::string_view name) const {
    for (const auto& [member, value] : members) {
      if (member == name) return &value;
    }
    return nullptr;
  }
  std::string_view Text(std::string_view name) const {
    const Tree* const value = Find(name);
    return value == nullptr ? std::string_view() : std::string_view(value->text);
  }
};

// Of text that was found well-formed, which bounds its depth too.
void ReadTree(JsonText* text, Tree* out) {
  std::string scratch;
  if (text->Take('{')) {
    if (text->Take('}')) return;
    do {
      ScalarText name;
      text->Peek();
      text->ReadPlain(&name, &scratch);
      out->members.emplace_back(name.text, Tree());
      text->Take(':');
      ReadTree(text, &out->members.back().second);
    } while (text->Take(','));
    text->Take('}');
  } else if (text->Take('[')) {
    if (text->Take(']')) return;
    do {
      ReadTree(text, &out->items.emplace_back());
    } while (text->Take(','));
    text->Take(']');
  } else {
    ScalarText value;
    text->ReadPlain(&value, &scratch);
    if (value.kind == ScalarText::Kind::kString) out->text = value.text;
  }
}

const Tree* FindField(const Tree& of, std::string_view name) {
  const Tree* const fields = of.Find("fields");
  if (fields == nullptr) return nullptr;
  for (const Tree& field : fields->items) {
    if (field.Text("field") == name) return &field;
  }
  return nullptr;
}

}  // namespace

std::optional<std::string> ReadSchemaPart(std::string_view schema, std::string_view row,
                                          const std::vector<RowColumn>& columns, std::vector<Reading>* readings) {
  JsonText text(schema);
  if (!text.SkipValue(0)) return absl::StrCat("schema part: ", text.Reason());
  Tree tree;
  text = JsonText(schema);
  ReadTree(&text, &tree);
  const Tree* const table = row.empty() ? &tree : FindField(tree, row);
  if (table == nullptr || table->Find("fields") == nullptr) {
    return absl::StrCat("the schema part describes no rows: it has no field '", std::string(row), "' with fields");
  }
  readings->clear();
  for (const RowColumn& column : columns) {
    const Tree* const field = FindField(*table, column.name);
    if (field == nullptr) {
      readings->emplace_back();  // then no value comes either
      continue;
    }
    std::optional<int> scale;
    int number = 0;
    const Tree* const parameters = field->Find("parameters");
    if (parameters != nullptr && absl::SimpleAtoi(std::string(parameters->Text("scale")), &number)) scale = number;
    TableType of{field->Text("type"), field->Text("name"), scale, {}, {}};
    if (const Tree* const items = field->Find("items")) {
      of.item = items->Text("type");
      of.item_name = items->Text("name");
    }
    readings->push_back(ReadingOf(of, column.type));
  }
  return std::nullopt;
}

}  // namespace tidemark::debezium
