// The tokens of a template, looked at one after another: what both parsers stand on. See parser.h.
#pragma once

#include "text/jinja/lexer.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::text::jinja {

class TokenCursor {
 public:
  /// All of a normalised source. Throws SyntaxError, as everything here.
  explicit TokenCursor(std::string_view source) : tokens_(tokenize(source)) {}

 protected:
  // Nesting of source constructs; the guard of every recursive function.
  class Level {
   public:
    explicit Level(TokenCursor& cursor);
    ~Level() { --cursor_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    TokenCursor& cursor_;
  };

  [[noreturn]] static void fail(const Token& token, std::string message);
  [[noreturn]] static void fail_expected(const Token& token, std::string_view wish);

  static std::string describe(const Token& token);

  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  const Token& next() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  /// The token that next() gave last.
  const Token& last() const { return tokens_[at_ - 1]; }

  bool take_op(std::string_view op) {
    if (!peek().is_op(op)) return false;
    next();
    return true;
  }
  bool take_name(std::string_view name) {
    if (!peek().is_name(name)) return false;
    next();
    return true;
  }
  void expect_op(std::string_view op);
  void expect_block_end();
  const Token& expect_name();

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace ruvllm::text::jinja
