// Causal attention and its backward, block by block of queries: scores are never kept, only each row's log of
// the sum of exponentials, from which the backward recomputes them (Dao 2022, "FlashAttention").
#include "base/error.h"
#include "train/ops/ops.h"
#include "train/ops/rows.h"
#include "train/ops/vector.h"

#include <cmath>

namespace ruvllm::train {
namespace {

constexpr size_t kQueryBlock = 128;

// The queries [first, first + n_rows) of one head in one document, and the keys [first_key, end_key) they may
// see.
struct Block {
  size_t first, n_rows, first_key, end_key;
  size_t n_keys() const { return end_key - first_key; }
};

template <typename T>
struct Matrices {
  const T *q, *k, *v, *o;  // row strides: q_stride for q and o, kv_stride for k and v
  size_t q_stride, kv_stride, d;
  T alibi_slope;
};

template <typename Body>
void for_each_block(size_t begin, size_t end, size_t window, const Body& body) {
  for (size_t first = begin; first < end; first += kQueryBlock) {
    const size_t n_rows = std::min(kQueryBlock, end - first);
    const size_t first_key = window && first + 1 > begin + window ? first + 1 - window : begin;
    body(Block{first, n_rows, first_key, first + n_rows});
  }
}

// The keys that query `row` of a block sees are columns [first, end) of its scores.
struct Seen {
  size_t first, end;
  size_t n() const { return end - first; }
};

Seen seen_by(const Block& block, size_t row, size_t window) {
  const size_t query = block.first + row;
  const size_t first_key =
      window && query + 1 > block.first_key + window ? query + 1 - window : block.first_key;
  return {first_key - block.first_key, query + 1 - block.first_key};
}

// Scores after scaling, soft-capping and ALiBi, where a query sees the key; elsewhere 0. (n_rows, n_keys)
template <typename T>
void scores_of(const Matrices<T>& m, const Block& block, const AttentionArguments& arguments, T* scores,
               tensor::GemmScratch& scratch) {
  const size_t n_keys = block.n_keys();
  product<T>(nullptr, block.n_rows, n_keys, m.d, {m.q + block.first * m.q_stride, m.q_stride, 1},
             {m.k + block.first_key * m.kv_stride, 1, m.kv_stride}, scores, n_keys, false, scratch);
  const T cap = static_cast<T>(arguments.score_cap), factor = static_cast<T>(arguments.score_scale);
  for (size_t i = 0; i < block.n_rows; ++i) {
    T* row = scores + i * n_keys;
    const Seen seen = seen_by(block, i, arguments.window);
    std::fill(row, row + seen.first, T(0));
    multiply_by(row + seen.first, factor, seen.n());
    if (cap > 0) soft_cap_row(row + seen.first, cap, seen.n());
    for (size_t key = seen.first; m.alibi_slope != 0 && key < seen.end; ++key)  // the last key is the query
      row[key] -= m.alibi_slope * static_cast<T>(seen.end - 1 - key);
    std::fill(row + seen.end, row + n_keys, T(0));
  }
}

template <typename T>
void forward_block(const Matrices<T>& m, const Block& block, const AttentionArguments& arguments, T* out,
                   T* log_sums, size_t log_sum_stride, WorkerScratch<T>& scratch) {
  const size_t n_keys = block.n_keys();
  scratch.values.resize(std::max(scratch.values.size(), block.n_rows * n_keys));
  T* p = scratch.values.data();
  scores_of(m, block, arguments, p, scratch.gemm);
  for (size_t i = 0; i < block.n_rows; ++i) {
    const Seen seen = seen_by(block, i, arguments.window);
    T* row = p + i * n_keys + seen.first;
    log_sums[(block.first + i) * log_sum_stride] = softmax(row, T(1), row, seen.n());
  }
  product<T>(nullptr, block.n_rows, m.d, n_keys, {p, n_keys, 1},
             {m.v + block.first_key * m.kv_stride, m.kv_stride, 1}, out + block.first * m.q_stride,
             m.q_stride, false, scratch.gemm);
}

template <typename T>
struct Gradients {
  const T* out;  // of the attention's output
  T *q, *k, *v;
};

// dV += P^T dO; dP = dO V^T; dS = P (dP - rowsum(dO O)) (through cap and scale); dQ += dS K; dK += dS^T Q.
template <typename T>
void backward_block(const Matrices<T>& m, const Block& block, const AttentionArguments& arguments,
                    const T* log_sums, size_t log_sum_stride, const Gradients<T>& gradient,
                    WorkerScratch<T>& scratch) {
  const size_t n_keys = block.n_keys(), n_scores = block.n_rows * n_keys;
  scratch.values.resize(std::max(scratch.values.size(), 2 * n_scores));
  T *s = scratch.values.data(), *dp = s + n_scores;
  scores_of(m, block, arguments, s, scratch.gemm);
  const T* d_out = gradient.out + block.first * m.q_stride;
  product<T>(nullptr, block.n_rows, n_keys, m.d, {d_out, m.q_stride, 1},
             {m.v + block.first_key * m.kv_stride, 1, m.kv_stride}, dp, n_keys, false, scratch.gemm);
  const T cap = static_cast<T>(arguments.score_cap), factor = static_cast<T>(arguments.score_scale);
  for (size_t i = 0; i < block.n_rows; ++i) {
    const size_t row = block.first + i;
    const ScoreGradient<T> of_row{.log_sum = log_sums[row * log_sum_stride],
                                  .overlap = dot(d_out + i * m.q_stride, m.o + row * m.q_stride, m.d),
                                  .scale = factor,
                                  .inverse_cap = cap > 0 ? T(1) / cap : T(0)};
    const Seen seen = seen_by(block, i, arguments.window);
    T* d_row = dp + i * n_keys;
    std::fill(d_row, d_row + seen.first, T(0));
    score_gradient(of_row, s + i * n_keys + seen.first, d_row + seen.first, seen.n());
    std::fill(d_row + seen.end, d_row + n_keys, T(0));
  }
  const Operand<T> p_transposed{s, 1, n_keys}, ds{dp, n_keys, 1}, ds_transposed{dp, 1, n_keys};
  if (gradient.v)
    product<T>(nullptr, n_keys, m.d, block.n_rows, p_transposed, {d_out, m.q_stride, 1},
               gradient.v + block.first_key * m.kv_stride, m.kv_stride, true, scratch.gemm);
  if (gradient.q)
    product<T>(nullptr, block.n_rows, m.d, n_keys, ds, {m.k + block.first_key * m.kv_stride, m.kv_stride, 1},
               gradient.q + block.first * m.q_stride, m.q_stride, true, scratch.gemm);
  if (gradient.k)
    product<T>(nullptr, n_keys, m.d, block.n_rows, ds_transposed,
               {m.q + block.first * m.q_stride, m.q_stride, 1}, gradient.k + block.first_key * m.kv_stride,
               m.kv_stride, true, scratch.gemm);
}

}  // namespace

template <typename T>
Var attention(Tape<T>& tape, Var q, Var k, Var v, const AttentionArguments& arguments) {
  const size_t n = tape.shape(q).n_rows, d = arguments.head_dimension;
  const size_t q_stride = arguments.n_heads * d, kv_stride = arguments.n_kv_heads * d;
  const size_t group = arguments.n_heads / arguments.n_kv_heads;
  RUVLLM_ASSERT(tape.shape(q).n_columns == q_stride && tape.shape(k).n_columns == kv_stride &&
                tape.shape(v).n_columns == kv_stride);
  RUVLLM_ASSERT(arguments.starts.size() >= 2 && arguments.starts.front() == 0 &&
                arguments.starts.back() == n);
  const std::vector<float>& slopes = arguments.alibi_slopes;
  RUVLLM_ASSERT(slopes.empty() || (slopes.size() == arguments.n_heads && arguments.score_cap == 0));
  const Var out =
      tape.make(tape.shape(q), tape.needs_gradient(q) || tape.needs_gradient(k) || tape.needs_gradient(v));
  const std::span<T> log_sums = tape.scratch(n * arguments.n_heads);  // (tokens, heads)

  const auto head_of = [&tape, q, k, v, out, d, q_stride, kv_stride, group, slopes](size_t head) {
    const size_t kv = head / group * d;
    return Matrices<T>{tape.value(q).data() + head * d,
                       tape.value(k).data() + kv,
                       tape.value(v).data() + kv,
                       tape.value(out).data() + head * d,
                       q_stride,
                       kv_stride,
                       d,
                       slopes.empty() ? T(0) : static_cast<T>(slopes[head])};
  };
  const size_t n_documents = arguments.starts.size() - 1;
  tape.pool().for_each_tile(n_documents * arguments.n_heads, [&](size_t tile, int worker) {
    const size_t head = tile % arguments.n_heads, document = tile / arguments.n_heads;
    for_each_block(arguments.starts[document], arguments.starts[document + 1], arguments.window,
                   [&](const Block& block) {
                     forward_block(head_of(head), block, arguments, tape.value(out).data() + head * d,
                                   log_sums.data() + head, arguments.n_heads, tape.worker_scratch(worker));
                   });
  });
  if (!tape.needs_gradient(out)) return out;

  // A tile is all heads that share one KV head in one document: their gradients add up in one order.
  tape.on_backward([&tape, q, k, v, out, arguments, log_sums, head_of, d, group, n_documents] {
    const auto at = [&](Var var, size_t offset) {
      return tape.needs_gradient(var) ? tape.gradient(var).data() + offset : nullptr;
    };
    tape.pool().for_each_tile(n_documents * arguments.n_kv_heads, [&](size_t tile, int worker) {
      const size_t kv_head = tile % arguments.n_kv_heads, document = tile / arguments.n_kv_heads;
      for (size_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
        const Gradients<T> gradient{tape.gradient(out).data() + head * d, at(q, head * d), at(k, kv_head * d),
                                    at(v, kv_head * d)};
        for_each_block(arguments.starts[document], arguments.starts[document + 1], arguments.window,
                       [&](const Block& block) {
                         backward_block(head_of(head), block, arguments, log_sums.data() + head,
                                        arguments.n_heads, gradient, tape.worker_scratch(worker));
                       });
      }
    });
  });
  return out;
}

template Var attention(Tape<float>&, Var, Var, Var, const AttentionArguments&);
template Var attention(Tape<double>&, Var, Var, Var, const AttentionArguments&);

}  // namespace ruvllm::train
