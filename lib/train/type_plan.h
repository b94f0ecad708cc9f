// Which type every parameter gets in the exported file: lib/quant's recipes, asked about a network instead of
// a file, so that a trained file has the size of a quantised one of the same name. Tested by
// tests/train/type_plan_test.cpp.
#pragma once

#include "format/metadata.h"
#include "quant/importance.h"
#include "quant/incoherence.h"
#include "quant/recipe.h"
#include "train/network.h"

#include <string>
#include <vector>

namespace ruvllm::train {

/// The type of every parameter, in the network's order.
using TypePlan = std::vector<tensor::Format>;

/// The network as a file: its metadata, and its parameters, whose values it points to.
format::ModelFile describe(const Network& network, const format::Metadata& metadata);

/// What `recipe` says of the network that `metadata` describes. Throws Errc::usage where a type is one that
/// nothing can be written in.
TypePlan plan_types(const Network& network, const format::Metadata& metadata, const quant::Recipe& recipe);

/// Which matrices get another type than they were to have, because blocks don't divide their rows: "4 matrices
/// have rows that blocks of Q4_0 don't divide: they become F16". A line each pair of types.
std::vector<std::string> fall_backs(const Network& network, const format::Metadata& metadata,
                                    const quant::Recipe& recipe);

/// Which tensors of the plan are to be rotated, or to have levels of their own, measured on the weights as
/// they are.
format::OwnFormats plan_own_formats(const Network& network, const format::Metadata& metadata,
                                    const TypePlan& types, const quant::Importance& importance,
                                    const quant::OwnOptions& options, ThreadPool& pool);

}  // namespace ruvllm::train
