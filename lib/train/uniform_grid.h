// Grids whose values are step * integer, with the integers of b bits, -2^(b-1) .. 2^(b-1) - 1: which of the
// file's formats hold them, who shares a step, and how steps are searched, rounded and packed. Steps are
// searched by qat.h at every step of the training, or learned (ops/ops.h, lsq_quantise).
// Tested by tests/train/uniform_grid_test.cpp.
#pragma once

#include "tensor/format.h"
#include "train/tape.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::train {

/// A format that holds a uniform grid: an f16 step for each block, and signed integers.
struct UniformFormat {
  tensor::Format format;
  int bits;
  size_t block_values;

  std::string name() const { return std::string(tensor::format_name(format)); }
  int least() const { return -(1 << (bits - 1)); }
  int most() const { return (1 << (bits - 1)) - 1; }
};

/// nullptr where the format's values are not step * integer.
const UniformFormat* find_uniform(tensor::Format format);
/// The format that --bits means, with blocks of at most `block` values. Throws Errc::usage naming the
/// choices.
const UniformFormat& uniform_of_bits(int bits, size_t block);

/// Who shares a step. token: the rows of the token embedding (and of the output matrix) have one each, since
/// a row is a token there; other matrices have a single one.
enum class Granularity { tensor, channel, token, block };

struct GranularityOption {
  Granularity granularity = Granularity::channel;
  size_t block = 0;  ///< of Granularity::block; 0: the format's own
};
/// "tensor", "channel", "token", "block:N". Throws Errc::usage.
GranularityOption parse_granularity(std::string_view text);
std::string granularity_name(const GranularityOption& option);

/// Where the steps of a matrix are: every `group` columns of a row have one, or the whole matrix has.
struct StepLayout {
  Shape matrix;
  size_t group = 0;     ///< columns; the last group of a row may be shorter
  bool single = false;  ///< one step for all

  size_t groups_in_row() const { return (matrix.n_columns + group - 1) / group; }
  size_t n_steps() const { return single ? 1 : matrix.n_rows * groups_in_row(); }
  size_t step_of(size_t row, size_t column) const {
    return single ? 0 : row * groups_in_row() + column / group;
  }
};

/// Throws Errc::usage where blocks of the option don't consist of whole blocks of the format.
StepLayout step_layout(const std::string& name, const Shape& matrix, const UniformFormat& format,
                       const GranularityOption& option);

/// Steps that make sum of importance * (step * integer - w)^2 small, by trying fractions of the largest
/// magnitude. `importance`: a weight for each column (of each stacked matrix), or empty. Every step is
/// positive.
std::vector<float> search_steps(std::span<const float> weights, const StepLayout& layout,
                                const UniformFormat& format, std::span<const float> importance,
                                ThreadPool& pool);

/// Weights to blocks of the format on the given steps, each rounded as the file has it: to f16, on a PIQ
/// grid in units of grid.unit.
void pack_uniform(std::span<const float> weights, const StepLayout& layout, const UniformFormat& format,
                  const tensor::Grid& grid, std::span<const float> steps, std::span<std::byte> blocks,
                  ThreadPool& pool);

}  // namespace ruvllm::train
