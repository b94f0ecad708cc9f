// Calibration: what the columns of each weight matrix's input look like over some of the training data, so
// that the quantiser puts its errors where they matter least; and a record of which data that was.
// Tested by tests/train/calibrate_test.cpp.
#pragma once

#include "quant/importance.h"
#include "train/dataset.h"
#include "train/network.h"

#include <cstdint>
#include <string>

namespace ruvllm::train {

/// Where a calibration came from. The time is the log's business: a file that held it would differ from run
/// to run.
struct CalibrationRecord {
  std::string data_sha256;   ///< of all tokens of the training data, in order
  uint64_t n_documents = 0;  ///< read with the network
  uint64_t n_tokens = 0;
};

struct Calibration {
  quant::Importance importance;
  CalibrationRecord record;
};

/// Reads batches of epoch 0 with the network as it is, until `n_tokens` are read or the epoch ends. The same
/// for every number of threads.
Calibration calibrate(Network& network, BatchMaker& batches, uint64_t n_tokens, ThreadPool& pool);

}  // namespace ruvllm::train
