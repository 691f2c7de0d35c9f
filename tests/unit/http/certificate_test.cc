// The certificate of a TLS server: that its files belong together, and that changed ones count without a restart.
#include "src/http/certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/time.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;

class StillClock final : public Clock {
 public:
  int64_t WallUs() override { return 0; }
  int64_t MonotonicUs() override { return monotonic_us; }
  int64_t monotonic_us = kSecond;
};

// Signed by itself; the key to `key`, the certificate to `certificate`, each by a rename.
void Make(const std::string& certificate, const std::string& key, int64_t serial) {
  EVP_PKEY* const pair = EVP_EC_gen("P-256");
  X509* const made = X509_new();
  ASN1_INTEGER_set_int64(X509_get_serialNumber(made), serial);
  X509_gmtime_adj(X509_getm_notBefore(made), 0);
  X509_gmtime_adj(X509_getm_notAfter(made), 3600);
  X509_set_pubkey(made, pair);
  X509_NAME* const name = X509_get_subject_name(made);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(made, name);
  X509_sign(made, pair, EVP_sha256());
  const auto write = [](const std::string& path, auto put) {
    std::FILE* const file = std::fopen((path + ".new").c_str(), "w");
    put(file);
    std::fclose(file);
    std::filesystem::rename(path + ".new", path);
  };
  write(key, [&](std::FILE* file) { PEM_write_PrivateKey(file, pair, nullptr, nullptr, 0, nullptr, nullptr); });
  write(certificate, [&](std::FILE* file) { PEM_write_X509(file, made); });
  X509_free(made);
  EVP_PKEY_free(pair);
}

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
  Make(cert_, key_, 1);
  ASSERT_TRUE(certificate_.Load().ok());
  const std::string first = Shown();
  EXPECT_EQ(Shown(), first);
  // The key is another already, the certificate is still to come.
  Make(cert_ + ".later", key_, 2);
  EXPECT_EQ(Shown(), first);
  std::filesystem::rename(cert_ + ".later", cert_);
  const std::string second = Shown();
  EXPECT_NE(second, first);
  std::ofstream(cert_) << "damaged";
  EXPECT_EQ(Shown(), second);
  std::filesystem::remove(cert_);
  EXPECT_EQ(Shown(), second);
  Make(cert_, key_, 3);
  EXPECT_NE(Shown(), second);
}

// Under ASan: what a handshake holds is there until nobody can have it any more.
TEST_F(CertificateTest, WhatAHandshakeShowsOutlivesItsReplacement) {
  Make(cert_, key_, 1);
  ASSERT_TRUE(certificate_.Load().ok());
  gnutls_pcert_st* certificates = nullptr;
  unsigned int count = 0;
  gnutls_privkey_t key = nullptr;
  certificate_.Show(&certificates, &count, &key);
  for (int64_t serial = 2; serial < 6; ++serial) {
    Make(cert_, key_, serial);
    Shown();
  }
  EXPECT_GT(certificates[0].cert.size, 0u);
  EXPECT_NE(gnutls_privkey_get_pk_algorithm(key, nullptr), GNUTLS_PK_UNKNOWN);
  clock_.monotonic_us += 601 * kSecond;
  Make(cert_, key_, 7);
  Shown();
}

TEST_F(CertificateTest, WhatDoesNotBelongTogetherIsTheUsersMistake) {
  Make(cert_, key_, 1);
  Make(folder_ + "/other.pem", folder_ + "/other-key.pem", 2);
  EXPECT_THAT(std::string(Certificate(cert_, folder_ + "/other-key.pem", &clock_).Load().message()),
              HasSubstr("aren't two PEM files that belong together"));
  EXPECT_THAT(std::string(Certificate(key_, key_, &clock_).Load().message()), HasSubstr("key.pem"));
  EXPECT_THAT(std::string(Certificate(folder_ + "/none", key_, &clock_).Load().message()), HasSubstr("can't read"));
}

}  // namespace
}  // namespace tidemark
