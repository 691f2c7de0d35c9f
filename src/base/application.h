// Who an application is to everything outside its process: the topology's name and a generation. All names under which
// it keeps something anywhere (consumer groups, internal topics, transactional ids, rows of fences, state folders) are
// made here and nowhere else. Plain values; any thread.
//
// No two of (application, generation, step or sink, kind) give the same name, which is why two applications on one
// Kafka cluster can't touch each other's state:
//
//   - The names of topologies, sources, steps and sinks are letters, digits, '_' and '-' (IsName), so '.' and '/' only
//     ever separate; and none begins with "__", so that a generation is no step.
//   - A key (`town`; of a later generation `town.__2`) has a '.' only in front of its generation. What is an
//     application's begins with its key and a separator.
//   - Topics are KEY.STEP.KIND, or KEY.STEP.INPUT.KIND in front of a step with several inputs. Sources, steps, sinks
//     and views of a topology share their names (two of one name are refused), and a sink has either a step's changelog
//     or manifests, never both.
//     What is the application's as a whole is KEY.__KIND: no step's, as none begins so.
//   - Groups are KEY and KEY.SINK. Group members are told apart by the worker's name, which is their own affair: groups
//     are separate.
//   - Transactional ids are KEY/WORKER-THREAD-TURN and KEY.SINK/WORKER. A worker may have any name: it stands behind
//     the first '/', which no key and no sink has, and the numbers behind it are the last two.
//
// Of generations 0 and 1 the key is the name alone.
//
// What isn't made here belongs to the user: topics of sources and sinks, and the dead letters' (`town-dead-letter`
// where nothing else is stated), which all generations write and none reads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidemark {

struct ApplicationId {
  std::string name;
  int32_t generation = 1;

  // In one word: the group of the stream threads, the tag of state folders and the key of fences in databases.
  std::string Key() const;
  // All internal topics, and no topic of another application or generation but those of this one's later generations,
  // begin with it.
  std::string TopicPrefix() const;

  std::string Group() const { return Key(); }
  std::string SinkGroup(std::string_view sink) const;

  // `input`: its name, of a step that has several.
  std::string RepartitionTopic(std::string_view step, std::string_view input = "") const;
  std::string FeedTopic(std::string_view sink) const;
  std::string ChangelogTopic(std::string_view stage) const;
  std::string ManifestTopic(std::string_view sink) const;
  std::string ViewTopic(std::string_view view) const;
  // The stage (or Parquet sink) that a topic is the changelog of; none: it is no changelog of this application and
  // generation.
  std::optional<std::string> StageOfChangelog(std::string_view topic) const;

  // A stream thread's, and its producers' (`turn` is 0 or 1).
  std::string StreamThreadId(std::string_view worker, int thread) const;
  static std::string ProducerId(std::string_view thread_id, int turn);
  std::string SinkTransactionalId(std::string_view sink, std::string_view worker) const;

  // The log of alarms, the group whose one member watches, and the id of whoever writes it.
  std::string AlarmsTopic() const;
  std::string AlarmsGroup() const;
  std::string AlarmsTransactionalId() const;

  // Notes of the dead letters that were replayed, and the id of all replays.
  std::string ReplayedTopic() const;
  std::string ReplayTransactionalId() const;

  friend bool operator==(const ApplicationId&, const ApplicationId&) = default;
};

// What a topology, source, step or sink may be called: 1 to 100 letters, digits, '_' and '-', not beginning with "__".
bool IsName(std::string_view name);

}  // namespace tidemark
