#include "text/normalise.h"

#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "text/char_class.h"
#include "text/regex.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

namespace ruvllm::text {
namespace {

// Calls take(code point, its bytes) for every character; malformed bytes come one by one with valid = false.
template <typename Take>
void for_each_character(std::string_view text, Take take) {
  while (!text.empty()) {
    const CodePoint point = first_code_point(text.substr(0, 4));
    take(point, text.substr(0, point.n_bytes));
    text.remove_prefix(point.n_bytes);
  }
}

// Well-formed text through utf8proc, which takes nothing else.
std::string map_valid(std::string_view text, int options) {
  utf8proc_uint8_t* mapped = nullptr;
  const auto n_bytes = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                    static_cast<utf8proc_ssize_t>(text.size()), &mapped,
                                    static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  if (n_bytes < 0) return std::string(text);
  return {reinterpret_cast<const char*>(mapped), static_cast<size_t>(n_bytes)};
}

std::string map_text(std::string_view text, int options) {
  std::string result;
  size_t begin = 0;  // of the well-formed run
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = first_code_point(text.substr(at, 4));
    if (!point.valid) {
      if (at > begin) result += map_valid(text.substr(begin, at - begin), options);
      result += text[at];
      begin = at + 1;
    }
    at += point.n_bytes;
  }
  if (begin < text.size()) result += map_valid(text.substr(begin), options);
  return result;
}

void append_lower(std::string& out, uint32_t code_point) {
  if (code_point == 0x130) {  // the one character whose lower case is two
    out += "i\xCC\x87";
  } else {
    append_utf8(out, static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code_point))));
  }
}

// Characters that BERT drops: controls that are no white space, format characters, unassigned ones.
bool is_dropped(uint32_t c) {
  if (c == 0 || c == kReplacementCharacter) return true;
  if (char_type(c) == CharType::space) return false;
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
         category == UTF8PROC_CATEGORY_CN || category == UTF8PROC_CATEGORY_CO;
}

bool is_nonspacing_mark(uint32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_MN;
}

}  // namespace

void limit_growth(const std::string& text) {
  if (text.size() > 8 * limits::kPromptBytes)
    throw Error(Errc::usage, "the text grows too long when it is normalised");
}

Normaliser unicode_form(UnicodeForm form) {
  constexpr int kOptions[] = {UTF8PROC_STABLE | UTF8PROC_COMPOSE, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
                              UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
                              UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT};
  return
      [options = kOptions[static_cast<int>(form)]](std::string_view text) { return map_text(text, options); };
}

Normaliser lower_case() {
  return [](std::string_view text) {
    std::string lower;
    for_each_character(text, [&](CodePoint point, std::string_view bytes) {
      if (point.valid) {
        append_lower(lower, point.value);
      } else {
        lower += bytes;
      }
    });
    return lower;
  };
}

Normaliser strip_accents() {
  return [](std::string_view text) {
    std::string plain;
    for_each_character(text, [&](CodePoint point, std::string_view bytes) {
      if (!point.valid || !is_nonspacing_mark(point.value)) plain += bytes;
    });
    return plain;
  };
}

Normaliser strip_spaces(bool left, bool right) {
  return [left, right](std::string_view text) {
    size_t begin = text.size(), end = 0, at = 0;
    for_each_character(text, [&](CodePoint point, std::string_view bytes) {
      if (!point.valid || char_type(point.value) != CharType::space) {
        begin = std::min(begin, at);
        end = at + bytes.size();
      }
      at += bytes.size();
    });
    begin = left ? begin : 0;
    end = right ? end : text.size();
    return std::string(begin < end ? text.substr(begin, end - begin) : std::string_view());
  };
}

Normaliser prepend(std::string prefix) {
  return [prefix = std::move(prefix)](std::string_view text) {
    return text.empty() ? std::string() : prefix + std::string(text);
  };
}

Normaliser replace_text(std::string from, std::string to) {
  return [from = std::move(from), to = std::move(to)](std::string_view text) {
    if (from.empty()) return std::string(text);
    std::string result;
    result.reserve(text.size() + text.size() / 2);
    size_t begin = 0;
    for (size_t at; (at = text.find(from, begin)) != std::string_view::npos; begin = at + from.size())
      limit_growth(result.append(text.substr(begin, at - begin)).append(to));
    return result.append(text.substr(begin));
  };
}

Normaliser replace_pattern(std::string_view pattern, std::string to) {
  return [regex = std::make_shared<const Regex>(pattern), to = std::move(to)](std::string_view text) {
    const auto scratch = Regex::make_scratch();
    const std::string valid = to_valid_utf8(text);
    std::string result;
    size_t begin = 0, search = 0;
    Regex::Match match;
    while (search <= valid.size() && regex->find(valid, search, match, *scratch)) {
      limit_growth(result.append(valid, begin, match.begin - begin).append(to));
      begin = search = match.end;
      if (match.begin != match.end) continue;
      if (search == valid.size()) break;
      search += first_code_point(std::string_view(valid).substr(search, 4)).n_bytes;
    }
    return result.append(valid, begin);
  };
}

Normaliser collapse_spaces() {
  return [](std::string_view text) {
    std::string result;
    for (const char c : text) {
      if (c == ' ' && (result.empty() || result.back() == ' ')) continue;
      result += c;
    }
    if (result.ends_with(' ')) result.pop_back();
    return result;
  };
}

Normaliser bert_normaliser(BertNormalisation settings) {
  return [settings](std::string_view text) {
    const std::string decomposed =
        settings.strip_accents ? map_text(text, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE) : std::string(text);
    std::string result;
    for_each_character(decomposed, [&](CodePoint point, std::string_view bytes) {
      const uint32_t c = point.value;
      if (settings.clean_text && is_dropped(c)) return;
      if (settings.strip_accents && is_nonspacing_mark(c)) return;
      if (settings.clean_text && char_type(c) == CharType::space) {
        result += ' ';
      } else if (settings.separate_ideographs && is_cjk_ideograph(c)) {
        result.append(" ").append(bytes).append(" ");
      } else if (settings.lower_case && point.valid) {
        append_lower(result, c);
      } else {
        result += bytes;
      }
    });
    return result;
  };
}

}  // namespace ruvllm::text
