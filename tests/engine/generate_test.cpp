#include "engine/generate.h"

#include "model/model_test_support.h"

namespace ruvllm::test {
namespace {

/// stories260K, ready to answer.
struct Storyteller {
  explicit Storyteller(const std::filesystem::path& path)
      : file(format::open_model_file(path)),
        pool(2),
        model(model::Model::load(file, pool)),
        tokenizer(text::make_tokenizer(*file)),
        generator(model, tokenizer, pool) {}

  engine::GenerationRequest request(const std::string& prompt) const {
    engine::GenerationRequest request;
    request.prompt = tokenizer->encode(prompt, {});
    request.sampling.temperature = 0;
    request.sampling.repeat_penalty = 1;
    return request;
  }
  engine::GenerationResult answer(const engine::GenerationRequest& request, uint32_t capacity = 512) {
    const auto cache = f32_cache(*model, capacity);
    streamed.clear();
    return generator.generate(request, *cache, [&](std::string_view text) { streamed += text; });
  }

  std::shared_ptr<const format::ModelFile> file;
  ThreadPool pool;
  std::shared_ptr<const model::Model> model;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  engine::Generator generator;
  std::string streamed;
};

const std::string kPrompt = "Once upon a time, in a big forest, there lived a";

}  // namespace

TEST_CASE("every greedy continuation of stories260K equals the reference, token for token") {
  const auto path = test_data("stories260K/stories260K.gguf");
  if (!path) return;
  Storyteller teller(*path);
  const auto cases = read_reference(*test_data("stories260K/ref/greedy.json"))["cases"];
  for (const auto& wanted : cases) {
    engine::GenerationRequest request = teller.request(wanted["prompt"]);
    CHECK(request.prompt == wanted["prompt_tokens"].get<Tokens>());
    request.max_tokens = static_cast<int>(wanted["tokens"].size());
    request.ignore_eos = true;
    request.prefill_chunk = 3;
    const engine::GenerationResult result = teller.answer(request);
    CHECK(result.tokens == wanted["tokens"].get<Tokens>());
    CHECK(result.finish_reason == engine::FinishReason::length);
    CHECK(result.text == teller.streamed);
  }
}

TEST_CASE("a stop string that crosses token borders ends the text before it and never reaches the listener") {
  const auto path = test_data("stories260K/stories260K.gguf");
  if (!path) return;
  Storyteller teller(*path);
  engine::GenerationRequest request = teller.request(kPrompt);
  request.max_tokens = 60;
  const std::string whole = teller.answer(request).text;
  for (size_t at : {3, 10, 25, 40}) {
    const std::string stop = whole.substr(at, 7);
    request.stop = {"no such text", stop};
    const engine::GenerationResult result = teller.answer(request);
    CHECK(result.text == whole.substr(0, whole.find(stop)));
    CHECK(teller.streamed == result.text);
    CHECK(result.finish_reason == engine::FinishReason::stop);
  }
}

TEST_CASE("the end of the context, of the token limit and of the user's patience each end the answer") {
  const auto path = test_data("stories260K/stories260K.gguf");
  if (!path) return;
  Storyteller teller(*path);
  engine::GenerationRequest request = teller.request(kPrompt);
  const auto n_prompt = static_cast<uint32_t>(request.prompt.size());

  engine::GenerationResult result = teller.answer(request, n_prompt + 5);
  CHECK(result.finish_reason == engine::FinishReason::context);
  CHECK(result.tokens.size() == 6);  // the last one needs no room

  request.max_tokens = 6;
  CHECK(teller.answer(request, n_prompt + 5).finish_reason == engine::FinishReason::length);
  request.max_tokens = 0;
  CHECK(teller.answer(request).text.empty());

  request.max_tokens = 100;
  std::atomic<bool> cancel = false;
  const auto cache = f32_cache(*teller.model, 512);
  std::string heard;
  const auto stop_after_ten = [&](std::string_view text) {
    heard += text;
    if (heard.size() > 10) cancel = true;
  };
  result = teller.generator.generate(request, *cache, stop_after_ten, &cancel);
  CHECK(result.finish_reason == engine::FinishReason::interrupted);
  CHECK(result.tokens.size() < 20);
  CHECK(cache->n_tokens() == n_prompt + result.tokens.size() - 1);

  cache->truncate(0);
  result = teller.generator.generate(request, *cache, {}, &cancel);  // before anything began
  CHECK(result.finish_reason == engine::FinishReason::interrupted);
  CHECK(cache->n_tokens() == 0);
}

TEST_CASE("a conversation goes on from its cache as if it had been fed at once") {
  const auto path = test_data("stories260K/stories260K.gguf");
  if (!path) return;
  Storyteller teller(*path);
  engine::GenerationRequest request = teller.request(kPrompt);
  request.max_tokens = 40;
  const engine::GenerationResult whole = teller.answer(request);

  const auto cache = f32_cache(*teller.model, 512);
  request.max_tokens = 15;
  const engine::GenerationResult first = teller.generator.generate(request, *cache, {});
  request.prompt = {first.tokens.back()};
  request.max_tokens = 25;
  const engine::GenerationResult second = teller.generator.generate(request, *cache, {});
  Tokens both = first.tokens;
  both.insert(both.end(), second.tokens.begin(), second.tokens.end());
  CHECK(both == whole.tokens);
}

TEST_CASE("requests that can't be answered are errors") {
  const auto path = test_data("stories260K/stories260K.gguf");
  if (!path) return;
  Storyteller teller(*path);
  engine::GenerationRequest request = teller.request(kPrompt);
  CHECK_THROWS_AS(teller.answer(request, 5), Error);
  request.prompt = {};
  CHECK_THROWS_AS(teller.answer(request), Error);
  request.prompt = {1, 512};
  CHECK_THROWS_AS(teller.answer(request), Error);
  request.prompt = {1, -1};
  CHECK_THROWS_AS(teller.answer(request), Error);
  request = teller.request(kPrompt);
  request.stop.assign(17, "x");
  CHECK_THROWS_AS(teller.answer(request), Error);
}

}  // namespace ruvllm::test
