#include "kernels/interleave.h"

#include "kernels/kernels.h"

#include <cstring>

namespace ruvllm::kernels {
namespace {

/// `count` units of one row's block, to or from their places in a panel's block, 16 units apart.
template <size_t unit>
void spread(const char* from, char* to, size_t count) {
  for (size_t i = 0; i < count; ++i) memcpy(to + i * kPanelRows * unit, from + i * unit, unit);
}

template <size_t unit>
void collect(const char* from, char* to, size_t count) {
  for (size_t i = 0; i < count; ++i) memcpy(to + i * unit, from + i * kPanelRows * unit, unit);
}

void spread_block(const Fields& fields, const char* block, size_t lane, char* panel_block) {
  for (size_t f = 0; f < fields.n_fields; ++f) {
    const Field& field = fields.fields[f];
    const char* from = block + field.offset;
    char* to = panel_block + lane * field.unit;
    panel_block += kPanelRows * field.unit * field.count;
    switch (field.unit) {
      case 1:
        spread<1>(from, to, field.count);
        break;
      case 2:
        spread<2>(from, to, field.count);
        break;
      default:
        spread<4>(from, to, field.count);
        break;
    }
  }
}

}  // namespace

void interleave_rows(const Fields& fields, size_t block_bytes, const void* rows, size_t row_bytes,
                     size_t n_rows, size_t n_blocks, void* panel) {
  const char* from = static_cast<const char*>(rows);
  char* to = static_cast<char*>(panel);
  const size_t panel_block_bytes = block_bytes * kPanelRows;
  if (n_rows < kPanelRows) memset(panel, 0, n_blocks * panel_block_bytes);
  for (size_t block = 0; block < n_blocks; ++block) {
    for (size_t lane = 0; lane < n_rows; ++lane) {
      spread_block(fields, from + lane * row_bytes + block * block_bytes, lane,
                   to + block * panel_block_bytes);
    }
  }
}

void extract_row(const Fields& fields, size_t block_bytes, const void* panel, size_t lane, size_t n_blocks,
                 void* row) {
  for (size_t block = 0; block < n_blocks; ++block) {
    const char* panel_block = static_cast<const char*>(panel) + block * block_bytes * kPanelRows;
    for (size_t f = 0; f < fields.n_fields; ++f) {
      const Field& field = fields.fields[f];
      const char* from = panel_block + lane * field.unit;
      panel_block += kPanelRows * field.unit * field.count;
      char* to = static_cast<char*>(row) + block * block_bytes + field.offset;
      switch (field.unit) {
        case 1:
          collect<1>(from, to, field.count);
          break;
        case 2:
          collect<2>(from, to, field.count);
          break;
        default:
          collect<4>(from, to, field.count);
          break;
      }
    }
  }
}

}  // namespace ruvllm::kernels
