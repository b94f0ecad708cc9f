#include "text/tokenizer.h"

#include "base/json.h"
#include "base/random.h"
#include "base/utf8.h"
#include "reference.h"

#include <chrono>

using namespace ruvllm;
using ruvllm::test::vocabulary;

namespace {

using Ids = std::vector<text::TokenId>;

std::vector<std::string> cut(const std::string& whole, const std::string& separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t at; (at = whole.find(separator, begin)) != std::string::npos; begin = at + separator.size())
    parts.push_back(whole.substr(begin, at - begin));
  parts.push_back(whole.substr(begin));
  return parts;
}

Ids ids_in_line(const std::string& line) {
  Ids ids;
  for (const std::string& word : cut(line, " "))
    if (!word.empty()) ids.push_back(std::stoi(word));
  return ids;
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

std::string random_utf8(Random& random, size_t n_points) {
  constexpr uint32_t kRanges[][2] = {{0x20, 0x7E},     {0x20, 0x7E},       {0x09, 0x0D},     {0xA0, 0x24F},
                                     {0x370, 0x5FF},   {0x900, 0x9FF},     {0x2000, 0x206F}, {0x3040, 0x30FF},
                                     {0x4E00, 0x9FFF}, {0x1F300, 0x1F6FF}, {0, 0x10FFFF}};
  std::string text;
  for (size_t i = 0; i < n_points; ++i) {
    const auto& range = kRanges[random.below(std::size(kRanges))];
    const auto point = static_cast<uint32_t>(range[0] + random.below(range[1] - range[0] + 1));
    append_utf8(text, point >= 0xD800 && point < 0xE000 ? 'x' : point);
  }
  return text;
}

}  // namespace

TEST_CASE("every reference text of every vocabulary encodes to the expected ids") {
  for (const std::string name : test::kVocabularies) {
    CAPTURE(name);
    const auto tokenizer = vocabulary(name);
    if (!tokenizer) return;
    const auto inputs = test::test_data("tokenizers/ggml-vocab-" + name + ".gguf.inp");
    const auto texts = cut(read_file(*inputs, 1 << 20), "\n__ggml_vocab_test__\n");
    const auto lines =
        cut(read_file(inputs->string().substr(0, inputs->string().size() - 4) + ".out", 1 << 20), "\n");
    REQUIRE(lines.size() >= texts.size());
    for (size_t i = 0; i < texts.size(); ++i) {
      CAPTURE(texts[i]);
      CHECK(tokenizer->encode(texts[i], {.add_special = false}) == ids_in_line(lines[i]));
    }
    CHECK(tokenizer->warning() == "");
  }
}

TEST_CASE(
    "the further reference texts encode plainly, with special tokens added and parsed, and decode to the "
    "same bytes") {
  const auto path = test::test_data("tokenizers/extra.json");
  if (!path) return;
  const Json extra = parse_json(read_file(*path, 1 << 20), "extra.json");
  for (const auto& [name, file] : extra["vocabularies"].items()) {
    CAPTURE(name);
    const auto tokenizer = vocabulary(name);
    if (!tokenizer) return;
    for (const Json& test_case : extra["cases"]) {
      const auto text = test_case["text"].get<std::string>();
      CAPTURE(text);
      const Json& expected = test_case["ids"][name];
      const auto plain = expected["plain"].get<Ids>();
      const auto added = expected.value("add_special", plain);
      CHECK(tokenizer->encode(text, {.add_special = false}) == plain);
      CHECK(tokenizer->encode(text, {.add_special = true}) == added);
      CHECK(tokenizer->encode(text, {.add_special = true, .parse_special = true}) ==
            expected.value("add_and_parse_special", added));
      CHECK(tokenizer->decode(plain, true) == text);
      // The reference cleans up English spacing for some vocabularies.
      const std::string bytes = from_hex(expected["detok"]);
      if (bytes != text) CHECK(text::clean_up_spaces(text) == bytes);
    }
  }
}

// The other vocabularies lack some bytes: falcon 0x0B, starcoder 0xF1, deepseek-llm 0xF8, ...
TEST_CASE("decoding what was encoded gives the text back, whatever its bytes are") {
  Random random(test::test_seed());
  for (const std::string name : {"gpt-2", "llama-bpe", "llama-spm", "phi-3", "stories260K"}) {
    CAPTURE(name);
    const auto tokenizer = vocabulary(name);
    if (!tokenizer) return;
    for (int round = 0; round < 300; ++round) {
      std::string text = random_utf8(random, random.below(60));
      if (round % 2 == 1)
        for (uint64_t n = random.below(8); n > 0 && !text.empty(); --n)
          text[random.below(text.size())] = static_cast<char>(random.below(256));
      CAPTURE(printable(text));
      const Ids ids = tokenizer->encode(text, {.add_special = false});
      CHECK(tokenizer->decode(ids, true) == text);
    }
  }
}

TEST_CASE("a megabyte of anything is encoded in linear time and comes back") {
  constexpr size_t kBytes = 1 << 20;
  const auto repeat = [](std::string_view unit) {
    std::string text;
    while (text.size() < kBytes) text += unit;
    return text;
  };
  const std::string texts[] = {repeat("a"),
                               repeat(" "),
                               repeat("\n"),
                               repeat("7"),
                               repeat("us"),
                               repeat("\U0001F642"),
                               repeat("\xFF"),
                               repeat(" \xC3"),
                               repeat("A"),
                               repeat("!"),
                               repeat("\xE0\xA4\x95\xE0\xA5\x8D"),
                               repeat(" ") + "\U0001F642",
                               repeat("<|"),
                               repeat("'"),
                               repeat("\t \n")};
  for (const std::string name :
       {"gpt-2", "llama-bpe", "falcon", "starcoder", "deepseek-llm", "llama-spm", "phi-3"}) {
    const auto tokenizer = vocabulary(name);
    if (!tokenizer) return;
    for (const std::string& text : texts) {
      CAPTURE(name);
      CAPTURE(printable(text, 20));
      const auto start = std::chrono::steady_clock::now();
      const Ids ids = tokenizer->encode(text, {.add_special = false});
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      if (name != "falcon" && name != "starcoder" && name != "deepseek-llm")
        CHECK(tokenizer->decode(ids, true) == text);
      CHECK(seconds < 20.0 * ruvllm::test::kPatience);  // half a second where nothing else runs; hours if it were quadratic
    }
  }
}
