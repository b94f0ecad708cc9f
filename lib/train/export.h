// A trained network written as a GGUF file: the metadata it came with, its parameters in the types that the
// target asks for. Tested by tests/train/export_test.cpp.
#pragma once

#include "format/metadata.h"
#include "kernels/kernels.h"
#include "train/network.h"
#include "train/type_plan.h"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>

namespace ruvllm::train {

/// Values in the blocks of a format, all rows on all threads; `grid` matters where the format has one.
/// `importance` has a weight for each column (of each of the matrices that are stacked), or is empty.
void encode_matrix(tensor::Format format, const tensor::Grid& grid, const Shape& shape,
                   std::span<const float> values, std::span<const float> importance, kernels::Search effort,
                   std::span<std::byte> blocks, ThreadPool& pool);

/// Writes the bytes of parameter i, of the type that the plan says.
using Encoder = std::function<void(size_t i, std::span<std::byte> blocks)>;

/// Writes the file atomically.
void export_network(const Network& network, const TypePlan& types, format::Metadata metadata,
                    const Encoder& encode, const std::filesystem::path& path);

}  // namespace ruvllm::train
