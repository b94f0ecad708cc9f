#include "text/byte_alphabet.h"

#include "base/utf8.h"

#include <array>
#include <cstdint>

namespace ruvllm::text {
namespace {

constexpr bool stands_for_itself(uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
}

constexpr uint32_t kFirstOther = 0x100;

struct Alphabet {
  std::array<uint32_t, 256> letter_of{};
  std::array<uint8_t, 256> others{};  // the byte that U+0100 + i stands for
  uint32_t n_others = 0;
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    if (stands_for_itself(byte)) {
      alphabet.letter_of[byte] = byte;
    } else {
      alphabet.others[alphabet.n_others] = static_cast<uint8_t>(byte);
      alphabet.letter_of[byte] = kFirstOther + alphabet.n_others++;
    }
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

std::string to_byte_alphabet(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char byte : bytes) append_utf8(text, kAlphabet.letter_of[static_cast<uint8_t>(byte)]);
  return text;
}

std::string from_byte_alphabet(std::string_view text) {
  std::string bytes;
  while (!text.empty()) {
    const CodePoint point = first_code_point(text.substr(0, 4));
    if (point.valid && point.value < 256 && stands_for_itself(point.value)) {
      bytes += static_cast<char>(point.value);
    } else if (point.valid && point.value >= kFirstOther && point.value < kFirstOther + kAlphabet.n_others) {
      bytes += static_cast<char>(kAlphabet.others[point.value - kFirstOther]);
    } else {
      bytes += text.substr(0, point.n_bytes);
    }
    text.remove_prefix(point.n_bytes);
  }
  return bytes;
}

}  // namespace ruvllm::text
