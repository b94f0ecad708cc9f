#include "train/calibrate.h"

#include <map>
#include <utility>

namespace ruvllm::train {
namespace {

// Sums of squares of one matrix's input columns.
struct Sums {
  std::vector<double> squares;
  uint64_t n_rows = 0;

  void add(std::span<const float> x, const Shape& shape) {
    squares.resize(shape.n_columns);
    n_rows += shape.n_rows;
    for (size_t row = 0; row < shape.n_rows; ++row)
      for (size_t i = 0; i < shape.n_columns; ++i) {
        const double value = static_cast<double>(x[row * shape.n_columns + i]);
        squares[i] += value * value;
      }
  }

  std::vector<float> means() const {
    std::vector<float> means(squares.size());
    for (size_t i = 0; i < means.size(); ++i)
      means[i] = static_cast<float>(squares[i] / static_cast<double>(n_rows));
    return means;
  }
};

}  // namespace

Calibration calibrate(Network& network, BatchMaker& batches, uint64_t n_tokens, ThreadPool& pool) {
  Calibration calibration;
  calibration.record.data_sha256 = batches.sha256();
  std::map<std::string, Sums> sums;
  Tape<float> tape(pool);
  network.observe([&](const std::string& weight, const Shape& shape, std::span<const float> x) {
    sums[weight].add(x, shape);
  });
  for (const Batch& batch : batches.epoch(0)) {
    if (calibration.record.n_tokens >= n_tokens) break;
    tape.clear();
    network.forward(tape, batch);
    calibration.record.n_tokens += batch.tokens.size();
    calibration.record.n_documents += batch.starts.size() - 1;
  }
  network.observe({});
  for (const auto& [weight, seen] : sums) calibration.importance.set(weight, seen.means());
  return calibration;
}

}  // namespace ruvllm::train
