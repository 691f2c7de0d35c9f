// Archives and xz, as the usual tools make them, and as nobody should.
#include <string>

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/landing/read_files.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kTwo[] = R"(
import zipfile
with zipfile.ZipFile("two.zip", "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr("d/", "")
    z.writestr("d/b.csv", "name,id\nBea,2\nBo,x\n")
    z.writestr("__MACOSX/d/._b.csv", "no csv")
    z.writestr("d/.DS_Store", "no csv")
    z.writestr("\u00e4.jsonl", '{"id": 3}\n')
)";

TEST(ArchiveFile, RecordsOfAllFilesComeInTheirOrderEachWithItsPlace) {
  const Workshop shop;
  shop.Python(kTwo);
  const Found zip = ReadAll(Plan(), "two.zip", shop.Bytes("two.zip"));
  EXPECT_EQ(zip.error, "");
  EXPECT_THAT(zip.values, ElementsAre(R"({"id":2,"name":"Bea"})", R"({"id":"x","name":"Bo"})", "{\"id\": 3}"));
  EXPECT_THAT(zip.members, ElementsAre("d/b.csv", "d/b.csv", "\u00e4.jsonl"));
  EXPECT_THAT(zip.lines, ElementsAre(2, 3, 1));
  EXPECT_EQ(ReadAll(Plan(), "two.zip", shop.Bytes("two.zip"), 1).values, zip.values);

  shop.Run(
      "mkdir in && cd in && python3 -m zipfile -e ../two.zip . && for how in '' z j J; do "
      "tar c${how}f ../two.tar$how ./d/b.csv ./d/.DS_Store ./*.jsonl; done");
  for (const char* name : {"two.tar", "two.tarz", "two.tarj", "two.tarJ"}) {
    const Found tar = ReadAll(Plan(), name, shop.Bytes(name));
    EXPECT_EQ(tar.error, "") << name;
    EXPECT_EQ(tar.values, zip.values) << name;
    EXPECT_EQ(tar.members, zip.members) << name;
  }
}

TEST(ArchiveFile, OnlyTheMembersThatAreMeantAreRead) {
  const Workshop shop;
  shop.Python(R"(
import gzip, zipfile
with zipfile.ZipFile("x.zip", "w") as z:
    z.writestr("read me.txt", "hello")
    z.writestr("a.csv.gz", gzip.compress(b"id\n1\n"))
)");
  const std::string zip = shop.Bytes("x.zip");
  SourcePlan plan = Plan();
  EXPECT_THAT(ReadAll(plan, "x.zip", zip).error, HasSubstr("read me.txt: no format is stated"));
  plan.files->members = "*.csv*";
  EXPECT_THAT(ReadAll(plan, "x.zip", zip).values, ElementsAre(R"({"id":1})"));
  plan.files->members = "*.json";
  EXPECT_THAT(ReadAll(plan, "x.zip", zip).error, HasSubstr("the archive has no file *.json"));
}

TEST(ArchiveFile, OneFileThatIsWrongRejectsAll) {
  const Workshop shop;
  shop.Python(R"(
import zipfile
def make(name, *files):
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as z:
        for file, text in files:
            z.writestr(file, text)
make("bad.zip", ("a.csv", "id\n1\n"), ("b.csv", "id\n\"2\n"))
make("none.zip", (".a.csv", "id\n1\n"))
make("nested.zip", ("bad.zip", open("bad.zip", "rb").read()))
make("out.zip", ("../a.csv", "id\n1\n"))
make("many.zip", *((f"{i}.csv", "id\n1\n") for i in range(10_001)))
make("office.xlsx", ("[Content_Types].xml", "<Types/>"), ("xl/a.xml", "<a/>"))
)");
  const auto error = [&](const std::string& name) {
    SourcePlan plan = Plan();
    plan.files->format = FilesSpec::Format::kCsv;
    return ReadAll(plan, name, shop.Bytes(name)).error;
  };
  EXPECT_THAT(error("bad.zip"), HasSubstr("b.csv: line 2: a quoted cell of the record that begins here has no end"));
  EXPECT_THAT(error("none.zip"), HasSubstr("no file that is read"));
  EXPECT_THAT(error("nested.zip"), HasSubstr("bad.zip: an archive within an archive isn't read"));
  EXPECT_THAT(error("out.zip"), HasSubstr("a place outside of it"));
  EXPECT_THAT(error("many.zip"), HasSubstr("more than 10000 entries"));
  EXPECT_THAT(error("office.xlsx"), HasSubstr("xlsx"));
  shop.Run("printf 'id\\n1\\n' > a.csv && ln -s a.csv b.csv && tar cf link.tar a.csv b.csv");
  EXPECT_THAT(error("link.tar"), HasSubstr("b.csv in the tar archive is no file of its own but a link"));
}

TEST(ArchiveFile, WhateverIsCutOffOrAlteredIsRejected) {
  const Workshop shop;
  shop.Python(kTwo);
  shop.Run("python3 -m zipfile -e two.zip in && tar cf two.tar -C in d/b.csv");
  const std::string zip = shop.Bytes("two.zip"), tar = shop.Bytes("two.tar");
  for (size_t size = 4; size < zip.size(); size += 5) {
    EXPECT_NE(ReadAll(Plan(), "two.zip", zip.substr(0, size)).error, "") << size;
  }
  EXPECT_THAT(ReadAll(Plan(), "two.zip", zip + zip).error, HasSubstr("the zip archive's directory"))
      << "a directory that others would read has others";
  EXPECT_THAT(ReadAll(Plan(), "two.zip", zip + "x").error, HasSubstr("something stands behind it"));
  std::string altered = zip;
  altered[zip.find("b.csv") + 12] ^= 1;  // of what is compressed
  EXPECT_THAT(ReadAll(Plan(), "two.zip", altered).error, HasSubstr("d/b.csv"));

  for (const size_t size : {600u, 1024u, 1536u}) {
    EXPECT_NE(ReadAll(Plan(), "two.tar", tar.substr(0, size)).error, "") << size;
  }
  EXPECT_EQ(ReadAll(Plan(), "two.tar", tar.substr(0, 2048)).error, "") << "two blocks of zeros are an end";
  EXPECT_THAT(ReadAll(Plan(), "two.tar", tar + tar).error, HasSubstr("something stands behind"));
}

TEST(ArchiveFile, ZipsOfTheLargeKindAndThoseOfPipesAreRead) {
  const Workshop shop;
  shop.Python(R"(
import sys, zipfile
class Pipe:  # so that sizes stand behind the data
    def __init__(self, name): self.file = open(name, "wb")
    def write(self, data): return self.file.write(data)
    def flush(self): self.file.flush()
for name, how in (("deflated.zip", zipfile.ZIP_DEFLATED), ("stored.zip", zipfile.ZIP_STORED)):
    with zipfile.ZipFile(Pipe(name), "w", how) as z:
        z.writestr("a.csv", "id\n1\n")
        z.writestr("b.csv", "id\n2\n")
with zipfile.ZipFile("large.zip", "w") as z:
    with z.open("a.csv", "w", force_zip64=True) as file:
        file.write(b"id\n1\n")
    z.writestr("b.csv", "id\n2\n")
)");
  for (const char* name : {"deflated.zip", "stored.zip", "large.zip"}) {
    const Found found = ReadAll(Plan(), name, shop.Bytes(name));
    EXPECT_EQ(found.error, "") << name;
    EXPECT_THAT(found.values, ElementsAre(R"({"id":1})", R"({"id":2})")) << name;
  }
}

TEST(ArchiveFile, XzIsReadLikeTheOtherCompressions) {
  const Workshop shop;
  shop.Python(R"(
import lzma
open("a.xz", "wb").write(lzma.compress(b"id,name\n1,x\n"))
open("empty.xz", "wb").write(lzma.compress(b""))
open("large.xz", "wb").write(lzma.compress(b"id\n" + b"".join(b"%d\n" % i for i in range(200_000))))
)");
  const std::string xz = shop.Bytes("a.xz");
  EXPECT_THAT(ReadAll(Plan(), "x.csv.xz", xz).values, ElementsAre(R"({"id":1,"name":"x"})"));
  EXPECT_THAT(ReadAll(Plan(), "x.csv.xz", shop.Bytes("empty.xz")).error, HasSubstr("the file is empty"));
  EXPECT_EQ(ReadAll(Plan(), "x.csv.xz", shop.Bytes("large.xz")).values.size(), 200'000u);
  for (size_t size = 6; size < xz.size(); ++size) {
    EXPECT_THAT(ReadAll(Plan(), "x.csv.xz", xz.substr(0, size)).error, HasSubstr("xz")) << size;
  }
  EXPECT_NE(ReadAll(Plan(), "x.csv.xz", xz + "behind").error, "");
  std::string altered = xz;
  altered[xz.size() / 2] ^= 1;
  EXPECT_NE(ReadAll(Plan(), "x.csv.xz", altered).error, "");
}

std::string EncryptedZip(const char* how) {
  std::string out(1 << 16, '\0');
  size_t used = 0;
  struct archive* const zip = archive_write_new();
  archive_write_set_format_zip(zip);
  archive_write_set_passphrase(zip, "secret");
  archive_write_set_options(zip, how);
  archive_write_open_memory(zip, out.data(), out.size(), &used);
  archive_entry* const entry = archive_entry_new();
  archive_entry_set_pathname(entry, "a.csv");
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_size(entry, 5);
  archive_write_header(zip, entry);
  archive_write_data(zip, "id\n1\n", 5);
  archive_entry_free(entry);
  archive_write_free(zip);
  out.resize(used);
  return out;
}

TEST(ArchiveFile, EncryptedZipsWantTheirPassphraseAndAes) {
  const Workshop shop;
  shop.Write("right", "secret\n");
  shop.Write("wrong", "other");
  const std::string aes = EncryptedZip("zip:encryption=aes256"), old = EncryptedZip("zip:encryption=traditional");
  SourcePlan plan = Plan();
  EXPECT_THAT(ReadAll(plan, "x.zip", aes).error, HasSubstr("a.csv in the zip archive is encrypted"));
  plan.files->decrypt.zip_passphrase = shop.Path("right");
  EXPECT_THAT(ReadAll(plan, "x.zip", aes).values, ElementsAre(R"({"id":1})"));
  EXPECT_THAT(ReadAll(plan, "x.zip", old).error, HasSubstr("the old way of zip"));
  std::string altered = aes;
  const size_t sum = aes.find("PK\x07\x08");
  altered[(sum == std::string::npos ? aes.find("PK\x01\x02") : sum) - 3] ^= 1;
  EXPECT_NE(ReadAll(plan, "x.zip", altered).error, "") << "it is authenticated";
  plan.files->decrypt.zip_passphrase = shop.Path("wrong");
  EXPECT_THAT(ReadAll(plan, "x.zip", aes).error, HasSubstr("Incorrect passphrase"));
}

TEST(ArchiveFile, ParquetInAnArchiveIsReadInMemory) {
  EXPECT_THAT(ReadAll(Plan(), "x.parquet.gz", "no Parquet").error, HasSubstr("the file isn't Parquet"));
}

}  // namespace
}  // namespace tidemark
