// The S3 lake against moto, a server that speaks S3, started by the test on a free loopback port.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <absl/strings/str_cat.h>
#include <arrow/io/interfaces.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/sinks/parquet/sink.h"
#include "src/storage/object_store.h"
#include "tests/unit/operators_sinks/python.h"
#include "tests/unit/operators_sinks/rows.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int FreePort() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  (void)bind(listener, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  close(listener);
  return ntohs(address.sin_port);
}

bool Listens(int port) {
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = Loopback(port);
  const bool connected = connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  close(client);
  return connected;
}

class S3LakeTest : public ::testing::Test {
 protected:
  static void TearDownTestSuite() { FinalizeObjectStores(); }
  void SetUp() override {
    const auto server = VenvProgram("moto_server");
    if (!server) GTEST_SKIP() << "moto isn't installed";
    const int port = FreePort();
    const std::string port_text = absl::StrCat(port);
    std::vector<const char*> arguments = {server->c_str(), "-H", "127.0.0.1", "-p", port_text.c_str(), nullptr};
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    for (int file : {1, 2}) posix_spawn_file_actions_addopen(&quiet, file, "/dev/null", O_WRONLY, 0);
    ASSERT_EQ(
        posix_spawn(&server_, server->c_str(), &quiet, nullptr, const_cast<char* const*>(arguments.data()), environ),
        0);
    posix_spawn_file_actions_destroy(&quiet);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!Listens(port)) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "moto_server doesn't listen on port " << port;
      std::this_thread::yield();
    }
    setenv("AWS_ENDPOINT_URL", absl::StrCat("http://127.0.0.1:", port).c_str(), 1);
    setenv("AWS_ACCESS_KEY_ID", "test", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "test", 1);
    setenv("AWS_REGION", "us-east-1", 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    ASSERT_EQ(Python("s3.create_bucket(Bucket='lake')"), "");
  }
  void TearDown() override {
    if (server_ == 0) return;
    kill(server_, SIGKILL);
    waitpid(server_, nullptr, 0);
  }
  static std::string Python(const std::string& script) {
    return RunPython(absl::StrCat("import boto3, os\ns3 = boto3.client('s3')\n", script));
  }
  static std::string Keys() {
    return Python("print([o['Key'] for o in s3.list_objects_v2(Bucket='lake').get('Contents', []) if o['Size']])");
  }
  static void Put(ObjectStore& lake, const std::string& name, const std::string& bytes) {
    auto stream = lake.Create(name);
    ASSERT_TRUE(stream.ok()) << stream.status();
    ASSERT_TRUE((*stream)->Write(bytes.data(), static_cast<int64_t>(bytes.size())).ok());
    ASSERT_TRUE((*stream)->Close().ok());
  }

  pid_t server_ = 0;
};

// One test, because the S3 library can be started and shut down only once in a process.
TEST_F(S3LakeTest, FilesAreStagedMovedAndRecoveredAsInAFolder) {
  auto opened = OpenObjectStore("s3://lake/out");
  ASSERT_TRUE(opened.ok()) << opened.status();
  auto lake = *std::move(opened);
  const absl::Status no_bucket = OpenObjectStore("s3://nowhere/out").status();
  EXPECT_TRUE(absl::IsInvalidArgument(no_bucket)) << no_bucket;

  Put(*lake, "_staging/a", "rows");
  EXPECT_THAT(*lake->List("_staging", ""), ElementsAre("_staging/a"));
  ASSERT_TRUE(lake->Move("_staging/a", "dt=1/a").ok());
  EXPECT_TRUE(lake->Move("_staging/a", "dt=1/a").ok());
  Put(*lake, "_staging/a", "rows");  // a copy happened, the delete after it did not
  EXPECT_TRUE(lake->Move("_staging/a", "dt=1/a").ok());
  Put(*lake, "_staging/b", "else");
  EXPECT_TRUE(absl::IsFailedPrecondition(lake->Move("_staging/b", "dt=1/a")));
  ASSERT_TRUE(lake->Delete("_staging/b").ok());
  ASSERT_TRUE(lake->Delete("_staging/b").ok());
  EXPECT_THAT(*lake->List("_staging", ""), IsEmpty());
  EXPECT_EQ(Keys(), "['out/dt=1/a']");
  ASSERT_TRUE(lake->Delete("dt=1/a").ok());

  const Schema schema({Col("id", "int64"), Col("city", "string")});
  ParquetSinkOptions options{
      .sink = "s", .schema = schema, .mode = {}, .identity = "0123456789abcdef", .partition = 0, .attempt = 1};
  options.spec.partition_by = {{"city", "city"}};
  auto sink = *ParquetSink::Open(options, lake.get());
  std::vector<SinkRowFailure> failures;
  ASSERT_TRUE(sink->Add(Rows(schema, R"([[1, "a b"], [2, "c/d"]])"), 0, 2, 0, &failures).ok());
  const auto staged = ParquetSink::Cut(std::move(sink));
  ASSERT_TRUE(staged.ok()) << staged.status();
  const packed::Manifest& manifest = staged->manifest;
  EXPECT_THAT(Keys(), Not(HasSubstr(".parquet")));
  Put(*lake, manifest.files(0).staged() + "x", "of a dead attempt");
  ASSERT_TRUE((*ParquetSink::Open(options, lake.get()))->Recover(&manifest).ok());
  EXPECT_EQ(Keys(), "['out/city=a b/s-30313233-0-0-1.parquet', 'out/city=c%2Fd/s-30313233-0-0-1.parquet']");
  EXPECT_EQ(Python("import pyarrow.dataset as ds, pyarrow.fs as fs\n"
                   "f = fs.S3FileSystem(endpoint_override=os.environ['AWS_ENDPOINT_URL'])\n"
                   "print(ds.dataset('lake/out', filesystem=f, format='parquet', "
                   "partitioning='hive').to_table().sort_by('id').to_pylist())"),
            "[{'id': 1, 'city': 'a b'}, {'id': 2, 'city': 'c/d'}]");

  kill(server_, SIGKILL);
  const absl::Status away = lake->Exists("x").status();
  EXPECT_TRUE(absl::IsUnavailable(away)) << away;
}

}  // namespace
}  // namespace tidemark
