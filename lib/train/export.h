// A trained network written as a GGUF file: the metadata it came with, its parameters in the types that the
// target asks for. Tested by tests/train/export_test.cpp.
#pragma once

#include "format/metadata.h"
#include "tensor/format.h"
#include "train/network.h"

#include <filesystem>
#include <string>
#include <vector>

namespace ruvllm::train {

/// The type of every parameter, in the network's order.
using TypePlan = std::vector<tensor::Format>;

/// `target` for weight matrices whose rows divide into its blocks (and, where not, the nearest larger type
/// that does), F32 for vectors.
TypePlan plan_types(const Network& network, tensor::Format target);

/// A parameter's values in the blocks of a format, all rows on all threads.
void encode_matrix(tensor::Format format, const Parameter<float>& parameter, std::span<std::byte> blocks,
                   ThreadPool& pool);

/// Writes the file atomically.
void export_network(const Network& network, const TypePlan& types, format::Metadata metadata,
                    const std::filesystem::path& path, ThreadPool& pool);

}  // namespace ruvllm::train
