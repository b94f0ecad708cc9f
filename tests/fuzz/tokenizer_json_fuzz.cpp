// tokenizer.json, tokenizer_config.json and tokenizer.model: the first byte says which; documents are apart
// by a zero byte.
#include "text/tokenizer_json.h"
#include "tokenizer_input.h"

using namespace ruvllm;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const bool is_json = input.byte() != 'm';
  const std::string_view all = input.rest();
  const size_t zero = is_json ? std::min(all.find('\0'), all.size()) : all.size();
  const std::string_view document = all.substr(0, zero);
  text::TokenizerConfig config;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  try {
    if (zero < all.size()) {
      config.config = parse_json(all.substr(zero + 1), "tokenizer_config.json");
      if (!config.config.is_object()) return 0;
    }
    tokenizer = is_json ? text::parse_tokenizer_json(document, config)
                        : text::parse_sentencepiece_model(std::as_bytes(std::span(document)), config);
  } catch (const Error& error) {
    FUZZ_CHECK(error.code() == Errc::corrupt_file);
    return 0;
  }
  try {
    for (const std::string_view text :
         {"Hello  world, it's 12345 \xC3\xA9\xE2\x96\x81\xF0\x9F\x99\x82 <s> a\n\xFF"})
      for (const text::TokenId token : tokenizer->encode(text, {.parse_special = true})) {
        FUZZ_CHECK(token >= 0 && token < tokenizer->n_tokens());
        (void)tokenizer->token_bytes(token, true);
      }
  } catch (const Error& error) {  // an expression that takes too many steps, a text that grows too long
    FUZZ_CHECK(error.code() == Errc::failed || error.code() == Errc::usage);
  }
  return 0;
}
