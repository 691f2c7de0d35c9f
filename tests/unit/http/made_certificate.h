// A certificate for tests, signed by itself.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>

namespace tidemark {

// The key to `key`, the certificate to `certificate`, each by a rename.
inline void MakeCertificate(const std::string& certificate, const std::string& key, int64_t serial) {
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

}  // namespace tidemark
