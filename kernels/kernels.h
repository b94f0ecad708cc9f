// The kernel table: everything that is computed with vector instructions, behind plain function pointers.
//
// One KernelSet an instruction set. A set is made by overlays: scalar fills every entry, avx2 and avx512 (on
// ARM: neon, dotprod and i8mm) overwrite what they do better; active() is the best that this machine has
// (RUVLLM_ISA, the name of a set, stops the overlay early).
//
// The promise that everything above leans on, BATCH INVARIANCE: every output element is computed by one fixed
// sequence of operations, whatever the number of rows, tiles, threads or the instruction set. For matrix
// products:
//   - an element of out = X * W^T belongs to one weight row and one activation row;
//   - quantised weights: activations are int8 with one f32 scale for 32 values. For each block of 32 (16
//   where the
//     format scales 16 values) in order of k: the dot product of the block is an exact integer `i`, and
//       acc = fma(weight_scale * activation_scale, float(i), acc)
//     formats with a minimum then do acc = fma(-weight_min, activation_scale * float(sum of the block's
//     activations), acc);
//   - F32 weights: acc = fma(w[k], x[k], acc) in order of k;
//   - BF16 and F16 weights: these (F16 ones) and activations are rounded to bf16 and taken in pairs,
//       acc = fma(w[k + 1], x[k + 1], acc), then acc = fma(w[k], x[k], acc), for k = 0, 2, 4 ...
//     where operands and sums below the normal numbers count as zero (what vdpbf16ps computes).
// A vector lane is a weight row, so no lane is ever summed with another, and scalar, AVX2, AVX-512 and NEON
// give the same bits. Weights are repacked at load so that lanes load as vectors: kPanelRows rows side by
// side.
//
// Where a user asks for exact answers (`inspect logits` does), activations are 16 bits: quant = 256 * high +
// low in two int8 planes, so that the same byte products serve; the integer of a block stays exact, and the
// rest is unchanged. BF16 and F16 weights then meet f32 activations as they are, like F32 ones; attention is
// f32.
//
// Only lib/tensor, lib/quant, lib/kv, lib/train and lib/bench include this. Tested by tests/kernels/.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ruvllm::kernels {

enum class Format : uint32_t {
#define FORMAT(id, name, text, values, bytes) name = id,
#include "kernels/formats.def"
#undef FORMAT
};

/// Weight rows that lie interleaved in a panel. The last panel of a matrix is padded with zero rows.
inline constexpr size_t kPanelRows = 16;
/// Activations are quantised in blocks of this many values.
inline constexpr size_t kActivationBlock = 32;
/// Blocks of activations of a row; the last may be filled up with zeros.
inline size_t activation_blocks(size_t n_columns) {
  return (n_columns + kActivationBlock - 1) / kActivationBlock;
}
/// Activation rows that lie interleaved in a group (a register tile's rows); the last group may have fewer.
inline constexpr size_t kGroupRows = 6;

/// The fixed properties of a format.
struct Traits {
  Format format;
  const char* name;  ///< "Q4_K"
  size_t block_values;
  size_t block_bytes;
  bool is_quantised;  ///< needs int8 activations; F32 takes f32 ones
  bool is_paired;     ///< 16-bit floats: columns lie in pairs, and meet pairs of bf16 activations
  bool has_grid;      ///< ours (PIQ): a Grid says what codes stand for, and a row's last block may be shorter
};

/// What the codes of a PIQ tensor stand for: value = alpha of the block * unit * levels[code]. Levels rise
/// from code to code; formats of two bits have four.
struct Grid {
  int8_t levels[8];
  float unit;
};
/// The uniform grid of a PIQ format: levels -4 .. 3 or -2 .. 1, steps of alpha * pi / k.
Grid uniform_grid(Format format, int k = 4);
/// Number of levels of a format with a grid: 4 or 8.
int grid_levels(Format format);

/// All formats, in the order of formats.def.
const Traits* all_formats(size_t* n_formats);
/// The traits of an id read from a file, or nullptr where it is none of ours.
const Traits* find_format(uint32_t id);
/// By name, case-insensitively; nullptr where unknown.
const Traits* find_format(const char* name);
inline const Traits& traits(Format format) { return *find_format(static_cast<uint32_t>(format)); }
/// Bytes of a row of n_values; any number where has_grid, else a multiple of the block.
size_t row_bytes(const Traits& shape, size_t n_values);
/// What n_columns are rounded up to in a panel: to 32 where has_grid, to pairs where is_paired, else not at
/// all.
size_t panel_columns(const Traits& shape, size_t n_columns);

/// One T for each format, by its id: ids of ggml's first, then ours.
template <class T>
struct ByFormat {
  static constexpr uint32_t kFirstOwn = 1000, kOwn = 6, kGgml = 64;
  T rows[kGgml + kOwn];
  static constexpr uint32_t place(uint32_t id) { return id < kFirstOwn ? id : kGgml + (id - kFirstOwn); }
  T& operator[](uint32_t id) { return rows[place(id)]; }
  const T& operator[](uint32_t id) const { return rows[place(id)]; }
};

/// 32 activations as integers: value = scale * quant. One cache line, so that whatever a product needs lies
/// together.
struct alignas(64) ActivationBlock {
  int8_t quants[32];
  float scale;
  int32_t bias;               ///< -128 * (sum of the quants): what unsigned codes (quant + 128) are off by
  int32_t half_biases[2];     ///< the same of each 16
  float scaled_sum;           ///< scale * (sum of the quants), for formats with a minimum
  float scaled_half_sums[2];  ///< the same of each 16
};

/// 16 bits: value = scale * (256 * high.quants + low); high's other members count both.
struct WideActivationBlock {
  ActivationBlock high;
  alignas(64) int8_t low[32];
};

/// Activations of a matrix product, n_rows x n_columns: f32 or bf16 for float weights, integer blocks for
/// quantised ones.
///
/// Blocks of the rows of a group lie side by side: block b of row r of n is number
/// first * activation_blocks(n_columns) + b * n_group + (r - first), where first = r - r % kGroupRows,
/// n_group = min(kGroupRows, n - first). So do values, of which a row has n_columns, and pairs, of which it
/// has activation_pairs(n_columns).
struct Activations {
  size_t n_rows = 0;
  size_t n_columns = 0;
  const float* values = nullptr;                     ///< for float weights
  const uint32_t* pairs = nullptr;                   ///< for BF16 and F16 weights; null: they meet `values`
  const ActivationBlock* blocks = nullptr;           ///< for quantised weights
  const WideActivationBlock* wide_blocks = nullptr;  ///< these instead, where 16 bits are asked for
};

/// Pairs of bf16 values of a row: columns 2k (in the low half) and 2k + 1, or zero after the last.
inline size_t activation_pairs(size_t n_columns) { return (n_columns + 1) / 2; }
/// Rows of the group that row `row` of n_rows is in.
inline size_t group_rows(size_t n_rows, size_t row) {
  const size_t n = n_rows - row / kGroupRows * kGroupRows;
  return n < kGroupRows ? n : kGroupRows;
}
/// Where block 0 of a row is; the row's others follow group_rows() apart.
inline size_t first_block_of(size_t n_columns, size_t row) {
  return row / kGroupRows * kGroupRows * activation_blocks(n_columns) + row % kGroupRows;
}

/// How much an encoder searches; formats that are defined by their bytes don't.
enum class Search { fast, best };

/// What a set does with one weight format. `panel` is kPanelRows rows of n_columns values, interleaved.
struct FormatKernels {
  /// Blocks as they lie in a file to f32, equal to ggml's reference to the bit. n_values: a multiple of the
  /// block; where has_grid, one row of any length, on the uniform grid.
  void (*decode)(const void* blocks, float* values, size_t n_values);

  /// Interleaves n_rows <= 16 file rows, row_bytes apart, into a panel: as many bytes as 16 rows of
  /// panel_columns(n_columns). Missing rows and columns become zero.
  void (*interleave)(const void* rows, size_t row_bytes, size_t n_rows, size_t n_columns, void* panel);

  /// out[r * out_stride + p * 16 + lane] = dot(activation row r, row `lane` of panel p) for n_panels panels
  /// that lie panel_bytes apart, all activation rows. `scratch` is matmul_scratch_bytes() of this set. out
  /// has room for n_panels * 16 columns (padding rows give zero).
  void (*matmul)(const void* panels, size_t panel_bytes, size_t n_panels, const Activations& x, float* out,
                 size_t out_stride, void* scratch);
};

/// The same for the formats that have a grid, on any of its grids.
struct GridKernels {
  /// One row.
  void (*decode)(const void* blocks, float* values, size_t n_values, const Grid& grid);
  /// One row; like KernelSet::encode, with the levels and the unit of `grid`. Alphas are positive.
  void (*encode)(const float* values, const float* importance, size_t n_values, void* blocks,
                 const Grid& grid, Search effort);
  /// As FormatKernels::matmul.
  void (*matmul)(const void* panels, size_t panel_bytes, size_t n_panels, const Activations& x, float* out,
                 size_t out_stride, void* scratch, const Grid& grid);
};

/// How keys and values are stored: f32; q16, integers of 16 bits with one scale a vector (lanes/q16.h); q8
/// and q4, blocks of 32 as Q8_0 and Q4_0 have them.
enum class KvFormat : uint32_t { f32, q16, q8, q4 };
/// What a stored vector is for: a key's scale keeps its norm within bounds, a value's its largest.
enum class KvRole : uint32_t { key, value };
/// A page holds page_tokens keys (or values) of one KV head; in q16 their scales (f32) come first. This is
/// how many bytes those take.
constexpr size_t kv_scales_bytes(KvFormat format, size_t page_tokens) {
  return format == KvFormat::q16 ? page_tokens * sizeof(float) : 0;
}

/// The register tile of f32 matrix products (training): C tile (n_rows, n_columns), c_stride floats between
/// rows, = sum over k < depth of a[k * n_rows + i] * b[k * n_columns + j], one fused multiply-add after the
/// other; or that sum added to C.
struct GemmKernel {
  static constexpr size_t kMaxTile = 512;  ///< n_rows * n_columns of the largest tile
  size_t n_rows;
  size_t n_columns;
  void (*tile)(size_t depth, const float* a, const float* b, float* c, size_t c_stride, bool accumulate);
};

struct KernelSet {
  const char* name;  ///< "scalar", "avx2", "avx512", "neon", "dotprod", "i8mm"

  /// f32 to blocks, by ggml id like `formats`: makes sum of importance * (decoded - value)^2 small.
  /// `importance` has a weight >= 0 for each value, or is null: all weigh the same. n_values: a multiple of
  /// the block (has_grid: one row); values are finite. Every set writes the same bytes.
  using Encode = void (*)(const float* values, const float* importance, size_t n_values, void* blocks,
                          Search effort);
  ByFormat<Encode> encode;

  ByFormat<FormatKernels> formats;  ///< ids that are not in formats.def are empty
  ByFormat<GridKernels> on_grid;    ///< only of formats with a grid
  const FormatKernels& operator[](Format format) const { return formats[static_cast<uint32_t>(format)]; }

  /// Bytes of scratch one worker needs for matmul, 64-byte aligned.
  size_t (*matmul_scratch_bytes)(size_t n_columns, size_t n_rows);

  /// x to integers, in blocks of 32: scale = max|x| / limit, quant = round to nearest even of x * (limit /
  /// max|x|); limit is 127, or 32639 (= 256 * 127 + 127) in wide blocks, both of whose planes stay within
  /// -127 .. 127. Blocks are written `stride` blocks apart; the last is filled up with zeros.
  void (*quantise)(const float* x, size_t n_columns, ActivationBlock* blocks, size_t stride);
  void (*quantise_wide)(const float* x, size_t n_columns, WideActivationBlock* blocks, size_t stride);

  /// n_rows <= kGroupRows rows of x (n_rows, n_columns) as a group of Activations::values or ::pairs; these
  /// rounded to nearest, ties to even, and denormals to zero.
  void (*group_values)(const float* x, size_t n_rows, size_t n_columns, float* values);
  void (*group_pairs)(const float* x, size_t n_rows, size_t n_columns, uint32_t* pairs);

  /// out = x / sqrt(mean(x^2) + epsilon) * weight (+ weight_offset: gemma's 1 + w is folded in at load).
  void (*rms_norm)(const float* x, const float* weight, float epsilon, float* out, size_t n);
  /// out = (x - mean) / sqrt(variance + epsilon) * weight + bias (bias may be null).
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float epsilon, float* out,
                     size_t n);
  /// Rotates pairs: (x[i], x[i + n/2]) if half_split, else (x[2i], x[2i+1]), i < n/2, by the angles whose
  /// cosines and sines are given (n/2 of each).
  void (*rope)(float* x, const float* cosines, const float* sines, size_t n, bool half_split);
  /// gate = silu(gate) * up
  void (*silu_multiply)(float* gate, const float* up, size_t n);
  /// gate = gelu(gate) * up; tanh form (Hendrycks and Gimpel 2016) or erf form.
  void (*gelu_multiply)(float* gate, const float* up, size_t n, bool tanh_form);
  void (*gelu)(float* x, size_t n, bool tanh_form);
  /// x += y
  void (*add)(float* x, const float* y, size_t n);
  /// x *= factor
  void (*scale)(float* x, float factor, size_t n);
  /// x = cap * tanh(x / cap)
  void (*soft_cap)(float* x, float cap, size_t n);
  /// In place, x times the Hadamard matrix (Sylvester's) of `block` values, block by block and unscaled.
  /// `block`: a power of two that divides n. Sums and differences of values 1 apart come first, then 2, 4 ...
  void (*hadamard)(float* x, size_t n, size_t block);
  /// In place, max-subtracted. Any n >= 1.
  void (*softmax)(float* x, size_t n);

  /// n values to a stored key or value; n is a multiple of 32 for q8 and q4. `scale`: of the vector, in q16
  /// alone: NaN where a value is none, or not finite.
  void (*store_kv)(const float* x, size_t n, KvFormat format, KvRole role, void* vector, float* scale);

  /// Attention of n_queries query vectors that share one KV head, all for one query position (the heads of a
  /// GQA group), over keys [first_key, end_key) that lie key_stride bytes apart. Online softmax (Milakov and
  /// Gimelshein 2018; Dao 2022) in blocks of 64 keys counted from absolute key 0, so the result depends on
  /// nothing but the query and its keys. score_scale multiplies q.k; soft_cap 0 means none; alibi_slopes may
  /// be null (one a query). out: (n_queries, value_dimension), normalised.
  ///
  /// All in f32; or, where keys and values are q16, in integers: queries are rounded as keys are, a block's
  /// softmax weights to 1 / 8191 of the largest (lanes/q16.h), products are summed exactly, scales are f32.
  struct AttentionArguments {
    const float* queries;  // (n_positions, n_queries, key_dimension): n_positions consecutive query positions
    size_t n_positions;    // query positions first_position, first_position + 1, ...
    size_t n_queries;      // query heads that share this KV head
    size_t position_stride;  // floats between queries of consecutive positions; also of out
    size_t key_dimension;
    size_t value_dimension;
    const void* const* key_pages;  // page p holds keys [p * page_tokens, (p+1) * page_tokens) of this KV
                                   // head, after their scales (kv_scales_bytes)
    const void* const* value_pages;  //
    size_t page_tokens;              // a multiple of 64
    size_t key_stride;               // bytes between keys inside a page
    size_t value_stride;
    KvFormat key_format, value_format;
    bool in_integers;       // as above
    size_t first_position;  // absolute position of queries[0]
    size_t window;          // 0: all keys up to the query's own; W: the last W of them
    bool causal;            // false: every query sees keys [0, n_keys)
    size_t n_keys;          // used when not causal
    float score_scale;
    float soft_cap;
    const float* alibi_slopes;
    float* out;  // (n_positions, n_queries, value_dimension), position_stride apart
  };
  GemmKernel gemm;

  /// For measuring what the machine can do: products of bytes, of f32 and of pairs of bf16 in registers
  /// (n_operations counts additions and multiplications), and reading n_bytes of memory, a multiple of 256.
  /// All return a sum of what they saw.
  int32_t (*multiply_integers)(size_t n_steps, size_t* n_operations);
  float (*multiply_values)(size_t n_steps, size_t* n_operations);
  float (*multiply_pairs)(size_t n_steps, size_t* n_operations);
  int32_t (*read_memory)(const void* memory, size_t n_bytes);

  void (*attention)(const AttentionArguments& arguments, void* scratch);
  size_t (*attention_scratch_bytes)(size_t n_positions, size_t n_queries, size_t key_dimension,
                                    size_t value_dimension);
};

/// The best set this machine runs (or what RUVLLM_ISA asks for); chosen once.
const KernelSet& active();
/// Every set that this machine can run, worst (scalar) first.
const KernelSet* const* available(size_t* n_sets);
/// nullptr, or why RUVLLM_ISA can't be honoured (unknown name, not on this machine), for the program to
/// report.
const char* isa_problem();
/// "avx512f avx512bw avx512_vnni ...": what was detected, for `info`.
const char* detected_features();

}  // namespace ruvllm::kernels
