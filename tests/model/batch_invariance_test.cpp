// The promise of batch invariance, on whole models: threads, chunks, neighbours in the batch and instruction
// sets change no bit of any logit.
#include "base/random.h"
#include "model/model_test_support.h"

#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <cstdlib>
#include <string>

namespace ruvllm::test {
namespace {

const std::vector<std::string> kModels = {
    "stories260K/stories260K.gguf",
    "tiny/llama.gguf",
    "tiny/gemma2.gguf",
    "tiny/llama-moe.gguf",
    "tiny/phi2.gguf",
    "tiny/quantised/llama-Q4_K_M.gguf",
    "tiny/quantised/llama-Q4_0.gguf",
    "tiny/qwen2moe.gguf",
};

Tokens random_tokens(size_t n, uint64_t seed) {
  Random random(seed);
  Tokens tokens(n);
  for (int32_t& token : tokens) token = static_cast<int32_t>(random.below(512));
  return tokens;
}

/// Equal bits, not just equal values.
bool same_bits(std::span<const float> a, std::span<const float> b) {
  return std::ranges::equal(std::as_bytes(a), std::as_bytes(b));
}

/// FNV-1a over the logits of every model.
uint64_t digest() {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const std::string& name : kModels)
    if (const auto path = test_data(name)) {
      const std::vector<float> logits = logits_of(load_model(*path), random_tokens(40, 3));
      for (const std::byte byte : std::as_bytes(std::span(logits)))
        hash = (hash ^ static_cast<uint64_t>(byte)) * 0x100000001b3ull;
    }
  return hash;
}

/// digest() in a process of its own, since the kernel set of a process is chosen once.
std::string digest_with(const std::string& isa, const std::filesystem::path& out) {
  setenv("RUVLLM_ISA", isa.c_str(), 1);
  setenv("RUVLLM_TEST_DIGEST", out.c_str(), 1);
  std::string self = "/proc/self/exe", filter = "--test-case=prints the digest for another test",
              all = "--no-skip";
  std::array<char*, 4> arguments = {self.data(), filter.data(), all.data(), nullptr};
  pid_t child = 0;
  REQUIRE(posix_spawn(&child, self.c_str(), nullptr, nullptr, arguments.data(), environ) == 0);
  int status = 0;
  waitpid(child, &status, 0);
  unsetenv("RUVLLM_ISA");
  REQUIRE(status == 0);
  std::string text;
  std::getline(std::ifstream(out), text);
  return text;
}

}  // namespace

TEST_CASE("threads and chunks change no bit") {
  for (const std::string& name : kModels) {
    const auto path = test_data(name);
    if (!path) continue;
    CAPTURE(name);
    const auto model = load_model(*path);
    const Tokens tokens = random_tokens(80, 1);
    const std::vector<float> whole = logits_of(model, tokens);
    for (const int n_threads : {1, 2, 3})
      for (const uint32_t chunk : {1u, 7u, 64u, 80u}) {
        CAPTURE(n_threads);
        CAPTURE(chunk);
        CHECK(same_bits(logits_of(model, tokens, {.n_threads = n_threads, .chunk = chunk}), whole));
      }
  }
}

TEST_CASE("neighbours in the batch change no bit") {
  for (const std::string& name : kModels) {
    const auto path = test_data(name);
    if (!path) continue;
    CAPTURE(name);
    const auto model = load_model(*path);
    const size_t n_vocabulary = model->hparams().n_vocabulary;
    const std::vector<Tokens> texts = {random_tokens(70, 1), random_tokens(1, 2), random_tokens(33, 3),
                                       random_tokens(12, 4)};

    // Three passes over all sequences at once, each at its own pace: 0 to 35, one token, the rest.
    ThreadPool pool(3);
    model::Runner runner(model, pool);
    std::vector<std::unique_ptr<kv::KvCache>> caches;
    for (size_t i = 0; i < texts.size(); ++i) caches.push_back(f32_cache(*model, 70));
    std::vector<std::vector<float>> found(texts.size());
    for (int round = 0; round < 3; ++round) {
      std::vector<model::Segment> segments;
      std::vector<size_t> owners;
      for (size_t i = 0; i < texts.size(); ++i) {
        const size_t done = caches[i]->n_tokens(), left = texts[i].size() - done;
        const size_t n = round == 0 ? left / 2 : round == 1 ? std::min<size_t>(left, 1) : left;
        if (n == 0) continue;
        segments.push_back({std::span(texts[i]).subspan(done, n), caches[i].get(), model::Answers::all});
        owners.push_back(i);
      }
      if (segments.empty()) continue;
      std::span<const float> logits = runner.forward(segments);
      for (size_t i = 0; i < segments.size(); ++i) {
        const size_t n = segments[i].tokens.size() * n_vocabulary;
        found[owners[i]].insert(found[owners[i]].end(), logits.begin(),
                                logits.begin() + static_cast<std::ptrdiff_t>(n));
        logits = logits.subspan(n);
      }
    }
    for (size_t i = 0; i < texts.size(); ++i) CHECK(same_bits(found[i], logits_of(model, texts[i])));
  }
}

TEST_CASE("answers for the last token, or none, are those of all tokens") {
  const auto path = test_data("tiny/llama.gguf");
  if (!path) return;
  const auto model = load_model(*path);
  const size_t n_vocabulary = model->hparams().n_vocabulary;
  const Tokens a = random_tokens(20, 1), b = random_tokens(9, 2), c = random_tokens(5, 3);
  ThreadPool pool(2);
  model::Runner runner(model, pool);
  const auto cache_a = f32_cache(*model, 20), cache_b = f32_cache(*model, 9), cache_c = f32_cache(*model, 5);
  const model::Segment segments[] = {{a, cache_a.get(), model::Answers::last},
                                     {b, cache_b.get(), model::Answers::none},
                                     {c, cache_c.get(), model::Answers::all}};
  const std::span<const float> logits = runner.forward(segments);
  const std::vector<float> all_a = logits_of(model, a), all_c = logits_of(model, c);
  REQUIRE(logits.size() == 6 * n_vocabulary);
  CHECK(same_bits(logits.first(n_vocabulary), std::span(all_a).last(n_vocabulary)));
  CHECK(same_bits(logits.subspan(n_vocabulary), all_c));
  CHECK(cache_b->n_tokens() == 9);

  cache_a->truncate(0);
  const model::Segment none{a, cache_a.get(), model::Answers::none};
  CHECK(runner.forward({&none, 1}).empty());
  CHECK(cache_a->n_tokens() == 20);
}

TEST_CASE("every instruction set that this machine has gives the same bits") {
  if (!test_data(kModels[0])) return;
  TemporaryFolder folder;
  const std::string scalar = digest_with("scalar", folder / "digest");
  CHECK_FALSE(scalar.empty());
  for (const char* isa : {"avx2", "avx512", "neon", "dotprod", "i8mm", ""})
    CHECK(digest_with(isa, folder / "digest") == scalar);
}

TEST_CASE("prints the digest for another test" * doctest::skip()) {
  const char* out = std::getenv("RUVLLM_TEST_DIGEST");
  if (out) std::ofstream(out) << digest();
}

}  // namespace ruvllm::test
