// What a model's matrices see of a text: the mean square of each column of their inputs, which tells a
// quantiser where errors matter, and some of the inputs themselves, to measure its choices with. Read and
// written by format/imatrix_file.h. Tested by tests/engine/calibrate_test.cpp.
#pragma once

#include "base/thread_pool.h"
#include "format/imatrix_file.h"
#include "format/model_file.h"
#include "model/model.h"
#include "quant/gptq.h"
#include "quant/held_back.h"
#include "text/tokenizer.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

namespace ruvllm::engine {

struct CalibrationOptions {
  uint32_t context = 512;  ///< tokens of a chunk, each read in an empty cache; of short texts fewer
  /// Every fourth chunk is held back, to measure with; Hessians may leave them out.
  bool skip_held_back = false;
  uint64_t held_back_bytes = 256ull << 20;  ///< of inputs that are kept; 0: none
  std::function<void(uint64_t done_tokens, uint64_t total_tokens)> progress;  ///< may throw to stop
};

struct Calibration {
  format::ImatrixFile whole;   ///< of all that was read
  format::ImatrixFile fitted;  ///< less what is held back; the whole where that is nothing
  quant::HeldBack held_back;   ///< empty where the text is too short
};

/// Reads the text with the model. `file` is what the model was loaded from. The same for every number of
/// threads. Throws Errc::usage where the text has no token, corrupt_file naming the tensor whose inputs are
/// no numbers.
Calibration calibrate(const std::shared_ptr<const model::Model>& model, const format::ModelFile& file,
                      const text::Tokenizer& tokenizer, ThreadPool& pool, std::string_view text,
                      const CalibrationOptions& options);

/// What several columns of an input do together, for rounding by quant/gptq.h: X^T X of the inputs of each of
/// the named tensors, which are dense matrices of their own (not one of several experts in a tensor).
std::map<std::string, quant::Hessian> collect_hessians(const std::shared_ptr<const model::Model>& model,
                                                       const format::ModelFile& file,
                                                       const text::Tokenizer& tokenizer, ThreadPool& pool,
                                                       std::string_view text,
                                                       const CalibrationOptions& options,
                                                       const std::set<std::string>& tensors);

}  // namespace ruvllm::engine
