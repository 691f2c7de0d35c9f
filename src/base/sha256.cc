#include "src/base/sha256.h"

#include <openssl/evp.h>

#include <absl/strings/escaping.h>

namespace tidemark {
namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

}  // namespace

std::string Sha256(std::string_view text) {
  std::string hash(32, '\0');
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(hash.data()), &size, EVP_sha256(), nullptr);
  return hash;
}

struct Sha256Sum::State {
  std::unique_ptr<EVP_MD_CTX, FreeContext> context{EVP_MD_CTX_new()};
};

Sha256Sum::Sha256Sum() : state_(std::make_unique<State>()) {
  EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr);
}
Sha256Sum::~Sha256Sum() = default;

void Sha256Sum::Add(std::string_view piece) { EVP_DigestUpdate(state_->context.get(), piece.data(), piece.size()); }

std::string Sha256Sum::HexDigits() {
  std::string hash(32, '\0');
  unsigned int size = 0;
  EVP_DigestFinal_ex(state_->context.get(), reinterpret_cast<unsigned char*>(hash.data()), &size);
  return absl::BytesToHexString(hash);
}

}  // namespace tidemark
