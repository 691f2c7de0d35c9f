// Where an OpenPGP message ends: librnp stops there and says nothing of what stands behind it, a second message for
// example, which would be lost without a word. Used by one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tidemark {

class OpenPgpFraming {
 public:
  // By its first bytes.
  explicit OpenPgpFraming(bool armored) : armored_(armored) {}

  // The next bytes of the file.
  void Add(std::string_view bytes);
  // Something stands behind the message; once all was added.
  bool SomethingBehind() const { return armored_ ? begins_ > 1 || text_behind_ : packet_behind_; }

 private:
  void AddArmored(std::string_view bytes);
  void AddPackets(std::string_view bytes);
  bool ReadHeader();

  const bool armored_;
  // Armored: lines that begin a message, and what may be the beginning of such a line or of one that ends it.
  int begins_ = 0;
  bool ended_ = false, text_behind_ = false;
  std::string line_;
  // Else: the packet, or the part of it, that is being passed.
  std::string header_;     // as far as it has come
  uint64_t left_ = 0;      // of its body
  bool partial_ = false;   // another part of it follows
  bool open_end_ = false;  // it goes to the end of the file
  bool data_ = false;      // it is the encrypted data, behind which a message has nothing
  bool packet_behind_ = false;
};

}  // namespace tidemark
