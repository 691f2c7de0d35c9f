// The spec of a node's operator: plain data that the operator's room declares (operators/<room>/spec.h), held with its
// kind, so that the planner, the tasks and `describe` carry it about without knowing which operator it is.
//
// A value; const access from any thread.
#pragma once

#include <any>
#include <concepts>
#include <utility>

namespace tidemark {

class OperatorKind;  // src/plan/operator_kind.h

// Plain data that says by a static function which kind of operator it belongs to.
template <typename T>
concept OperatorData = requires {
  { T::Kind() } -> std::same_as<const OperatorKind&>;
};

class OperatorSpec {
 public:
  OperatorSpec() = default;  // of nodes that are no operators
  template <OperatorData Data>
  OperatorSpec(Data data) : kind_(&Data::Kind()), data_(std::move(data)) {}

  // Only of operators.
  const OperatorKind& kind() const { return *kind_; }

  // The data, for the room that has put it there; throws where it is another's.
  template <OperatorData Data>
  const Data& As() const {
    return std::any_cast<const Data&>(data_);
  }
  template <OperatorData Data>
  Data& As() {
    return std::any_cast<Data&>(data_);
  }
  template <OperatorData Data>
  bool Is() const {
    return data_.type() == typeid(Data);
  }

 private:
  const OperatorKind* kind_ = nullptr;
  std::any data_;
};

}  // namespace tidemark
