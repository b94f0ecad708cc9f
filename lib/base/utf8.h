// UTF-8: validation, decoding, and text made fit for a terminal. Tested by tests/base/utf8_test.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ruvllm {

inline constexpr uint32_t kReplacementCharacter = 0xFFFD;

/// One code point read from the front of a text.
struct CodePoint {
  uint32_t value;    ///< kReplacementCharacter where the bytes are not UTF-8
  uint32_t n_bytes;  ///< how many bytes it took; 1 where they are not UTF-8
  bool valid;
};

/// The first code point of a non-empty text (no surrogates, no overlong forms, at most U+10FFFF).
CodePoint first_code_point(std::string_view text);

/// Appends a code point as UTF-8.
void append_utf8(std::string& text, uint32_t code_point);

bool is_utf8(std::string_view text);

/// How many bytes at the end of a text may be the beginning of an unfinished code point (0 to 3).
size_t unfinished_utf8_tail(std::string_view text);

/// The text with every malformed byte replaced by U+FFFD.
std::string to_valid_utf8(std::string_view text);

/// For messages and listings: control and direction characters and malformed bytes as \n, \t or \xNN, and cut
/// to `max_bytes` with "..." at the end. What a hostile file says can't move the cursor.
std::string printable(std::string_view text, size_t max_bytes = 200);

}  // namespace ruvllm
