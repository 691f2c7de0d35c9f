// docs/topology.md against the schema: every field has a row there, every row is a field, every example is a plan, and
// every field is used in one of them.
#include <algorithm>
#include <set>

#include <absl/strings/match.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include "src/plan/compose.h"
#include "src/plan/yaml_reader.h"
#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Entries and lists of lists are values, not groups of fields.
bool IsEntry(const FieldDescriptor* field) {
  return field->message_type() == topology::Entry::descriptor() ||
         field->message_type() == topology::ColumnNames::descriptor();
}

// Wherever it stands it is the same, and told once, under `format`.
bool IsFormat(const FieldDescriptor* field) {
  return field->message_type() != nullptr && field->message_type() == topology::Format::descriptor();
}

// "sources.NAME.columns.NAME.type" of every field that takes a value.
void CollectFields(const Descriptor* type, const std::string& prefix, bool keyed, std::set<std::string>* out) {
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (keyed && field->name() == "name") continue;
    const std::string path = prefix + field->name();
    if (path == "notify.webhook.id") continue;                               // refused: an alarm has its own
    if (path == "lineage.http.id" || path == "lineage.http.sign") continue;  // refused: OpenLineage knows none
    if (field->message_type() == nullptr || IsEntry(field)) {
      out->insert(path);
    } else if (IsFormat(field)) {
      out->insert(path);
      CollectFields(field->message_type(), "format.", false, out);
    } else {
      CollectFields(field->message_type(), path + (field->is_repeated() ? ".NAME." : "."), field->is_repeated(), out);
    }
  }
}

// The same of the fields that are set in a message.
void CollectUsed(const Message& message, const std::string& prefix, std::set<std::string>* out) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string path = prefix + field->name();
    if (field->message_type() == nullptr || IsEntry(field)) {
      out->insert(path);
    } else if (IsFormat(field)) {
      out->insert(path);
      CollectUsed(message.GetReflection()->GetMessage(message, field), "format.", out);
    } else if (!field->is_repeated()) {
      CollectUsed(message.GetReflection()->GetMessage(message, field), path + ".", out);
    } else {
      for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
        CollectUsed(message.GetReflection()->GetRepeatedMessage(message, field, i), path + ".NAME.", out);
      }
    }
  }
}

std::set<std::string> Fields() {
  std::set<std::string> out;
  CollectFields(topology::Topology::descriptor(), "", false, &out);
  return out;
}

// The row of a field: what parts say about themselves has one for all of them.
std::string RowOf(const std::string& field) {
  const std::string last = field.substr(field.rfind('.') + 1);
  const bool about = last == "description" || last == "owner" || last == "tags" || last == "pii";
  return about ? last : field;
}

// The fields that have a row, with the heading they stand under in front.
std::set<std::string> Rows(const std::string& text) {
  std::set<std::string> out;
  std::string prefix;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<std::string> ticked = absl::StrSplit(line, '`');
    if (absl::StartsWith(line, "#")) prefix = ticked.size() >= 3 ? ticked[1] + "." : "";
    if (absl::StartsWith(line, "| `")) out.insert(prefix + ticked[1]);
  }
  return out;
}

std::vector<std::string> Examples(const std::string& text) {
  std::vector<std::string> out;
  size_t at = 0;
  while ((at = text.find("```yaml\n", at)) != std::string::npos) {
    at += 8;
    const size_t end = text.find("```", at);
    out.push_back(text.substr(at, end - at));
    at = end;
  }
  return out;
}

TEST(ReferenceTest, EveryFieldHasARowAndEveryRowIsAField) {
  const std::set<std::string> fields = Fields(), rows = Rows(ReadWholeFile("docs/topology.md").value());
  EXPECT_GT(fields.size(), 80u);
  for (const std::string& field : fields) EXPECT_TRUE(rows.contains(RowOf(field))) << field << " has no row";
  for (const std::string& row : rows) {
    const bool group = std::any_of(fields.begin(), fields.end(), [&](const std::string& f) {
      return absl::StartsWith(f, row + ".") || RowOf(f) == row;
    });
    EXPECT_TRUE(fields.contains(row) || group) << row << " isn't a field";
  }
}

TEST(ReferenceTest, EveryExampleIsAPlanAndTogetherTheyUseEveryField) {
  RegisterTestOperators();  // those that the examples name
  const std::vector<std::string> examples = Examples(ReadWholeFile("docs/topology.md").value());
  ASSERT_GE(examples.size(), 3u);
  std::set<std::string> used;
  for (const std::string& example : examples) {
    EXPECT_EQ(ErrorsOf(example), "") << example;
    Diagnostics diagnostics("example", example);
    const Composed composed = Compose("example", example, FilesOnDisk(), ProcessEnvironment(), &diagnostics);
    CollectUsed(ReadTopology(*composed.root, ProcessEnvironment(), &diagnostics), "", &used);
  }
  for (const std::string& field : Fields()) {
    // A table's `nullable` and the like are the same message as a source's.
    const std::string other = absl::StrReplaceAll(field, {{"tables.NAME.columns", "sources.NAME.columns"}});
    EXPECT_TRUE(used.contains(field) || used.contains(other)) << field << " stands in no example";
  }
}

// Whatever is taken out of a file, what remains is planned or refused with a place.
TEST(ReferenceTest, ADamagedFileIsRefusedWithAPlace) {
  const auto check = [](const std::string& text) {
    const auto plan = PlanOf(text);
    if (!plan.ok()) {
      EXPECT_EQ(plan.status().code(), absl::StatusCode::kInvalidArgument) << text;
      EXPECT_TRUE(absl::StartsWith(plan.status().message(), "t.yaml:")) << plan.status() << "\n" << text;
    }
  };
  for (const std::string& example : Examples(ReadWholeFile("docs/topology.md").value())) {
    const std::vector<std::string> lines = absl::StrSplit(example, '\n');
    for (size_t skip = 0; skip < lines.size(); ++skip) {
      std::vector<std::string> rest = lines;
      rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(skip));
      check(absl::StrJoin(rest, "\n"));
    }
    for (size_t byte = 0; byte < example.size(); byte += 97) {
      check(example.substr(0, byte));
      for (const char* put : {"[", "}", ": ", "x", "'", "null ", "- ", "&a ", "*a "}) {
        check(example.substr(0, byte) + put + example.substr(byte));
      }
    }
  }
}

}  // namespace
}  // namespace tidemark
