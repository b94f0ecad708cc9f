// Small text helpers that the standard library lacks. Tested by tests/base/strings_test.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm {

/// A whole decimal number, finite; nothing where any other character stands.
std::optional<int64_t> parse_integer(std::string_view text);
std::optional<double> parse_number(std::string_view text);

/// "350M", "2G", "5GiB", "1024" in bytes: K, M, G, T (also KB, KiB) are powers of 1024. Nothing where
/// malformed.
std::optional<uint64_t> parse_bytes(std::string_view text);

/// "1.2 GiB", "340 MiB", "12 B".
std::string format_bytes(uint64_t n_bytes);

std::string to_lower(std::string_view text);
std::string_view trim(std::string_view text);
std::vector<std::string_view> split(std::string_view text, char separator);

/// The candidate nearest to a misspelt word (edit distance, a swap of neighbours counting 1, at most a third
/// of its length), or nothing.
std::optional<std::string> nearest_match(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace ruvllm
