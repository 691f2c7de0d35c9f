// Comparison, IS tests, NOT, greatest and least.
#include "src/expr/compare.h"
#include "src/expr/decimal.h"
#include "src/expr/kernel.h"
#include "src/expr/kernels.h"

namespace tidemark::internal {
namespace {

struct Equal {
  bool operator()(int order) const { return order == 0; }
};
struct NotEqual {
  bool operator()(int order) const { return order != 0; }
};
struct Less {
  bool operator()(int order) const { return order < 0; }
};
struct LessOrEqual {
  bool operator()(int order) const { return order <= 0; }
};
struct Greater {
  bool operator()(int order) const { return order > 0; }
};
struct GreaterOrEqual {
  bool operator()(int order) const { return order >= 0; }
};

template <typename T, typename Test>
absl::StatusOr<Values> CompareAs(KernelCall& call) {
  if constexpr (std::is_same_v<T, Int128>) {
    int left = call.types[0].scale, right = call.types[1].scale;
    return Map<bool, T, T>(call, [=](Row&, T a, T b) { return Test()(CompareDecimal(a, left, b, right)); });
  } else {
    return Map<bool, T, T>(call, [](Row&, T a, T b) { return Test()(Compare<T>(a, b)); });
  }
}

template <typename T, bool kDistinct>
absl::StatusOr<Values> DistinctAs(KernelCall& call) {
  bool constant = AllConstant(call.args);
  int64_t rows = constant ? 1 : call.frame.rows();
  Reader<T> left(call.args[0]), right(call.args[1]);
  Validity left_valid(call.args[0]), right_valid(call.args[1]);
  int left_scale = call.types[0].scale, right_scale = call.types[1].scale;
  Writer<bool> out;
  TM_RETURN_IF_ERROR(out.Open(call.type, rows));
  for (int64_t row = 0; row < rows; ++row) {
    bool has_left = left_valid[row], has_right = right_valid[row];
    bool same = has_left == has_right;
    if (has_left && has_right) {
      if constexpr (std::is_same_v<T, Int128>) {
        same = CompareDecimal(left[row], left_scale, right[row], right_scale) == 0;
      } else {
        same = Compare<T>(left[row], right[row]) == 0;
      }
    }
    out.Set(row, same != kDistinct);
  }
  return out.Finish(constant);
}

template <typename T>
Kernel ComparisonOf(std::string_view op) {
  if (op == "=") return CompareAs<T, Equal>;
  if (op == "<>") return CompareAs<T, NotEqual>;
  if (op == "<") return CompareAs<T, Less>;
  if (op == "<=") return CompareAs<T, LessOrEqual>;
  if (op == ">") return CompareAs<T, Greater>;
  if (op == ">=") return CompareAs<T, GreaterOrEqual>;
  if (op == "is distinct from") return DistinctAs<T, true>;
  if (op == "is not distinct from") return DistinctAs<T, false>;
  return nullptr;
}

template <typename T>
absl::StatusOr<Values> ExtremeAs(KernelCall& call, int sign) {
  bool constant = AllConstant(call.args);
  int64_t rows = constant ? 1 : call.frame.rows();
  std::vector<Reader<T>> in(call.args.begin(), call.args.end());
  std::vector<Validity> valid(call.args.begin(), call.args.end());
  Writer<T> out;
  TM_RETURN_IF_ERROR(out.Open(call.type, rows));
  for (int64_t row = 0; row < rows; ++row) {
    bool found = false;
    T best{};
    for (size_t i = 0; i < in.size(); ++i) {
      if (!valid[i][row]) continue;
      T value = in[i][row];
      if (!found || Compare<T>(value, best) * sign > 0) best = value;
      found = true;
    }
    if (found) {
      out.Set(row, best);
    } else {
      out.SetNull(row);
    }
  }
  return out.Finish(constant);
}

template <int kSign>
absl::StatusOr<Values> Extreme(KernelCall& call) {
  return Visit(call.type.kind, [&](auto tag) { return ExtremeAs<decltype(tag)>(call, kSign); });
}

absl::StatusOr<Values> Not(KernelCall& call) {
  return Map<bool, bool>(call, [](Row&, bool a) { return !a; });
}

// A test that knows no NULL: what it says of NULL, of true and of false.
template <bool kOfNull, bool kOfTrue, bool kOfFalse>
absl::StatusOr<Values> Test(KernelCall& call) {
  const Values& arg = call.args[0];
  int64_t rows = arg.constant ? 1 : call.frame.rows();
  Validity valid(arg);
  Writer<bool> out;
  TM_RETURN_IF_ERROR(out.Open(call.type, rows));
  if constexpr (kOfTrue == kOfFalse) {  // of any type
    for (int64_t row = 0; row < rows; ++row) out.Set(row, valid[row] ? kOfTrue : kOfNull);
  } else {
    Reader<bool> in(arg);
    for (int64_t row = 0; row < rows; ++row) {
      out.Set(row, !valid[row] ? kOfNull : in[row] ? kOfTrue : kOfFalse);
    }
  }
  return out.Finish(arg.constant);
}

}  // namespace

Kernel CompareKernel(std::string_view op, Kind kind) {
  return Visit(kind, [&](auto tag) { return ComparisonOf<decltype(tag)>(op); });
}

Kernel ExtremeKernel(bool greatest) { return greatest ? Extreme<1> : Extreme<-1>; }

Kernel TruthKernel(std::string_view op) {
  if (op == "not") return Not;
  if (op == "is null" || op == "is unknown") return Test<true, false, false>;
  if (op == "is not null" || op == "is not unknown") return Test<false, true, true>;
  if (op == "is true") return Test<false, true, false>;
  if (op == "is not true") return Test<true, false, true>;
  if (op == "is false") return Test<false, false, true>;
  if (op == "is not false") return Test<true, true, false>;
  return nullptr;
}

}  // namespace tidemark::internal
