#include "operators/operators.h"

#include "operators/alert/spec.h"
#include "operators/batch/spec.h"
#include "operators/changes/spec.h"
#include "operators/custom/custom_operator.h"
#include "operators/dedup/spec.h"
#include "operators/join/spec.h"
#include "operators/over/spec.h"
#include "operators/rows/spec.h"
#include "operators/top/spec.h"
#include "operators/window/spec.h"

namespace tidemark {

const OperatorList& Operators() {
  static const auto& operators = *new OperatorList{
      &FilterSyntax(),       // operators/rows
      &ProjectSyntax(),      // operators/rows
      &UnnestSyntax(),       // operators/rows
      &ExpectSyntax(),       // operators/rows
      &DedupSyntax(),        // operators/dedup
      &JoinSyntax(),         // operators/join
      &WindowSyntax(),       // operators/window
      &GroupBySyntax(),      // operators/window
      &TopSyntax(),          // operators/top
      &AlertSyntax(),        // operators/alert
      &BatchSyntax(),        // operators/batch
      &OverSyntax(),         // operators/over
      &RepartitionSyntax(),  // operators/rows
      &CustomSyntax(),       // operators/custom
      &ChangesSyntax(),      // operators/changes, behind sources of changes
  };
  return operators;
}

}  // namespace tidemark
