// Template text to tokens: finds tags, applies whitespace control, cuts expressions into words.
//
// Whitespace as Hugging Face sets Jinja up: trim_blocks (the newline after a block tag or comment goes),
// lstrip_blocks (blanks before one at the start of a line go), one newline at the end of the template goes,
// "-" and "+" at a tag override. Raw blocks become plain data. Used by parser.cpp; tested by
// tests/text/jinja_table_test.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::text::jinja {

enum class TokenKind : uint8_t {
  data,          ///< text outside tags
  output_begin,  ///< {{
  output_end,    ///< }}
  block_begin,   ///< {%
  block_end,     ///< %}
  name,
  string,  ///< escapes resolved
  integer,
  real,
  op,  ///< punctuation
  end,
};

struct Token {
  TokenKind kind;
  uint32_t offset;   ///< where in the source it begins
  std::string text;  ///< digits of numbers are free of underscores

  bool is_op(std::string_view op) const { return kind == TokenKind::op && text == op; }
  bool is_name(std::string_view name) const { return kind == TokenKind::name && text == name; }
};

/// The source as the lexer wants it: newlines as \n, without one at the end.
std::string normalise_source(std::string_view source);

/// All tokens of a normalised source; the last one is `end`. Throws SyntaxError.
std::vector<Token> tokenize(std::string_view source);

/// Thrown by lexer and parser, caught where the name of the template is known.
struct SyntaxError {
  uint32_t offset;
  std::string message;
};

}  // namespace ruvllm::text::jinja
