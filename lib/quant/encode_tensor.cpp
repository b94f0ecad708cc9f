#include "quant/encode_tensor.h"

#include "base/error.h"
#include "base/finite.h"
#include "base/utf8.h"
#include "quant/incoherence.h"
#include "tensor/ops.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace ruvllm::quant {
namespace {

/// Length of the rows that a piece is made of: the tensor's, or its own where it is a part of one.
uint64_t row_values(const format::Tensor& tensor, const Piece& piece) {
  return std::min(tensor.n_columns(), piece.n_values);
}

/// Where in its tensor value `i` of a piece stands.
std::string place_text(const format::Tensor& tensor, const Piece& piece, size_t i) {
  const uint64_t place = piece.first_value + i;
  return fmt::format("row {}, column {}", place / tensor.n_columns(), place % tensor.n_columns());
}

/// Where formats with scales in f16 come to the end of their range. Values beyond it that come back as
/// something else have overflowed, even where the encoder made zeros of them.
constexpr float kF16Range = 65504.0f;

/// A value that rounding lost: decoded as an infinity or NaN, or large and far from itself.
std::optional<size_t> find_lost(std::span<const float> values, std::span<const float> decoded) {
  if (const auto bad = find_non_finite(decoded)) return bad;
  for (size_t i = 0; i < values.size(); ++i) {
    const float size = std::abs(values[i]);
    if (size >= kF16Range && std::abs(decoded[i] - values[i]) > 0.5f * size) return i;
  }
  return std::nullopt;
}

/// Throws where a block's scale left the range of what it is stored in. `values` as they were encoded.
void require_held(const TensorJob& job, const Piece& piece, std::span<const float> values,
                  std::span<const float> decoded) {
  const auto lost = find_lost(values, decoded);
  if (!lost) return;
  // A whole block is lost with its scale; the largest value around is what the scale was for.
  const auto first = values.begin() + static_cast<std::ptrdiff_t>(*lost / 256 * 256);
  const auto end = first + std::min<std::ptrdiff_t>(256, values.end() - first);
  const auto largest =
      std::max_element(first, end, [](float a, float b) { return std::abs(a) < std::abs(b); });
  throw Error(Errc::corrupt_file, "tensor {} has {:g} at {}, which {} cannot hold; take {}",
              printable(job.tensor.name), *largest,
              place_text(job.tensor, piece, static_cast<size_t>(largest - values.begin())),
              tensor::format_name(job.format),
              job.format == Format::BF16 ? "F32" : "BF16 or F32, which have the range");
}

/// The importance of a piece's values (scaled ones matter less), or an empty span.
std::span<float> spread_importance(const Importance& importance, const format::Tensor& tensor,
                                   const Piece& piece, std::span<const float> scales,
                                   std::vector<float>& buffer) {
  const uint64_t n_columns = tensor.n_columns();
  if (importance.of_row(tensor, piece.first_value / n_columns).empty()) return {};
  buffer.resize(std::max<size_t>(buffer.size(), piece.n_values));
  for (uint64_t done = 0; done < piece.n_values;) {
    const uint64_t place = piece.first_value + done, column = place % n_columns;
    const std::span<const float> row = importance.of_row(tensor, place / n_columns);
    const uint64_t n = std::min(n_columns - column, piece.n_values - done);
    std::copy_n(row.begin() + static_cast<std::ptrdiff_t>(column), n,
                buffer.begin() + static_cast<std::ptrdiff_t>(done));
    done += n;
  }
  if (!scales.empty())
    for (size_t i = 0; i < piece.n_values; ++i) {
      const float scale = scales[(piece.first_value + i) % scales.size()];
      buffer[i] /= scale * scale;
    }
  return std::span(buffer).first(piece.n_values);
}

void copy_piece(const format::Tensor& tensor, const Piece& piece, std::vector<std::byte>& out) {
  if (!tensor.scales.empty())
    throw Error(Errc::usage,
                "tensor {} has a scale beside it and can't be copied as it is; choose another type than {}",
                printable(tensor.name), tensor::format_name(tensor.format));
  const std::span<const std::byte> bytes = bytes_of(tensor, piece);
  out.assign(bytes.begin(), bytes.end());
}

}  // namespace

std::vector<Piece> cut(const format::Tensor& tensor, uint64_t piece_values, uint64_t part_unit) {
  const uint64_t n_columns = tensor.n_columns();
  const uint64_t unit = n_columns <= piece_values ? n_columns : part_unit;
  const uint64_t step = std::max<uint64_t>(1, piece_values / unit) * unit;
  std::vector<Piece> pieces;
  const uint64_t n_values = tensor.n_values();
  if (n_columns <= piece_values) {
    for (uint64_t first = 0; first < n_values; first += step)
      pieces.push_back({first, std::min(step, n_values - first)});
    return pieces;
  }
  for (uint64_t row = 0; row < n_values; row += n_columns)
    for (uint64_t first = 0; first < n_columns; first += step)
      pieces.push_back({row + first, std::min(step, n_columns - first)});
  return pieces;
}

Place place_of(Format format, const format::Tensor& tensor, const Piece& piece) {
  const uint64_t begin = tensor::offset_of(format, tensor.n_columns(), piece.first_value);
  return {begin, tensor::offset_of(format, tensor.n_columns(), piece.first_value + piece.n_values) - begin};
}
std::span<const std::byte> bytes_of(const format::Tensor& tensor, const Piece& piece) {
  const Place place = place_of(tensor.format, tensor, piece);
  return tensor.bytes.subspan(place.offset, place.n_bytes);
}

std::span<float> read_values(const format::Tensor& tensor, const Piece& piece, std::span<const float> scales,
                             std::vector<float>& buffer) {
  buffer.resize(std::max<size_t>(buffer.size(), piece.n_values));
  tensor.decode(piece.first_value, std::span(buffer).first(piece.n_values));
  if (!scales.empty())
    for (size_t i = 0; i < piece.n_values; ++i) buffer[i] *= scales[(piece.first_value + i) % scales.size()];
  return std::span(buffer).first(piece.n_values);
}

ErrorSums compare(std::span<const float> decoded, std::span<const float> values) {
  // Runs of floats, so that the loops can be vectorised, added up in double.
  ErrorSums sums;
  for (size_t first = 0; first < values.size(); first += 1024) {
    const size_t end = std::min(values.size(), first + 1024);
    float miss[16] = {}, size[16] = {};
    for (size_t i = first; i + 16 <= end; i += 16)
      for (size_t l = 0; l < 16; ++l) {
        const float difference = decoded[i + l] - values[i + l];
        miss[l] += difference * difference;
        size[l] += values[i + l] * values[i + l];
      }
    for (size_t i = first + (end - first) / 16 * 16; i < end; ++i) {
      miss[0] += (decoded[i] - values[i]) * (decoded[i] - values[i]);
      size[0] += values[i] * values[i];
    }
    for (const float part : miss) sums.miss += static_cast<double>(part);
    for (const float part : size) sums.size += static_cast<double>(part);
  }
  return sums;
}

ErrorSums add_up(std::span<const ErrorSums> parts) {
  ErrorSums sums;
  for (const ErrorSums& part : parts) {
    sums.miss += part.miss;
    sums.size += part.size;
  }
  return sums;
}

std::vector<Piece> TensorJob::cut(uint64_t piece_values) const {
  uint64_t unit = 256;
  if (rotation != nullptr) unit = std::max(unit, rotation->block());
  if (tensor.rotation) unit = std::max(unit, tensor.rotation->block());
  return quant::cut(tensor, piece_values, unit);
}

void require_finite_piece(const format::Tensor& tensor, const Piece& piece, std::span<const float> values) {
  const auto bad = find_non_finite(values);
  if (!bad) return;
  throw Error(Errc::corrupt_file, "tensor {} has {} at {}; no value of a model is allowed to be that",
              printable(tensor.name), non_finite_name(values[*bad]), place_text(tensor, piece, *bad));
}

ErrorSums encode_piece(const TensorJob& job, const Piece& piece, Scratch& scratch) {
  const format::Tensor& tensor = job.tensor;
  const std::span<float> values = read_values(tensor, piece, job.scales, scratch.values);
  require_finite_piece(tensor, piece, values);
  if (job.is_copied()) {
    copy_piece(tensor, piece, scratch.encoded);
    return {};
  }
  const uint64_t first_column = piece.first_value % tensor.n_columns();
  if (job.rotation != nullptr) job.rotation->apply(values, first_column);
  scratch.encoded.resize(place_of(job.format, tensor, piece).n_bytes);
  const bool whole_rows = first_column == 0 && piece.n_values % tensor.n_columns() == 0;
  if (job.solver != nullptr && GptqSolver::supports(job.format) && whole_rows) {
    job.solver->quantise_rows(job.format, job.grid, values, job.effort, scratch.encoded);
  } else {
    const std::span<float> weights =
        spread_importance(job.importance, tensor, piece, job.scales, scratch.importance);
    if (job.rotation != nullptr) rotate_importance(*job.rotation, weights);
    tensor::encode_rows(job.format, job.grid, row_values(tensor, piece), values, weights, job.effort,
                        scratch.encoded);
  }
  scratch.decoded.resize(std::max<size_t>(scratch.decoded.size(), values.size()));
  const std::span<float> decoded = std::span(scratch.decoded).first(values.size());
  tensor::decode_rows(job.format, job.grid, row_values(tensor, piece), scratch.encoded, decoded);
  require_held(job, piece, values, decoded);
  return compare(decoded, values);
}

}  // namespace ruvllm::quant
