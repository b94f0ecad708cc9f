// The rows of formats.def as data: traits, and the definitions that the scalar family files make.
#include "kernels/formats/floats.h"
#include "kernels/formats/iquants.h"
#include "kernels/formats/kquants.h"
#include "kernels/formats/legacy.h"
#include "kernels/formats/microscale.h"
#include "kernels/formats/piq.h"
#include "kernels/formats/ternary.h"
#include "kernels/kernels.h"
#include "kernels/scalar/definition.h"
#include "kernels/unpack.h"

#include <string.h>
#include <strings.h>

namespace ruvllm::kernels {
namespace {

#define FORMAT(id, name, text, values, bytes) \
  static_assert(sizeof(Block##name) == bytes && Block##name::kValues == values, text);
#include "kernels/formats.def"
#undef FORMAT

constexpr bool is_float(Format format) {
  return format == Format::F32 || format == Format::F16 || format == Format::BF16;
}

constexpr bool is_paired(Format format) { return format == Format::F16 || format == Format::BF16; }

constexpr Traits kTraits[] = {
#define FORMAT(id, name, text, values, bytes) \
  {Format::name,                              \
   text,                                      \
   values,                                    \
   bytes,                                     \
   !is_float(Format::name),                   \
   is_paired(Format::name),                   \
   id >= ByFormat<int>::kFirstOwn},
#include "kernels/formats.def"
#undef FORMAT
};

const Definition& definition_of(Format format) {
  switch (format) {
#define FORMAT(id, name, text, values, bytes) \
  case Format::name:                          \
    return k##name##Definition;
#include "kernels/formats.def"
#undef FORMAT
  }
  __builtin_unreachable();
}

}  // namespace

const Traits* all_formats(size_t* n_formats) {
  *n_formats = sizeof(kTraits) / sizeof(Traits);
  return kTraits;
}

const Traits* find_format(uint32_t id) {
  for (const Traits& row : kTraits)
    if (static_cast<uint32_t>(row.format) == id) return &row;
  return nullptr;
}

const Traits* find_format(const char* name) {
  for (const Traits& row : kTraits)
    if (strcasecmp(row.name, name) == 0) return &row;
  return nullptr;
}

size_t row_bytes(const Traits& shape, size_t n_values) {
  const size_t whole = n_values / shape.block_values * shape.block_bytes,
               left = n_values % shape.block_values;
  if (left == 0 || !shape.has_grid) return whole;
  return whole + sizeof(uint16_t) +
         (grid_levels(shape.format) == 8 ? code_bytes<3>(left) : code_bytes<2>(left));
}

size_t panel_columns(const Traits& shape, size_t n_columns) {
  const size_t unit = shape.has_grid ? kActivationBlock : shape.is_paired ? 2 : 1;
  return (n_columns + unit - 1) / unit * unit;
}

const Unpack& unpack_of(Format format) { return definition_of(format).unpack; }

void (*decode_of(Format format))(const void* blocks, float* values, size_t n_values) {
  return definition_of(format).decode;
}

const Fields& fields_of(Format format) { return definition_of(format).fields; }

}  // namespace ruvllm::kernels
