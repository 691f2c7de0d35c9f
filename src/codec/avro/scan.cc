#include <algorithm>

#include "src/codec/avro/scanner.h"

namespace tidemark {

bool AvroScanner::SkipArray(uint32_t at) {
  const uint32_t n = steps_[at].n;
  const uint64_t least = plan_.least[at];
  while (true) {
    int64_t count = 0;
    std::optional<int64_t> bytes;
    at_ = at;
    if (!Block(&count, &bytes)) return false;
    if (count == 0) return true;
    if (bytes) {
      p_ += *bytes;
      continue;
    }
    // Elements without bytes may be as many as they like.
    if (least == 0) continue;
    if (static_cast<uint64_t>(count) > static_cast<uint64_t>(end_ - p_) / least) return Truncated();
    for (; count > 0; --count) {
      if (!Run(at + 1, at + 1 + n)) return false;
    }
  }
}

// What a writer says of a block's length isn't needed where its values are.
bool AvroScanner::Map(uint32_t at) {
  const AvroScanPlan::Map& map = plan_.maps[steps_[at].arg];
  while (true) {
    int64_t count = 0;
    std::optional<int64_t> bytes;
    at_ = at;
    if (!Block(&count, &bytes)) return false;
    if (count == 0) return true;
    for (; count > 0; --count) {
      at_ = at;
      std::string_view key;
      if (!Text(&key)) return false;
      const auto wanted =
          std::find_if(map.keys.begin(), map.keys.end(), [&](const auto& other) { return other.key == key; });
      const bool good = wanted == map.keys.end() ? Run(map.skip_begin, map.skip_end) : Run(wanted->begin, wanted->end);
      if (!good) return false;
    }
  }
}

bool AvroScanner::Run(uint32_t at, uint32_t stop) {
  int64_t number = 0;
  double real = 0;
  bool truth = false;
  std::string_view text;
  for (; at < stop; ++at) {
    const AvroStep& step = steps_[at];
    at_ = at;
    bool good = true;
    switch (step.op) {
      case AvroOp::kSkipBool:
        good = Bool(&truth);
        break;
      case AvroOp::kSkipInt:
        good = Int(&number);
        break;
      case AvroOp::kSkipLong:
        good = Long(&number);
        break;
      case AvroOp::kSkipFixed:
        good = Bytes(step.n, &text);
        break;
      case AvroOp::kSkipText:
        good = Text(&text);
        break;
      case AvroOp::kSkipEnum:
        good = Index(step.n, "a symbol that its enum doesn't have", &number);
        break;
      case AvroOp::kSkipArray:
        good = SkipArray(at);
        at += step.n;
        break;
      case AvroOp::kBool:
        good = Bool(&truth) && Took(columns_->SetBool(step.column, truth));
        break;
      case AvroOp::kInt:
        good = Int(&number) && Set(step, number);
        break;
      case AvroOp::kLong:
        good = Long(&number) && Set(step, number);
        break;
      case AvroOp::kIntToDouble:
        good = Int(&number) && Took(columns_->SetDouble(step.column, static_cast<double>(number)));
        break;
      case AvroOp::kLongToDouble:
        good = Long(&number) && Took(columns_->SetDouble(step.column, static_cast<double>(number)));
        break;
      case AvroOp::kFloat:
        good = Real<float>(&real) && Took(columns_->SetDouble(step.column, real));
        break;
      case AvroOp::kDouble:
        good = Real<double>(&real) && Took(columns_->SetDouble(step.column, real));
        break;
      case AvroOp::kIntegerToDecimal:
        good = Long(&number) && Took(columns_->SetDecimal(step.column, number, 0));
        break;
      case AvroOp::kScaled:
      case AvroOp::kMillis:
      case AvroOp::kMicros:
      case AvroOp::kNanos:
        good = Long(&number) && SetTime(step, number);
        break;
      case AvroOp::kString:
        good = Text(&text) && SetText(step, text);
        break;
      case AvroOp::kBytes:
        good = Text(&text) && Took(columns_->SetRaw(step.column, text));
        break;
      case AvroOp::kText:
        good = Text(&text) && Took(columns_->Set(step.column, {ScalarText::Kind::kString, text, std::nullopt}));
        break;
      case AvroOp::kJson:
        good = Text(&text) && SetJson(step, text);
        break;
      case AvroOp::kTree: {
        std::string json;
        good = TreeAsJson(*plan_.nodes[step.arg], &json) && Took(columns_->SetRaw(step.column, json));
        break;
      }
      case AvroOp::kEnum:
        good = Index(step.arg, "a symbol that its enum doesn't have", &number) &&
               Took(columns_->SetRaw(step.column, plan_.texts[step.n + static_cast<size_t>(number)]));
        break;
      case AvroOp::kFixed:
        good = Bytes(step.n, &text) && Took(columns_->SetRaw(step.column, text));
        break;
      case AvroOp::kUuid:
        good = Bytes(16, &text) && SetUuid(step, text);
        break;
      case AvroOp::kDecimal:
        good = Text(&text) && SetDecimal(step, text, step.arg);
        break;
      case AvroOp::kFixedDecimal:
        good = Bytes(step.n, &text) && SetDecimal(step, text, step.arg);
        break;
      case AvroOp::kVariableDecimal:
        good = Int(&number) && Text(&text) && SetDecimal(step, text, number);
        break;
      case AvroOp::kMap:
        good = Map(at);
        at += step.n;
        break;
      case AvroOp::kNullable:
        good = Index(2, "a branch that its union doesn't have", &number);
        if (number == step.arg) at += step.n;
        break;
      case AvroOp::kUnion:
        good = Index(step.n, "a branch that its union doesn't have", &number);
        if (good) at = plan_.jumps[step.arg + static_cast<size_t>(number)] - 1;
        break;
      case AvroOp::kJump:
        at += step.n;
        break;
      case AvroOp::kMark:
        mark_ = p_;
        break;
      case AvroOp::kBack:
        p_ = mark_;
        break;
      case AvroOp::kTakeNumber:
        good = Long(&number);
        taken_->slots[step.column] = {true, number, {}};
        break;
      case AvroOp::kTakeText:
        good = Text(&text);
        taken_->slots[step.column] = {true, 0, text};
        break;
      case AvroOp::kUnavailable:
      case AvroOp::kUnavailableArray:
        truth = Unavailable(step);
        if (truth) at += step.n;
        break;
      case AvroOp::kFloatToDecimal:
      case AvroOp::kDoubleToDecimal:
      case AvroOp::kNumberText:
      case AvroOp::kTimeOfDay:
      case AvroOp::kIsoDate:
      case AvroOp::kIsoTimestamp:
      case AvroOp::kArrayJson:
        good = ReadOfTable(step);
        break;
      case AvroOp::kUnfit:
        good = Took(columns_->Reject(step.column, plan_.texts[step.arg]));
        break;
      case AvroOp::kRefuse:
        reason_ = plan_.texts[step.arg];
        return false;
    }
    if (!good) [[unlikely]]
      return false;
  }
  return true;
}

std::optional<std::string> ScanAvro(const AvroScanPlan& plan, std::string_view value, size_t begin, ColumnSet* columns,
                                    AvroTaken* taken) {
  AvroScanner scanner(plan, value, begin, columns, taken);
  if (scanner.ReadAll()) [[likely]]
    return std::nullopt;
  return scanner.reason();
}

}  // namespace tidemark
