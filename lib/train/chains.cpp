#include "train/chains.h"

#include "base/error.h"
#include "base/strings.h"
#include "train/reasoning.h"

#include <string>
#include <vector>

namespace ruvllm::train {
namespace {

// A stretch of text that ends a step.
struct Piece {
  size_t end;  // bytes of the text before it
  float weight;
};

// The token of `document` (of `text`) that holds byte `place`.
class TokenPlaces {
 public:
  TokenPlaces(const Document& document, std::string_view text, const text::Tokenizer& tokenizer) {
    // A SentencePiece tokenizer puts a space in front, which is no byte of the text.
    size_t shift = tokenizer.strips_first_space() && !text.empty() ? 1 : 0;
    size_t end = 0;
    for (const int32_t token : document.tokens) {
      const size_t n = tokenizer.token_bytes(token, false).size();
      const size_t skipped = std::min(shift, n);
      shift -= skipped;
      ends_.push_back(end += n - skipped);
    }
  }
  uint32_t token_of(size_t place) const {
    uint32_t token = 0;
    while (token + 1 < ends_.size() && ends_[token] <= place) ++token;
    return token;
  }

 private:
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

Document chain_document(const OrderedJson& line, const text::Tokenizer& tokenizer) {
  std::string text = string_of(line, "prompt");
  const size_t prompt_end = text.size();
  const OrderedJson& steps = line["steps"];
  if (!steps.is_array() || steps.empty())
    throw Error(Errc::corrupt_file, "\"steps\" is no list with something in it");
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
  if (tokenizer.adds_bos() && tokenizer.bos()) document.tokens.push_back(*tokenizer.bos());
  const auto tokens = tokenizer.encode(text, {.add_special = false, .parse_special = false});
  document.tokens.insert(document.tokens.end(), tokens.begin(), tokens.end());
  const TokenPlaces places(document, text, tokenizer);
  add_marks(document, places, pieces);
  document.is_target.assign(document.tokens.size(), 1);
  const uint32_t first_target = places.token_of(prompt_end);
  for (uint32_t i = 0; i < first_target; ++i) document.is_target[i] = 0;
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
  add_marks(document, TokenPlaces(document, text, tokenizer), pieces);
}

}  // namespace ruvllm::train
