// GPT-2's byte alphabet: each byte as a printable character, so that a vocabulary can be written as text.
// Bytes that are printable in Latin-1 stand for themselves; the other 68 are U+0100 and following, in order.
// Tested by tests/text/byte_alphabet_test.cpp.
#pragma once

#include <string>
#include <string_view>

namespace ruvllm::text {

/// Bytes as characters of the alphabet ("Ġthe").
std::string to_byte_alphabet(std::string_view bytes);

/// The way back (" the"); characters outside the alphabet stay as they are.
std::string from_byte_alphabet(std::string_view text);

}  // namespace ruvllm::text
