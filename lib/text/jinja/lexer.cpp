#include "text/jinja/lexer.h"

#include "base/utf8.h"
#include "text/jinja/value.h"

#include <fmt/format.h>

#include <array>
#include <optional>

namespace ruvllm::text::jinja {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_name_part(char c) { return is_name_start(c) || is_digit(c); }

int digit_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 36;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) {
      const size_t tag = next_tag(at_);
      if (tag == source_.size()) {
        add_data(source_.substr(at_));
        break;
      }
      lex_tag(tag);
    }
    tokens_.push_back({TokenKind::end, static_cast<uint32_t>(source_.size()), {}});
    return std::move(tokens_);
  }

 private:
  [[noreturn]] static void fail(size_t offset, std::string message) {
    throw SyntaxError{static_cast<uint32_t>(offset), std::move(message)};
  }

  bool stands_at(size_t at, std::string_view text) const { return source_.substr(at, text.size()) == text; }

  // Where the next "{{", "{%" or "{#" is, or the end.
  size_t next_tag(size_t from) const {
    for (size_t at = source_.find('{', from); at != std::string_view::npos; at = source_.find('{', at + 1))
      if (at + 1 < source_.size() && std::string_view("{%#").find(source_[at + 1]) != std::string_view::npos)
        return at;
    return source_.size();
  }

  void add(TokenKind kind, size_t offset, std::string text = {}) {
    tokens_.push_back({kind, static_cast<uint32_t>(offset), std::move(text)});
  }

  void add_data(std::string_view data) {
    if (!data.empty())
      add(TokenKind::data, static_cast<size_t>(data.data() - source_.data()), std::string(data));
  }

  // The data before a tag, as the tag's sign and lstrip_blocks leave it.
  std::string_view strip_before(std::string_view data, char sign, bool is_output) const {
    if (sign == '-') return strip_right(data);
    if (sign == '+' || is_output) return data;
    const size_t newline = data.rfind('\n');
    if (newline == std::string_view::npos && !line_starting_) return data;
    const size_t line = newline == std::string_view::npos ? 0 : newline + 1;
    return strip_left(data.substr(line)).empty() ? data.substr(0, line) : data;
  }

  char sign_at(size_t at) const {
    return at < source_.size() && (source_[at] == '-' || source_[at] == '+') ? source_[at] : '\0';
  }

  size_t skip_space(size_t at) const {
    return source_.size() - strip_left(source_.substr(std::min(at, source_.size()))).size();
  }

  // Takes the end of a tag ("%}" and the like), with its sign, if it stands at at_, and the whitespace it
  // eats.
  bool take_tag_end(std::string_view end, bool trims_newline) {
    const size_t begin = at_;
    if (stands_at(at_, end)) {
      at_ += end.size();
      if (trims_newline && stands_at(at_, "\n")) ++at_;
    } else if (sign_at(at_) == '-' && stands_at(at_ + 1, end)) {
      at_ = skip_space(at_ + 1 + end.size());
    } else if (sign_at(at_) == '+' && trims_newline && stands_at(at_ + 1, end)) {
      at_ += 1 + end.size();
    } else {
      return false;
    }
    line_starting_ = at_ > begin && source_[at_ - 1] == '\n';
    return true;
  }

  void lex_tag(size_t tag) {
    const char kind = source_[tag + 1];
    const char sign = sign_at(tag + 2);
    add_data(strip_before(source_.substr(at_, tag - at_), sign, kind == '{'));
    at_ = tag + 2 + (sign ? 1 : 0);
    if (kind == '#') return skip_comment(tag);
    if (kind == '%' && take_raw(tag)) return;
    add(kind == '{' ? TokenKind::output_begin : TokenKind::block_begin, tag);
    lex_expression(tag, kind == '{');
  }

  void skip_comment(size_t tag) {
    const size_t end = source_.find("#}", at_);
    if (end == std::string_view::npos) fail(tag, "a comment isn't closed");
    at_ = end > at_ && sign_at(end - 1) ? end - 1 : end;
    take_tag_end("#}", true);
  }

  // {% raw %}...{% endraw %}; at_ stands behind "{%" and its sign.
  bool take_raw(size_t tag) {
    const size_t word = skip_space(at_);
    if (!stands_at(word, "raw")) return false;
    const size_t before = at_;
    at_ = skip_space(word + 3);
    if (!take_tag_end("%}", false)) {
      at_ = before;
      return false;
    }
    const size_t body = at_;
    for (size_t end = source_.find("{%", body); end != std::string_view::npos;
         end = source_.find("{%", end + 2)) {
      const char sign = sign_at(end + 2);
      const size_t end_word = skip_space(end + 2 + (sign ? 1 : 0));
      if (!stands_at(end_word, "endraw")) continue;
      at_ = skip_space(end_word + 6);
      if (!take_tag_end("%}", true)) continue;
      const bool was_starting = std::exchange(line_starting_, false);
      add_data(strip_before(source_.substr(body, end - body), sign, false));
      line_starting_ = was_starting;
      return true;
    }
    fail(tag, "a raw block isn't closed");
  }

  void lex_expression(size_t tag, bool is_output) {
    const std::string_view end = is_output ? "}}" : "%}";
    std::string open;  // brackets that wait for their other half
    while (true) {
      at_ = skip_space(at_);
      if (at_ >= source_.size()) fail(tag, fmt::format("the tag isn't closed, {} is missing", end));
      const size_t end_offset = at_;
      if (open.empty() && take_tag_end(end, !is_output)) {
        add(is_output ? TokenKind::output_end : TokenKind::block_end, end_offset);
        return;
      }
      const char c = source_[at_];
      if (is_digit(c)) {
        lex_number();
      } else if (is_name_start(c)) {
        lex_name();
      } else if (c == '"' || c == '\'') {
        lex_string();
      } else {
        lex_operator(open);
      }
    }
  }

  void lex_name() {
    const size_t begin = at_;
    while (at_ < source_.size() && is_name_part(source_[at_])) ++at_;
    add(TokenKind::name, begin, std::string(source_.substr(begin, at_ - begin)));
  }

  // Digits with single underscores between them, appended to `digits`; false where there are none.
  bool take_digits(int base, std::string& digits) {
    const size_t n_before = digits.size();
    while (at_ < source_.size()) {
      if (digit_value(source_[at_]) < base) {
        digits += source_[at_++];
      } else if (source_[at_] == '_' && at_ + 1 < source_.size() && digit_value(source_[at_ + 1]) < base) {
        ++at_;
      } else {
        break;
      }
    }
    return digits.size() > n_before;
  }

  void lex_number() {
    const size_t begin = at_;
    std::string digits;
    constexpr std::array<std::pair<std::string_view, int>, 3> kPrefixes = {
        {{"bB", 2}, {"oO", 8}, {"xX", 16}}};
    for (const auto& [letters, base] : kPrefixes) {
      if (source_[at_] != '0' || at_ + 1 >= source_.size() || letters.find(source_[at_ + 1]) == letters.npos)
        continue;
      at_ += 2;
      if (!take_digits(base, digits)) fail(begin, "a number lacks its digits");
      return add(TokenKind::integer, begin, integer_text(digits, base, begin));
    }
    take_digits(10, digits);
    bool is_real = false;
    // "1.5" is a number, "x.0.1" two subscripts.
    const bool after_dot = begin > 0 && source_[begin - 1] == '.';
    if (!after_dot && stands_at(at_, ".") && at_ + 1 < source_.size() && is_digit(source_[at_ + 1])) {
      is_real = true;
      ++at_;
      digits += '.';
      take_digits(10, digits);
    }
    if (!after_dot && at_ < source_.size() && (source_[at_] == 'e' || source_[at_] == 'E')) {
      const size_t first = at_ + 1 + (sign_at(at_ + 1) ? 1 : 0);
      if (first < source_.size() && is_digit(source_[first])) {
        is_real = true;
        digits += source_.substr(at_, first - at_);
        at_ = first;
        take_digits(10, digits);
      }
    }
    if (!is_real && digits.size() > 1 && digits[0] == '0' && digits.find_first_not_of('0') != digits.npos)
      fail(begin, "an integer begins with 0");
    add(is_real ? TokenKind::real : TokenKind::integer, begin,
        is_real ? digits : integer_text(digits, 10, begin));
  }

  static std::string integer_text(const std::string& digits, int base, size_t offset) {
    int64_t value = 0;
    for (const char digit : digits)
      if (__builtin_mul_overflow(value, base, &value) ||
          __builtin_add_overflow(value, digit_value(digit), &value))
        fail(offset, "an integer is too large");
    return fmt::to_string(value);
  }

  void lex_string() {
    const size_t begin = at_;
    const char quote = source_[at_++];
    std::string text;
    while (true) {
      if (at_ >= source_.size()) fail(begin, "a string isn't closed");
      const char c = source_[at_++];
      if (c == quote) break;
      if (c == '\\') {
        take_escape(begin, text);
      } else {
        text += c;
      }
    }
    add(TokenKind::string, begin, std::move(text));
  }

  // Python's escapes; at_ stands behind the backslash.
  void take_escape(size_t begin, std::string& text) {
    if (at_ >= source_.size()) fail(begin, "a string isn't closed");
    const char c = source_[at_++];
    constexpr std::string_view kLetters = "abfnrtv\\'\"";
    constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\'\"";
    if (const size_t i = kLetters.find(c); i != kLetters.npos) {
      text += kMeanings[i];
    } else if (c == 'x' || c == 'u' || c == 'U') {
      append_utf8(text, take_code(begin, c == 'x' ? 2 : c == 'u' ? 4 : 8, 16));
    } else if (c >= '0' && c <= '7') {
      --at_;
      size_t n_digits = 1;
      while (n_digits < 3 && at_ + n_digits < source_.size() && digit_value(source_[at_ + n_digits]) < 8)
        ++n_digits;
      append_utf8(text, take_code(begin, n_digits, 8));
    } else if (c == 'N') {
      fail(begin, "escapes by a character's name (\\N) are not supported");
    } else if (c != '\n') {
      text += '\\';
      text += c;
    }
  }

  uint32_t take_code(size_t begin, size_t n_digits, int base) {
    uint32_t code = 0;
    for (size_t i = 0; i < n_digits; ++i, ++at_) {
      if (at_ >= source_.size() || digit_value(source_[at_]) >= base)
        fail(begin, "a string has a broken escape");
      code = code * static_cast<uint32_t>(base) + static_cast<uint32_t>(digit_value(source_[at_]));
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) fail(begin, "a string has a broken escape");
    return code;
  }

  void lex_operator(std::string& open) {
    constexpr std::array<std::string_view, 27> kOperators = {
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]",
        "(",  ")",  "{",  "}",  ">",  "<",  "=", ".", ":", "|", ",", ";", "!"};
    for (const std::string_view op : kOperators) {
      if (!stands_at(at_, op)) continue;
      if (op == "(" || op == "[" || op == "{") open += op == "(" ? ')' : op == "[" ? ']' : '}';
      if (op == ")" || op == "]" || op == "}") {
        if (open.empty() || open.back() != op[0]) fail(at_, fmt::format("unexpected '{}'", op));
        open.pop_back();
      }
      add(TokenKind::op, at_, std::string(op));
      at_ += op.size();
      return;
    }
    fail(at_, fmt::format("unexpected character '{}'",
                          printable(source_.substr(at_, first_code_point(source_.substr(at_)).n_bytes))));
  }

  std::string_view source_;
  size_t at_ = 0;
  bool line_starting_ = true;  // whether the data that comes next begins at the start of a line
  std::vector<Token> tokens_;
};

}  // namespace

std::string normalise_source(std::string_view source) {
  std::string normal;
  normal.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      normal += source[i];
    } else if (i + 1 >= source.size() || source[i + 1] != '\n') {
      normal += '\n';
    }
  }
  if (normal.ends_with('\n')) normal.pop_back();
  return normal;
}

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace ruvllm::text::jinja
