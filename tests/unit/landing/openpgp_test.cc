// Files that GnuPG has encrypted, and what became of them on the way.
#include <cstdlib>
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/landing/openpgp.h"
#include "src/landing/openpgp_framing.h"
#include "tests/unit/landing/read_files.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Keys of one who reads (without and with a passphrase), one who sends, and a stranger.
class OpenPgpTest : public testing::Test {
 protected:
  void SetUp() override {
    shop_.Run("mkdir -m 700 g");
    for (const char* name : {"reader", "sender", "stranger"}) {
      Gpg(absl::StrCat("--passphrase '' --quick-gen-key ", name, "@x future-default default never"));
    }
    Gpg("--pinentry-mode loopback --passphrase open --quick-gen-key locked@x default default never");
    Gpg("-o reader.asc --armor --export-secret-keys reader@x");
    Gpg("--pinentry-mode loopback -o locked.key --passphrase open --export-secret-keys locked@x");
    Gpg("-o sender.pub --export sender@x");
    std::string text = "id,name\n";
    for (int i = 0; i < 50'000; ++i) absl::StrAppend(&text, i, ",", i * 7919 % 65'537, "\n");
    shop_.Write("large.csv", text);
    shop_.Write("a.csv", "id,name\n1,x\n");
    shop_.Write("open", "open\nanything\n");
    shop_.Write("shut", "other\n");
    shop_.Run("gzip -k a.csv");
    plan_.files->decrypt.secret_keys = shop_.Path("reader.asc");
  }
  void TearDown() override { shop_.Run("gpgconf --homedir g --kill all"); }

  void Gpg(const std::string& what) const {
    shop_.Run("gpg --homedir g --batch --yes --quiet --trust-model always " + what);
  }
  std::string Encrypted(const std::string& how, const std::string& file) const {
    Gpg(absl::StrCat(how, " -o out.gpg ", file));
    return shop_.Bytes("out.gpg");
  }
  std::string Error(const std::string& bytes) const { return ReadAll(plan_, "x.csv.gpg", bytes).error; }
  // Of a file that has nothing to do with what is wrong.
  std::string WaitsFor(const std::string& bytes) const {
    auto file = std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(bytes));
    auto records = FileRecords::Open(plan_, "x.csv.gpg", file);
    std::vector<FileRecord> all;
    const absl::Status status = records.ok() ? (*records)->Read(1, &all).status() : records.status();
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_TRUE(all.empty());
    return std::string(status.message());
  }

  const Workshop shop_;
  SourcePlan plan_ = Plan();
};

TEST_F(OpenPgpTest, WhatIsEncryptedForOurKeyIsReadAsIfItWerent) {
  const Found plain = ReadAll(plan_, "x.csv", shop_.Bytes("large.csv"));
  ASSERT_EQ(plain.values.size(), 50'000u);
  for (const char* how : {"-r reader@x -e", "-a -r reader@x -e", "-z 0 -r stranger@x -r reader@x -e",
                          "-u sender@x -r reader@x -se", "-a -u stranger@x -r reader@x -se"}) {
    const Found found = ReadAll(plan_, "x.csv.gpg", Encrypted(how, "large.csv"));
    EXPECT_EQ(found.error, "") << how;
    EXPECT_EQ(found.values, plain.values) << how;
    EXPECT_NE(found.hash, plain.hash) << "it is of what lies on disk";
  }
  EXPECT_EQ(ReadAll(plan_, "x.csv.gz.gpg", Encrypted("-r reader@x -e", "a.csv.gz")).values.size(), 1u);
  EXPECT_THAT(InspectDecrypt(plan_.files->decrypt).value(), HasSubstr("1 secret key opens files"));
}

TEST_F(OpenPgpTest, WhatIsDamagedOrForOthersOrOpenToChangeIsRejected) {
  const std::string whole = Encrypted("-r reader@x -e", "large.csv");
  for (const size_t size : {size_t{20}, whole.size() / 2, whole.size() - 1}) {
    EXPECT_NE(Error(whole.substr(0, size)), "") << size;
  }
  for (const size_t at : {whole.size() / 2, whole.size() - 1}) {
    std::string altered = whole;
    altered[at] ^= 1;
    EXPECT_THAT(Error(altered), HasSubstr("damaged, altered or cut off OpenPGP")) << at;
  }
  EXPECT_THAT(Error(whole + whole), HasSubstr("something stands behind the end of the OpenPGP message"));
  EXPECT_THAT(Error(whole + "\n"), HasSubstr("something stands behind"));
  const std::string armored = Encrypted("-a -r reader@x -e", "a.csv");
  EXPECT_THAT(Error(armored + armored), HasSubstr("something stands behind"));
  EXPECT_EQ(Error(armored + "\n \r\n"), "");
  EXPECT_THAT(Error(Encrypted("-r stranger@x -e", "a.csv")), HasSubstr("encrypted for another key"));
  EXPECT_THAT(Error(Encrypted("--rfc2440 -r reader@x -e", "a.csv")),
              HasSubstr("without a protection of its integrity"));
  EXPECT_THAT(Error(Encrypted("--pinentry-mode loopback --passphrase open -c", "a.csv")),
              HasSubstr("encrypted with a passphrase and not for a key"));
  EXPECT_THAT(Error(Encrypted("-a -u sender@x -s", "a.csv")), HasSubstr("isn't encrypted"));
}

TEST_F(OpenPgpTest, KeysThatCantBeUsedAreNoReasonToRejectAFile) {
  const std::string file = Encrypted("-r locked@x -e", "a.csv");
  FilesSpec::Decrypt& decrypt = plan_.files->decrypt;
  decrypt.secret_keys = shop_.Path("locked.key");
  EXPECT_THAT(WaitsFor(file), HasSubstr("wants a passphrase"));
  EXPECT_THAT(std::string(InspectDecrypt(decrypt).status().message()), HasSubstr("isn't unlocked"));
  decrypt.secret_keys_passphrase = shop_.Path("shut");
  EXPECT_THAT(WaitsFor(file), HasSubstr("doesn't unlock"));
  EXPECT_EQ(WaitsFor(file).find("other"), std::string::npos) << "the secret is told to nobody";
  decrypt.secret_keys_passphrase = shop_.Path("gone");
  EXPECT_THAT(WaitsFor(file), HasSubstr("No such file"));
  decrypt.secret_keys_passphrase = shop_.Path("open");
  EXPECT_THAT(ReadAll(plan_, "x.csv.gpg", file).values, ElementsAre(R"({"id":1,"name":"x"})"));
  EXPECT_THAT(InspectDecrypt(decrypt).value(), HasSubstr("1 secret key opens files"));
  decrypt.secret_keys = shop_.Path("a.csv");
  EXPECT_THAT(WaitsFor(file), HasSubstr("no OpenPGP keys"));
  decrypt.secret_keys = shop_.Path("sender.pub");
  EXPECT_THAT(WaitsFor(file), HasSubstr("no secret key"));
}

TEST_F(OpenPgpTest, WhereASignatureIsAskedForOnlyThatOfTheSenderCounts) {
  plan_.files->decrypt.signed_by = shop_.Path("sender.pub");
  EXPECT_EQ(Error(Encrypted("-u sender@x -r reader@x -se", "large.csv")), "");
  EXPECT_EQ(Error(Encrypted("-u stranger@x -u sender@x -r reader@x -se", "a.csv")), "");
  EXPECT_THAT(Error(Encrypted("-u stranger@x -r reader@x -se", "a.csv")), HasSubstr("no valid signature"));
  EXPECT_THAT(Error(Encrypted("-u reader@x -r reader@x -se", "a.csv")), HasSubstr("no valid signature"));
  EXPECT_THAT(Error(Encrypted("-r reader@x -e", "a.csv")), HasSubstr("it has 0 signatures"));
  EXPECT_THAT(Error(shop_.Bytes("a.csv")), HasSubstr("isn't encrypted with OpenPGP"));
}

TEST_F(OpenPgpTest, AReaderThatGivesUpEndsTheThreadBehindIt) {
  auto file =
      std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(Encrypted("-r reader@x -e", "large.csv")));
  auto records = FileRecords::Open(plan_, "x.csv.gpg", file);
  ASSERT_TRUE(records.ok()) << records.status();
  std::vector<FileRecord> some;
  EXPECT_TRUE((*records)->Read(1, &some).value());
  records->reset();
}

TEST(OpenPgpFramingTest, PartsAndLengthsOfAllKindsArePassed) {
  const auto behind = [](std::initializer_list<std::string> parts) {
    std::string all;
    for (const std::string& part : parts) all += part;
    OpenPgpFraming at_once(false), by_byte(false);
    at_once.Add(all);
    for (const char c : all) by_byte.Add(std::string_view(&c, 1));
    EXPECT_EQ(at_once.SomethingBehind(), by_byte.SomethingBehind());
    return at_once.SomethingBehind();
  };
  const std::string key("\x84\x02xx", 4), two("\xd2\xc0\x08", 3), five("\xd2\xff\0\0\0\x01y", 7);
  EXPECT_FALSE(behind({key, key, "\xd2\x03xyz"}));
  EXPECT_TRUE(behind({key, "\xd2\x03xyz", "\n"}));
  EXPECT_FALSE(behind({key, two, std::string(200, 'x')}));
  EXPECT_TRUE(behind({key, two, std::string(200, 'x'), key}));
  EXPECT_FALSE(behind({five}));
  EXPECT_TRUE(behind({five, "x"}));
  EXPECT_FALSE(behind({std::string("\xd2\xe3", 2), "12345678", std::string("\xe0", 1), "1", std::string("\0", 1)}));
  EXPECT_TRUE(behind({std::string("\xd2\xe3", 2), "12345678", std::string("\0", 1), "x"}));
}

TEST(OpenPgpFramingTest, TextsAreNoMessages) {
  EXPECT_FALSE(IsOpenPgp("\u00e9conomie,id\n"));
  EXPECT_FALSE(IsOpenPgp("id,name\n"));
  EXPECT_FALSE(IsOpenPgp(""));
  EXPECT_FALSE(IsOpenPgp("\xc3"));
  EXPECT_TRUE(IsOpenPgp(std::string("\x85\x01\x8c\x03", 4)));
  EXPECT_TRUE(IsOpenPgp(std::string("\x8c\x0d\x04\x09", 4)));
}

}  // namespace
}  // namespace tidemark
