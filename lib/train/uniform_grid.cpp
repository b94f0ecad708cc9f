#include "train/uniform_grid.h"

#include "base/error.h"
#include "base/strings.h"
#include "kernels/formats/legacy.h"
#include "quant/importance.h"
#include "quant/piq.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ruvllm::train {
namespace {

using tensor::Format;

constexpr size_t kRowsInTile = 16;
constexpr float kLeastStep = 0x1p-24f;  // the smallest f16: a step is never 0

// Those of 2 and 3 bits from large blocks to small.
constexpr UniformFormat kUniform[] = {
    {Format::PIQ2, 2, 256}, {Format::PIQ2_64, 2, 64}, {Format::PIQ2_32, 2, 32},
    {Format::PIQ3, 3, 256}, {Format::PIQ3_64, 3, 64}, {Format::PIQ3_32, 3, 32},
    {Format::Q4_0, 4, 32},  {Format::Q5_0, 5, 32},    {Format::Q8_0, 8, 32},
};

void for_each_tile_of_rows(size_t n_rows, ThreadPool& pool, const auto& task) {
  pool.for_each_tile((n_rows + kRowsInTile - 1) / kRowsInTile, [&](size_t tile, int) {
    const size_t last = std::min(n_rows, (tile + 1) * kRowsInTile);
    for (size_t row = tile * kRowsInTile; row < last; ++row) task(row);
  });
}

// The weights that share a step, and how much each matters.
struct Group {
  std::span<const float> weights;
  std::span<const float> importance;  // of its columns; empty: all the same

  float largest() const {
    float most = 0;
    for (const float w : weights) most = std::max(most, std::abs(w));
    return most;
  }
  double error(float step, const UniformFormat& format) const {
    const float inverse = 1 / step, least = static_cast<float>(format.least()),
                most = static_cast<float>(format.most());
    // What is added and taken away again leaves the nearest integer; unlike nearbyint() it's no call, so the
    // inner loop becomes vectors.
    constexpr float kRounder = 0x1.8p23f;
    constexpr size_t kPart = 64;
    double sum = 0;
    for (size_t first = 0; first < weights.size(); first += kPart) {
      const size_t n = std::min(kPart, weights.size() - first);
      const float* const w = weights.data() + first;
      float errors[kPart];
      for (size_t i = 0; i < n; ++i) {
        const float q = std::min(std::max(w[i] * inverse, least), most) + kRounder - kRounder;
        const float miss = step * q - w[i];
        errors[i] = miss * miss;
      }
      for (size_t i = 0; i < n && !importance.empty(); ++i) errors[i] *= importance[first + i];
      for (size_t i = 0; i < n; ++i) sum += static_cast<double>(errors[i]);
    }
    return sum;
  }
};

// The groups (spans of one row each) that share step number `step`.
std::vector<Group> groups_of(std::span<const float> weights, const StepLayout& layout,
                             std::span<const float> importance, size_t step) {
  const size_t n = layout.matrix.n_columns;
  const auto slice = [&](size_t row, size_t first, size_t count) {
    const auto of_row = quant::importance_of_row(importance, layout.matrix.n_rows, n, row);
    return Group{weights.subspan(row * n + first, count),
                 of_row.empty() ? of_row : of_row.subspan(first, count)};
  };
  std::vector<Group> groups;
  if (layout.single) {
    for (size_t row = 0; row < layout.matrix.n_rows; ++row) groups.push_back(slice(row, 0, n));
    return groups;
  }
  const size_t first = step % layout.groups_in_row() * layout.group;
  groups.push_back(slice(step / layout.groups_in_row(), first, std::min(layout.group, n - first)));
  return groups;
}

float search_step(const std::vector<Group>& groups, const UniformFormat& format) {
  constexpr int kTries = 32;
  float largest = 0;
  for (const Group& group : groups) largest = std::max(largest, group.largest());
  if (!(largest > 0)) return 1.0f;
  const float widest = largest / (static_cast<float>(format.most()) + 0.5f);
  float best = widest;
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kTries; ++i) {
    const float step = std::max(kLeastStep, widest * (1.1f - static_cast<float>(i) / kTries));
    double error = 0;
    for (const Group& group : groups) error += group.error(step, format);
    if (error < least) least = error, best = step;
  }
  return best;
}

uint16_t stored_step(float step) { return kernels::f32_to_f16(std::max(step, kLeastStep)); }

int8_t integer_of(float weight, float step, const UniformFormat& format) {
  const float nearest = std::nearbyint(weight / step);
  if (nearest >= static_cast<float>(format.most())) return static_cast<int8_t>(format.most());
  // Written so that a NaN takes the last branch: the loss will tell of it.
  return static_cast<int8_t>(nearest > static_cast<float>(format.least()) ? static_cast<int>(nearest)
                                                                          : format.least());
}

void pack_block(std::span<const int8_t> q, uint16_t step, kernels::BlockQ4_0& block) {
  block.d = step;
  for (size_t i = 0; i < 16; ++i) block.qs[i] = static_cast<uint8_t>((q[i] + 8) | (q[i + 16] + 8) << 4);
}

void pack_block(std::span<const int8_t> q, uint16_t step, kernels::BlockQ5_0& block) {
  block.d = step;
  uint32_t high = 0;
  for (size_t i = 0; i < 32; ++i) high |= static_cast<uint32_t>((q[i] + 16) >> 4) << i;
  std::memcpy(block.qh, &high, sizeof high);
  for (size_t i = 0; i < 16; ++i)
    block.qs[i] = static_cast<uint8_t>(((q[i] + 16) & 15) | ((q[i + 16] + 16) & 15) << 4);
}

void pack_block(std::span<const int8_t> q, uint16_t step, kernels::BlockQ8_0& block) {
  block.d = step;
  std::copy(q.begin(), q.end(), block.qs);
}

template <typename Block>
void pack_row(std::span<const int8_t> integers, std::span<const uint16_t> steps, std::byte* out) {
  for (size_t b = 0; b < steps.size(); ++b) {
    Block block;
    pack_block(integers.subspan(b * Block::kValues, Block::kValues), steps[b], block);
    std::memcpy(out + b * sizeof block, &block, sizeof block);
  }
}

// A row of one of ggml's formats, a step for each block.
void pack_legacy(std::span<const float> weights, std::span<const float> steps, const UniformFormat& format,
                 std::byte* out) {
  std::vector<uint16_t> stored(steps.size());
  std::ranges::transform(steps, stored.begin(), stored_step);
  std::vector<int8_t> integers(weights.size());
  for (size_t i = 0; i < integers.size(); ++i)
    integers[i] = integer_of(weights[i], kernels::f16_to_f32(stored[i / format.block_values]), format);
  switch (format.format) {
    case Format::Q4_0:
      return pack_row<kernels::BlockQ4_0>(integers, stored, out);
    case Format::Q5_0:
      return pack_row<kernels::BlockQ5_0>(integers, stored, out);
    case Format::Q8_0:
      return pack_row<kernels::BlockQ8_0>(integers, stored, out);
    default:
      RUVLLM_ASSERT(false);
  }
}

}  // namespace

const UniformFormat* find_uniform(Format format) {
  const auto* found =
      std::ranges::find_if(kUniform, [&](const UniformFormat& row) { return row.format == format; });
  return found == std::end(kUniform) ? nullptr : found;
}

const UniformFormat& uniform_of_bits(int bits, size_t block) {
  for (const UniformFormat& row : kUniform)
    if (row.bits == bits && (block == 0 || row.block_values <= block)) return row;
  throw Error(Errc::usage, "--bits is {}, expected 2, 3, 4, 5 or 8", bits);
}

GranularityOption parse_granularity(std::string_view text) {
  if (text == "tensor") return {Granularity::tensor};
  if (text == "channel") return {Granularity::channel};
  if (text == "token") return {Granularity::token};
  if (text == "block") return {Granularity::block};
  if (text.starts_with("block:")) {
    const auto n = parse_number(text.substr(6));
    if (n && *n >= 32 && *n <= 65536 && std::fmod(*n, 32.0) == 0)
      return {Granularity::block, static_cast<size_t>(*n)};
  }
  throw Error(Errc::usage,
              "--granularity: '{}' is none of tensor, channel, token, block:N (N a multiple of 32)", text);
}

std::string granularity_name(const GranularityOption& option) {
  switch (option.granularity) {
    case Granularity::tensor:
      return "tensor";
    case Granularity::channel:
      return "channel";
    case Granularity::token:
      return "token";
    case Granularity::block:
      return option.block ? fmt::format("block:{}", option.block) : "block";
  }
  RUVLLM_ASSERT(false);
}

StepLayout step_layout(const std::string& name, const Shape& matrix, const UniformFormat& format,
                       const GranularityOption& option) {
  const bool rows_are_tokens = name == "token_embd.weight" || name == "output.weight";
  StepLayout layout{matrix, matrix.n_columns, false};
  layout.single = option.granularity == Granularity::tensor ||
                  (option.granularity == Granularity::token && !rows_are_tokens);
  if (option.granularity == Granularity::block) {
    layout.group = option.block ? option.block : format.block_values;
    if (layout.group % format.block_values != 0)
      throw Error(Errc::usage,
                  "--granularity: block:{} does not consist of whole blocks of {}, which have {}",
                  layout.group, tensor::format_name(format.format), format.block_values);
  }
  return layout;
}

std::vector<float> search_steps(std::span<const float> weights, const StepLayout& layout,
                                const UniformFormat& format, std::span<const float> importance,
                                ThreadPool& pool) {
  std::vector<float> steps(layout.n_steps());
  for_each_tile_of_rows(steps.size(), pool, [&](size_t i) {
    steps[i] = search_step(groups_of(weights, layout, importance, i), format);
  });
  return steps;
}

void pack_uniform(std::span<const float> weights, const StepLayout& layout, const UniformFormat& format,
                  const tensor::Grid& grid, std::span<const float> steps, std::span<std::byte> blocks,
                  ThreadPool& pool) {
  RUVLLM_ASSERT(steps.size() == layout.n_steps());
  const size_t n = layout.matrix.n_columns, row_bytes = tensor::row_bytes(format.format, n);
  const size_t n_blocks = (n + format.block_values - 1) / format.block_values;
  for_each_tile_of_rows(layout.matrix.n_rows, pool, [&](size_t row) {
    std::vector<float> of_blocks(n_blocks);
    for (size_t b = 0; b < n_blocks; ++b) of_blocks[b] = steps[layout.step_of(row, b * format.block_values)];
    const std::span<std::byte> out = blocks.subspan(row * row_bytes, row_bytes);
    if (tensor::traits(format.format).has_grid) {
      for (float& step : of_blocks) step /= grid.unit;
      quant::encode_with_alphas(format.format, grid, weights.subspan(row * n, n), of_blocks, out);
    } else {
      pack_legacy(weights.subspan(row * n, n), of_blocks, format, out.data());
    }
  });
}

}  // namespace ruvllm::train
