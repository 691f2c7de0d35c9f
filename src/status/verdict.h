// One sentence about an application: is it up to date, by how much is it behind, for how long yet, and what limits it.
//
//   Up to date. The busiest is step unique_detections: 31% of its threads' time.
//   Behind by 12 s and catching up (40 s to go). The limit is sink top_items_table: PostgreSQL COMMIT takes 78% of its
//   time.
//
// How it is found. Between stages, and in front of each sink, rows wait in Kafka, so whoever is too slow has a backlog
// of its own and makes none elsewhere, except by keeping a thread from other stages. So: the limit is with the reader
// that is furthest behind, in seconds of what arrives there; a sink names what its thread does most, and for a stage it
// is whatever the threads of its tasks do most, be it a step of another stage.
//
// A pure function of what `Fold` (fold.h) makes.
#pragma once

#include "proto/live.pb.h"

namespace tidemark {

live::Verdict Judge(const live::Application& application);

}  // namespace tidemark
