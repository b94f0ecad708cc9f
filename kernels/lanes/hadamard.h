// The fast Walsh-Hadamard transform. Which sums are taken is given by the order of distances, 1 first; so
// every column gives the same bits however it arranges them. Included by vector.h. Tested by
// tests/kernels/hadamard_test.cpp.
#pragma once

namespace ruvllm::kernels {
namespace {

/// Sums and differences of rows `distance` apart.
inline void cross_rows(Floats (&rows)[16], size_t distance) {
  for (size_t i = 0; i < 16; ++i) {
    if ((i & distance) != 0) continue;
    const Floats a = rows[i], b = rows[i + distance];
    rows[i] = add(a, b);
    rows[i + distance] = subtract(a, b);
  }
}

/// Distances up to 128 of 256 values: as 16 rows, columns crossed as rows of the transpose.
inline void transform_256(float* x, size_t block) {
  Floats rows[16];
  for (size_t i = 0; i < 16; ++i) rows[i] = load(x + 16 * i);
  transpose(rows);
  for (size_t distance = 1; distance < 16 && distance < block; distance *= 2) cross_rows(rows, distance);
  transpose(rows);
  for (size_t distance = 16; distance < 256 && distance < block; distance *= 2)
    cross_rows(rows, distance / 16);
  for (size_t i = 0; i < 16; ++i) store(x + 16 * i, rows[i]);
}

void hadamard(float* x, size_t n, size_t block) {
  size_t at = 0;
  for (; at + 256 <= n; at += 256) transform_256(x + at, block);
  for (size_t distance = 1; distance < 256 && distance < block; distance *= 2)
    for (size_t i = at; i < n; ++i) {
      if ((i & distance) != 0) continue;
      const float a = x[i], b = x[i + distance];
      x[i] = a + b;
      x[i + distance] = a - b;
    }
  for (size_t distance = 256; distance < block; distance *= 2)
    for (size_t first = 0; first < n; first += 2 * distance)
      for (size_t i = first; i < first + distance; i += 16) {
        const Floats a = load(x + i), b = load(x + i + distance);
        store(x + i, add(a, b));
        store(x + i + distance, subtract(a, b));
      }
}

}  // namespace
}  // namespace ruvllm::kernels
