// An example of an operator, and no replacement of `window: { session: ... }`: rows of one key that follow each other
// within `gap` belong together, and each session is one row when it is over.
//
//   custom: { operator: sessions, by: [visitor], with: { gap: 30m } }
//
// `by` is one int64 column. Output: that column, session_start and session_end (its first and its last row's event
// time) and rows. Event time of the result: session_end + gap. A row behind its own partition's watermark is late and
// dropped.
#pragma once

#include <absl/status/status.h>

// Makes the operator known under the name "sessions".
absl::Status RegisterSessions();
