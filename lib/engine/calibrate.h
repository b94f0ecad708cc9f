// What a model's matrices see of a text: the mean square of each column of their inputs, which tells a
// quantiser where errors matter. Read and written by format/imatrix_file.h. Tested by
// tests/engine/calibrate_test.cpp.
#pragma once

#include "base/thread_pool.h"
#include "format/imatrix_file.h"
#include "format/model_file.h"
#include "model/model.h"
#include "quant/gptq.h"
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
  uint32_t context = 512;  ///< tokens of a chunk, each read in an empty cache
  std::function<void(uint64_t done_tokens, uint64_t total_tokens)> progress;  ///< may throw to stop
};

/// Reads the text with the model. `file` is what the model was loaded from. The same for every number of
/// threads. Throws Errc::usage where the text has no token, Errc::corrupt_file where a matrix sees what is no
/// number.
format::ImatrixFile collect_importance(const std::shared_ptr<const model::Model>& model,
                                       const format::ModelFile& file, const text::Tokenizer& tokenizer,
                                       ThreadPool& pool, std::string_view text,
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
