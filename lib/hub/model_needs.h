// What a model will need in memory, told from the first bytes of its file, before it is fetched: the weights,
// and keys and values for a context. Reads only the few keys it needs, from bytes that may end anywhere and
// say anything. Tested by tests/hub/needs_test.cpp; fuzzed with the other answers of a hub.
#pragma once

#include "hub/hub_client.h"
#include "hub/model_store.h"
#include "hub/pull.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace ruvllm::hub {

/// What the size of the cache of keys and values follows from.
struct KvShape {
  uint64_t kv_values_per_token = 0;  ///< over all layers, keys and values together
  uint64_t context_tokens = 0;       ///< the longest that the model was trained for; 0 unknown
};

/// From the beginning of a GGUF file. Nothing where the keys are not all in it.
std::optional<KvShape> kv_shape_of_gguf(std::span<const std::byte> beginning);
/// From a config.json. Nothing where it doesn't say.
std::optional<KvShape> kv_shape_of_config(std::string_view json);

struct MemoryNeeds {
  uint64_t weight_bytes = 0;
  uint64_t kv_bytes = 0;
  uint64_t n_context = 0;
};

/// The needs of a planned pull at a context of at most `n_context` tokens with f16 keys and values; asks the
/// hub for the first bytes of a file that is not cached. Nothing where the shape can't be told.
std::optional<MemoryNeeds> memory_needs(HubClient& client, const ModelStore& store, const PullPlan& plan,
                                        uint64_t n_context);

}  // namespace ruvllm::hub
