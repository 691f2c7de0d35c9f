#include "src/http/certificate.h"

#include <gnutls/x509.h>
#include <sys/stat.h>

#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "src/base/status.h"
#include "src/base/time.h"
#include "src/base/whole_file.h"

namespace tidemark {
namespace {

// Longer than any handshake takes (handshakes.cc).
constexpr int64_t kKeptUs = 600 * kSecond;
constexpr unsigned int kMostCertificates = 16;

gnutls_datum_t DatumOf(std::string* text) {
  return {reinterpret_cast<unsigned char*>(text->data()), static_cast<unsigned int>(text->size())};
}

std::string IdOf(gnutls_pubkey_t key) {
  unsigned char id[64];
  size_t size = sizeof id;
  if (gnutls_pubkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, id, &size) != GNUTLS_E_SUCCESS) return "";
  return {reinterpret_cast<char*>(id), size};
}

bool BelongTogether(const gnutls_pcert_st& certificate, gnutls_privkey_t key) {
  gnutls_pubkey_t own = nullptr;
  if (gnutls_pubkey_init(&own) != GNUTLS_E_SUCCESS) return false;
  const bool known = gnutls_pubkey_import_privkey(own, key, 0, 0) == GNUTLS_E_SUCCESS;
  const std::string id = known ? IdOf(own) : "";
  gnutls_pubkey_deinit(own);
  return !id.empty() && id == IdOf(certificate.pubkey);
}

}  // namespace

Certificate::Pair::~Pair() {
  for (gnutls_pcert_st& certificate : certificates) gnutls_pcert_deinit(&certificate);
  if (key != nullptr) gnutls_privkey_deinit(key);
}

absl::StatusOr<std::unique_ptr<Certificate::Pair>> Certificate::Read() const {
  const auto wrong = [](const std::string& path, int error) {
    return absl::InvalidArgumentError(absl::StrCat("HTTP: '", path, "': ", gnutls_strerror(error)));
  };
  std::string texts[2];
  for (const auto& [path, text] : {std::pair(&certificate_path_, &texts[0]), std::pair(&key_path_, &texts[1])}) {
    const absl::StatusOr<std::string> read = ReadWholeFile(*path);
    if (!read.ok() || read->empty()) return absl::InvalidArgumentError(absl::StrCat("HTTP: can't read '", *path, "'"));
    *text = *read;
  }
  auto pair = std::make_unique<Pair>();
  unsigned int count = kMostCertificates;
  std::vector<gnutls_pcert_st> found(count);
  gnutls_datum_t text = DatumOf(&texts[0]);
  int error = gnutls_pcert_list_import_x509_raw(found.data(), &count, &text, GNUTLS_X509_FMT_PEM, 0);
  if (error != GNUTLS_E_SUCCESS) return wrong(certificate_path_, error);
  found.resize(count);
  pair->certificates = std::move(found);
  error = gnutls_privkey_init(&pair->key);
  text = DatumOf(&texts[1]);
  if (error == GNUTLS_E_SUCCESS) {
    error = gnutls_privkey_import_x509_raw(pair->key, &text, GNUTLS_X509_FMT_PEM, nullptr, 0);
  }
  if (error != GNUTLS_E_SUCCESS) return wrong(key_path_, error);
  if (pair->certificates.empty() || !BelongTogether(pair->certificates.front(), pair->key)) {
    return absl::InvalidArgumentError(absl::StrCat("HTTP: certificate '", certificate_path_, "' and key '", key_path_,
                                                   "' aren't two PEM files that belong together"));
  }
  return pair;
}

std::string Certificate::Version() const {
  std::string version;
  for (const std::string* path : {&certificate_path_, &key_path_}) {
    struct stat found = {};
    if (stat(path->c_str(), &found) != 0) continue;
    absl::StrAppend(&version, found.st_ino, " ", found.st_size, " ", found.st_mtim.tv_sec, " ", found.st_mtim.tv_nsec,
                    "\n");
  }
  return version;
}

absl::Status Certificate::Load() {
  const absl::MutexLock lock(&mutex_);
  return LoadAgain();
}

absl::Status Certificate::LoadAgain() {
  looked_us_ = clock_->MonotonicUs();
  version_ = Version();  // before they are read: what changes meanwhile is seen at the next look
  TM_ASSIGN_OR_RETURN(std::unique_ptr<Pair> read, Read());
  if (shown_ != nullptr) former_.emplace_back(looked_us_, std::move(shown_));
  shown_ = std::move(read);
  while (!former_.empty() && former_.front().first < looked_us_ - kKeptUs) former_.pop_front();
  return absl::OkStatus();
}

void Certificate::Show(gnutls_pcert_st** certificates, unsigned int* count, gnutls_privkey_t* key) {
  const absl::MutexLock lock(&mutex_);
  const int64_t now = clock_->MonotonicUs();
  if (now - looked_us_ >= kSecond) {
    looked_us_ = now;
    if (Version() != version_) {
      if (const absl::Status status = LoadAgain(); status.ok()) {
        LOG(INFO) << "HTTP: certificate '" << certificate_path_ << "' has changed, and is shown from now on";
      } else {
        LOG(WARNING) << status.message() << "; the certificate that was read before is still shown";
      }
    }
  }
  *certificates = shown_->certificates.data();
  *count = static_cast<unsigned int>(shown_->certificates.size());
  *key = shown_->key;
}

}  // namespace tidemark
