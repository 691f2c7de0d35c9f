// The certificate of a TLS server: that its files belong together, and that changed ones count without a restart.
#include "src/http/certificate.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/time.h"
#include "tests/unit/http/made_certificate.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;

class StillClock final : public Clock {
 public:
  int64_t WallUs() override { return 0; }
  int64_t MonotonicUs() override { return monotonic_us; }
  int64_t monotonic_us = kSecond;
};

class CertificateTest : public ::testing::Test {
 protected:
  ~CertificateTest() override { std::filesystem::remove_all(folder_); }

  // What is shown after a second, by the bytes of the certificate.
  std::string Shown() {
    clock_.monotonic_us += kSecond;
    gnutls_pcert_st* certificates = nullptr;
    unsigned int count = 0;
    gnutls_privkey_t key = nullptr;
    certificate_.Show(&certificates, &count, &key);
    EXPECT_EQ(count, 1u);
    EXPECT_NE(key, nullptr);
    return {reinterpret_cast<const char*>(certificates[0].cert.data), certificates[0].cert.size};
  }

  const std::string folder_ = [] {
    const std::string folder = absl::StrCat(::testing::TempDir(), "/certificate-", getpid());
    std::filesystem::create_directories(folder);
    return folder;
  }();
  const std::string cert_ = folder_ + "/cert.pem", key_ = folder_ + "/key.pem";
  StillClock clock_;
  Certificate certificate_{cert_, key_, &clock_};
};

TEST_F(CertificateTest, AChangedPairIsShownAndHalfOfOneIsNot) {
  MakeCertificate(cert_, key_, 1);
  ASSERT_TRUE(certificate_.Load().ok());
  const std::string first = Shown();
  EXPECT_EQ(Shown(), first);
  // The key is another already, the certificate is still to come.
  MakeCertificate(cert_ + ".later", key_, 2);
  EXPECT_EQ(Shown(), first);
  std::filesystem::rename(cert_ + ".later", cert_);
  const std::string second = Shown();
  EXPECT_NE(second, first);
  std::ofstream(cert_) << "damaged";
  EXPECT_EQ(Shown(), second);
  std::filesystem::remove(cert_);
  EXPECT_EQ(Shown(), second);
  MakeCertificate(cert_, key_, 3);
  EXPECT_NE(Shown(), second);
}

// Under ASan: what a handshake holds is there until nobody can have it any more.
TEST_F(CertificateTest, WhatAHandshakeShowsOutlivesItsReplacement) {
  MakeCertificate(cert_, key_, 1);
  ASSERT_TRUE(certificate_.Load().ok());
  gnutls_pcert_st* certificates = nullptr;
  unsigned int count = 0;
  gnutls_privkey_t key = nullptr;
  certificate_.Show(&certificates, &count, &key);
  for (int64_t serial = 2; serial < 6; ++serial) {
    MakeCertificate(cert_, key_, serial);
    Shown();
  }
  EXPECT_GT(certificates[0].cert.size, 0u);
  EXPECT_NE(gnutls_privkey_get_pk_algorithm(key, nullptr), GNUTLS_PK_UNKNOWN);
  clock_.monotonic_us += 601 * kSecond;
  MakeCertificate(cert_, key_, 7);
  Shown();
}

TEST_F(CertificateTest, WhatDoesNotBelongTogetherIsTheUsersMistake) {
  MakeCertificate(cert_, key_, 1);
  MakeCertificate(folder_ + "/other.pem", folder_ + "/other-key.pem", 2);
  EXPECT_THAT(std::string(Certificate(cert_, folder_ + "/other-key.pem", &clock_).Load().message()),
              HasSubstr("aren't two PEM files that belong together"));
  EXPECT_THAT(std::string(Certificate(key_, key_, &clock_).Load().message()), HasSubstr("key.pem"));
  EXPECT_THAT(std::string(Certificate(folder_ + "/none", key_, &clock_).Load().message()), HasSubstr("can't read"));
}

}  // namespace
}  // namespace tidemark
