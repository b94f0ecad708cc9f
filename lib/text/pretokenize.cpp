#include "text/pretokenize.h"

#include "base/error.h"
#include "base/utf8.h"

#include <algorithm>
#include <limits>

namespace ruvllm::text {
namespace {

#define SPLIT(id, ...) constexpr std::string_view k_split_##id[] = {__VA_ARGS__};
#define PRETOKENIZER(name, split, traits)
#include "text/pretokenizers.def"
#undef SPLIT
#undef PRETOKENIZER

#define SPLIT(id, ...)
#define PRETOKENIZER(name, split, traits) {name, k_split_##split, traits},
constexpr PretokenizerRow kRows[] = {
#include "text/pretokenizers.def"
};
#undef SPLIT
#undef PRETOKENIZER

// Cuts a range of a text into runs of well-formed and of malformed UTF-8; calls take(piece, is_valid) for
// each.
template <typename Take>
void for_each_run(std::string_view whole, Piece range, Take take) {
  const std::string_view text = whole.substr(0, range.end);
  uint32_t begin = range.begin;
  bool valid = true;
  for (uint32_t at = range.begin; at < range.end;) {
    const CodePoint point = first_code_point(text.substr(at, 4));
    if (point.valid != valid) {
      if (at > begin) take(Piece{begin, at}, valid);
      begin = at;
      valid = point.valid;
    }
    at += point.n_bytes;
  }
  if (begin < range.end) take(Piece{begin, range.end}, valid);
}

// Matches in well-formed text. An empty match is taken as an empty piece, and the search goes on a character
// further.
template <typename Take>
void for_each_match_in_run(const Regex& regex, std::string_view text, Piece run, Regex::Scratch& scratch,
                           Take take) {
  const std::string_view subject = text.substr(run.begin, run.end - run.begin);
  uint32_t begin = run.begin;
  size_t search = 0;
  Regex::Match match;
  while (search < subject.size() && regex.find(subject, search, match, scratch)) {
    const auto match_begin = static_cast<uint32_t>(run.begin + match.begin);
    const auto match_end = static_cast<uint32_t>(run.begin + match.end);
    take(Piece{begin, match_begin}, false);
    take(Piece{match_begin, match_end}, true);
    begin = match_end;
    search = match.end;
    if (match.end == match.begin && search < subject.size())
      search += first_code_point(subject.substr(search, 4)).n_bytes;
  }
  take(Piece{begin, run.end}, false);
}

}  // namespace

std::span<const PretokenizerRow> pretokenizer_rows() { return kRows; }

const PretokenizerRow* find_pretokenizer(std::string_view name) {
  const PretokenizerRow* row = std::ranges::find(kRows, name, &PretokenizerRow::name);
  return row == std::end(kRows) ? nullptr : row;
}

void for_each_match(const Regex& regex, std::string_view text, Piece range, Regex::Scratch& scratch,
                    const std::function<void(Piece, bool)>& take) {
  for_each_run(text, range, [&](Piece run, bool valid) {
    if (valid) {
      for_each_match_in_run(regex, text, run, scratch, take);
    } else {
      take(run, false);
    }
  });
}

Pretokenizer::Pretokenizer(std::span<const std::string_view> patterns, bool use_splitters) {
  for (const std::string_view pattern : patterns) {
    Step step;
    if (use_splitters) step.splitter = find_splitter(pattern);
    if (!step.splitter) {
      step.regex = std::make_shared<const Regex>(pattern);
      needs_scratch_ = true;
    }
    steps_.push_back(std::move(step));
  }
}

void Pretokenizer::split(std::string_view text, std::vector<Piece>& pieces) const {
  RUVLLM_ASSERT(text.size() < std::numeric_limits<uint32_t>::max());
  const auto scratch = needs_scratch_ ? Regex::make_scratch() : nullptr;
  std::vector<Piece> current, before, result;
  result.reserve(pieces.size() + text.size() / 4);
  const auto add = [&](Piece piece, bool) {
    if (piece.begin < piece.end) current.push_back(piece);
  };
  const auto split_run = [&](Piece run, bool valid) {
    current.assign(1, run);
    for (size_t i = 0; valid && i < steps_.size(); ++i) {
      before.swap(current);
      current.clear();
      for (const Piece& piece : before) {
        if (steps_[i].splitter) {
          steps_[i].splitter(text, piece, current);
        } else {
          for_each_match_in_run(*steps_[i].regex, text, piece, *scratch, add);
        }
      }
    }
    result.insert(result.end(), current.begin(), current.end());
  };
  for (const Piece& piece : pieces) for_each_run(text, piece, split_run);
  pieces = std::move(result);
}

}  // namespace ruvllm::text
