// --quantize-on-load: a model's tensors as a file of some type would hold them, made one at a time while the
// model is packed. The same plan and the same pieces as when a file is written, so the same bytes. Tested by
// tests/cli/quantize_on_load_test.cpp.
#pragma once

#include "base/thread_pool.h"
#include "format/model_file.h"
#include "quant/encode_tensor.h"
#include "quant/quantize_model.h"

#include <string_view>
#include <vector>

namespace ruvllm::quant {

class LoadQuantiser {
 public:
  /// `type` as find_mix() takes it. Throws Errc::usage where the type is unknown or the model is quantised
  /// already.
  LoadQuantiser(const format::ModelFile& model, std::string_view type, ThreadPool& pool);

  /// What to pack in place of a tensor of the model; valid until the next call.
  const format::Tensor& convert(const format::Tensor& tensor);

 private:
  const format::ModelFile& model_;
  ThreadPool& pool_;
  Plan plan_;
  Importance importance_;  // none
  std::vector<Scratch> scratch_;
  const format::Tensor* last_ = nullptr;  // what `made_` was made from
  format::Tensor made_;
  std::vector<std::byte> bytes_;
};

}  // namespace ruvllm::quant
