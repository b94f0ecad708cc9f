#include "text/splitters.h"

#include "base/utf8.h"
#include "text/char_class.h"

#include <algorithm>

namespace ruvllm::text {
namespace {

// Reads one range of a text forward.
class Cursor {
 public:
  Cursor(std::string_view text, Piece range) : text_(text.substr(0, range.end)), at_(range.begin) {}

  bool done() const { return at_ == text_.size(); }
  size_t at() const { return at_; }
  void move_to(size_t position) { at_ = position; }
  char byte() const { return done() ? '\0' : text_[at_]; }
  char byte_after(size_t n) const { return at_ + n < text_.size() ? text_[at_ + n] : '\0'; }
  /// `other` at the end, like a character that starts nothing; ask done() first where it matters.
  ClassedChar peek() const { return peek_at(at_); }
  ClassedChar peek_at(size_t position) const {
    return position < text_.size() ? class_at(text_, position) : ClassedChar{CharType::other, 0};
  }

  uint32_t code_point() const { return first_code_point(text_.substr(at_, 4)).value; }

  template <typename Wanted>
  void skip_while(Wanted wanted) {
    while (!done()) {
      const ClassedChar next = peek();
      if (!wanted(next.type)) return;
      at_ += next.n_bytes;
    }
  }

  void skip_line_ends() {
    while (byte() == '\r' || byte() == '\n') ++at_;
  }

 private:
  std::string_view text_;
  size_t at_;
};

bool is_letter(CharType type) { return type == CharType::letter; }
bool is_number(CharType type) { return type == CharType::number; }
bool is_space(CharType type) { return type == CharType::space; }
bool is_rest(CharType type) { return !is_letter(type) && !is_number(type) && !is_space(type); }

// Bytes of 's 't 're 've 'm 'll 'd at the cursor, or 0. Ignoring case, ſ is an s.
template <bool any_case>
size_t contraction_bytes(const Cursor& text) {
  if (text.byte() != '\'') return 0;
  const auto letter = [&](size_t n) {
    const char c = text.byte_after(n);
    return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  switch (letter(1)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return letter(2) == 'e' ? 3 : 0;
    case 'l':
      return letter(2) == 'l' ? 3 : 0;
    case '\xC5':
      return any_case && text.byte_after(2) == '\xBF' ? 3 : 0;
    default:
      return 0;
  }
}

// A run of white space from the cursor on.
struct SpaceRun {
  size_t end;
  size_t last_begin;    // where its last character begins
  size_t line_end = 0;  // behind its last \r or \n, or 0
  size_t n_chars = 0;
};

SpaceRun space_run(const Cursor& text) {
  SpaceRun run{text.at(), text.at()};
  for (ClassedChar next = text.peek(); is_space(next.type); next = text.peek_at(run.end)) {
    run.last_begin = run.end;
    run.end += next.n_bytes;
    ++run.n_chars;
    if (const char c = text.byte_after(run.last_begin - text.at()); c == '\r' || c == '\n')
      run.line_end = run.end;
  }
  return run;
}

// \s+(?!\S)|\s+ : all of the run at the end of the text, else all but its last character (if that leaves
// any).
size_t space_piece_end(const SpaceRun& run, size_t text_end) {
  return run.end == text_end || run.n_chars == 1 ? run.end : run.last_begin;
}

// Where a piece of ` ?X+` really begins: behind the space, if one stands before something else.
size_t behind_space(const Cursor& text) { return text.at() + (text.byte() == ' '); }

class Pieces {
 public:
  Pieces(uint32_t begin, std::vector<Piece>& pieces) : begin_(begin), pieces_(pieces) {}
  void cut_at(size_t end) {
    if (end > begin_) pieces_.push_back({begin_, static_cast<uint32_t>(end)});
    begin_ = static_cast<uint32_t>(end);
  }

 private:
  uint32_t begin_;
  std::vector<Piece>& pieces_;
};

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
void split_gpt2(std::string_view whole, Piece range, std::vector<Piece>& pieces) {
  Cursor text(whole, range);
  Pieces out(range.begin, pieces);
  while (!text.done()) {
    if (const size_t n_bytes = contraction_bytes<false>(text)) {
      text.move_to(text.at() + n_bytes);
    } else if (const size_t word = behind_space(text);
               word < range.end && !is_space(text.peek_at(word).type)) {
      const CharType type = text.peek_at(word).type;
      text.move_to(word);
      text.skip_while(is_letter(type) ? is_letter : is_number(type) ? is_number : is_rest);
    } else {
      text.move_to(space_piece_end(space_run(text), range.end));
    }
    out.cut_at(text.at());
  }
}

// White space in pieces of 512, 256, ... 4, 2 or 1 characters, as \s{512}(?!\S)|...|\s{1,2}(?!\S)|\s{1} cuts
// it. A last character before something else is left for the word that it may belong to, if it doesn't stand
// alone.
void cut_space_ladder(Cursor& text, const SpaceRun& run, size_t text_end, Pieces& out) {
  const bool at_end = run.end == text_end;
  const size_t n_kept = at_end || run.n_chars == 1 ? 0 : 1;
  for (size_t n_left = run.n_chars; n_left > n_kept;) {
    size_t n_taken = 512;
    while (n_taken > 1 && !(n_left > n_taken || (n_left == n_taken && at_end))) n_taken /= 2;
    for (size_t i = 0; i < n_taken; ++i) text.move_to(text.at() + text.peek().n_bytes);
    n_left -= n_taken;
    out.cut_at(text.at());
  }
}

enum class SpaceRule { whole_run, ladder };

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,n_digits}|
// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
template <int n_digits, SpaceRule space_rule>
void split_llama3(std::string_view whole, Piece range, std::vector<Piece>& pieces) {
  Cursor text(whole, range);
  Pieces out(range.begin, pieces);
  while (!text.done()) {
    const ClassedChar first = text.peek();
    const size_t second = text.at() + first.n_bytes;
    const bool at_line_end = text.byte() == '\r' || text.byte() == '\n';
    if (const size_t n_bytes = contraction_bytes<true>(text)) {
      text.move_to(text.at() + n_bytes);
    } else if (is_letter(first.type) ||
               (!at_line_end && !is_number(first.type) && is_letter(text.peek_at(second).type))) {
      text.move_to(second);
      text.skip_while(is_letter);
    } else if (is_number(first.type)) {
      for (int i = 0; i < n_digits && is_number(text.peek().type); ++i)
        text.move_to(text.at() + text.peek().n_bytes);
    } else if (const size_t word = behind_space(text); word < range.end && is_rest(text.peek_at(word).type)) {
      text.move_to(word);
      text.skip_while(is_rest);
      text.skip_line_ends();
    } else {
      const SpaceRun run = space_run(text);
      if (run.line_end != 0) {
        text.move_to(run.line_end);
      } else if (space_rule == SpaceRule::ladder) {
        cut_space_ladder(text, run, range.end, out);
      } else {
        text.move_to(space_piece_end(run, range.end));
      }
    }
    out.cut_at(text.at());
  }
}

// Cuts a run of digits, given where each begins, so that groups of three count from its right end.
void cut_groups_of_three(const std::vector<size_t>& begins, Pieces& out) {
  for (size_t i = 0; i < begins.size(); ++i)
    if ((begins.size() - i) % 3 == 0) out.cut_at(begins[i]);
}

// Where the digits (\d) from the cursor on begin; moves behind them.
std::vector<size_t> digit_begins(Cursor& text) {
  std::vector<size_t> begins;
  while (!text.done() && is_decimal_digit(text.code_point())) {
    begins.push_back(text.at());
    text.move_to(text.at() + text.peek().n_bytes);
  }
  return begins;
}

// (?=(\d{3})+(?!\d)) : cuts before every digit that a multiple of three digits begins with.
void split_before_groups(std::string_view whole, Piece range, std::vector<Piece>& pieces) {
  Cursor text(whole, range);
  Pieces out(range.begin, pieces);
  while (!text.done()) {
    const auto begins = digit_begins(text);
    if (begins.empty()) text.move_to(text.at() + text.peek().n_bytes);
    cut_groups_of_three(begins, out);
  }
  out.cut_at(range.end);
}

// \d{1,3}(?=(?:\d{3})*\b) : groups of three from the right, in runs of digits that no letter, mark or _
// follows.
void split_digit_groups(std::string_view whole, Piece range, std::vector<Piece>& pieces) {
  Cursor text(whole, range);
  Pieces out(range.begin, pieces);
  while (!text.done()) {
    const size_t begin = text.at();
    const auto begins = digit_begins(text);
    if (begins.empty()) {
      text.move_to(text.at() + text.peek().n_bytes);
    } else if (text.done() ||
               !(is_letter(text.peek().type) || is_number(text.peek().type) || text.byte() == '_')) {
      out.cut_at(begin);
      cut_groups_of_three(begins, out);
      out.cut_at(text.at());
    }
  }
  out.cut_at(range.end);
}

struct Row {
  std::string_view pattern;
  Splitter splitter;
};

constexpr Row kRows[] = {
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", split_gpt2},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     split_llama3<3, SpaceRule::whole_run>},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     split_llama3<1, SpaceRule::whole_run>},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})",
     split_llama3<3, SpaceRule::ladder>},
    {R"((?=(\d{3})+(?!\d)))", split_before_groups},
    {R"(\d{1,3}(?=(?:\d{3})*\b))", split_digit_groups},
};

}  // namespace

Splitter find_splitter(std::string_view pattern) {
  const Row* row = std::ranges::find(kRows, pattern, &Row::pattern);
  return row == std::end(kRows) ? nullptr : row->splitter;
}

}  // namespace ruvllm::text
