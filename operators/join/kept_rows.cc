#include "operators/join/kept_rows.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "operators/join/kept_row_key.h"
#include "src/base/status.h"
#include "src/base/varint.h"

namespace tidemark {
namespace {

constexpr size_t kFirstSlots = 16;
constexpr size_t kPrefetchRows = 8;
constexpr size_t kMostNear = 64;       // buckets; a batch whose intervals touch more looks them up one by one
constexpr size_t kTakeMatches = 4096;  // at a time, about

}  // namespace

// ---- Rows by key

KeptRows::Bucket* KeptRows::Find(int64_t start_us) const {
  const auto it = buckets_.find(start_us);
  return it == buckets_.end() ? nullptr : it->second.get();
}

KeptRows::Bucket* KeptRows::FindOrMake(int64_t start_us) {
  if (last_ != nullptr && last_->start_us == start_us) return last_;
  std::unique_ptr<Bucket>& bucket = buckets_[start_us];
  if (bucket == nullptr) {
    bucket = std::make_unique<Bucket>();
    bucket->start_us = start_us;
    bucket->index.resize(kFirstSlots);
  }
  return last_ = bucket.get();
}

// Where the key's newest row in memory stands, or could.
uint64_t* KeptRows::Slot(Bucket* bucket, const JoinKey& key) {
  const size_t mask = bucket->index.size() - 1;
  for (size_t at = key.low & mask;; at = (at + 1) & mask) {
    uint64_t& slot = bucket->index[at];
    if (slot == 0) return &slot;
    const auto number = static_cast<uint32_t>(slot);
    if (slot >> 32 == key.high >> 32 && number > bucket->cold && bucket->row(number - 1).key == key) return &slot;
  }
}

void KeptRows::Prefetch(const Bucket& bucket, const JoinKey& key) {
  __builtin_prefetch(&bucket.index[key.low & (bucket.index.size() - 1)]);
}

// Leaves out what is void, and makes room for as many again.
void KeptRows::Rebuild(Bucket* bucket) {
  const std::vector<uint64_t> old = std::move(bucket->index);
  const auto counts = [&](uint64_t slot) { return static_cast<uint32_t>(slot) > bucket->cold; };
  bucket->slots = static_cast<uint32_t>(std::count_if(old.begin(), old.end(), counts));
  size_t size = kFirstSlots;
  while (size < size_t{bucket->slots} * 2) size *= 2;
  bucket->index.assign(size, 0);
  for (const uint64_t slot : old) {
    if (!counts(slot)) continue;
    size_t at = bucket->row(static_cast<uint32_t>(slot) - 1).key.low & (size - 1);
    while (bucket->index[at] != 0) at = (at + 1) & (size - 1);
    bucket->index[at] = slot;
  }
}

void KeptRows::Touch(Bucket* bucket) {
  if (std::exchange(bucket->dirty, true)) return;
  dirty_.push_back(bucket);
}

void KeptRows::Add(const JoinKey& key, int64_t time, std::string_view bytes, bool matched) {
  Bucket* const bucket = FindOrMake(StartOf(time));
  if ((size_t{bucket->slots} + 1) * 4 > bucket->index.size() * 3) Rebuild(bucket);
  uint64_t* const slot = Slot(bucket, key);
  const uint32_t number = bucket->size++;
  if (number / kPiece == bucket->pieces.size()) bucket->pieces.push_back(std::make_unique<Piece>());
  bucket->slots += *slot == 0;
  Row& row = bucket->row(number);
  row = {key,
         time,
         bucket->pieces[number / kPiece]->bytes.Add(bytes),
         static_cast<uint32_t>(bytes.size()),
         static_cast<uint32_t>(*slot),
         matched};
  *slot = key.high >> 32 << 32 | (number + 1);
  bucket->row_bytes += static_cast<int64_t>(bytes.size());
  bytes_ += static_cast<int64_t>(sizeof(Row) + bytes.size());
  ++rows_;
  newest_ = std::max(newest_, EventTime{time});
  if (outer_ && !matched) {
    due_.push_back({time, bucket, number});
    std::push_heap(due_.begin(), due_.end(), Later());
  }
  Touch(bucket);
}

KeptRows::Near KeptRows::NearOf(const Asked& asked) const {
  Near near;
  if (buckets_.empty() || asked.rows.empty()) return near;
  const auto [least, greatest] = std::minmax_element(
      asked.rows.begin(), asked.rows.end(), [&](int32_t a, int32_t b) { return asked.times[a] < asked.times[b]; });
  near.low = std::max(StartOf((EventTime{asked.times[*least]} + asked.from_us).us), buckets_.begin()->first);
  near.high = std::min(StartOf((EventTime{asked.times[*greatest]} + asked.to_us).us), buckets_.rbegin()->first);
  if (near.low > near.high) return near;
  const uint64_t distance =
      (static_cast<uint64_t>(near.high) - static_cast<uint64_t>(near.low)) / static_cast<uint64_t>(width_us_);
  if (distance >= kMostNear) return near;
  near.buckets.resize(distance + 1);
  for (auto it = buckets_.lower_bound(near.low); it != buckets_.end() && it->first <= near.high; ++it) {
    near.buckets[static_cast<size_t>((it->first - near.low) / width_us_)] = it->second.get();
  }
  return near;
}

// Calls f(bucket) for those that the row's interval touches.
template <typename F>
void KeptRows::VisitBuckets(const Near& near, const Asked& asked, int32_t row, F&& f) const {
  int64_t start = std::max(StartOf((EventTime{asked.times[row]} + asked.from_us).us), near.low);
  const int64_t last = std::min((EventTime{asked.times[row]} + asked.to_us).us, near.high);
  for (; start <= last; start += width_us_) {
    Bucket* const bucket =
        near.buckets.empty() ? Find(start) : near.buckets[static_cast<size_t>((start - near.low) / width_us_)];
    if (bucket != nullptr) f(bucket);
    if (start > std::numeric_limits<int64_t>::max() - width_us_) break;
  }
}

absl::Status KeptRows::Find(const Asked& asked, TakeMatches take) {
  const Near near = NearOf(asked);
  if (near.low > near.high) return absl::OkStatus();
  const absl::Span<const int32_t> rows = asked.rows;
  const auto prefetch = [&](size_t i) {
    if (i >= rows.size()) return;
    VisitBuckets(near, asked, rows[i], [&](Bucket* bucket) { Prefetch(*bucket, asked.keys[rows[i]]); });
  };
  std::vector<Match> matches;
  for (size_t i = 0; i < kPrefetchRows; ++i) prefetch(i);
  for (size_t i = 0; i < rows.size(); ++i) {
    prefetch(i + kPrefetchRows);
    const int64_t time = asked.times[rows[i]];
    const int64_t from = (EventTime{time} + asked.from_us).us, to = (EventTime{time} + asked.to_us).us;
    VisitBuckets(near, asked, rows[i],
                 [&](Bucket* bucket) { FindIn(bucket, asked.keys[rows[i]], from, to, rows[i], &matches); });
    for (absl::Span<const Match> rest = matches; matches.size() >= kTakeMatches || i + 1 == rows.size();) {
      const size_t some = std::min(rest.size(), 2 * kTakeMatches);
      if (some > 0) TM_RETURN_IF_ERROR(take(rest.first(some)));
      rest.remove_prefix(some);
      if (!rest.empty()) continue;
      matches.clear();
      break;
    }
  }
  return FindOnDisk(near, asked, take);
}

void KeptRows::NoteMatch(Bucket* bucket, uint32_t number) {
  if (number >= bucket->written) return;
  bucket->marked.push_back(number);
  Touch(bucket);
}

void KeptRows::FindIn(Bucket* bucket, const JoinKey& key, int64_t from, int64_t to, int32_t row,
                      std::vector<Match>* matches) {
  for (auto number = static_cast<uint32_t>(*Slot(bucket, key)); number > bucket->cold;) {
    Row& kept = bucket->row(number - 1);
    if (kept.time >= from && kept.time <= to) {
      matches->push_back({row, &kept});
      if (outer_ && !std::exchange(kept.matched, true)) NoteMatch(bucket, number - 1);
    }
    number = kept.next;
  }
}

// ---- Rows on disk by key

absl::Status KeptRows::FindOnDisk(const Near& near, const Asked& asked, TakeMatches take) {
  if (on_disk_ == 0) return absl::OkStatus();
  std::map<int64_t, std::vector<int32_t>> rows;  // of the batch, by start of a bucket with rows on disk
  for (const int32_t row : asked.rows) {
    VisitBuckets(near, asked, row, [&](Bucket* bucket) {
      if (bucket->cold > 0) rows[bucket->start_us].push_back(row);
    });
  }
  for (auto& [start, of_bucket] : rows) {
    TM_RETURN_IF_ERROR(FindInRuns(Find(start), absl::MakeSpan(of_bucket), asked, take));
  }
  return absl::OkStatus();
}

absl::Status KeptRows::FindInRuns(Bucket* bucket, absl::Span<int32_t> rows, const Asked& asked, TakeMatches take) {
  const auto order = [&](int32_t row) { return std::pair(asked.keys[row].high, asked.keys[row].low); };
  std::sort(rows.begin(), rows.end(), [&](int32_t a, int32_t b) { return order(a) < order(b); });
  std::deque<std::string> keys;
  std::vector<KeyedRuns::Question> questions;
  std::vector<size_t> first;  // of a question's rows
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i > 0 && asked.keys[rows[i]] == asked.keys[rows[i - 1]]) continue;
    keys.push_back(DiskKey(asked.keys[rows[i]]));
    questions.push_back({.key = keys.back(), .hash = KeyedRuns::Hash(keys.back())});
    first.push_back(i);
  }
  first.push_back(rows.size());
  ByteArena bytes;
  std::deque<Row> found;
  std::vector<Match> matches;
  absl::Status status;
  const auto hand_over = [&] {
    if (status.ok() && !matches.empty()) status = take(matches);
    matches.clear();
    found.clear();
    bytes = ByteArena();
  };
  TM_RETURN_IF_ERROR(bucket->runs->FindAll(questions, [&](size_t q, std::string_view key, std::string_view value) {
    uint64_t head = 0;
    const uint32_t number = NumberOf(key);
    if (!TakeVarint(&value, &head) || number >= bucket->cold) {
      status = absl::DataLossError("a row of a join in the state can't be read");
      return;
    }
    const int64_t time = bucket->start_us + static_cast<int64_t>(head >> 1);
    const Row* kept = nullptr;
    for (size_t i = first[q]; i < first[q + 1]; ++i) {
      const EventTime own{asked.times[rows[i]]};
      if (time < (own + asked.from_us).us || time > (own + asked.to_us).us) continue;
      if (kept == nullptr) {
        found.push_back({asked.keys[rows[i]], time, bytes.Add(value), static_cast<uint32_t>(value.size()), 0, true});
        kept = &found.back();
      }
      matches.push_back({rows[i], kept});
    }
    if (kept == nullptr) return;
    if (outer_ && !bucket->matched[number]) {
      bucket->matched[number] = true;
      NoteMatch(bucket, number);
    }
    if (matches.size() >= kTakeMatches) hand_over();
  }));
  hand_over();
  return status;
}

// ---- Rows by time

void KeptRows::TakeUnmatched(EventTime time, size_t most, std::vector<const Row*>* rows) {
  while (!due_.empty() && EventTime{due_.front().time} < time) {
    const Due due = due_.front();
    if (rows->size() >= most && rows->back()->time != due.time) {
      done_ = std::max(done_, EventTime{due.time});
      return;
    }
    std::pop_heap(due_.begin(), due_.end(), Later());
    due_.pop_back();
    if (due.row < due.bucket->cold) continue;  // has left memory
    const Row& row = due.bucket->row(due.row);
    if (!row.matched) rows->push_back(&row);
  }
  done_ = std::max(done_, time);
}

EventTime KeptRows::oldest_on_disk() const {
  for (const auto& [start, bucket] : buckets_) {
    if (outer_ && bucket->cold > 0 && !bucket->all_given_out) return EventTime{start};
  }
  return kMaxTime;
}

absl::StatusOr<bool> KeptRows::TakeUnmatchedOnDisk(EventTime time, std::vector<const Row*>* rows) {
  const EventTime oldest = oldest_on_disk();
  if (oldest == kMaxTime || oldest + width_us_ > time) return false;
  Bucket* const bucket = Find(oldest.us);
  read_ = KeyedRuns::Entries();
  rows_read_.clear();
  std::optional<std::string> next;
  TM_RETURN_IF_ERROR(bucket->runs->Read(bucket->given_out, &read_, &next));
  for (const KeyedRuns::Entry& entry : read_.list) {
    std::string_view value = entry.value;
    uint64_t head = 0;
    const uint32_t number = NumberOf(entry.key);
    if (!TakeVarint(&value, &head) || number >= bucket->cold) {
      return absl::DataLossError("a row of a join in the state can't be read");
    }
    if ((head & 1) != 0 || bucket->matched[number]) continue;
    rows_read_.push_back({{},
                          bucket->start_us + static_cast<int64_t>(head >> 1),
                          value.data(),
                          static_cast<uint32_t>(value.size()),
                          0,
                          false});
    rows->push_back(&rows_read_.back());
  }
  bucket->all_given_out = !next;
  if (next) bucket->given_out = *next;
  bucket->given_out_changed = true;
  Touch(bucket);
  return true;
}

void KeptRows::Drop(EventTime time) {
  dropped_ = std::max(dropped_, time);
  while (!buckets_.empty()) {
    const auto oldest = buckets_.begin();
    if (EventTime{oldest->first} + width_us_ > time) return;
    DropBucket(oldest->second.get());
    buckets_.erase(oldest);
  }
}

int64_t KeptRows::MemoryBytes() const {
  int64_t bytes = static_cast<int64_t>(due_.capacity() * sizeof(Due));
  for (const auto& [start, bucket] : buckets_) {
    bytes += static_cast<int64_t>(sizeof(Bucket) + bucket->index.capacity() * sizeof(uint64_t) +
                                  (bucket->chunks.size() + bucket->marks.size()) * sizeof(Chunk) +
                                  bucket->matched.capacity() / 8 + bucket->pieces.capacity() * sizeof(void*));
    const uint32_t first = bucket->cold / kPiece;
    if (bucket->size > 0) bytes += static_cast<int64_t>((bucket->pieces.size() - first) * sizeof(Piece));
    bytes += bucket->row_bytes;
    if (bucket->runs) bytes += bucket->runs->MemoryBytes();
  }
  return bytes;
}

}  // namespace tidemark
