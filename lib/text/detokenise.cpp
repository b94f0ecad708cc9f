// From tokens to text as it streams, and English spacing.
#include "base/utf8.h"
#include "text/tokenizer.h"

#include <utility>

namespace ruvllm::text {
namespace {

// Endings of words that Hugging Face joins to the word before.
constexpr std::string_view kJoined[] = {".", "?", "!", ",", "n't", "'m", "'s", "'ve", "'re"};

}  // namespace

Detokeniser::Detokeniser(std::shared_ptr<const Tokenizer> tokenizer, bool show_special, TextStart start)
    : tokenizer_(std::move(tokenizer)),
      show_special_(show_special),
      strip_space_(start == TextStart::at_beginning && tokenizer_->strips_first_space()) {}

std::string Detokeniser::push(TokenId token) {
  std::string bytes = tokenizer_->token_bytes(token, show_special_);
  if (bytes.empty()) return {};
  if (std::exchange(strip_space_, false) && bytes.front() == ' ') bytes.erase(0, 1);
  held_ += bytes;
  const size_t n_certain = held_.size() - unfinished_utf8_tail(held_);
  std::string text = to_valid_utf8(std::string_view(held_).substr(0, n_certain));
  held_.erase(0, n_certain);
  return text;
}

std::string Detokeniser::finish() { return to_valid_utf8(std::exchange(held_, {})); }

std::string clean_up_spaces(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  for (size_t at = 0; at < text.size(); ++at) {
    const std::string_view rest = text.substr(at);
    if (rest.starts_with(" ' ")) {
      clean += '\'';
      at += 2;
      continue;
    }
    const bool joins = rest[0] == ' ' && [&] {
      for (const std::string_view ending : kJoined)
        if (rest.substr(1).starts_with(ending)) return true;
      return false;
    }();
    if (!joins) clean += rest[0];
  }
  return clean;
}

}  // namespace ruvllm::text
