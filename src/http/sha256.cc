#include "src/http/sha256.h"

#include <openssl/evp.h>

namespace tidemark {

std::string Sha256(std::string_view text) {
  std::string hash(32, '\0');
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(hash.data()), &size, EVP_sha256(), nullptr);
  return hash;
}

}  // namespace tidemark
