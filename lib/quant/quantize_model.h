// A model file into another format: plan, then read, encode and write in one stream.
//
// Tensors go through in pieces of some hundred thousand values that all threads take from a shared counter; a
// piece is read from the mapped source, encoded, decoded again for its error, and written at its place.
// Memory is a few pieces a thread, whatever the model's size; bytes and errors are the same for every number
// of threads. Tested by tests/quant/quantize_model_test.cpp and tests/cli/quantize_test.cpp.
#pragma once

#include "base/thread_pool.h"
#include "format/gguf.h"
#include "format/model_file.h"
#include "format/own_formats.h"
#include "quant/folding.h"
#include "quant/gptq.h"
#include "quant/importance.h"
#include "quant/recipe.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ruvllm::quant {

using kernels::Search;

/// One file of the output: consecutive tensors.
struct Shard {
  size_t first_tensor;
  size_t n_tensors;
  format::GgufLayout layout;
};

/// What the output will be, known before any work.
struct Plan {
  const format::ModelFile* source;
  std::vector<Choice> choices;                     ///< one a tensor
  std::vector<format::TensorPlan> tensors;         ///< the same in the writer's words
  std::vector<Shard> shards;                       ///< one, unless the output is split
  format::OwnFormats own;                          ///< how tensors in our own formats are to be read
  std::map<uint64_t, tensor::Rotation> rotations;  ///< of rows that are stored rotated, by their length

  /// The rotation that tensor i is stored through, or nullptr.
  const tensor::Rotation* rotation_of(size_t i) const;
  /// Bits a weight, metadata not counted.
  double bits_per_weight() const;
  /// Of all shards.
  uint64_t file_bytes() const;
  uint64_t header_bytes() const;
  /// Where the shards of `output` lie: the output itself, or STEM-00001-of-00003.gguf and so on beside it.
  std::vector<std::filesystem::path> paths(const std::filesystem::path& output) const;
};

/// Where importance came from, for the metadata.
struct Provenance {
  std::string importance_file;
  std::string importance_dataset;
  uint64_t importance_chunks = 0;
};

struct PlanOptions {
  uint32_t file_type = 0;         ///< for general.file_type
  bool allow_requantize = false;  ///< of tensors that are quantised already
  uint64_t max_file_bytes = 0;    ///< split where a file would be larger (a tensor never is); 0: one file
  std::optional<format::OwnFormats> own = {};  ///< by choose_own_formats(); nothing: uniform grids
  const format::Metadata* metadata = nullptr;  ///< that the output starts from; null: the source's
};

/// Throws Errc::usage naming the tensor where the source is quantised already and may not be again.
Plan plan_model(const format::ModelFile& source, std::vector<Choice> choices, const PlanOptions& options,
                const Importance& importance, const Provenance& provenance);

/// How one tensor fared.
struct TensorReport {
  size_t index;           ///< in Plan::tensors
  double relative_error;  ///< root of (sum (decoded - value)^2 / sum value^2); 0 for a tensor of zeros
  bool resumed;           ///< finished in an earlier run: its error is not measured again, and 0
};

struct RunOptions {
  Search effort = Search::fast;
  uint64_t max_memory = 2ull << 30;  ///< for buffers, beside the mapped source
  bool resume = false;
  const Folding* folding = nullptr;  ///< what values are multiplied by first, or nullptr
  std::string method = "rtn";        ///< with all that it depends on: a run of another method is not resumed
  /// The solver for a tensor, by its index, or nullptr for plain rounding. Asked for in order; valid until
  /// the next.
  std::function<const GptqSolver*(size_t index)> solver_for;
  std::function<void(const TensorReport&)> on_tensor;
  /// Bytes of the output so far. Called by the thread that called write_model().
  std::function<void(uint64_t done_bytes, uint64_t total_bytes)> progress;
  /// Called by every thread before a piece; may throw Errc::interrupted: then what is finished is kept for
  /// `resume`, and Errc::resumable is thrown.
  std::function<void()> check;
};

/// Writes the planned files; they appear when all are complete. Throws Errc::corrupt_file naming the tensor
/// that has a NaN or an infinity in it.
void write_model(const Plan& plan, const Importance& importance, const std::filesystem::path& output,
                 ThreadPool& pool, const RunOptions& options);

/// Decodes both sides again, from the file that was written: relative errors, one a tensor. What was folded
/// is expected to be there.
std::vector<double> compare_tensors(const format::ModelFile& source, const format::ModelFile& written,
                                    const Folding& folding, ThreadPool& pool);

}  // namespace ruvllm::quant
