// The same model is the same bits whichever way it came: as the file it was, written again by our writer, or
// as the Hugging Face folder of its makers.
#include "format/gguf.h"

#include "model/model_test_support.h"

namespace ruvllm::test {
namespace {

const Tokens kPrompt = {1, 403, 407, 261, 378, 432, 383, 286, 261, 376, 298, 315};

constexpr const char* kModels[] = {"tiny/gemma.gguf",
                                   "tiny/gemma2.gguf",
                                   "tiny/llama.gguf",
                                   "tiny/llama-moe.gguf",
                                   "tiny/phi2.gguf",
                                   "tiny/phi3.gguf",
                                   "tiny/qwen2.gguf",
                                   "tiny/qwen2moe.gguf",
                                   "tiny/qwen3.gguf",
                                   "tiny/quantised/llama-Q4_0.gguf",
                                   "tiny/quantised/llama-Q4_K_M.gguf",
                                   "stories260K/stories260K.gguf"};

/// Reads a model and writes it again.
void write_again(const std::filesystem::path& from, const std::filesystem::path& to) {
  const auto file = format::open_model_file(from);
  std::vector<format::TensorPlan> plans;
  for (const format::Tensor& tensor : file->tensors)
    plans.push_back({tensor.name, tensor.format, tensor.dimensions});
  format::GgufWriter writer(to, file->metadata, plans);
  for (size_t i = 0; i < plans.size(); ++i) writer.write_tensor(i, file->tensors[i].bytes);
  writer.commit();
}

}  // namespace

TEST_CASE("a model that we have written gives the bits of the one we read") {
  const TemporaryFolder folder;
  for (const std::string name : kModels) {
    const auto path = test_data(name);
    if (!path) continue;
    CAPTURE(name);
    write_again(*path, folder / "again.gguf");
    const auto original = load_model(*path), again = load_model(folder / "again.gguf");
    for (const uint32_t capacity : {64u, 256u}) {  // phi3 turns by its long factors beyond 128
      const RunOptions options{.capacity = capacity};
      CHECK(logits_of(original, kPrompt, options) == logits_of(again, kPrompt, options));
      CHECK(greedy(original, kPrompt, 16, options) == greedy(again, kPrompt, 16, options));
    }
  }
}

TEST_CASE("stories260K as GGUF and as a Hugging Face folder gives the same bits") {
  const auto path = test_data("stories260K/stories260K.gguf"), hf = test_data("stories260K/hf");
  if (!path || !hf) return;

  const auto gguf = load_model(*path), of_folder = load_model(*hf);
  const std::vector<float> logits = logits_of(gguf, kPrompt);
  CHECK(logits == logits_of(of_folder, kPrompt));
  CHECK(greedy(gguf, kPrompt, 60) == greedy(of_folder, kPrompt, 60));
}

}  // namespace ruvllm::test
