// What a checkpoint is a checkpoint of: the settings that decide the output, and digests of what they are
// applied to. A run goes on only from its own; of another's it is said what differs. Tested by
// tests/train/identity_test.cpp.
#pragma once

#include "train/dataset.h"
#include "train/network.h"

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ruvllm::train {

/// Values by name, as text: options ("--lr") and digests ("the model").
class Identity {
 public:
  void add(std::string name, std::string value) { values_[std::move(name)] = std::move(value); }
  /// As a checkpoint keeps it.
  std::string text() const;
  /// What differs from the identity that a checkpoint kept: "--lr was 0.001 and is 0.0001; ..."; empty where
  /// nothing does.
  std::string differences(std::string_view kept) const;

 private:
  std::map<std::string, std::string> values_;
};

/// Of all parameters and constants.
std::string sha256_of(const Network& network);
/// Of keys, types and values, in order.
std::string sha256_of(const format::Metadata& metadata);
/// Of the places and weights of reasoning steps and answers.
std::string sha256_of_steps(const std::vector<Batch>& batches);

}  // namespace ruvllm::train
