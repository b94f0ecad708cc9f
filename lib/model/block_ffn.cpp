// Feed-forward: down(f(gate(x)) * up(x)), or down(f(up(x))) where there is no gate.
#include "model/blocks.h"

namespace ruvllm::model {

void ffn_block(Pass& pass, const FeedForwardWeights& weights, std::span<const float> input,
               std::span<float> out) {
  const size_t n = input.size() / pass.width();
  const size_t inner = weights.up.matrix.n_rows();
  const tensor::Activation activation = pass.h.arch->activation;
  const std::span<float> up = pass.up.floats(n * inner);
  std::span<float> hidden = up;
  if (weights.gate) {
    const std::span<float> gate = pass.gate.floats(n * inner);
    const tensor::Product products[] = {{&weights.gate.matrix, gate, inner, weights.gate.bias},
                                        {&weights.up.matrix, up, inner, weights.up.bias}};
    pass.multiplier.multiply(input, n, products);
    tensor::activate_gated(pass.pool, activation, gate, up);
    hidden = gate;
  } else {
    pass.multiplier.multiply(input, n, {&weights.up.matrix, up, inner, weights.up.bias});
    tensor::activate(pass.pool, activation, up);
  }
  pass.multiplier.multiply(hidden, n, {&weights.down.matrix, out, pass.width(), weights.down.bias});
}

}  // namespace ruvllm::model
