#include "text/cut.h"

#include "base/utf8.h"
#include "text/char_class.h"
#include "text/normalise.h"

#include <algorithm>
#include <utility>

namespace ruvllm::text {
namespace {

// A stretch of a word, and whether it is what the cutter looks for.
struct Stretch {
  Piece piece;
  bool found;
};

// Collects the stretches of one word in order, without empty ones.
class Stretches {
 public:
  void add(uint32_t begin, uint32_t end, bool found) {
    if (begin < end) list_.push_back({{begin, end}, found});
  }
  void clear() { list_.clear(); }
  std::vector<Stretch>& list() { return list_; }

 private:
  std::vector<Stretch> list_;
};

// Turns stretches into words.
void append_words(const std::vector<Stretch>& stretches, Found rule, std::vector<Piece>& words) {
  const size_t n_before = words.size();
  bool join_next = false;
  for (size_t i = 0; i < stretches.size(); ++i) {
    const auto& [piece, found] = stretches[i];
    if (found && rule == Found::removed) continue;
    const bool has_previous = words.size() > n_before;
    const bool joins_previous =
        (rule == Found::merged_with_previous && found && i > 0 && !stretches[i - 1].found) ||
        (rule == Found::contiguous && i > 0 && stretches[i - 1].found == found) || join_next;
    join_next =
        rule == Found::merged_with_next && found && i + 1 < stretches.size() && !stretches[i + 1].found;
    if (joins_previous && has_previous) {
      words.back().end = piece.end;
    } else {
      words.push_back(piece);
    }
  }
}

// A cutter from a function that finds stretches: find(text, word, stretches).
template <typename Find>
Cutter make_cutter(Found rule, Find find) {
  return [rule, find](CutText& cut) {
    std::vector<Piece> words;
    Stretches stretches;
    for (const Piece& word : cut.words) {
      stretches.clear();
      find(cut.text, word, stretches);
      append_words(stretches.list(), rule, words);
    }
    cut.words = std::move(words);
  };
}

// Rewrites every word: write(word, out).
template <typename Write>
Cutter make_rewriter(Write write) {
  return [write](CutText& cut) {
    std::string rewritten;
    rewritten.reserve(cut.text.size() + cut.text.size() / 2);
    for (Piece& word : cut.words) {
      const auto begin = static_cast<uint32_t>(rewritten.size());
      write(cut, word, rewritten);
      word = {begin, static_cast<uint32_t>(rewritten.size())};
    }
    cut.rewritten = std::move(rewritten);
    cut.text = cut.rewritten;
  };
}

}  // namespace

Cutter cut_by_pretokenizer(std::shared_ptr<const Pretokenizer> pretokenizer) {
  return [pretokenizer = std::move(pretokenizer)](CutText& cut) { pretokenizer->split(cut.text, cut.words); };
}

Cutter cut_by_pattern(std::string_view pattern, Found found, bool inverted) {
  if (found == Found::isolated) {
    const std::string_view patterns[] = {pattern};
    return cut_by_pretokenizer(std::make_shared<const Pretokenizer>(patterns));
  }
  return [regex = std::make_shared<const Regex>(pattern), found, inverted](CutText& cut) {
    const auto scratch = Regex::make_scratch();
    make_cutter(found, [&](std::string_view text, Piece word, Stretches& stretches) {
      for_each_match(*regex, text, word, *scratch, [&](Piece piece, bool matched) {
        stretches.add(piece.begin, piece.end, matched != inverted);
      });
    })(cut);
  };
}

Cutter cut_at_text(std::string needle, Found found, bool inverted) {
  return make_cutter(
      found, [needle = std::move(needle), inverted](std::string_view text, Piece word, Stretches& stretches) {
        const std::string_view inside = text.substr(0, word.end);
        size_t begin = word.begin;
        for (size_t at; !needle.empty() && (at = inside.find(needle, begin)) != std::string_view::npos;
             begin = at + needle.size()) {
          stretches.add(static_cast<uint32_t>(begin), static_cast<uint32_t>(at), inverted);
          stretches.add(static_cast<uint32_t>(at), static_cast<uint32_t>(at + needle.size()), !inverted);
        }
        stretches.add(static_cast<uint32_t>(begin), word.end, inverted);
      });
}

Cutter cut_at_characters(std::function<bool(uint32_t)> wanted, Found found) {
  return make_cutter(
      found, [wanted = std::move(wanted)](std::string_view text, Piece word, Stretches& stretches) {
        uint32_t begin = word.begin;
        for (uint32_t at = word.begin; at < word.end;) {
          const CodePoint point = first_code_point(text.substr(at, std::min<size_t>(4, word.end - at)));
          if (point.valid && wanted(point.value)) {
            stretches.add(begin, at, false);
            stretches.add(at, at + point.n_bytes, true);
            begin = at + point.n_bytes;
          }
          at += point.n_bytes;
        }
        stretches.add(begin, word.end, false);
      });
}

Cutter metaspace(std::string sign, PrependScheme scheme, bool split) {
  const Cutter rewrite =
      make_rewriter([sign, scheme](const CutText& cut, const Piece& word, std::string& out) {
        const std::string_view text = cut.word(word);
        const bool wanted =
            scheme == PrependScheme::always ||
            (scheme == PrependScheme::first && cut.place == FragmentPlace::first && word.begin == 0);
        if (wanted && !cut.goes_on(word) && !text.starts_with(sign) && !text.starts_with(' ')) out += sign;
        for (const char c : text) {
          if (c == ' ') {
            out += sign;
          } else {
            out += c;
          }
        }
      });
  if (!split) return rewrite;
  return [rewrite, cut = cut_at_text(sign, Found::merged_with_next, false)](CutText& text) {
    rewrite(text);
    cut(text);
  };
}

Cutter add_prefix_space() {
  return make_rewriter([](const CutText& cut, const Piece& word, std::string& out) {
    const std::string_view text = cut.word(word);
    if (!text.empty() && !cut.goes_on(word) && text.front() != ' ') out += ' ';
    out += text;
  });
}

Cutter cut_before_space_signs() {
  return [](CutText& cut) {
    std::vector<Piece> words;
    for (const Piece& whole : cut.words) {
      const std::string_view text = cut.text.substr(0, whole.end);
      for (size_t begin = whole.begin; begin < text.size();) {
        size_t letters = begin;
        while (text.substr(letters).starts_with(kSpaceSign)) letters += kSpaceSign.size();
        const size_t end = std::min(text.find(kSpaceSign, letters), text.size());
        words.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(end)});
        begin = end;
      }
    }
    cut.words = std::move(words);
  };
}

std::vector<Cutter> bert_cutters() {
  const auto is_space = [](uint32_t c) { return char_type(c) == CharType::space; };
  return {cut_at_characters(is_space, Found::removed), cut_at_characters(is_punctuation, Found::isolated)};
}

bool is_punctuation(uint32_t c) {
  const bool ascii_sign =
      (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
  return ascii_sign || char_type(c) == CharType::punctuation;
}

}  // namespace ruvllm::text
