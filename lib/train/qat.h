// Quantisation-aware training on the grid that the export will use: the weight hook replaces every matrix
// that will be quantised by what quantise -> dequantise makes of it, so that the exported file holds exactly
// the weights that were evaluated. A grid is a format's own (its encoder chooses the scales anew whenever
// weights have moved) or a uniform one with steps that are searched, or learned (uniform_grid.h); levels that
// a tensor has of its own are learned as well. Gradients pass the rounding by a straight-through rule
// (ops/ops.h). Tested by tests/train/qat_test.cpp.
#pragma once

#include "format/own_formats.h"
#include "quant/importance.h"
#include "train/export.h"
#include "train/network.h"
#include "train/uniform_grid.h"

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace ruvllm::train {

struct QatOptions {
  bool enabled = false;
  StraightThroughArguments rule;
  bool learned_steps = false;  ///< LSQ, of the tensors whose format is uniform
  /// Steps of tensors whose format is uniform; unset: as the format's encoder chooses them (or, learned, one
  /// for each of its blocks).
  std::optional<GranularityOption> granularity;
};

class FakeQuantiser {
 public:
  /// `importance` weighs the columns of matrices that it knows; `own` says which are stored rotated, and on
  /// which grids those in formats of this suite are. Throws Errc::usage where steps are to be
  /// learned and no tensor's format is uniform, or where the granularity does not fit.
  FakeQuantiser(Network& network, const TypePlan& types, const quant::Importance& importance,
                const format::OwnFormats& own, const QatOptions& options, ThreadPool& pool);

  /// Quantises all weights as they are now; to be called before each step and before an evaluation.
  void refresh();
  /// The same, but as carefully as the formats' encoders can: what quantising without training gives. Steps
  /// that are shared or learned are taken as refresh() takes them.
  void refresh_carefully();
  /// Searches learned steps anew for the weights as they are: where these have moved without them.
  void restart_steps();
  /// The hook for Network::forward(). Lives as long as this object.
  Network::WeightHook hook();
  /// Without it, weights pass as they are (warm-up in full precision).
  void set_active(bool active) { is_active_ = active; }
  /// What is trained besides the weights: logarithms of steps, levels.
  std::vector<Parameter<float>*> learned();
  bool quantises(const Parameter<float>& parameter) const { return index_.contains(parameter.name); }
  /// Bytes of parameter i of the network as the last refresh() made them; false where it isn't quantised.
  bool encode(size_t parameter, std::span<std::byte> blocks) const;
  /// Tells `own` the levels that were learned, as the last refresh() rounded them.
  void describe(format::OwnFormats& own) const;

  /// The quantised matrices as they are, to be brought back whatever the weights are by then.
  struct Snapshot {
    std::vector<tensor::Grid> grids;
    std::vector<std::vector<std::byte>> blocks;
  };
  Snapshot snapshot() const;
  void restore(const Snapshot& snapshot);

  /// Root mean square of (quantised - weight) over that of the weights: of one matrix.
  struct MatrixError {
    std::string name;
    double relative;
  };
  std::vector<MatrixError> errors() const;

 private:
  struct Matrix {
    const Parameter<float>* parameter;
    tensor::Format format;
    tensor::Grid grid;
    std::shared_ptr<const tensor::Rotation> rotation;  // null: stored as it is
    std::vector<float> importance;           // of its (rotated) columns, as in export.h; may be empty
    const UniformFormat* uniform = nullptr;  // null: the format's own encoder chooses
    StepLayout layout;
    std::vector<float> steps;
    std::unique_ptr<Parameter<float>> log_steps;  // null: not learned
    std::unique_ptr<Parameter<float>> levels;     // in 127ths of the grid's unit; null: not learned
    CodebookPlaces<float> places;                 // where levels are learned
    std::vector<std::byte> blocks;
    std::vector<float> rotated;    // weights, where there is a rotation
    std::vector<float> quantised;  // rotated, where there is a rotation
    std::span<const float> weights() const { return rotation ? std::span(rotated) : parameter->value; }
  };
  void add_steps(Matrix& matrix, const QatOptions& options);
  void search_learned_steps(Matrix& matrix);
  void rotate(Matrix& matrix);
  void refresh(Matrix& matrix, kernels::Search effort);
  void decode(Matrix& matrix);
  void find_places(Matrix& matrix);
  Var quantise(Tape<float>& tape, Matrix& matrix, Var weight);

  std::vector<Matrix> matrices_;
  std::unordered_map<std::string, size_t> index_;  // by name
  std::vector<std::optional<size_t>> by_parameter_;
  StraightThroughArguments rule_;
  ThreadPool& pool_;
  bool is_active_ = true;
};

}  // namespace ruvllm::train
