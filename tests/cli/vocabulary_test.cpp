// Vocabularies at odds with the model around them: rows without a token, tokens without a row, no tokens at
// all. The model is made here: its layers do nothing, so that it repeats the last token, unless a row that is
// longer lies in the same direction.
#include <doctest/doctest.h>

#include "base/json.h"
#include "cli/process.h"
#include "format/gguf.h"
#include "test_support.h"

#include <string>
#include <string_view>
#include <vector>

using namespace ruvllm;
using format::ValueType;
using test::Finished;
using test::run;

namespace {

constexpr size_t kWidth = 32;
constexpr size_t kTokens = 16;
constexpr size_t kA = 4;  // the token "a"

struct EchoModel {
  size_t n_rows = kTokens;
  std::string tokenizer = "llama";
  bool has_tokens = true;
  std::vector<std::pair<std::string, float>> sampling = {};
  std::vector<int32_t> suppressed = {};

  void write(const std::string& path) const {
    format::Metadata metadata = settings();
    std::vector<format::TensorPlan> plans = {{"token_embd.weight", tensor::Format::F32, {kWidth, n_rows}},
                                             {"output_norm.weight", tensor::Format::F32, {kWidth}}};
    for (const char* name : {"attn_norm", "ffn_norm"})
      plans.push_back({fmt::format("blk.0.{}.weight", name), tensor::Format::F32, {kWidth}});
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"})
      plans.push_back({fmt::format("blk.0.{}.weight", name), tensor::Format::F32, {kWidth, kWidth}});
    format::GgufWriter writer(path, metadata, plans);
    for (size_t i = 0; i < plans.size(); ++i) {
      const bool is_vector = plans[i].dimensions.size() == 1;
      std::vector<float> values(is_vector ? kWidth : kWidth * plans[i].dimensions[1],
                                is_vector ? 1.0f : 0.0f);
      if (i == 0) fill_table(values);
      writer.write_tensor(i, std::as_bytes(std::span(values)));
    }
    writer.commit();
  }

 private:
  // A direction for every token; rows beyond them are those of "a", three times as long.
  void fill_table(std::vector<float>& table) const {
    for (size_t row = 0; row < n_rows; ++row)
      table[row * kWidth + (row < kTokens ? row : kA)] = row < kTokens ? 1.0f : 3.0f;
  }

  format::Metadata settings() const {
    format::Metadata metadata;
    metadata.set("general.architecture", std::string_view("llama"));
    for (const auto& [key, value] : {std::pair{"block_count", 1u},
                                     {"context_length", 64u},
                                     {"embedding_length", 32u},
                                     {"feed_forward_length", 32u},
                                     {"attention.head_count", 1u}})
      metadata.set(std::string("llama.") + key, value);
    metadata.set("llama.attention.layer_norm_rms_epsilon", 1e-5f);
    for (const auto& [key, value] : sampling) metadata.set("general.sampling." + key, value);
    metadata.set("tokenizer.ggml.model", metadata.keep(tokenizer));
    if (!suppressed.empty())
      metadata.set("tokenizer.ggml.suppress_tokens",
                   metadata.keep_array(ValueType::i32, std::as_bytes(std::span(suppressed))));
    if (!has_tokens) return metadata;
    std::vector<std::string> tokens = {"<unk>", "<s>", "</s>", "\xE2\x96\x81", "a"};
    for (char c = 'b'; tokens.size() < kTokens; ++c) tokens.emplace_back(1, c);
    std::vector<int32_t> kinds(kTokens, 1);
    kinds[0] = 2;
    kinds[1] = kinds[2] = 3;
    const std::vector<float> scores(kTokens, 0.0f);
    metadata.set("tokenizer.ggml.tokens", metadata.keep_strings(tokens));
    metadata.set("tokenizer.ggml.scores",
                 metadata.keep_array(ValueType::f32, std::as_bytes(std::span(scores))));
    metadata.set("tokenizer.ggml.token_type",
                 metadata.keep_array(ValueType::i32, std::as_bytes(std::span(kinds))));
    return metadata;
  }
};

struct Written {
  test::TemporaryFolder folder;
  std::string path;
  explicit Written(const EchoModel& model) : path(folder / "echo.gguf") { model.write(path); }
};

Finished answer(const Written& model, std::vector<std::string> more = {}) {
  std::vector<std::string> words = {"chat", model.path,         "--raw", "-p",    "a", "--temp", "0", "-n",
                                    "3",    "--repeat-penalty", "1",     "--json"};
  words.insert(words.end(), more.begin(), more.end());
  return run(words);
}

Json tokens_of(const Finished& finished) {
  CAPTURE(finished.err);
  REQUIRE(finished.exit_code == 0);
  return parse_json(finished.out, "stdout").at("tokens");
}

}  // namespace

TEST_CASE("a row beyond the tokenizer's tokens is never chosen, however likely") {
  CHECK(tokens_of(answer(Written({.n_rows = kTokens}))) == Json({4, 4, 4}));
  const Written padded({.n_rows = kTokens + 8});
  CHECK(tokens_of(answer(padded)) == Json({4, 4, 4}));
  const Finished top = run({"inspect", "logits", padded.path, "--tokens", "1,4", "--top", "2", "--json"});
  const Json likeliest = parse_json(top.out, "stdout").at("positions")[1].at("top")[0];
  CHECK(likeliest.at("id") == kTokens);  // what the model says is shown
  CHECK(likeliest.at("text") == "");
}

TEST_CASE("a token without a row is an error that names both") {
  const Finished finished = answer(Written({.n_rows = kTokens - 1}));
  CHECK(finished.exit_code == 5);
  const std::string message = parse_json(finished.out, "stdout").at("error").at("message");
  CHECK(message.find("tokenizer.ggml.tokens has 16 elements, but tensor \"token_embd.weight\" has 15 rows") !=
        std::string::npos);
}

TEST_CASE("suppressed tokens are never sampled") {
  const Json tokens = tokens_of(answer(Written({.suppressed = {4}})));
  for (const Json& token : tokens) CHECK(token != 4);
}

TEST_CASE("a model without a tokenizer can be measured, and says why it can't talk") {
  for (const char* kind : {"none", "no_vocab"}) {
    const Written model({.tokenizer = kind, .has_tokens = false});
    const Finished measured = run({"bench", model.path, "-p", "8", "-n", "4", "-r", "1", "--json"});
    CAPTURE(measured.err);
    CHECK(measured.exit_code == 0);
    const Finished refused = answer(model);
    CHECK(refused.exit_code == 2);
    CHECK(refused.out.find("has no tokenizer") != std::string::npos);
    CHECK(run({"inspect", "tokens", model.path, "--text", "a"}).exit_code == 2);
  }
}

TEST_CASE("what a model recommends for sampling and nothing can do is named, what is off is not") {
  const Finished named =
      answer(Written({.sampling = {{"xtc_probability", 0.5f}, {"mirostat", 0.0f}, {"mirostat_tau", 5.0f}}}));
  CHECK(named.exit_code == 0);
  CHECK(named.err.find("recommends general.sampling.xtc_probability, which is not supported") !=
        std::string::npos);
  CHECK(named.err.find("mirostat") == std::string::npos);
  const Written unbound({.sampling = {{"top_k", -1.0f}, {"penalty_last_n", -1.0f}}});
  CHECK(tokens_of(answer(unbound)) == Json({4, 4, 4}));
}
