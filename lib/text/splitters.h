// Hand-written splitters for the regular expressions that most models cut text with: the same pieces, without
// a regular expression engine, in time linear in the text (some of the expressions are quadratic). Used by
// pretokenize.h; tested against the expressions by tests/text/pretokenize_test.cpp.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace ruvllm::text {

/// A stretch of a text, in bytes.
struct Piece {
  uint32_t begin;
  uint32_t end;
};

/// Appends the pieces that text[begin, end) falls into; characters outside are not looked at. Valid UTF-8
/// only.
using Splitter = void (*)(std::string_view text, Piece range, std::vector<Piece>& pieces);

/// The splitter that does what a regular expression does, or null.
Splitter find_splitter(std::string_view pattern);

}  // namespace ruvllm::text
