#include "cli/token_list.h"

#include "base/error.h"
#include "base/strings.h"
#include "base/utf8.h"

namespace ruvllm::cli {

std::vector<text::TokenId> parse_token_list(std::string_view text, text::TokenId n_tokens,
                                            std::string_view option) {
  std::vector<text::TokenId> tokens;
  if (trim(text).empty()) return tokens;
  for (const std::string_view part : split(text, ',')) {
    const auto token = parse_integer(trim(part));
    if (!token || *token < 0 || *token >= n_tokens)
      throw Error(Errc::usage, "{}: '{}' is not a token id; they go from 0 to {}", option, printable(part),
                  n_tokens - 1);
    tokens.push_back(static_cast<text::TokenId>(*token));
  }
  return tokens;
}

}  // namespace ruvllm::cli
