// One tensor into another format, piece by piece: what files are written from, and what a load packs.
//
// Pieces are some hundred thousand values that threads take from a shared counter; bytes and errors are the
// same for every number of threads. Tested by tests/quant/quantize_model_test.cpp.
#pragma once

#include "format/model_file.h"
#include "quant/gptq.h"
#include "quant/importance.h"
#include "quant/recipe.h"

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace ruvllm::quant {

inline constexpr uint64_t kPieceValues = 256 * 1024;

/// A run of whole rows of a tensor, or a part of one long row.
struct Piece {
  uint64_t first_value;
  uint64_t n_values;
};

/// The pieces of a tensor. Parts of a row are multiples of `unit` values but for the row's last.
std::vector<Piece> cut(const format::Tensor& tensor, uint64_t piece_values, uint64_t unit = 256);

/// The bytes of a piece of `tensor` in a format: where they begin and how many they are.
struct Place {
  uint64_t offset, n_bytes;
};
Place place_of(Format format, const format::Tensor& tensor, const Piece& piece);
/// The same as bytes, as the tensor is stored.
std::span<const std::byte> bytes_of(const format::Tensor& tensor, const Piece& piece);

/// Buffers of one worker.
struct Scratch {
  std::vector<float> values, importance, decoded;
  std::vector<std::byte> encoded;
};

/// The piece as f32, multiplied by the column's scale where there are `scales`.
std::span<float> read_values(const format::Tensor& tensor, const Piece& piece, std::span<const float> scales,
                             std::vector<float>& buffer);

/// sum (a - b)^2 and sum b^2.
struct ErrorSums {
  double miss = 0.0, size = 0.0;

  double relative() const { return size > 0.0 ? std::sqrt(miss / size) : 0.0; }
};
ErrorSums compare(std::span<const float> decoded, std::span<const float> values);
ErrorSums add_up(std::span<const ErrorSums> parts);

/// All that the bytes of one tensor depend on.
struct TensorJob {
  const format::Tensor& tensor;
  Format format;
  tensor::Grid grid;
  const tensor::Rotation* rotation;  ///< or nullptr
  std::span<const float> scales;     ///< of its columns, or empty
  const Importance& importance;
  kernels::Search effort;
  const GptqSolver* solver;  ///< or nullptr

  bool is_copied() const { return format == tensor.format && scales.empty(); }
  std::vector<Piece> cut(uint64_t piece_values) const;
};

/// Throws Errc::corrupt_file naming the tensor and the place of a NaN or an infinity among a piece's values.
void require_finite_piece(const format::Tensor& tensor, const Piece& piece, std::span<const float> values);

/// Encodes one piece into scratch.encoded, by a solver where there is one that can. Values are looked at on
/// both sides, copied ones too: throws Errc::corrupt_file naming the tensor and the place of a NaN or an
/// infinity in the source, and of a value that is beyond what the format holds.
ErrorSums encode_piece(const TensorJob& job, const Piece& piece, Scratch& scratch);

}  // namespace ruvllm::quant
