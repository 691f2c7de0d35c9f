// A private PostgreSQL cluster for one test, in a scratch folder, on a Unix socket only. Run by root, the server runs
// as the user postgres.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace tidemark {

class PostgresServer {
 public:
  // Null where no server is installed.
  static std::unique_ptr<PostgresServer> StartIfInstalled();
  ~PostgresServer();

  void Start();
  void Stop();  // at once, as a crash would

  // Trusts everybody, except in the database `secret`, which wants passwords.
  std::string Url(const std::string& user = "postgres", const std::string& database = "postgres",
                  const std::string& password = "") const;
  // The rows of a statement, as text, columns joined by '|', NULL as "~".
  std::vector<std::string> Query(const std::string& sql) const;

 private:
  explicit PostgresServer(std::string folder);
  bool Run(const std::string& command) const;

  const std::string folder_;
};

}  // namespace tidemark
