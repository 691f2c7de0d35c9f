// The batches that a batch step knows, and the rows of those that are under way. Touched only by the stream thread.
//
// Rows are appended to chunks, and a chunk is written once, when it is full or the commit comes; it is read again when
// its batch is decided, and deleted then. What is known of a batch is in memory, and written with each commit in which
// it has changed.
//
// State key: 'b', the batch's key (RowCodec::Key): what is known of it: packed numbers in Batch's order, then its
// reason.
//            'r', the batch's number (8), the chunk's (4), big-endian: rows: size (4), hidden columns, RowCodec::Rows.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/container/btree_set.h>
#include <absl/container/node_hash_map.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/time.h"
#include "state/store.h"

namespace tidemark {

class KeptBatches {
 public:
  enum class Phase : uint8_t { kOpen, kComplete, kRejecting, kReleased, kRejected };  // batch.h draws them

  // The hidden columns of a row. A row of no place: as HiddenValues has it (operators/step.h).
  struct Hidden {
    int64_t time = 0, watermark = kMinTime.us, offset = -1;
    int32_t source = 0, partition = 0;
  };
  struct Row {
    Hidden hidden;
    std::string_view bytes;
  };

  struct Batch {
    // Written as they are, so what is added comes last.
    struct Numbers {
      uint64_t number = 0;                   // the smaller, the earlier its first row came
      int64_t rows = 0;                      // that have come
      int64_t expected = -1;                 // -1: no row has said
      int64_t bytes = 0;                     // of its rows
      int64_t first_time = 0;                // the smallest event time of its rows
      int64_t watermark = 0;                 // the largest that a row came under
      int64_t hold = kMaxTime.us;            // the smallest watermark that a row came under; see Append
      uint32_t first_chunk = 0, chunks = 0;  // those before the first are gone
      uint32_t phase = 0;
      uint32_t unused = 0;
    } n;
    std::string why;  // it is rejected

    std::string building;  // rows of the next chunk
    std::string_view key;
    int64_t timer = kMaxTime.us;  // when something is due of it; as in timers_
    bool held = false, changed = false;

    Phase phase() const { return static_cast<Phase>(n.phase); }
    bool decided() const { return phase() != Phase::kOpen; }
    bool has_rows() const { return phase() < Phase::kReleased; }
  };

  explicit KeptBatches(StateStore* store) : store_(store) {}
  KeptBatches(const KeptBatches&) = delete;
  KeptBatches& operator=(const KeptBatches&) = delete;

  // Shows every batch of the state.
  absl::Status Load(absl::FunctionRef<void(Batch*)> visit);

  // Null: it isn't known.
  Batch* Find(std::string_view key);
  // A batch whose first row comes: open, without rows.
  Batch* Begin(std::string_view key);
  // Returns the bytes that wait for the commit because of it. The row holds time back to its own watermark; one that
  // came under none, and so is never late, to before its event time.
  int64_t Append(Batch* batch, const Hidden& hidden, std::string_view row);
  void SetPhase(Batch* batch, Phase phase);
  // When ExpiredBy is to give it; kMaxTime: never.
  void SetTimer(Batch* batch, int64_t at_us);
  // The one whose timer is due first, if it is by then; else null.
  Batch* ExpiredBy(EventTime time) const;
  // It has no rows any more.
  void Forget(Batch* batch);

  // The rows of one chunk, valid until the next call; `bytes` holds them.
  absl::Status ReadChunk(const Batch& batch, uint32_t chunk, std::string* bytes, std::vector<Row>* rows) const;
  // Closes the chunk under way, so that all rows are in chunks.
  void CloseChunk(Batch* batch);
  void DropChunksBefore(Batch* batch, uint32_t end);

  // The output's watermark must not get past it; kMaxTime: no batch has rows.
  EventTime hold() const;
  void Commit();
  int64_t MemoryBytes() const;
  size_t size() const { return batches_.size(); }

 private:
  std::string ChunkKey(const Batch& batch, uint32_t chunk) const;
  void Hold(Batch* batch, bool held);
  void Change(Batch* batch);

  StateStore* const store_;
  absl::node_hash_map<std::string, Batch> batches_;
  absl::btree_set<std::pair<int64_t, Batch*>> timers_;
  absl::btree_multiset<int64_t> holds_;
  std::vector<std::string> changed_;  // keys, of forgotten ones too
  uint64_t next_number_ = 1;
  int64_t building_bytes_ = 0, key_bytes_ = 0;
};

}  // namespace tidemark
