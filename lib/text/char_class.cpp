#include "text/char_class.h"

#include "base/utf8.h"

#include <utf8proc.h>

#include <array>

namespace ruvllm::text {
namespace {

bool is_white_space(uint32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

CharType type_of_category(uint32_t code_point) {
  if (is_white_space(code_point)) return CharType::space;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return CharType::letter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return CharType::number;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
      return CharType::mark;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return CharType::punctuation;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
      return CharType::symbol;
    default:
      return CharType::other;
  }
}

const std::array<CharType, 128>& ascii_types() {
  static const auto types = [] {
    std::array<CharType, 128> table;
    for (uint32_t c = 0; c < 128; ++c) table[c] = type_of_category(c);
    return table;
  }();
  return types;
}

}  // namespace

CharType char_type(uint32_t code_point) {
  return code_point < 128 ? ascii_types()[code_point] : type_of_category(code_point);
}

bool is_decimal_digit(uint32_t code_point) {
  if (code_point < 128) return code_point >= '0' && code_point <= '9';
  return utf8proc_category(static_cast<utf8proc_int32_t>(code_point)) == UTF8PROC_CATEGORY_ND;
}

ClassedChar class_at(std::string_view text, size_t begin) {
  const auto byte = static_cast<uint8_t>(text[begin]);
  if (byte < 128) return {ascii_types()[byte], 1};
  const CodePoint point = first_code_point(text.substr(begin, 4));
  return {point.valid ? type_of_category(point.value) : CharType::other, point.n_bytes};
}

bool is_cjk_ideograph(uint32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B820 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

}  // namespace ruvllm::text
