#include "operators/changes/open_transaction.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "src/base/varint.h"

namespace tidemark {
namespace {

constexpr std::string_view kNote = "t";

std::string PieceKey(uint32_t number) {
  std::string key(kNote);
  AppendBigEndian(number, 4, &key);
  return key;
}

absl::Status Damaged() { return absl::DataLossError("the rows of a transaction in the state can't be read"); }

}  // namespace

absl::Status OpenTransaction::Load() {
  TM_ASSIGN_OR_RETURN(const std::optional<std::string> note, store_->Get(kNote));
  noted_ = note.has_value();
  if (!noted_) return absl::OkStatus();
  std::string_view text = *note;
  uint64_t numbers[4];
  for (uint64_t& number : numbers) {
    if (!TakeVarint(&text, &number)) return Damaged();
  }
  first_ = static_cast<uint32_t>(numbers[0]);
  next_ = static_cast<uint32_t>(numbers[1]);
  rows_ = static_cast<int64_t>(numbers[2]);
  bytes_ = static_cast<int64_t>(numbers[3]);
  return absl::OkStatus();
}

void OpenTransaction::Append(std::string_view row) {
  AppendBigEndian(row.size(), 4, &fresh_);
  fresh_.append(row);
  ++rows_;
  bytes_ += static_cast<int64_t>(row.size());
  changed_ = true;
}

absl::Status OpenTransaction::Take(std::string* text, std::vector<std::string_view>* rows) {
  text->clear();
  rows->clear();
  for (; first_ < next_; ++first_) {
    const std::string key = PieceKey(first_);
    TM_ASSIGN_OR_RETURN(const std::optional<std::string> piece, store_->Get(key));
    if (!piece) return Damaged();
    text->append(*piece);
    store_->Delete(key);
  }
  text->append(fresh_);
  std::string().swap(fresh_);
  for (std::string_view rest = *text; !rest.empty();) {
    const size_t size = rest.size() < 4 ? rest.size() : ReadBigEndian(rest.substr(0, 4));
    if (rest.size() < 4 || size > rest.size() - 4) return Damaged();
    rows->push_back(rest.substr(4, size));
    rest.remove_prefix(4 + size);
  }
  if (static_cast<int64_t>(rows->size()) != rows_) return Damaged();
  first_ = next_ = 0;
  rows_ = bytes_ = 0;
  changed_ = true;
  return absl::OkStatus();
}

void OpenTransaction::Commit() {
  if (!std::exchange(changed_, false)) return;
  for (std::string_view rest = fresh_; !rest.empty(); ++next_) {
    const std::string_view piece = rest.substr(0, kMaxValueBytes / 2);
    store_->Put(PieceKey(next_), piece);
    rest.remove_prefix(piece.size());
  }
  fresh_.clear();
  if (rows_ > 0) {
    std::string note;
    for (const int64_t number : {int64_t{first_}, int64_t{next_}, rows_, bytes_}) {
      AppendVarint(static_cast<uint64_t>(number), &note);
    }
    store_->Put(kNote, note);
  } else if (noted_) {
    store_->Delete(kNote);
  }
  noted_ = rows_ > 0;
}

}  // namespace tidemark
