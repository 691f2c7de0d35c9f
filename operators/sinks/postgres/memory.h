// A database in memory behind the session of a PostgreSQL sink, with the faults of a network, for the simulator and for
// tests of the protocol. It keeps what the protocol relies on: transactions, the fence row's lock, atomic commits whose
// answer may be lost. Used by one thread at a time; outlives its sessions.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "operators/sinks/postgres/session.h"
#include "src/base/schema.h"

namespace tidemark {

class MemoryPostgres {
 public:
  // `key` empty: a table without one. Upsert needs a key; in insert mode a row whose key is there is refused.
  MemoryPostgres(Schema schema, std::vector<size_t> key, bool upsert)
      : schema_(std::move(schema)), key_(std::move(key)), upsert_(upsert) {}

  std::unique_ptr<PostgresSession> NewSession();

  // The session that makes the `calls`-th call from now (0: the next) loses its connection, and its transaction with
  // it; if that call is a commit, `commit_happens` says whether it was carried out before. Nothing: no more faults.
  void LoseConnection(std::optional<int64_t> calls, bool commit_happens = false);
  // Rows whose JSON this says true of are refused.
  void Refuse(std::function<bool(const std::string& row_json)> refuses) { refuses_ = std::move(refuses); }

  // The committed rows as JSON, sorted.
  std::vector<std::string> Rows() const;
  PostgresFence Fence(int32_t partition) const;

 private:
  friend class MemoryPostgresSession;

  struct Tables {
    std::multimap<std::string, std::string> rows;  // encoded key -> JSON
    std::map<int32_t, PostgresFence> fences;
  };

  const Schema schema_;
  const std::vector<size_t> key_;
  const bool upsert_;
  Tables committed_;
  std::map<int32_t, const void*> locks_;  // fence rows, by the session that has moved them
  std::optional<int64_t> calls_left_;
  bool commit_happens_ = false;
  std::function<bool(const std::string&)> refuses_;
};

}  // namespace tidemark
