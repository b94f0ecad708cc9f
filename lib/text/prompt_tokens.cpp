#include "text/prompt_tokens.h"

#include <utility>

namespace ruvllm::text {

Prompt render_prompt(const ChatTemplate& chat_template, ChatRequest request) {
  if (!chat_template.capabilities().system_role) request.messages = fold_system_message(request.messages);
  return chat_template.render(request);
}

std::vector<TokenId> prompt_tokens(const Tokenizer& tokenizer, const Prompt& prompt) {
  std::vector<TokenId> tokens = encode_prompt(tokenizer, prompt);
  const auto bos = tokenizer.bos();
  if (bos && tokenizer.adds_bos() && (tokens.empty() || tokens.front() != *bos))
    tokens.insert(tokens.begin(), *bos);
  return tokens;
}

std::vector<TokenId> plain_prompt_tokens(const Tokenizer& tokenizer, std::string_view text,
                                         bool parse_special, std::span<const ByteRange> literal) {
  std::vector<TokenId> tokens =
      tokenizer.encode(text, {.add_special = true, .parse_special = parse_special, .literal = literal});
  const bool has_two = tokenizer.adds_bos() && tokens.size() >= 2 && tokens[1] == tokens[0];
  if (has_two && tokens[0] == tokenizer.bos()) tokens.erase(tokens.begin());
  return tokens;
}

std::vector<TokenId> answer_tokens(const Tokenizer& tokenizer, std::string_view text, bool parse_special,
                                   std::span<const ByteRange> literal) {
  return tokenizer.encode(
      text, {.add_special = false, .parse_special = parse_special, .continues = true, .literal = literal});
}

}  // namespace ruvllm::text
