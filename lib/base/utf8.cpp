#include "base/utf8.h"

#include <fmt/format.h>

#include <algorithm>

namespace ruvllm {

CodePoint first_code_point(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const CodePoint bad{kReplacementCharacter, 1, false};
  const uint32_t n_bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < n_bytes) return bad;
  uint32_t value = lead & (0x7Fu >> n_bytes);
  for (uint32_t i = 1; i < n_bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return bad;
    value = value << 6 | (byte(i) & 0x3Fu);
  }
  constexpr uint32_t kSmallest[5] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kSmallest[n_bytes] || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return bad;
  return {value, n_bytes, true};
}

void append_utf8(std::string& text, uint32_t code_point) {
  const auto put = [&](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    if (!point.valid) return false;
    text.remove_prefix(point.n_bytes);
  }
  return true;
}

size_t unfinished_utf8_tail(std::string_view text) {
  for (size_t n_tail = 1; n_tail <= std::min<size_t>(3, text.size()); ++n_tail) {
    const auto lead = static_cast<uint8_t>(text[text.size() - n_tail]);
    if ((lead & 0xC0) == 0x80) continue;
    const size_t n_needed = lead >= 0xF0 && lead <= 0xF4  ? 4
                            : lead >= 0xE0 && lead < 0xF0 ? 3
                            : lead >= 0xC2 && lead < 0xE0 ? 2
                                                          : 1;
    return n_needed > n_tail ? n_tail : 0;
  }
  return 0;
}

std::string to_valid_utf8(std::string_view text) {
  std::string valid;
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    append_utf8(valid, point.value);
    text.remove_prefix(point.n_bytes);
  }
  return valid;
}

namespace {

// Control characters, line separators, and what turns the direction of the text around it.
bool moves_the_cursor(uint32_t point) {
  return point < 0x20 || (point >= 0x7F && point < 0xA0) || (point >= 0x2028 && point <= 0x202E) ||
         (point >= 0x2066 && point <= 0x2069);
}

}  // namespace

std::string printable(std::string_view text, size_t max_bytes) {
  std::string shown;
  while (!text.empty()) {
    if (shown.size() >= max_bytes) return shown + "...";
    const CodePoint point = first_code_point(text);
    if (point.value == '\n') {
      shown += "\\n";
    } else if (point.value == '\t') {
      shown += "\\t";
    } else if (!point.valid || moves_the_cursor(point.value)) {
      for (uint32_t i = 0; i < point.n_bytes; ++i)
        shown += fmt::format("\\x{:02x}", static_cast<uint8_t>(text[i]));
    } else {
      shown += text.substr(0, point.n_bytes);
    }
    text.remove_prefix(point.n_bytes);
  }
  return shown;
}

}  // namespace ruvllm
