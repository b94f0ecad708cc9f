// JSON from outside, behind a guard: depth is checked by a SAX pass before a document is built, because
// nlohmann_json copies and dumps recursively. (Size is the business of read_file's limit.) Tested by
// tests/base/json_test.cpp.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace ruvllm {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

/// Parses one JSON document nested at most limits::kJsonDepth deep. Throws Errc::corrupt_file: "NAME: line L,
/// column C: what is wrong". Duplicate keys: the last one wins.
Json parse_json(std::string_view text, std::string_view name);

/// The same, keeping the order of keys (chat templates print them in that order).
OrderedJson parse_ordered_json(std::string_view text, std::string_view name);

/// One line, invalid UTF-8 replaced: never throws.
std::string dump_json(const Json& json);
std::string dump_json(const OrderedJson& json);

}  // namespace ruvllm
