// No allocation on the token path after warm-up. Counts every operator new of this test program.
#include "engine/generate.h"
#include "model/model_test_support.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<uint64_t> n_allocations = 0;

void* counted(std::size_t n_bytes, std::size_t alignment) {
  ++n_allocations;
  void* memory = nullptr;
  if (posix_memalign(&memory, std::max(alignment, sizeof(void*)), n_bytes) != 0) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t n_bytes) { return counted(n_bytes, alignof(std::max_align_t)); }
void* operator new[](std::size_t n_bytes) { return counted(n_bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t n_bytes, std::align_val_t a) {
  return counted(n_bytes, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t n_bytes, std::align_val_t a) {
  return counted(n_bytes, static_cast<std::size_t>(a));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace ruvllm::test {

TEST_CASE("after warm-up, a step of several sequences and the choice of a token allocate nothing") {
  for (const char* name : {"tiny/llama.gguf", "tiny/llama-moe.gguf", "tiny/gemma2.gguf", "tiny/qwen2moe.gguf",
                           "tiny/quantised/llama-Q4_K_M.gguf"}) {
    const auto path = test_data(name);
    if (!path) continue;
    CAPTURE(name);
    const auto model = load_model(*path);
    ThreadPool pool(2);
    model::Runner runner(model, pool);
    sample::SamplingParameters parameters;
    parameters.top_k = 40;
    parameters.min_p = 0.01f;
    sample::Sampler sampler(parameters, 512);
    const auto a = f32_cache(*model, 300), b = f32_cache(*model, 300);
    a->reserve(300);
    b->reserve(300);
    std::vector<float> logits(512);

    const Tokens prompt(130, 7);
    Tokens next = {5};
    const auto step = [&](std::span<const int32_t> tokens) {
      const model::Segment segments[] = {{tokens, a.get()}, {next, b.get()}};
      const std::span<const float> found = runner.forward(segments);
      std::copy(found.begin(), found.begin() + 512, logits.begin());
      next[0] = sampler.sample(logits);
      sampler.accept(next[0]);
    };
    step(prompt);  // the largest batch
    step(next);

    const uint64_t before = n_allocations;
    for (int i = 0; i < 100; ++i) step(next);
    CHECK(n_allocations - before == 0);
    CHECK(before > 0);  // the counter counts
  }
}

}  // namespace ruvllm::test
