// F32, F16, BF16: nothing to unpack; decoding widens.
#include "kernels/formats/floats.h"

#include "kernels/scalar/definition.h"

namespace ruvllm::kernels {
namespace {

float widen(const BlockF32& block) { return block.value; }
float widen(const BlockF16& block) { return f16_to_f32(block.value); }
float widen(const BlockBF16& block) { return bf16_to_f32(block.value); }

template <class Block>
void decode(const void* blocks, float* values, size_t n_values) {
  for (size_t i = 0; i < n_values; ++i) values[i] = widen(scalar::load_block<Block>(blocks, i));
}

template <class Block>
constexpr Definition define_float() {
  return {{nullptr, 0, false}, decode<Block>, scalar::list_fields<Block>()};
}

}  // namespace

const Definition kF32Definition = define_float<BlockF32>();
const Definition kF16Definition = define_float<BlockF16>();
const Definition kBF16Definition = define_float<BlockBF16>();

}  // namespace ruvllm::kernels
