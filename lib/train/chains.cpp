#include "train/chains.h"

#include "base/error.h"
#include "base/strings.h"
#include "text/prompt_tokens.h"
#include "train/reasoning.h"

#include <algorithm>
#include <string>
#include <vector>

namespace ruvllm::train {
namespace {

// A stretch of text that ends a step.
struct Piece {
  size_t end;  // bytes of the text before it
  float weight;
};

// Which token of a text holds which byte.
class TokenPlaces {
 public:
  // Of tokens from `first` on; `shift` bytes in front of them are none of the text.
  TokenPlaces(std::span<const int32_t> tokens, size_t first, size_t shift, const text::Tokenizer& tokenizer)
      : first_(first) {
    size_t end = 0;
    for (const int32_t token : tokens.subspan(first)) {
      const size_t n = tokenizer.token_bytes(token, true).size();
      const size_t skipped = std::min(shift, n);
      shift -= skipped;
      ends_.push_back(end += n - skipped);
    }
  }
  uint32_t token_of(size_t place) const {
    size_t token = 0;
    while (token + 1 < ends_.size() && ends_[token] <= place) ++token;
    return static_cast<uint32_t>(first_ + token);
  }

 private:
  size_t first_;
  std::vector<size_t> ends_;
};

void add_marks(Document& document, const TokenPlaces& places, const std::vector<Piece>& pieces) {
  for (const Piece& piece : pieces) {
    const uint32_t token = places.token_of(piece.end - 1);
    if (!document.steps.empty() && document.steps.back().row == token) continue;  // two ends in one token
    document.steps.push_back({token, piece.weight});
  }
}

std::string string_of(const OrderedJson& object, const char* key) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_string())
    throw Error(Errc::corrupt_file, "\"{}\" is no string", key);
  return object[key].get<std::string>();
}

}  // namespace

void for_each_part(const OrderedJson& line, const std::function<void(const std::string&)>& take) {
  take(string_of(line, "prompt"));
  for (const OrderedJson& step : line["steps"]) take(string_of(step, "text"));
  if (line.contains("answer")) take(string_of(line, "answer"));
}

Document chain_document(const OrderedJson& line, const text::Tokenizer& tokenizer) {
  const OrderedJson& steps = line["steps"];
  if (!steps.is_array() || steps.empty())
    throw Error(Errc::corrupt_file, "\"steps\" is no list with something in it");
  std::string text;  // what follows the prompt
  std::vector<Piece> pieces;
  std::string last_type;
  size_t last_begin = 0;
  const auto append = [&](const std::string& part, const std::string& type) {
    if (trim(part).empty()) throw Error(Errc::corrupt_file, "a step has no text");
    text += '\n';
    last_begin = text.size();
    text += part;
    last_type = type;
    pieces.push_back({text.size(), step_weight(type)});
  };
  for (const OrderedJson& step : steps)
    append(string_of(step, "text"), step.contains("type") ? string_of(step, "type") : "inference");
  if (line.contains("answer") && last_type != "answer") append(string_of(line, "answer"), "answer");

  Document document;
  document.tokens = text::plain_prompt_tokens(tokenizer, string_of(line, "prompt"), true);
  const size_t n_prompt = document.tokens.size();
  const auto tokens = text::answer_tokens(tokenizer, text, false);
  document.tokens.insert(document.tokens.end(), tokens.begin(), tokens.end());
  document.is_target.assign(document.tokens.size(), 1);
  std::fill_n(document.is_target.begin(), n_prompt, uint8_t{0});
  const TokenPlaces places(document.tokens, n_prompt, 0, tokenizer);
  add_marks(document, places, pieces);
  if (last_type == "answer") {
    document.answer_begin = places.token_of(last_begin);
    document.answer_end = static_cast<uint32_t>(document.tokens.size());
  }
  return document;
}

void mark_lines(Document& document, std::string_view text, const text::Tokenizer& tokenizer) {
  std::vector<Piece> pieces;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (!trim(text.substr(begin, end - begin)).empty()) pieces.push_back({end, 1.0f});
    begin = end + 1;
  }
  // A SentencePiece tokenizer puts a space in front.
  const size_t first = tokenizer.adds_bos() && !document.tokens.empty() ? 1 : 0;
  const size_t shift = tokenizer.strips_first_space() && !text.empty() ? 1 : 0;
  add_marks(document, TokenPlaces(document.tokens, first, shift, tokenizer), pieces);
}

}  // namespace ruvllm::train
