#include "text/jinja/token_cursor.h"

#include "base/limits.h"
#include "base/utf8.h"

#include <fmt/format.h>

#include <utility>

namespace ruvllm::text::jinja {

TokenCursor::Level::Level(TokenCursor& cursor) : cursor_(cursor) {
  if (++cursor_.depth_ > limits::kTemplateDepth)
    fail(cursor_.peek(), fmt::format("nested more than {} deep", limits::kTemplateDepth));
}

void TokenCursor::fail(const Token& token, std::string message) {
  throw SyntaxError{token.offset, std::move(message)};
}

void TokenCursor::fail_expected(const Token& token, std::string_view wish) {
  fail(token, fmt::format("expected {}, found {}", wish, describe(token)));
}

std::string TokenCursor::describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::end:
      return "the end of the template";
    case TokenKind::output_end:
    case TokenKind::block_end:
      return "the end of the tag";
    case TokenKind::string:
      return "a string";
    default:
      return fmt::format("'{}'", printable(token.text, 40));
  }
}

void TokenCursor::expect_op(std::string_view op) {
  if (!take_op(op)) fail_expected(peek(), fmt::format("'{}'", op));
}

void TokenCursor::expect_block_end() {
  if (peek().kind != TokenKind::block_end) fail_expected(peek(), "the end of the tag");
  next();
}

const Token& TokenCursor::expect_name() {
  if (peek().kind != TokenKind::name) fail_expected(peek(), "a name");
  return next();
}

}  // namespace ruvllm::text::jinja
