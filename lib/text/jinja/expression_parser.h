// Expressions, by recursive descent: the half of the parser that values come from. Statements are parser.cpp.
#pragma once

#include "text/jinja/ast.h"
#include "text/jinja/token_cursor.h"

#include <span>
#include <unordered_map>

namespace ruvllm::text::jinja {

class ExpressionParser : public TokenCursor {
 protected:
  explicit ExpressionParser(Program& program) : TokenCursor(program.source), program_(program) {}

  NameId intern(const std::string& name);

  // a, b, c is a tuple. `with_conditional` false leaves an "if" to the caller (for loops).
  ExpressionPtr parse_tuple(bool with_conditional = true);
  ExpressionPtr parse_expression();
  Suffix parse_filter();
  Suffix parse_filter_name();

  Program& program_;
  bool saw_varargs_ = false;  // in the macro that is being read
  bool saw_kwargs_ = false;

 private:
  struct OperatorRow {
    std::string_view text;
    Operator op;
  };
  using Part = ExpressionPtr (ExpressionParser::*)();

  template <typename Node>
  static ExpressionPtr make(uint32_t offset, Node node) {
    return std::make_unique<Expression>(Expression{offset, std::move(node)});
  }

  // From loose to tight.
  ExpressionPtr parse_or();
  ExpressionPtr parse_and();
  ExpressionPtr parse_word_chain(std::string_view word, Operator op, Part operand);
  ExpressionPtr parse_not();
  ExpressionPtr parse_comparison();
  ExpressionPtr parse_sum();
  ExpressionPtr parse_concatenation();
  ExpressionPtr parse_product();
  ExpressionPtr parse_power();
  ExpressionPtr parse_chain(std::span<const OperatorRow> operators, Part operand);
  ExpressionPtr parse_unary();

  // A sign binds looser than .x and [x], tighter than filters and tests.
  ExpressionPtr parse_signed();

  // The suffixes of a value: .x [x] (x), and filters and tests where `with_filters`.
  ExpressionPtr parse_suffixes(ExpressionPtr base, bool with_filters);
  Suffix parse_member(uint32_t offset);
  ExpressionPtr parse_integer_token(const Token& token);

  // Behind "[": an index, a slice, or a tuple of indices.
  Suffix parse_subscript(uint32_t offset);

  // Behind "(", up to and with ")".
  CallArguments parse_arguments();

  // a.b.c, as filters and tests are named.
  std::string parse_dotted_name();
  Suffix parse_test();

  // Words that end an operand.
  static bool is_keyword(std::string_view word);
  ExpressionPtr parse_primary();
  ExpressionPtr parse_name(const Token& token);

  // Strings that stand side by side are one.
  ExpressionPtr parse_string(const Token& token);
  ExpressionPtr parse_parenthesised(const Token& open);
  ExpressionPtr parse_list(const Token& open);
  ExpressionPtr parse_dict(const Token& open);

  std::unordered_map<std::string, NameId> ids_;
};

}  // namespace ruvllm::text::jinja
