#include "operators/batch/kept.h"

#include <cstring>
#include <utility>

#include <absl/functional/function_ref.h>
#include <absl/strings/str_cat.h>

#include "src/base/big_endian.h"

namespace tidemark {
namespace {

constexpr char kBatch = 'b', kRows = 'r', kBehindBatches = 'c';
constexpr size_t kChunkBytes = 128 << 10;
constexpr int64_t kBytesOfABatch = 240;  // in memory, beside its key and what is being built

absl::Status Damaged(std::string_view what) {
  return absl::DataLossError(absl::StrCat(std::string(what), " in the state can't be read"));
}

}  // namespace

absl::Status KeptBatches::Load(absl::FunctionRef<void(Batch*)> visit) {
  const auto it = store_->Scan(std::string(1, kBatch), std::string(1, kBehindBatches));
  for (; it->Valid(); it->Next()) {
    const std::string_view value = it->value();
    if (value.size() < sizeof(Batch::Numbers)) return Damaged("a batch");
    const auto [entry, fresh] = batches_.try_emplace(std::string(it->key().substr(1)));
    Batch& batch = entry->second;
    batch.key = entry->first;
    std::memcpy(&batch.n, value.data(), sizeof batch.n);
    batch.why = value.substr(sizeof batch.n);
    if (batch.phase() > Phase::kRejected) return Damaged("a batch");
    key_bytes_ += static_cast<int64_t>(batch.key.size() + batch.why.size());
    next_number_ = std::max(next_number_, batch.n.number + 1);
    Hold(&batch, batch.has_rows());
    visit(&batch);
  }
  return it->status();
}

KeptBatches::Batch* KeptBatches::Find(std::string_view key) {
  const auto it = batches_.find(absl::string_view(key.data(), key.size()));
  return it == batches_.end() ? nullptr : &it->second;
}

KeptBatches::Batch* KeptBatches::Begin(std::string_view key) {
  const auto entry = batches_.try_emplace(std::string(key)).first;
  Batch& batch = entry->second;
  batch.key = entry->first;
  batch.n.number = next_number_++;
  batch.n.first_time = kMaxTime.us;
  batch.n.watermark = kMinTime.us;
  key_bytes_ += static_cast<int64_t>(key.size());
  Hold(&batch, true);
  Change(&batch);
  return &batch;
}

int64_t KeptBatches::Append(Batch* batch, const Hidden& hidden, std::string_view row) {
  const auto bytes = static_cast<uint32_t>(sizeof hidden + row.size());
  const size_t whole = sizeof bytes + bytes;
  if (batch->building.size() + whole > kChunkBytes) CloseChunk(batch);
  batch->building.append(reinterpret_cast<const char*>(&bytes), sizeof bytes);
  batch->building.append(reinterpret_cast<const char*>(&hidden), sizeof hidden);
  batch->building.append(row);
  building_bytes_ += static_cast<int64_t>(whole);
  ++batch->n.rows;
  batch->n.bytes += static_cast<int64_t>(row.size());
  batch->n.first_time = std::min(batch->n.first_time, hidden.time);
  batch->n.watermark = std::max(batch->n.watermark, hidden.watermark);
  const bool never_late = hidden.watermark == kMinTime.us;
  const int64_t hold = never_late ? (EventTime{hidden.time} - 1).us : hidden.watermark;
  if (hold < batch->n.hold) {
    Hold(batch, false);
    batch->n.hold = hold;
    Hold(batch, true);
  }
  Change(batch);
  return static_cast<int64_t>(whole);
}

void KeptBatches::Change(Batch* batch) {
  if (batch->changed) return;
  batch->changed = true;
  changed_.emplace_back(batch->key);
}

void KeptBatches::Hold(Batch* batch, bool held) {
  if (batch->held == held) return;
  batch->held = held;
  if (held) {
    holds_.insert(batch->n.hold);
  } else {
    holds_.erase(holds_.find(batch->n.hold));
  }
}

void KeptBatches::SetPhase(Batch* batch, Phase phase) {
  batch->n.phase = static_cast<uint32_t>(phase);
  Hold(batch, batch->has_rows());
  Change(batch);
}

void KeptBatches::SetTimer(Batch* batch, int64_t at_us) {
  if (batch->timer == at_us) return;
  timers_.erase({batch->timer, batch});
  batch->timer = at_us;
  if (at_us != kMaxTime.us) timers_.insert({at_us, batch});
}

KeptBatches::Batch* KeptBatches::ExpiredBy(EventTime time) const {
  return timers_.empty() || timers_.begin()->first > time.us ? nullptr : timers_.begin()->second;
}

void KeptBatches::Forget(Batch* batch) {
  SetTimer(batch, kMaxTime.us);
  Hold(batch, false);
  Change(batch);
  key_bytes_ -= static_cast<int64_t>(batch->key.size() + batch->why.size());
  batches_.erase(batches_.find(absl::string_view(batch->key.data(), batch->key.size())));
}

std::string KeptBatches::ChunkKey(const Batch& batch, uint32_t chunk) const {
  std::string key(1, kRows);
  AppendBigEndian(batch.n.number, 8, &key);
  AppendBigEndian(chunk, 4, &key);
  return key;
}

void KeptBatches::CloseChunk(Batch* batch) {
  if (batch->building.empty()) return;
  store_->Put(ChunkKey(*batch, batch->n.chunks++), batch->building);
  building_bytes_ -= static_cast<int64_t>(batch->building.size());
  batch->building = std::string();
  Change(batch);
}

absl::Status KeptBatches::ReadChunk(const Batch& batch, uint32_t chunk, std::string* bytes,
                                    std::vector<Row>* rows) const {
  absl::StatusOr<std::optional<std::string>> value = store_->Get(ChunkKey(batch, chunk));
  if (!value.ok()) return value.status();
  if (!value->has_value()) return Damaged("a batch with rows that aren't there");
  *bytes = **std::move(value);
  rows->clear();
  for (std::string_view rest = *bytes; !rest.empty();) {
    uint32_t size = 0;
    Row row;
    if (rest.size() < sizeof size) return Damaged("a row of a batch");
    std::memcpy(&size, rest.data(), sizeof size);
    rest.remove_prefix(sizeof size);
    if (size < sizeof row.hidden || rest.size() < size) return Damaged("a row of a batch");
    std::memcpy(&row.hidden, rest.data(), sizeof row.hidden);
    row.bytes = rest.substr(sizeof row.hidden, size - sizeof row.hidden);
    rest.remove_prefix(size);
    rows->push_back(row);
  }
  return absl::OkStatus();
}

void KeptBatches::DropChunksBefore(Batch* batch, uint32_t end) {
  for (; batch->n.first_chunk < end; ++batch->n.first_chunk) store_->Delete(ChunkKey(*batch, batch->n.first_chunk));
  Change(batch);
}

EventTime KeptBatches::hold() const { return holds_.empty() ? kMaxTime : EventTime{*holds_.begin()}; }

// A number of a batch is never given twice as long as the newest is known; one that is forgotten has no rows.
void KeptBatches::Commit() {
  std::string value;
  for (const std::string& key : changed_) {
    const std::string state_key = kBatch + key;
    Batch* const batch = Find(key);
    if (batch == nullptr) {
      store_->Delete(state_key);
      continue;
    }
    CloseChunk(batch);
    batch->changed = false;
    value.assign(reinterpret_cast<const char*>(&batch->n), sizeof batch->n);
    value.append(batch->why);
    store_->Put(state_key, value);
  }
  changed_.clear();
}

int64_t KeptBatches::MemoryBytes() const {
  return static_cast<int64_t>(batches_.size()) * kBytesOfABatch + key_bytes_ + building_bytes_;
}

}  // namespace tidemark
