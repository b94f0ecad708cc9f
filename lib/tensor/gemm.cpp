#include "tensor/gemm.h"

#include "kernels/kernels.h"
#include "kernels/training.h"

#include <algorithm>

namespace ruvllm::tensor {
namespace {

// Depth of k, in steps of a tile (pairs of k where operands are bf16), that stays in the L1 and L2 caches
// while a tile of C is computed. Part of the definition of a product (block sums are added in order), so it
// is the same for every instruction set.
constexpr size_t kDepthBlock = 256;
// How many register tiles a thread takes at a time, along m and n.
constexpr size_t kTilesDown = 8;
constexpr size_t kTilesAcross = 4;

size_t n_blocks(size_t n, size_t unit) { return (n + unit - 1) / unit; }

// One product in progress: what every tile of it needs.
struct Job {
  GemmShape shape;
  GemmOperand a, b;
  float* c;
  size_t c_stride;
  bool accumulate;
  float* packed_a;
  float* packed_b;
  const kernels::GemmKernel& kernel;
  const kernels::GemmPacking& packing;
  size_t n_steps;  // of a tile, over all of k

  size_t n_strips_a() const { return n_blocks(shape.m, kernel.n_rows); }
  size_t n_strips_b() const { return n_blocks(shape.n, kernel.n_columns); }

  // Strips of A come first, then those of B. In a strip k runs slowest; lanes beyond the edge are zero.
  void pack(size_t strip) const {
    if (strip < n_strips_a()) {
      const size_t first = strip * kernel.n_rows;
      packing.rows({a.data + first * a.row_stride, a.row_stride, a.column_stride,
                    std::min(kernel.n_rows, shape.m - first), shape.k},
                   packed_a + first * n_steps);
    } else {
      const size_t first = (strip - n_strips_a()) * kernel.n_columns;
      packing.columns({b.data + first * b.column_stride, b.column_stride, b.row_stride,
                       std::min(kernel.n_columns, shape.n - first), shape.k},
                      packed_b + first * n_steps);
    }
  }

  size_t n_tiles_across() const { return n_blocks(n_strips_b(), kTilesAcross); }
  size_t n_tiles() const { return n_blocks(n_strips_a(), kTilesDown) * n_tiles_across(); }

  void compute(size_t tile) const {
    const size_t first_a = tile / n_tiles_across() * kTilesDown;
    const size_t first_b = tile % n_tiles_across() * kTilesAcross;
    const size_t last_a = std::min(first_a + kTilesDown, n_strips_a());
    const size_t last_b = std::min(first_b + kTilesAcross, n_strips_b());
    for (size_t step = 0; step < n_steps; step += kDepthBlock)
      for (size_t strip_b = first_b; strip_b < last_b; ++strip_b)
        for (size_t strip_a = first_a; strip_a < last_a; ++strip_a)
          compute_register_tile(strip_a, strip_b, step, accumulate || step > 0);
  }

  void compute_register_tile(size_t strip_a, size_t strip_b, size_t step, bool add) const {
    const size_t row = strip_a * kernel.n_rows;
    const size_t column = strip_b * kernel.n_columns;
    const size_t depth = std::min(kDepthBlock, n_steps - step);
    const float* from_a = packed_a + row * n_steps + step * kernel.n_rows;
    const float* from_b = packed_b + column * n_steps + step * kernel.n_columns;
    float* to = c + row * c_stride + column;
    const size_t n_rows = std::min(kernel.n_rows, shape.m - row);
    const size_t n_columns = std::min(kernel.n_columns, shape.n - column);
    if (n_rows == kernel.n_rows && n_columns == kernel.n_columns) {
      kernel.tile(depth, from_a, from_b, to, c_stride, add);
      return;
    }
    alignas(64) float edge[kernels::GemmKernel::kMaxTile];
    kernel.tile(depth, from_a, from_b, edge, kernel.n_columns, false);
    for (size_t i = 0; i < n_rows; ++i)
      for (size_t j = 0; j < n_columns; ++j) {
        float& element = to[i * c_stride + j];
        element = edge[i * kernel.n_columns + j] + (add ? element : 0.0f);
      }
  }
};

Job make_job(const GemmShape& shape, const GemmOperand& a, const GemmOperand& b, float* c, size_t c_stride,
             bool accumulate, GemmScratch& scratch) {
  const bool is_bf16 = shape.precision == Precision::bf16;
  const kernels::TrainingKernels& training = kernels::training();
  const kernels::GemmKernel& kernel = is_bf16 ? training.gemm_bf16 : kernels::active().gemm;
  const size_t n_steps = is_bf16 ? n_blocks(shape.k, 2) : shape.k;
  const size_t a_values = n_blocks(shape.m, kernel.n_rows) * kernel.n_rows * n_steps;
  const size_t b_values = n_blocks(shape.n, kernel.n_columns) * kernel.n_columns * n_steps;
  if (scratch.a.size() < a_values) scratch.a.resize(a_values);
  if (scratch.b.size() < b_values) scratch.b.resize(b_values);
  return Job{shape,
             a,
             b,
             c,
             c_stride,
             accumulate,
             scratch.a.data(),
             scratch.b.data(),
             kernel,
             is_bf16 ? training.pack_bf16 : training.pack,
             n_steps};
}

}  // namespace

void gemm(const GemmShape& shape, const GemmOperand& a, const GemmOperand& b, float* c, size_t c_stride,
          bool accumulate, GemmScratch& scratch) {
  const Job job = make_job(shape, a, b, c, c_stride, accumulate, scratch);
  for (size_t strip = 0; strip < job.n_strips_a() + job.n_strips_b(); ++strip) job.pack(strip);
  for (size_t tile = 0; tile < job.n_tiles(); ++tile) job.compute(tile);
}

void gemm(ThreadPool& pool, const GemmShape& shape, const GemmOperand& a, const GemmOperand& b, float* c,
          size_t c_stride, bool accumulate, GemmScratch& scratch) {
  const Job job = make_job(shape, a, b, c, c_stride, accumulate, scratch);
  pool.for_each_tile(job.n_strips_a() + job.n_strips_b(), [&](size_t strip, int) { job.pack(strip); });
  pool.for_each_tile(job.n_tiles(), [&](size_t tile, int) { job.compute(tile); });
}

}  // namespace ruvllm::tensor
