// Quantising a model, whole: calibrate, choose formats, fold, plan; then solve, write, verify. The order of
// these, and what each is told of the others, is here; how each is done, in quant/ and beside this file.
//
// The model is loaded at most once, and only where a text is to be read with it. All else streams. Used by
// apps/quantize; tested by tests/engine/quantize_job_test.cpp.
#pragma once

#include "base/thread_pool.h"
#include "engine/calibrate.h"
#include "engine/gptq_solvers.h"
#include "engine/perplexity.h"
#include "format/imatrix_file.h"
#include "format/model_file.h"
#include "quant/quantize_model.h"
#include "text/describe_model.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::engine {

/// How values become quants.
enum class QuantizeMethod {
  rtn,   ///< each to the nearest
  awq,   ///< columns that matter scaled up first, where that helps
  gptq,  ///< columns make up for each other's errors
};

struct QuantizeOptions {
  quant::Recipe recipe;
  uint64_t target_bytes = 0;  ///< of the file: formats are chosen for it; or
  double target_bits = 0;     ///< a weight; 0: neither, the recipe decides
  bool allow_requantize = false;
  bool incoherence = false;  ///< rotate PIQ tensors where that lowers their error
  QuantizeMethod method = QuantizeMethod::rtn;
  quant::Search search = quant::Search::best;

  std::string calibration_text;  ///< empty: none
  std::string calibration_name;  ///< what metadata call it
  std::filesystem::path imatrix_out;
  std::optional<format::ImatrixFile> imatrix;  ///< importance that was gathered before
  std::string imatrix_name;

  uint64_t max_memory = 2ull << 30;
  uint64_t max_file_bytes = 0;  ///< split where it would be larger; 0: one file
  bool resume = false;

  bool has_target() const { return target_bytes > 0 || target_bits > 0; }
};

/// What the caller is told, on the thread that called. Any may be empty.
struct QuantizeEvents {
  /// `stage` in a few words ("calibrating"); may throw to stop.
  std::function<void(std::string_view stage, uint64_t done, uint64_t total)> progress;
  std::function<void(const quant::TensorReport&)> on_tensor;
  std::function<void(const std::string& message)> warn;
  std::function<void()> check;  ///< called by every thread; may throw Errc::interrupted
};

class QuantizeJob {
 public:
  /// Throws Errc::usage where the options don't fit each other.
  QuantizeJob(std::shared_ptr<const format::ModelFile> source, QuantizeOptions options, QuantizeEvents events,
              ThreadPool& pool);

  /// What will be written; made by the first call.
  const quant::Plan& plan();
  bool is_guided() const { return !importance_.empty(); }

  /// Writes the plan to `output`, or to files beside it where it is split, and opens what was written as
  /// `chat` would. Throws Errc::failed where that can't be used and the source can.
  void write(const std::filesystem::path& output);
  /// The errors of what was written, one a tensor of the plan: see quant::compare_tensors().
  std::vector<double> verify(const std::filesystem::path& output);
  /// Perplexity of what was written, and its divergence from the source, on a text.
  Comparison compare(const std::filesystem::path& output, std::string_view text);

 private:
  /// The source made ready to run.
  struct Loaded {
    std::shared_ptr<const text::Tokenizer> tokenizer;
    std::shared_ptr<const model::Model> model;
  };

  Loaded load(const std::shared_ptr<const format::ModelFile>& file, std::string_view stage) const;
  const Loaded& source_model();
  bool is_solved(size_t index, quant::Format format) const;
  std::unique_ptr<GptqSolvers> make_solvers(std::vector<bool> is_wanted, bool skip_held_back);
  CalibrationOptions calibration_options(std::string_view stage) const;
  std::function<void(uint64_t, uint64_t)> progress_of(std::string_view stage) const;

  void gather();
  std::vector<quant::Choice> choose();
  std::vector<quant::Choice> choose_for_size();
  uint64_t tensor_budget(uint32_t file_type) const;
  void refuse_what_gptq_cannot(std::span<const quant::Choice> choices) const;

  std::shared_ptr<const format::ModelFile> source_;
  QuantizeOptions options_;
  QuantizeEvents events_;
  ThreadPool& pool_;
  std::optional<Loaded> loaded_;

  text::ModelDescription description_;
  quant::Importance fitted_;      // of the calibration text, less what is held back
  quant::Importance activity_;    // of all of it, or of the file given
  quant::Importance importance_;  // what tensors are rounded with
  quant::HeldBack held_back_;
  quant::Provenance provenance_;
  quant::Folding folding_;
  std::optional<quant::Plan> plan_;
};

}  // namespace ruvllm::engine
