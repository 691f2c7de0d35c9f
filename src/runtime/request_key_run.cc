#include "src/runtime/request_key_run.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <absl/strings/str_cat.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr size_t kKeysOfCell = 44;   // in the mean
constexpr size_t kPieceKeys = 2048;  // of what is read or written at once
constexpr int kProbes = 5;

absl::Status Error(const char* what, int error) {
  return absl::UnavailableError(absl::StrCat(what, " a file of keys: ", std::strerror(error)));
}

// A file without a name: it goes with who has it open.
absl::StatusOr<int> NamelessFile(const std::string& folder) {
  const int file = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0) return file;
  // A file system that knows no such thing.
  std::string name = folder + "/.keys-XXXXXX";
  const int named = mkostemp(name.data(), O_CLOEXEC);
  if (named < 0) return absl::UnavailableError(absl::StrCat(folder, ": ", std::strerror(errno)));
  unlink(name.c_str());
  return named;
}

}  // namespace

struct RequestKeyRun::Cell {
  uint64_t first = 0;                // of its keys, among all
  std::array<uint64_t, 7> filter{};  // 448 bits

  // Bits of the key's lower half: the upper one says the cell.
  template <typename Each>
  static void Bits(uint64_t low, const Each& each) {
    for (int i = 0; i < kProbes; ++i, low >>= 12) {
      const uint64_t bit = (low & 0xfff) * 448 >> 12;
      each(bit / 64, uint64_t{1} << (bit % 64));
    }
  }
  void Add(uint64_t low) {
    Bits(low, [&](uint64_t word, uint64_t bit) { filter[word] |= bit; });
  }
  bool MayHave(uint64_t low) const {
    bool all = true;
    Bits(low, [&](uint64_t word, uint64_t bit) { all = all && (filter[word] & bit) != 0; });
    return all;
  }
};

// The keys of a run in their order, or of what is in memory.
class RequestKeyRun::Reader {
 public:
  explicit Reader(std::span<const SeenKey> keys) : piece_(keys) {}
  explicit Reader(const RequestKeyRun* run) : run_(run) {}

  // Null: there is none any more.
  absl::StatusOr<const SeenKey*> Head() {
    if (at_ == piece_.size() && run_ != nullptr && read_ < run_->keys_) {
      buffer_.resize(std::min(kPieceKeys, run_->keys_ - read_));
      TM_RETURN_IF_ERROR(run_->ReadAt(read_ * sizeof(SeenKey), buffer_.data(), buffer_.size() * sizeof(SeenKey)));
      read_ += buffer_.size();
      piece_ = buffer_;
      at_ = 0;
    }
    return at_ < piece_.size() ? &piece_[at_] : nullptr;
  }
  void Next() { ++at_; }

 private:
  const RequestKeyRun* const run_ = nullptr;
  std::vector<SeenKey> buffer_;
  std::span<const SeenKey> piece_;
  size_t at_ = 0, read_ = 0;  // in the piece; of the run
};

// Writes keys and directory side by side, as they come.
class RequestKeyRun::Writer {
 public:
  explicit Writer(RequestKeyRun* run) : run_(*run) {
    keys_.reserve(kPieceKeys);
    directory_.reserve(kPieceKeys);
  }

  absl::Status Add(const SeenKey& seen) {
    for (const uint64_t cell = run_.CellOf(seen.high); cell_ < cell;) TM_RETURN_IF_ERROR(EndCell());
    present_.Add(seen.low);
    keys_.push_back(seen);
    ++added_;
    return keys_.size() == kPieceKeys ? FlushKeys() : absl::OkStatus();
  }
  // The last one too.
  absl::Status End() {
    while (cell_ <= run_.cells_) TM_RETURN_IF_ERROR(EndCell());
    TM_RETURN_IF_ERROR(FlushKeys());
    return FlushDirectory();
  }

 private:
  absl::Status EndCell() {
    directory_.push_back(present_);
    ++cell_;
    present_ = {added_, {}};
    return directory_.size() == kPieceKeys ? FlushDirectory() : absl::OkStatus();
  }
  absl::Status FlushKeys() {
    const size_t first = added_ - keys_.size();
    TM_RETURN_IF_ERROR(run_.WriteAt(first * sizeof(SeenKey), keys_.data(), keys_.size() * sizeof(SeenKey)));
    keys_.clear();
    return absl::OkStatus();
  }
  absl::Status FlushDirectory() {
    const size_t at = run_.keys_ * sizeof(SeenKey) + (cell_ - directory_.size()) * sizeof(Cell);
    TM_RETURN_IF_ERROR(run_.WriteAt(at, directory_.data(), directory_.size() * sizeof(Cell)));
    directory_.clear();
    return absl::OkStatus();
  }

  RequestKeyRun& run_;
  std::vector<SeenKey> keys_;    // that aren't written yet
  std::vector<Cell> directory_;  // the same
  Cell present_;
  size_t added_ = 0, cell_ = 0;
};

absl::StatusOr<std::unique_ptr<RequestKeyRun>> RequestKeyRun::Merge(const std::string& folder,
                                                                    std::span<const SeenKey> seen,
                                                                    std::span<const RequestKeyRun* const> runs) {
  std::unique_ptr<RequestKeyRun> run(new RequestKeyRun);
  std::vector<Reader> readers;
  readers.emplace_back(seen);
  run->keys_ = seen.size();
  for (const RequestKeyRun* const other : runs) {
    readers.emplace_back(other);
    run->keys_ += other->keys_;
  }
  run->cells_ = (run->keys_ + kKeysOfCell - 1) / kKeysOfCell;
  if (folder.empty()) {
    run->own_.resize(run->keys_ * sizeof(SeenKey) + (run->cells_ + 1) * sizeof(Cell));
  } else {
    TM_ASSIGN_OR_RETURN(run->file_, NamelessFile(folder));
  }
  Writer writer(run.get());
  while (true) {  // over a handful of runs, as each is twice the next
    Reader* least = nullptr;
    const SeenKey* head = nullptr;
    for (Reader& reader : readers) {
      TM_ASSIGN_OR_RETURN(const SeenKey* const other, reader.Head());
      if (other == nullptr || (head != nullptr && !(other->key() < head->key()))) continue;
      head = other;
      least = &reader;
    }
    if (head == nullptr) break;
    TM_RETURN_IF_ERROR(writer.Add(*head));
    least->Next();
  }
  TM_RETURN_IF_ERROR(writer.End());
  return run;
}

RequestKeyRun::~RequestKeyRun() {
  if (file_ >= 0) close(file_);
}

absl::StatusOr<std::optional<uint64_t>> RequestKeyRun::Find(absl::uint128 key) const {
  if (keys_ == 0) return std::nullopt;
  const uint64_t cell = CellOf(absl::Uint128High64(key));
  std::array<Cell, 2> cells;
  TM_RETURN_IF_ERROR(ReadAt(keys_ * sizeof(SeenKey) + cell * sizeof(Cell), cells.data(), sizeof(cells)));
  if (!cells[0].MayHave(absl::Uint128Low64(key))) return std::nullopt;
  std::vector<SeenKey> seen(cells[1].first - cells[0].first);
  TM_RETURN_IF_ERROR(ReadAt(cells[0].first * sizeof(SeenKey), seen.data(), seen.size() * sizeof(SeenKey)));
  const auto found = std::lower_bound(seen.begin(), seen.end(), key,
                                      [](const SeenKey& each, absl::uint128 wanted) { return each.key() < wanted; });
  if (found == seen.end() || found->key() != key) return std::nullopt;
  return found->body;
}

absl::Status RequestKeyRun::ReadAt(size_t at, void* bytes, size_t size) const {
  if (file_ < 0) {
    if (size > 0) std::memcpy(bytes, own_.data() + at, size);
    return absl::OkStatus();
  }
  char* to = static_cast<char*>(bytes);
  while (size > 0) {
    const ssize_t done = pread(file_, to, size, static_cast<off_t>(at));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return Error("reading", done < 0 ? errno : EIO);
    to += done;
    at += static_cast<size_t>(done);
    size -= static_cast<size_t>(done);
  }
  return absl::OkStatus();
}

absl::Status RequestKeyRun::WriteAt(size_t at, const void* bytes, size_t size) {
  if (file_ < 0) {
    if (size > 0) std::memcpy(own_.data() + at, bytes, size);
    return absl::OkStatus();
  }
  const char* from = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t done = pwrite(file_, from, size, static_cast<off_t>(at));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return Error("writing", done < 0 ? errno : ENOSPC);
    from += done;
    at += static_cast<size_t>(done);
    size -= static_cast<size_t>(done);
  }
  return absl::OkStatus();
}

// Grows with the key, so that cells are written in their order.
uint64_t RequestKeyRun::CellOf(uint64_t high) const {
  return absl::Uint128High64(absl::uint128(high) * absl::uint128(cells_));
}

}  // namespace tidemark
