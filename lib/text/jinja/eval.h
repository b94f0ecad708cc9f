// Runs a parsed template over a conversation.
//
// A rendering is a walk over the syntax tree with a heap of its own; nothing outlives it but the text. It is
// bounded in steps, output and depth (base/limits.h), reaches nothing but its inputs, and says which bytes of
// its output came from the input. Used by text/chat_template.cpp; tested by tests/text/jinja_*_test.cpp.
#pragma once

#include "text/byte_range.h"
#include "text/jinja/ast.h"

#include <ctime>
#include <span>
#include <string>
#include <vector>

namespace ruvllm::text::jinja {

/// A variable that a template sees. `from_input` marks what users wrote (messages, tools), as against what
/// belongs to the model (bos_token).
struct Variable {
  std::string name;
  OrderedJson value;
  bool from_input = true;
};

struct Rendering {
  std::string text;
  std::vector<ByteRange> from_input;  ///< in order, apart from each other
};

/// Renders. `now` is what strftime_now reports. Throws Errc::usage where the template refuses the
/// conversation (raise_exception), Errc::corrupt_file with line and column where the template fails.
Rendering render(const Program& program, std::span<const Variable> variables, const std::tm& now);

}  // namespace ruvllm::text::jinja
