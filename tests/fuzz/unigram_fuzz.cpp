// Unigram: any small vocabulary, any table of replacements, any text.
#include "tokenizer_input.h"

using namespace ruvllm;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  format::Metadata metadata = fuzz::read_metadata(input, "t5");
  if (const size_t n_bytes = input.byte()) {
    const std::string_view table = input.text(n_bytes);
    metadata.set("tokenizer.ggml.precompiled_charsmap",
                 metadata.keep_array(format::ValueType::u8, std::as_bytes(std::span(table))));
  }
  format::ModelFile model;
  model.metadata = std::move(metadata);
  try {
    const auto tokenizer = text::make_tokenizer(model);
    for (const text::TokenId token : tokenizer->encode(input.rest(), {}))
      FUZZ_CHECK(token >= 0 && token < tokenizer->n_tokens());
  } catch (const Error& error) {
    FUZZ_CHECK(error.code() == Errc::corrupt_file || error.code() == Errc::usage);
  }
  return 0;
}
