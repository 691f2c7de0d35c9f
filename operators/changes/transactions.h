// Changes of a table whose transactions are kept together (`atomic: transactions`): in front of the step that makes
// changes of rows (changes.h) rows wait until the mark comes that ends their transaction (Change::ends_transaction),
// and then all of them go through it at once, within ONE commit of the task. So it is with the rows of a batch
// (operators/batch/batch.h), and whoever shows the rows of one commit together shows each transaction whole. A commit
// may hold several.
//
// The topic of such a source has one partition, and so this is the only task (src/plan/intakes.h): its rows stand in
// the order of their commits, and a transaction's lie side by side, however many transactions of ours have brought them
// in. So rows belong to the transaction under way until its mark; only what lies behind the last mark of a batch waits,
// in state (open_transaction.h), and in most batches that is nothing. Rows of a snapshot are of no transaction and go
// through as they come; where one stands behind rows that wait, the log begins anew with it, and their mark is never to
// come.
//
// A transaction of more than kMaxBatchRows or kMaxBatchBytes, which one commit can't carry, goes through in parts of
// that size: to wait for it would be to stop for good. The log says so, and it counts under the rule
// `transaction-size`.
//
// Time waits while rows do, at what it was when the first of them came: none of what came before is held up by them,
// and they meet what they would have met if they had gone through at once.
#pragma once

#include <memory>

#include "operators/changes/spec.h"
#include "operators/operator.h"

namespace tidemark {

std::unique_ptr<Operator> MakeTransactions(const Node& node, const TransactionsSpec& spec);

}  // namespace tidemark
