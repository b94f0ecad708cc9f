// Low-rank adapters (Hu et al. 2021): W + (alpha / r) B A with A (r, in) and B (out, r) trained and all else
// frozen. On a quantised target either the sum is what the grid sees, so that adapters can be merged into the
// file, or the frozen base alone is, and the adapter is written as a GGUF file of its own, in the layout that
// llama.cpp reads. Tested by tests/train/lora_test.cpp.
#pragma once

#include "format/model_file.h"
#include "train/network.h"

#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace ruvllm::train {

enum class AdapterUse {
  merged,   ///< the weights of the network become base + adapter, at every merge()
  separate  ///< the network keeps its weights; what it computes is theirs plus the adapter's
};

class Adapter {
 public:
  /// Adapters of every matrix but the token embedding and the output: A is random, B zero, alpha = 2 rank.
  /// Freezes the network.
  Adapter(Network& network, size_t rank, AdapterUse use, uint64_t seed);
  /// From a file, to be used separately. Throws Errc::corrupt_file where a tensor doesn't fit the network.
  Adapter(Network& network, const format::ModelFile& file);

  /// The hook that puts adapters before (merged) or after (separate) what `next` does with a weight.
  Network::WeightHook hook(Network::WeightHook next);
  std::vector<Parameter<float>*> trained();
  /// merged: writes base + adapter into the network's weights.
  void merge(ThreadPool& pool);
  /// Writes A and B in F32, atomically. `metadata` is the model's.
  void write(const format::Metadata& metadata, const std::filesystem::path& path) const;

 private:
  struct Matrix {
    Parameter<float>* weight;
    Parameter<float> base;      // merged: frozen, as the weight was
    Parameter<float> a_turned;  // the transpose of A: (in, r), as products on the tape want it
    Parameter<float> b;         // (out, r)
  };
  void add_matrix(Parameter<float>& weight, size_t rank);
  float scale() const { return alpha_ / static_cast<float>(rank_); }
  Var change(Tape<float>& tape, Matrix& matrix) const;

  std::vector<std::unique_ptr<Matrix>> matrices_;
  std::unordered_map<std::string, Matrix*> index_;
  AdapterUse use_;
  size_t rank_;
  float alpha_;
};

}  // namespace ruvllm::train
