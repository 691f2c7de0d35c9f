#include "src/runtime/edge_reader.h"

#include <vector>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include "src/base/mutation.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

// Now and then, and not at the first records, which a reader that starts anew would take.
bool MutationSkips(const packed::RowsHeader& header) {
  constexpr uint64_t kEvery = 16;
  return MutationActive(Mutation::kReaderSkipsARecord) && header.sequence() % kEvery == kEvery - 1;
}

}  // namespace

absl::StatusOr<UnpackedRows> EdgeReader::Read(const RecordView& record) {
  absl::StatusOr<UnpackedRows> unpacked = rows_.Read(record.value.value_or(""));
  absl::Status status = unpacked.status();
  if (status.ok() && MutationSkips(unpacked->header)) return UnpackedRows();
  if (status.ok()) status = heard_.Check(unpacked->header);
  if (!status.ok()) return Annotate(status, absl::StrCat(ToString(partition_), "@", record.offset));
  return unpacked;
}

void EdgeReader::Restore(const packed::CommitRecord& record) {
  for (const packed::InputTime& saved : record.times()) {
    if (saved.topic() == partition_.topic) heard_ = saved.has_heard() ? Heard(saved.heard()) : Heard::Unknown();
  }
  for (const packed::Standing::Edge& saved : record.standing().inputs()) {
    if (saved.topic() != partition_.topic) continue;
    for (const packed::PackedSchema& schema : saved.schemas()) rows_.Learn(schema);
  }
}

void EdgeReader::SaveSchemas(packed::Standing* standing) const {
  packed::Standing::Edge* out = standing->add_inputs();
  out->set_topic(partition_.topic);
  out->mutable_schemas()->Add(rows_.named().begin(), rows_.named().end());
}

// The numbers, and behind a bar each, the schemas.
std::string EdgeReader::ToText() const {
  std::string text = heard_.ToText();
  for (const packed::PackedSchema& schema : rows_.named()) {
    absl::StrAppend(&text, "|", absl::WebSafeBase64Escape(schema.SerializeAsString()));
  }
  return text;
}

absl::Status EdgeReader::RestoreText(std::string_view text) {
  const std::vector<std::string> parts = absl::StrSplit(absl::string_view(text.data(), text.size()), '|');
  absl::StatusOr<Heard> heard = Heard::FromText(parts[0]);
  if (!heard.ok()) return Annotate(heard.status(), ToString(partition_));
  heard_ = *std::move(heard);
  for (size_t i = 1; i < parts.size(); ++i) {
    std::string bytes;
    packed::PackedSchema schema;
    if (!absl::WebSafeBase64Unescape(parts[i], &bytes) || !schema.ParseFromString(bytes)) {
      return absl::FailedPreconditionError(
          absl::StrCat(ToString(partition_), ": '", parts[i], "' is no schema: was it written by a later version?"));
    }
    rows_.Learn(schema);
  }
  return absl::OkStatus();
}

}  // namespace tidemark
