#include "src/landing/openpgp.h"

#include <rnp/rnp.h>
#include <rnp/rnp_err.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/cleanup/cleanup.h>
#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/synchronization/mutex.h>

#include "src/base/status.h"
#include "src/base/whole_file.h"
#include "src/landing/openpgp_framing.h"

namespace tidemark {
namespace {

constexpr size_t kAheadBytes = 1 << 20;

absl::StatusOr<std::string> ReadSecret(const std::string& path) {
  absl::StatusOr<std::string> text = ReadWholeFile(path);
  if (!text.ok()) return absl::UnavailableError(absl::StrCat(path, ": ", text.status().message()));
  return text;
}

std::string Take(char* text) {
  std::string out = text == nullptr ? "" : text;
  rnp_buffer_destroy(text);
  return out;
}

bool IsAboutSignatures(rnp_result_t result) {
  static constexpr rnp_result_t kResults[] = {RNP_ERROR_SIGNATURE_INVALID, RNP_ERROR_SIGNATURE_EXPIRED,
                                              RNP_ERROR_SIGNATURE_UNKNOWN, RNP_ERROR_VERIFICATION_FAILED,
                                              RNP_ERROR_NO_SIGNATURES_FOUND};
  return std::find(std::begin(kResults), std::end(kResults), result) != std::end(kResults);
}

// Keys, and what unlocks them.
class KeyRing {
 public:
  KeyRing() { rnp_ffi_create(&ffi_, "GPG", "GPG"); }
  ~KeyRing() {
    rnp_ffi_destroy(ffi_);
    explicit_bzero(passphrase_.data(), passphrase_.size());
  }
  KeyRing(const KeyRing&) = delete;
  KeyRing& operator=(const KeyRing&) = delete;

  absl::Status Load(const std::string& path) {
    TM_ASSIGN_OR_RETURN(std::string text, ReadSecret(path));
    const absl::Cleanup wipe = [&text] { explicit_bzero(text.data(), text.size()); };
    rnp_input_t input = nullptr;
    rnp_input_from_memory(&input, reinterpret_cast<const uint8_t*>(text.data()), text.size(), /*do_copy=*/false);
    const absl::Cleanup close = [input] { rnp_input_destroy(input); };
    const rnp_result_t loaded =
        rnp_load_keys(ffi_, "GPG", input, RNP_LOAD_SAVE_PUBLIC_KEYS | RNP_LOAD_SAVE_SECRET_KEYS);
    if (loaded == RNP_SUCCESS) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat(path, " holds no OpenPGP keys: ", rnp_result_to_string(loaded)));
  }

  absl::Status LoadSecret(const FilesSpec::Decrypt& decrypt) {
    TM_RETURN_IF_ERROR(Load(decrypt.secret_keys));
    size_t keys = 0;
    rnp_get_secret_key_count(ffi_, &keys);
    if (keys == 0) return absl::UnavailableError(absl::StrCat(decrypt.secret_keys, " holds no secret key"));
    if (!decrypt.secret_keys_passphrase.empty()) {
      TM_ASSIGN_OR_RETURN(passphrase_, ReadPassphrase(decrypt.secret_keys_passphrase));
    }
    rnp_ffi_set_pass_provider(ffi_, &GivePassphrase, this);
    return absl::OkStatus();
  }

  rnp_ffi_t ffi() const { return ffi_; }
  const std::string& passphrase() const { return passphrase_; }
  bool asked() const { return asked_; }                // for the passphrase of a key ...
  bool asked_for_data() const { return asked_data_; }  // ... and for one that opens data without a key

  // Of all keys, and of the keys below them.
  std::set<std::string> Fingerprints() const {
    std::set<std::string> out;
    rnp_identifier_iterator_t each = nullptr;
    if (rnp_identifier_iterator_create(ffi_, &each, "fingerprint") != RNP_SUCCESS) return out;
    const char* fingerprint = nullptr;
    while (rnp_identifier_iterator_next(each, &fingerprint) == RNP_SUCCESS && fingerprint != nullptr) {
      out.insert(fingerprint);
    }
    rnp_identifier_iterator_destroy(each);
    return out;
  }

 private:
  static bool GivePassphrase(rnp_ffi_t, void* self, rnp_key_handle_t, const char* why, char* out, size_t size) {
    auto* const ring = static_cast<KeyRing*>(self);
    if (absl::StrContains(why, "symmetric")) {
      ring->asked_data_ = true;
      return false;
    }
    ring->asked_ = true;
    if (ring->passphrase_.empty() || ring->passphrase_.size() >= size) return false;
    std::memcpy(out, ring->passphrase_.c_str(), ring->passphrase_.size() + 1);
    return true;
  }

  rnp_ffi_t ffi_ = nullptr;
  std::string passphrase_;
  bool asked_ = false, asked_data_ = false;
};

class OpenPgpContent final : public FileContent {
 public:
  OpenPgpContent(std::unique_ptr<FileContent> inner, FilesSpec::Decrypt decrypt)
      : inner_(std::move(inner)), decrypt_(std::move(decrypt)) {}
  ~OpenPgpContent() override {
    {
      const absl::MutexLock lock(&mutex_);
      given_up_ = true;
    }
    if (thread_.joinable()) thread_.join();
  }

  absl::Status Begin() {
    TM_RETURN_IF_ERROR(keys_.LoadSecret(decrypt_));
    if (!decrypt_.signed_by.empty()) {
      KeyRing signers;
      TM_RETURN_IF_ERROR(signers.Load(decrypt_.signed_by));
      signers_ = signers.Fingerprints();
      TM_RETURN_IF_ERROR(keys_.Load(decrypt_.signed_by));
    }
    std::string head;
    while (head.size() < 5) {
      TM_ASSIGN_OR_RETURN(const bool more, inner_->Read(&head));
      if (!more) break;
    }
    framing_.emplace(absl::StartsWith(head, "-----"));
    framing_->Add(head);
    piece_ = std::move(head);
    thread_ = std::thread([this] {
      const absl::Status status = Decrypt();
      const absl::MutexLock lock(&mutex_);
      status_ = status;
      ended_ = true;
    });
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Read(std::string* out) override {
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &OpenPgpContent::HasMore));
    if (ready_.empty()) return status_.ok() ? absl::StatusOr<bool>(false) : status_;
    out->append(ready_);
    ready_.clear();
    return true;
  }
  std::string hash() const override { return inner_->hash(); }

 private:
  bool HasMore() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ended_ || !ready_.empty(); }
  bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return given_up_ || ready_.size() < kAheadBytes; }

  // ---- On the thread ----

  absl::Status Decrypt() {
    rnp_input_t input = nullptr;
    rnp_output_t output = nullptr;
    rnp_op_verify_t op = nullptr;
    rnp_input_from_callback(&input, &TakeInput, nullptr, this);
    rnp_output_to_callback(&output, &GiveOutput, nullptr, this);
    rnp_op_verify_create(&op, keys_.ffi(), input, output);
    const absl::Cleanup close = [&] {
      rnp_op_verify_destroy(op);
      rnp_output_destroy(output);
      rnp_input_destroy(input);
    };
    // Who has signed is looked at below; a signature that nobody asked for matters as little as none.
    rnp_op_verify_set_flags(op, RNP_VERIFY_IGNORE_SIGS_ON_DECRYPT);
    const rnp_result_t result = rnp_op_verify_execute(op);
    TM_RETURN_IF_ERROR(inner_status_);
    char* mode = nullptr;
    bool valid = false;
    rnp_op_verify_get_protection_info(op, &mode, nullptr, &valid);
    const std::string protection = Take(mode);
    if (protection == "none" && (result == RNP_SUCCESS || IsAboutSignatures(result))) {
      return absl::InvalidArgumentError("the file is an OpenPGP message that isn't encrypted");
    }
    if (result != RNP_SUCCESS) return WhyNot(result);
    if (!valid) {
      return absl::InvalidArgumentError(
          "the file is encrypted without a protection of its integrity (MDC or AEAD), so it may have been altered");
    }
    TM_RETURN_IF_ERROR(CheckSigner(op));
    return CheckEnd();
  }

  absl::Status WhyNot(rnp_result_t result) const {
    if (result == RNP_ERROR_BAD_PASSWORD && keys_.asked()) {
      return absl::UnavailableError(decrypt_.secret_keys_passphrase.empty()
                                        ? absl::StrCat("the secret key in ", decrypt_.secret_keys,
                                                       " wants a passphrase, and there is no ", "passphrase_file")
                                        : absl::StrCat("the passphrase in ", decrypt_.secret_keys_passphrase,
                                                       " doesn't unlock the secret key in ", decrypt_.secret_keys));
    }
    if (keys_.asked_for_data()) {
      return absl::InvalidArgumentError("the file is encrypted with a passphrase and not for a key, which isn't read");
    }
    if (result == RNP_ERROR_NO_SUITABLE_KEY || result == RNP_ERROR_KEY_NOT_FOUND) {
      return absl::InvalidArgumentError(
          absl::StrCat("the file is encrypted for another key: none in ", decrypt_.secret_keys, " opens it"));
    }
    return absl::InvalidArgumentError(
        absl::StrCat("damaged, altered or cut off OpenPGP: ", rnp_result_to_string(result)));
  }

  absl::Status CheckSigner(rnp_op_verify_t op) const {
    if (decrypt_.signed_by.empty()) return absl::OkStatus();
    size_t count = 0;
    rnp_op_verify_get_signature_count(op, &count);
    for (size_t i = 0; i < count; ++i) {
      rnp_op_verify_signature_t signature = nullptr;
      rnp_key_handle_t key = nullptr;
      if (rnp_op_verify_get_signature_at(op, i, &signature) != RNP_SUCCESS) continue;
      if (rnp_op_verify_signature_get_status(signature) != RNP_SUCCESS) continue;
      if (rnp_op_verify_signature_get_key(signature, &key) != RNP_SUCCESS) continue;
      char* fingerprint = nullptr;
      rnp_key_get_fprint(key, &fingerprint);
      rnp_key_handle_destroy(key);
      if (signers_.contains(Take(fingerprint))) return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("no valid signature of a key in ", decrypt_.signed_by, "; it has ", count, " signatures"));
  }

  // What is behind the message is no part of it.
  absl::Status CheckEnd() {
    std::string rest;
    while (true) {
      rest.clear();
      TM_ASSIGN_OR_RETURN(const bool more, inner_->Read(&rest));
      framing_->Add(rest);
      if (!more) break;
    }
    if (!framing_->SomethingBehind()) return absl::OkStatus();
    return absl::InvalidArgumentError("something stands behind the end of the OpenPGP message");
  }

  static bool TakeInput(void* self, void* out, size_t size, size_t* read) {
    auto* const content = static_cast<OpenPgpContent*>(self);
    {
      const absl::MutexLock lock(&content->mutex_);
      if (content->given_up_) return false;
    }
    while (content->used_ == content->piece_.size() && !content->inner_ended_) {
      content->piece_.clear();
      content->used_ = 0;
      const absl::StatusOr<bool> more = content->inner_->Read(&content->piece_);
      if (!more.ok()) {
        content->inner_status_ = more.status();
        return false;
      }
      content->inner_ended_ = !*more;
      content->framing_->Add(content->piece_);
    }
    *read = std::min(size, content->piece_.size() - content->used_);
    std::memcpy(out, content->piece_.data() + content->used_, *read);
    content->used_ += *read;
    return true;
  }

  static bool GiveOutput(void* self, const void* bytes, size_t size) {
    auto* const content = static_cast<OpenPgpContent*>(self);
    const absl::MutexLock lock(&content->mutex_);
    content->mutex_.Await(absl::Condition(content, &OpenPgpContent::HasRoom));
    if (content->given_up_) return false;
    content->ready_.append(static_cast<const char*>(bytes), size);
    return true;
  }

  // Once the thread runs, its own, until it has ended.
  const std::unique_ptr<FileContent> inner_;
  const FilesSpec::Decrypt decrypt_;
  KeyRing keys_;
  std::set<std::string> signers_;
  std::optional<OpenPgpFraming> framing_;
  std::string piece_;  // of what is encrypted
  size_t used_ = 0;    // of it
  bool inner_ended_ = false;
  absl::Status inner_status_;

  absl::Mutex mutex_;
  std::string ready_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false, given_up_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace

bool IsOpenPgp(std::string_view head) {
  if (absl::StartsWith(absl::string_view(head.data(), head.size()), "-----BEGIN PGP ")) return true;
  // Such a message begins with a session key for a key (version 3 or 6) or for a passphrase (4 to 6), which are packets
  // of some length. No text has a control character there.
  const auto byte = [&](size_t i) { return i < head.size() ? static_cast<uint8_t>(head[i]) : uint8_t{0}; };
  if ((byte(0) & 0x80) == 0) return false;
  const bool old = (byte(0) & 0x40) == 0;
  const int tag = old ? byte(0) >> 2 & 0xf : byte(0) & 0x3f;
  if (old && (byte(0) & 3) == 3) return false;
  const size_t version = old ? 1 + (size_t{1} << (byte(0) & 3)) : byte(1) < 192 ? 2 : byte(1) < 224 ? 3 : 6;
  if (tag == 1) return byte(version) == 3 || byte(version) == 6;
  return tag == 3 && byte(version) >= 4 && byte(version) <= 6;
}

absl::StatusOr<std::unique_ptr<FileContent>> NewOpenPgpContent(std::unique_ptr<FileContent> inner,
                                                               const FilesSpec::Decrypt& decrypt) {
  auto content = std::make_unique<OpenPgpContent>(std::move(inner), decrypt);
  TM_RETURN_IF_ERROR(content->Begin());
  return std::unique_ptr<FileContent>(std::move(content));
}

absl::StatusOr<std::string> ReadPassphrase(const std::string& path) {
  TM_ASSIGN_OR_RETURN(std::string text, ReadSecret(path));
  text.resize(std::min(text.find_first_of("\r\n"), text.size()));
  if (text.empty()) return absl::UnavailableError(absl::StrCat("the first line of ", path, " is empty"));
  return text;
}

absl::StatusOr<std::string> InspectDecrypt(const FilesSpec::Decrypt& decrypt) {
  std::vector<std::string> found;
  if (!decrypt.secret_keys.empty()) {
    KeyRing keys;
    TM_RETURN_IF_ERROR(keys.LoadSecret(decrypt));
    int usable = 0;
    for (const std::string& fingerprint : keys.Fingerprints()) {
      rnp_key_handle_t key = nullptr;
      if (rnp_locate_key(keys.ffi(), "fingerprint", fingerprint.c_str(), &key) != RNP_SUCCESS || key == nullptr)
        continue;
      const absl::Cleanup close = [key] { rnp_key_handle_destroy(key); };
      bool secret = false, encrypts = false, locked = false;
      rnp_key_have_secret(key, &secret);
      rnp_key_allows_usage(key, "encrypt", &encrypts);
      if (!secret || !encrypts) continue;
      rnp_key_is_protected(key, &locked);
      if (locked && rnp_key_unlock(key, keys.passphrase().c_str()) != RNP_SUCCESS) {
        return absl::UnavailableError(
            absl::StrCat("the key ", fingerprint, " in ", decrypt.secret_keys, " isn't unlocked by the passphrase"));
      }
      ++usable;
    }
    if (usable == 0) {
      return absl::UnavailableError(absl::StrCat(decrypt.secret_keys, " holds no secret key that opens files"));
    }
    found.push_back(absl::StrCat(usable, usable == 1 ? " secret key opens" : " secret keys open", " files"));
  }
  if (!decrypt.signed_by.empty()) {
    KeyRing signers;
    TM_RETURN_IF_ERROR(signers.Load(decrypt.signed_by));
    found.push_back(absl::StrCat(signers.Fingerprints().size(), " keys may sign them"));
  }
  if (!decrypt.zip_passphrase.empty()) {
    TM_RETURN_IF_ERROR(ReadPassphrase(decrypt.zip_passphrase).status());
    found.push_back("the passphrase of zip archives is there");
  }
  return absl::StrJoin(found, ", ");
}

}  // namespace tidemark
