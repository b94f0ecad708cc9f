// WordPiece: any small vocabulary, any text.
#include "tokenizer_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ruvllm::fuzz::Input input(data, size);
  ruvllm::format::Metadata metadata = ruvllm::fuzz::read_metadata(input, "bert");
  ruvllm::fuzz::check_metadata(std::move(metadata), input.rest());
  return 0;
}
