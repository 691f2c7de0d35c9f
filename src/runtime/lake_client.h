// A Kafka in which the logs of some source topics begin earlier than they do: where retention has taken the beginning,
// records come from a raw lake (src/landing/lake_log.h, `--lakes`), with their own offsets, and from the
// topic where its log begins. No task, thread or commit knows of it: positions are those of the topic, and a task that
// is opened again at any of them goes on there, be that in the lake or in the log.
//
// What makes that exact, for each partition:
//
//   - The log counts wherever it has an offset; only what lies before its start, as it is when a consumer is assigned
//     its positions, is read from the lake. Retention that takes more meanwhile makes the position one outside of the
//     log, so tasks are opened anew, and read on from the lake.
//   - The lake must reach up to the log's start: one that ends before stops the reader, whatever `--holes` says.
//   - Offsets that the lake lacks in between stop the reader too, with the first of them, unless `--holes pass` was
//     said: transactions' markers, records that became dead letters, and rows that a rule of the source left out, have
//     offsets and no rows.
//   - Where lake and log overlap they must agree: the first record that both have is compared. A lake of a topic that
//     was deleted and made again under its name doesn't get through.
//
// Only who computes the past anew reads so: runs over a part of the past, and generations that are being built. The
// rule of DESIGN.md section 2 that is kept: no position that a library keeps is trusted; the client is told where to go
// on, once, where the lake ends.
//
// The client is thread-safe, a consumer is used by one thread.
#pragma once

#include <memory>

#include "src/kafka/client.h"
#include "src/plan/lake_spec.h"

namespace tidemark {

// Lakes by topic; the same cluster where there are none. They are looked at when they are asked for first, and anew
// where one turns out to end too early.
std::unique_ptr<KafkaClient> WithLakes(std::unique_ptr<KafkaClient> kafka, const LakeSpecs& lakes);

}  // namespace tidemark
