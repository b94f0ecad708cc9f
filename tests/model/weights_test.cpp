// Tensors of the wrong shape, missing ones and unknown ones are named before anything is packed.
#include "model/weights.h"

#include "model/model_test_support.h"

namespace ruvllm::test {
namespace {

/// A copy of a mapped model whose tensors can be changed. Shares the mapping with `original`.
format::ModelFile copy_of(const format::ModelFile& original) {
  format::ModelFile copy;
  copy.source = "changed.gguf";
  for (const auto& entry : original.metadata.entries()) copy.metadata.add(entry.key, entry.value);
  copy.tensors = original.tensors;
  copy.files.resize(original.files.size());
  return copy;
}

std::string refusal(format::ModelFile& file) {
  file.index_tensors();
  ThreadPool pool(1);
  try {
    model::load_weights(model::read_hyper_parameters(file), file, pool, {});
  } catch (const Error& error) {
    CHECK(error.code() == Errc::corrupt_file);
    return error.what();
  }
  return "";
}

bool names(const std::string& message, const std::string& tensor) {
  return message.find('"' + tensor + '"') != std::string::npos;
}

const std::vector<std::string> kModels = {"llama", "qwen2", "qwen3",     "gemma2",
                                          "phi2",  "phi3",  "llama-moe", "qwen2moe"};

}  // namespace

TEST_CASE("every tensor of every architecture is refused by name when its shape is wrong or it is missing") {
  for (const std::string& name : kModels) {
    const auto path = test_data("tiny/" + name + ".gguf");
    if (!path) continue;
    const auto original = format::open_model_file(*path);
    for (size_t i = 0; i < original->tensors.size(); ++i) {
      const format::Tensor& tensor = original->tensors[i];
      CAPTURE(name);
      CAPTURE(tensor.name);
      const auto with_dimensions = [&](std::vector<uint64_t> dimensions) {
        format::ModelFile file = copy_of(*original);
        file.tensors[i].dimensions = std::move(dimensions);
        return refusal(file);
      };
      for (size_t d = 0; d < tensor.dimensions.size(); ++d)
        for (const uint64_t value : {tensor.dimensions[d] + 1, tensor.dimensions[d] - 1}) {
          std::vector<uint64_t> dimensions = tensor.dimensions;
          dimensions[d] = value;
          // More rows than tokens pad the embedding.
          if (tensor.name == "token_embd.weight" && d == 1 && value > tensor.dimensions[d]) continue;
          CHECK(names(with_dimensions(dimensions), tensor.name));
        }
      std::vector<uint64_t> more = tensor.dimensions;
      more.push_back(2);
      CHECK(names(with_dimensions(more), tensor.name));
      std::vector<uint64_t> turned(tensor.dimensions.rbegin(), tensor.dimensions.rend());
      if (turned != tensor.dimensions) CHECK(names(with_dimensions(turned), tensor.name));

      // These may be absent: long and short factors go together, the others have a meaning without.
      if (tensor.name == "rope_freqs.weight" || tensor.name == "output.weight" ||
          tensor.name.find("ffn_gate_inp_shexp") != std::string::npos ||
          tensor.name.find("attn_qkv.weight") != std::string::npos)
        continue;
      format::ModelFile file = copy_of(*original);
      file.tensors.erase(file.tensors.begin() + static_cast<std::ptrdiff_t>(i));
      CHECK(refusal(file) != "");
    }
  }
}

TEST_CASE("a tensor that the architecture has no place for is refused by name") {
  const auto path = test_data("tiny/llama.gguf");
  if (!path) return;
  const auto original = format::open_model_file(*path);
  format::ModelFile file = copy_of(*original);
  file.tensors.push_back(file.tensors[1]);
  file.tensors.back().name = "blk.7.attn_q.weight";
  CHECK(names(refusal(file), "blk.7.attn_q.weight"));
}

TEST_CASE("shapes are checked before memory is taken for weights") {
  const auto path = test_data("tiny/llama-moe.gguf");
  if (!path) return;
  const auto original = format::open_model_file(*path);
  format::ModelFile file = copy_of(*original);
  file.metadata.set("llama.expert_count", uint32_t{1024});
  CHECK(names(refusal(file), "blk.0.ffn_gate_inp.weight"));
  file.metadata.set("llama.expert_count", uint32_t{4});
  file.metadata.set("llama.block_count", uint32_t{1024});
  CHECK(names(refusal(file), "blk.2.attn_norm.weight"));
  file.metadata.set("llama.block_count", uint32_t{1});
  CHECK(names(refusal(file), "blk.1.attn_norm.weight"));
}

TEST_CASE("progress rises to the whole, and counts are those of the file") {
  const auto path = test_data("tiny/qwen2moe.gguf");
  if (!path) return;
  const auto file = format::open_model_file(*path);
  ThreadPool pool(2);
  uint64_t last = 0, total = 0;
  const auto model = model::Model::load(file, pool, [&](uint64_t done, uint64_t all) {
    CHECK(done >= last);
    last = done;
    total = all;
  });
  uint64_t n_parameters = 0, n_bytes = 0;
  for (const format::Tensor& tensor : file->tensors) {
    n_parameters += tensor.n_values();
    n_bytes += tensor.bytes.size();
  }
  CHECK(last == total);
  CHECK(total == n_bytes);
  CHECK(model->weight_bytes() == n_bytes);
  CHECK(model->n_parameters() == n_parameters);
}

}  // namespace ruvllm::test
