// Byte pair encoding: any pre-tokeniser, any small vocabulary with any merges, any text.
#include "text/pretokenize.h"
#include "tokenizer_input.h"

using namespace ruvllm;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const auto rows = text::pretokenizer_rows();
  const text::PretokenizerRow& row = rows[input.byte() % rows.size()];
  format::Metadata metadata = fuzz::read_metadata(input, "gpt2");
  metadata.set("tokenizer.ggml.pre", row.name);
  std::vector<std::string> merges;
  for (int n = input.byte(); n > 0; --n) merges.emplace_back(input.text(input.byte() & 15));
  metadata.set("tokenizer.ggml.merges", metadata.keep_strings(merges));
  const std::string_view text = input.rest();

  // Splitters and the expressions they stand for cut alike, and pieces cover the text.
  std::vector<text::Piece> by_splitter{{0, static_cast<uint32_t>(text.size())}}, by_regex = by_splitter;
  text::Pretokenizer(row.patterns).split(text, by_splitter);
  text::Pretokenizer(row.patterns, false).split(text, by_regex);
  FUZZ_CHECK(std::ranges::equal(by_splitter, by_regex, [](const text::Piece& a, const text::Piece& b) {
    return a.begin == b.begin && a.end == b.end;
  }));
  uint32_t end = 0;
  for (const text::Piece& piece : by_splitter) {
    FUZZ_CHECK(piece.begin == end && piece.begin < piece.end);
    end = piece.end;
  }
  FUZZ_CHECK(end == text.size());

  fuzz::check_metadata(std::move(metadata), text);
  return 0;
}
