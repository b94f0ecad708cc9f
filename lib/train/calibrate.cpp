#include "train/calibrate.h"

#include <algorithm>
#include <map>
#include <utility>

namespace ruvllm::train {
namespace {

// Sums of squares of the input columns of one parameter's matrices; of experts, from the rows that went to
// each.
struct Sums {
  std::vector<double> squares;   // (members, columns)
  std::vector<uint64_t> n_rows;  // of each member

  void add(const Network::MatrixInput& input) {
    const size_t n = input.shape.n_columns;
    squares.resize(input.n_members * n);
    n_rows.resize(input.n_members);
    n_rows[input.member] += input.shape.n_rows;
    const std::span<double> of_member = std::span(squares).subspan(input.member * n, n);
    for (size_t row = 0; row < input.shape.n_rows; ++row)
      for (size_t i = 0; i < n; ++i) {
        const double value = static_cast<double>(input.x[row * n + i]);
        of_member[i] += value * value;
      }
  }

  /// 0 for an expert that was never asked.
  std::vector<float> means() const {
    std::vector<float> means(squares.size());
    const size_t n = squares.size() / n_rows.size();
    for (size_t i = 0; i < means.size(); ++i)
      means[i] = static_cast<float>(squares[i] / static_cast<double>(std::max<uint64_t>(1, n_rows[i / n])));
    return means;
  }
};

}  // namespace

Calibration calibrate(Network& network, BatchMaker& batches, uint64_t n_tokens, ThreadPool& pool) {
  Calibration calibration;
  calibration.record.data_sha256 = batches.sha256();
  std::map<std::string, Sums> sums;
  Tape<float> tape(pool);
  network.observe([&](const Network::MatrixInput& input) { sums[input.weight].add(input); });
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
