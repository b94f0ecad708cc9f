// "1,2,3": token ids on a command line. Tested by tests/cli/inspect_test.cpp.
#pragma once

#include "text/tokenizer.h"

#include <string_view>
#include <vector>

namespace ruvllm::cli {

/// The ids, each in [0, n_tokens). Throws Errc::usage naming `option` and the one that is wrong. Empty text:
/// none.
std::vector<text::TokenId> parse_token_list(std::string_view text, text::TokenId n_tokens,
                                            std::string_view option);

}  // namespace ruvllm::cli
