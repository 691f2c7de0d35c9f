#include "tests/unit/operators_sinks/postgres_server.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include "src/postgres/connection.h"

namespace tidemark {
namespace {

std::string BinFolder() {
  if (const char* given = std::getenv("TIDEMARK_POSTGRES_BIN")) return given;
  const std::filesystem::path versions = "/usr/lib/postgresql";
  if (!std::filesystem::exists(versions)) return "";
  for (const auto& version : std::filesystem::directory_iterator(versions)) {
    if (std::filesystem::exists(version.path() / "bin" / "initdb")) return (version.path() / "bin").string();
  }
  return "";
}

}  // namespace

std::unique_ptr<PostgresServer> PostgresServer::StartIfInstalled() {
  if (BinFolder().empty()) return nullptr;
  char folder[] = "/tmp/tidemark-postgres-XXXXXX";
  if (mkdtemp(folder) == nullptr) return nullptr;
  std::unique_ptr<PostgresServer> server(new PostgresServer(folder));
  if (geteuid() == 0 && std::system(absl::StrCat("chown postgres ", folder).c_str()) != 0) return nullptr;
  if (!server->Run("initdb --no-sync -A trust -E UTF8 --locale=C -U postgres -D $F/data")) return nullptr;
  std::ofstream(absl::StrCat(folder, "/data/pg_hba.conf")) << "local secret all scram-sha-256\nlocal all all trust\n";
  server->Start();
  return server;
}

PostgresServer::PostgresServer(std::string folder) : folder_(std::move(folder)) {}

PostgresServer::~PostgresServer() {
  Stop();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

bool PostgresServer::Run(const std::string& command) const {
  const std::string whole =
      absl::StrCat(geteuid() == 0 ? "runuser -u postgres -- " : "", BinFolder(), "/",
                   absl::StrReplaceAll(command, {{"$F", folder_}}), " >>", folder_, "/commands.log 2>&1");
  const bool done = std::system(whole.c_str()) == 0;
  if (!done) std::cerr << std::ifstream(folder_ + "/commands.log").rdbuf();
  return done;
}

void PostgresServer::Start() { Run("pg_ctl -w -D $F/data -l $F/server.log -o \"-k $F -h '' -F\" start"); }

void PostgresServer::Stop() { Run("pg_ctl -w -D $F/data -m immediate stop"); }

std::string PostgresServer::Url(const std::string& user, const std::string& database,
                                const std::string& password) const {
  return absl::StrCat("postgresql://", user, password.empty() ? "" : ":", password, "@",
                      absl::StrReplaceAll(folder_, {{"/", "%2F"}}), "/", database);
}

std::vector<std::string> PostgresServer::Query(const std::string& sql) const {
  PgConnection connection(Url(), "test", "test", nullptr);
  absl::Status connected = connection.Connect();
  auto result = connection.Run(sql);
  if (!connected.ok() || !result.ok()) return {absl::StrCat(connected.ToString(), " ", result.status().ToString())};
  std::vector<std::string> rows;
  for (int row = 0; row < PQntuples(result->get()); ++row) {
    std::string line;
    for (int column = 0; column < PQnfields(result->get()); ++column) {
      const bool null = PQgetisnull(result->get(), row, column) == 1;
      absl::StrAppend(&line, column > 0 ? "|" : "", null ? "~" : PQgetvalue(result->get(), row, column));
    }
    rows.push_back(std::move(line));
  }
  return rows;
}

}  // namespace tidemark
