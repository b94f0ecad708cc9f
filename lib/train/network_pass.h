// One forward pass of a Network: what its blocks need besides x. Used by network_forward.cpp and
// network_experts.cpp alone.
#pragma once

#include "train/network.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ruvllm::train {

/// "blk.3.attn_q"
std::string block_name(uint32_t layer, std::string_view part);

/// Cosines and sines of a rotation: (tokens, pairs) each.
struct Angles {
  std::vector<float> cosines, sines;
};

struct Network::Pass {
  /// A weight matrix as the hook has it; of those that a parameter stacks, one.
  struct Matrix {
    std::string name;  // without ".weight"
    Var weight;
    uint32_t member = 0, n_members = 1;
  };
  struct FeedForward {
    std::optional<Matrix> gate;  // nullopt: there is none, or `up` begins with it
    Matrix up, down;
  };

  Tape<float>& tape;
  const Batch& batch;
  const WeightHook hook;                       // a copy: checkpointed blocks call it later
  std::shared_ptr<const Angles> angles;        // null: no rotation
  std::shared_ptr<const Angles> local_angles;  // of windowed layers with a base of their own; else null
  const Network& network;

  /// The same pass on the tape of a checkpointed block.
  Pass on(Tape<float>& inner) const { return {inner, batch, hook, angles, local_angles, network}; }

  bool has(const std::string& name) const { return network.index_.contains(name); }
  Var parameter(const std::string& name) const { return tape.parameter(*network.index_.at(name)); }

  Matrix matrix(const std::string& name) const;
  Matrix member(const Matrix& stack, uint32_t i, uint32_t n) const;
  /// x W^T + bias, the bias where there is one.
  Var multiply(Var x, const Matrix& matrix) const;
  Var linear(Var x, const std::string& name) const { return multiply(x, matrix(name)); }
  /// `group`: of heads that are normalised one by one.
  Var norm(Var x, const std::string& name, size_t group = 0) const;

  /// The matrices "blk.L.ffn_gateKIND", "ffn_upKIND", "ffn_downKIND".
  FeedForward feed_forward_of(uint32_t layer, std::string_view kind) const;
  /// down(f(gate(x)) * up(x)), or down(f(up(x))) where there is no gate.
  Var feed_forward(Var x, const FeedForward& matrices) const;
};

}  // namespace ruvllm::train
