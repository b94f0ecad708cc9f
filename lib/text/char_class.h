// Classes of characters that text is cut by: the Unicode general categories that pre-tokenisers ask about.
// Tested by tests/text/char_class_test.cpp and, through the splitters, by tests/text/pretokenize_test.cpp.
#pragma once

#include <cstdint>
#include <string_view>

namespace ruvllm::text {

enum class CharType : uint8_t { other, space, letter, number, mark, punctuation, symbol };

/// Letters, numbers and marks: what words are made of.
inline bool is_word_class(CharType type) {
  return type == CharType::letter || type == CharType::number || type == CharType::mark;
}

/// The class of a code point. White space is Unicode's White_Space property.
CharType char_type(uint32_t code_point);

/// \d: a decimal digit of any script (category Nd), not ½ or Ⅳ.
bool is_decimal_digit(uint32_t code_point);

struct ClassedChar {
  CharType type;
  uint32_t n_bytes;
};

/// The first character at `begin` (< size). A malformed byte is one byte of type `other`.
ClassedChar class_at(std::string_view text, size_t begin);

/// Ideographs and their kin, which BERT-like tokenizers take one by one.
bool is_cjk_ideograph(uint32_t code_point);

}  // namespace ruvllm::text
