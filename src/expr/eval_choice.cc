// Expressions that don't evaluate all their parts on all rows: AND, OR, CASE, COALESCE, IN. A part that can fail is
// evaluated only on the rows that need it, so that CASE WHEN x <> 0 THEN y / x END never divides by zero; a part that
// can't fail is evaluated on all rows, which costs less than gathering some.
#include <numeric>

#include <absl/container/flat_hash_set.h>

#include "src/expr/compare.h"
#include "src/expr/kernel.h"

namespace tidemark::internal {
namespace {

using Rows = std::vector<int32_t>;

// The values of `expr` for `rows` of the frame, and for each of them the place of its value.
struct Part {
  Values values;
  bool whole = false;  // values stand at the row's own position, else at its position in `rows`
};

absl::StatusOr<Part> EvaluateOn(const BoundExpr& expr, Frame& frame, const Rows& rows) {
  Part part;
  part.whole = !expr.fallible() || static_cast<int64_t>(rows.size()) == frame.rows();
  if (part.whole) {
    TM_ASSIGN_OR_RETURN(part.values, expr.Evaluate(frame));
  } else {
    Frame chosen = frame.Select(rows);
    TM_ASSIGN_OR_RETURN(part.values, expr.Evaluate(chosen));
  }
  return part;
}

Rows AllRows(const Frame& frame) {
  Rows rows(static_cast<size_t>(frame.rows()));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

// A value of each row, taken from one of several parts.
class Assembly {
 public:
  explicit Assembly(int64_t rows) : from_(static_cast<size_t>(rows), 0), at_(static_cast<size_t>(rows), 0) {}

  // The rows take their values from this part: `rows[i]` from place i of `places` (or i itself).
  void Add(Part part, const Rows& all, const Rows& places) {
    parts_.push_back(std::move(part.values));
    for (size_t i = 0; i < all.size(); ++i) {
      auto row = static_cast<size_t>(all[i]);
      from_[row] = static_cast<uint16_t>(parts_.size());
      at_[row] = part.whole ? all[i] : places.empty() ? static_cast<int32_t>(i) : places[i];
    }
  }

  // Rows that were never added are NULL.
  absl::StatusOr<Values> Finish(const Type& type) {
    return Visit(type.kind, [&](auto tag) { return FinishAs<decltype(tag)>(type); });
  }

 private:
  template <typename T>
  absl::StatusOr<Values> FinishAs(const Type& type) {
    std::vector<Reader<T>> in;
    std::vector<Validity> valid;
    for (const Values& part : parts_) {
      in.emplace_back(part);
      valid.emplace_back(part);
    }
    Writer<T> out;
    TM_RETURN_IF_ERROR(out.Open(type, static_cast<int64_t>(from_.size())));
    for (size_t row = 0; row < from_.size(); ++row) {
      size_t part = from_[row];
      if (part == 0 || !valid[part - 1][at_[row]]) {
        out.SetNull(static_cast<int64_t>(row));
      } else {
        out.Set(static_cast<int64_t>(row), in[part - 1][at_[row]]);
      }
    }
    return out.Finish(/*constant=*/false);
  }

  std::vector<Values> parts_;
  std::vector<uint16_t> from_;  // part + 1; 0: none
  std::vector<int32_t> at_;
};

bool AnyOf(const std::vector<BoundPtr>& args, bool (BoundExpr::*property)() const) {
  for (const BoundPtr& arg : args) {
    if ((*arg.*property)()) return true;
  }
  return false;
}

enum : uint8_t { kFalse = 0, kTrue = 1, kUnknown = 2 };

absl::StatusOr<Values> FromTruth(const std::vector<uint8_t>& truth) {
  Writer<bool> out;
  TM_RETURN_IF_ERROR(out.Open(Type{Kind::kBool}, static_cast<int64_t>(truth.size())));
  for (size_t i = 0; i < truth.size(); ++i) {
    if (truth[i] == kUnknown) {
      out.SetNull(static_cast<int64_t>(i));
    } else {
      out.Set(static_cast<int64_t>(i), truth[i] == kTrue);
    }
  }
  return out.Finish(/*constant=*/false);
}

// AND and OR mirror each other: a row is decided by the first argument that is false (AND) or true (OR).
class Junction final : public BoundExpr {
 public:
  Junction(bool conjunction, std::vector<BoundPtr> args)
      : BoundExpr(Type{Kind::kBool}, AnyOf(args, &BoundExpr::nullable), AnyOf(args, &BoundExpr::fallible)),
        decisive_(conjunction ? kFalse : kTrue),
        args_(std::move(args)) {}

  absl::StatusOr<Values> Evaluate(Frame& frame) const override {
    std::vector<uint8_t> truth(static_cast<size_t>(frame.rows()), decisive_ == kFalse ? kTrue : kFalse);
    Rows open;
    for (const BoundPtr& arg : args_) {
      open.clear();
      for (size_t row = 0; row < truth.size(); ++row) {
        if (truth[row] != decisive_) open.push_back(static_cast<int32_t>(row));
      }
      if (open.empty()) break;
      TM_ASSIGN_OR_RETURN(Part part, EvaluateOn(*arg, frame, open));
      Reader<bool> in(part.values);
      Validity valid(part.values);
      for (size_t i = 0; i < open.size(); ++i) {
        uint8_t& now = truth[static_cast<size_t>(open[i])];
        int64_t at = part.whole ? open[i] : static_cast<int64_t>(i);
        if (!valid[at]) {
          now = kUnknown;
        } else if (static_cast<uint8_t>(in[at]) == decisive_) {
          now = decisive_;
        }
      }
    }
    return FromTruth(truth);
  }
  std::vector<BoundPtr> children() const override { return args_; }

 private:
  uint8_t decisive_;
  std::vector<BoundPtr> args_;
};

class CaseExpr final : public BoundExpr {
 public:
  CaseExpr(Type type, bool nullable, std::vector<BoundPtr> args)
      : BoundExpr(type, nullable, AnyOf(args, &BoundExpr::fallible)), args_(std::move(args)) {}

  absl::StatusOr<Values> Evaluate(Frame& frame) const override {
    Assembly result(frame.rows());
    Rows open = AllRows(frame), taken, rest;
    for (size_t branch = 0; branch + 1 < args_.size() && !open.empty(); branch += 2) {
      TM_ASSIGN_OR_RETURN(Part condition, EvaluateOn(*args_[branch], frame, open));
      Reader<bool> in(condition.values);
      Validity valid(condition.values);
      taken.clear();
      rest.clear();
      for (size_t i = 0; i < open.size(); ++i) {
        int64_t at = condition.whole ? open[i] : static_cast<int64_t>(i);
        (valid[at] && in[at] ? taken : rest).push_back(open[i]);
      }
      TM_RETURN_IF_ERROR(Take(*args_[branch + 1], frame, taken, &result));
      open.swap(rest);
    }
    TM_RETURN_IF_ERROR(Take(*args_.back(), frame, open, &result));
    return result.Finish(type());
  }
  std::vector<BoundPtr> children() const override { return args_; }

 private:
  static absl::Status Take(const BoundExpr& expr, Frame& frame, const Rows& rows, Assembly* result) {
    if (rows.empty()) return absl::OkStatus();
    TM_ASSIGN_OR_RETURN(Part part, EvaluateOn(expr, frame, rows));
    result->Add(std::move(part), rows, {});
    return absl::OkStatus();
  }

  std::vector<BoundPtr> args_;  // condition, result, ..., otherwise
};

class CoalesceExpr final : public BoundExpr {
 public:
  CoalesceExpr(Type type, bool nullable, std::vector<BoundPtr> args)
      : BoundExpr(type, nullable, AnyOf(args, &BoundExpr::fallible)), args_(std::move(args)) {}

  absl::StatusOr<Values> Evaluate(Frame& frame) const override {
    Assembly result(frame.rows());
    Rows open = AllRows(frame), found, places, rest;
    for (const BoundPtr& arg : args_) {
      if (open.empty()) break;
      TM_ASSIGN_OR_RETURN(Part part, EvaluateOn(*arg, frame, open));
      Validity valid(part.values);
      found.clear();
      places.clear();
      rest.clear();
      for (size_t i = 0; i < open.size(); ++i) {
        auto at = part.whole ? open[i] : static_cast<int32_t>(i);
        if (!valid[at]) {
          rest.push_back(open[i]);
        } else {
          found.push_back(open[i]);
          places.push_back(at);
        }
      }
      result.Add(std::move(part), found, places);
      open.swap(rest);
    }
    return result.Finish(type());
  }
  std::vector<BoundPtr> children() const override { return args_; }

 private:
  std::vector<BoundPtr> args_;
};

// A list longer than this is looked up in a hash table where its type has one.
constexpr size_t kLongList = 8;

class InExpr final : public BoundExpr {
 public:
  InExpr(BoundPtr subject, std::vector<BoundPtr> items)
      : BoundExpr(Type{Kind::kBool}, subject->nullable() || AnyOf(items, &BoundExpr::nullable),
                  subject->fallible() || AnyOf(items, &BoundExpr::fallible)),
        subject_(std::move(subject)) {
    for (BoundPtr& item : items) {
      if (items.size() <= kLongList || item->literal() == nullptr || !Learn(*item)) others_.push_back(std::move(item));
    }
  }

  absl::StatusOr<Values> Evaluate(Frame& frame) const override {
    TM_ASSIGN_OR_RETURN(Values subject, subject_->Evaluate(frame));
    std::vector<Values> items;
    for (const BoundPtr& other : others_) {
      TM_ASSIGN_OR_RETURN(Values item, other->Evaluate(frame));
      items.push_back(std::move(item));
    }
    return Visit(subject_->type().kind, [&](auto tag) { return Search<decltype(tag)>(frame.rows(), subject, items); });
  }
  std::vector<BoundPtr> children() const override {
    std::vector<BoundPtr> all = others_;
    all.push_back(subject_);
    return all;
  }

 private:
  bool Learn(const BoundExpr& item) {
    Values value{item.literal(), true};
    if (value.array->null_count() > 0) return false;
    return Visit(item.type().kind, [&](auto tag) {
      using T = decltype(tag);
      if constexpr (std::is_same_v<T, std::string_view>) {
        texts_.emplace(Reader<T>(value)[0]);
        return true;
      } else if constexpr (std::is_same_v<T, int32_t> || std::is_same_v<T, int64_t>) {
        numbers_.insert(Reader<T>(value)[0]);
        return true;
      } else {
        return false;
      }
    });
  }

  template <typename T>
  bool Known(T value) const {
    if constexpr (std::is_same_v<T, std::string_view>) {
      return !texts_.empty() && texts_.contains(absl::string_view(value.data(), value.size()));
    } else if constexpr (std::is_same_v<T, int32_t> || std::is_same_v<T, int64_t>) {
      return !numbers_.empty() && numbers_.contains(value);
    } else {
      return false;
    }
  }

  template <typename T>
  absl::StatusOr<Values> Search(int64_t rows, const Values& subject, const std::vector<Values>& items) const {
    Reader<T> in(subject);
    Validity valid(subject);
    std::vector<uint8_t> truth(static_cast<size_t>(rows), kUnknown);
    std::vector<Reader<T>> values(items.begin(), items.end());
    std::vector<Validity> present(items.begin(), items.end());
    for (int64_t row = 0; row < rows; ++row) {
      if (!valid[row]) continue;
      T value = in[row];
      uint8_t found = Known(value) ? kTrue : kFalse;
      for (size_t i = 0; i < values.size() && found != kTrue; ++i) {
        if (!present[i][row]) {
          found = kUnknown;
        } else if (Compare<T>(value, values[i][row]) == 0) {
          found = kTrue;
        }
      }
      truth[static_cast<size_t>(row)] = found;
    }
    return FromTruth(truth);
  }

  BoundPtr subject_;
  std::vector<BoundPtr> others_;  // what isn't in the tables
  absl::flat_hash_set<std::string> texts_;
  absl::flat_hash_set<int64_t> numbers_;
};

}  // namespace

BoundPtr MakeAnd(std::vector<BoundPtr> args) { return std::make_shared<Junction>(true, std::move(args)); }
BoundPtr MakeOr(std::vector<BoundPtr> args) { return std::make_shared<Junction>(false, std::move(args)); }

BoundPtr MakeCase(Type type, std::vector<BoundPtr> args) {
  bool nullable = args.back()->nullable();
  for (size_t i = 1; i < args.size(); i += 2) nullable = nullable || args[i]->nullable();
  return std::make_shared<CaseExpr>(type, nullable, std::move(args));
}

BoundPtr MakeCoalesce(Type type, std::vector<BoundPtr> args) {
  bool nullable = true;
  for (const BoundPtr& arg : args) nullable = nullable && arg->nullable();
  return std::make_shared<CoalesceExpr>(type, nullable, std::move(args));
}

BoundPtr MakeIn(BoundPtr subject, std::vector<BoundPtr> items) {
  return std::make_shared<InExpr>(std::move(subject), std::move(items));
}

}  // namespace tidemark::internal
