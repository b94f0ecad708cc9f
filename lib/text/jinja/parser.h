// Tokens to syntax tree: Jinja2's grammar for the statements and expressions of ast.h, by recursive descent
// no deeper than limits::kTemplateDepth. Tested by tests/text/jinja_table_test.cpp.
#pragma once

#include "text/jinja/ast.h"

namespace ruvllm::text::jinja {

/// Parses a template. `name` stands in messages. Throws Errc::corrupt_file: "NAME: line L, column C: what is
/// wrong".
std::unique_ptr<const Program> parse(std::string_view source, std::string_view name);

}  // namespace ruvllm::text::jinja
