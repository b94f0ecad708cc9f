#include "text/jinja/expression_parser.h"

#include "base/strings.h"
#include "text/jinja/builtins.h"
#include "text/jinja/print.h"

#include <algorithm>
#include <array>

namespace ruvllm::text::jinja {

NameId ExpressionParser::intern(const std::string& name) {
  const auto [found, is_new] = ids_.try_emplace(name, static_cast<NameId>(program_.names.size()));
  if (is_new) program_.names.push_back(name);
  return found->second;
}

ExpressionPtr ExpressionParser::parse_tuple(bool with_conditional) {
  const uint32_t offset = peek().offset;
  ExpressionPtr first = with_conditional ? parse_expression() : parse_or();
  if (!peek().is_op(",")) return first;
  ListDisplay tuple{{}, Sequence::Flavour::tuple};
  tuple.items.push_back(std::move(first));
  while (take_op(",")) {
    const Token& token = peek();
    if (token.kind == TokenKind::output_end || token.kind == TokenKind::block_end || token.is_op(")")) break;
    tuple.items.push_back(with_conditional ? parse_expression() : parse_or());
  }
  return make(offset, std::move(tuple));
}

ExpressionPtr ExpressionParser::parse_expression() {
  const Level level(*this);
  const uint32_t offset = peek().offset;
  ExpressionPtr value = parse_or();
  if (!peek().is_name("if")) return value;
  Conditional node;
  while (take_name("if")) {
    ExpressionPtr condition = parse_or();
    node.choices.push_back({std::move(condition), std::move(value)});
    if (!take_name("else")) return make(offset, std::move(node));
    value = parse_or();
  }
  node.otherwise = std::move(value);
  return make(offset, std::move(node));
}

ExpressionPtr ExpressionParser::parse_or() {
  return parse_word_chain("or", Operator::logical_or, &ExpressionParser::parse_and);
}

ExpressionPtr ExpressionParser::parse_and() {
  return parse_word_chain("and", Operator::logical_and, &ExpressionParser::parse_not);
}

ExpressionPtr ExpressionParser::parse_word_chain(std::string_view word, Operator op, Part operand) {
  ExpressionPtr first = (this->*operand)();
  if (!peek().is_name(word)) return first;
  const uint32_t offset = first->offset;
  Chain chain{std::move(first), {}};
  while (peek().is_name(word)) {
    const uint32_t op_offset = next().offset;
    chain.rest.push_back({op_offset, op, (this->*operand)()});
  }
  return make(offset, std::move(chain));
}

ExpressionPtr ExpressionParser::parse_not() {
  if (!peek().is_name("not")) return parse_comparison();
  const Level level(*this);
  const uint32_t offset = next().offset;
  return make(offset, Unary{UnaryOperator::logical_not, parse_not()});
}

ExpressionPtr ExpressionParser::parse_comparison() {
  static constexpr std::array<OperatorRow, 6> kRows = {{{"==", Operator::equal},
                                                        {"!=", Operator::not_equal},
                                                        {"<", Operator::less},
                                                        {"<=", Operator::less_equal},
                                                        {">", Operator::greater},
                                                        {">=", Operator::greater_equal}}};
  ExpressionPtr first = parse_sum();
  const uint32_t offset = first->offset;
  Chain chain{nullptr, {}};
  while (true) {
    const Token& token = peek();
    const auto row = std::find_if(kRows.begin(), kRows.end(),
                                  [&](const OperatorRow& candidate) { return token.is_op(candidate.text); });
    Operator op;
    if (row != kRows.end()) {
      op = row->op;
      next();
    } else if (take_name("in")) {
      op = Operator::in;
    } else if (token.is_name("not") && peek(1).is_name("in")) {
      op = Operator::not_in;
      next();
      next();
    } else {
      break;
    }
    chain.rest.push_back({token.offset, op, parse_sum()});
  }
  if (chain.rest.empty()) return first;
  chain.first = std::move(first);
  return make(offset, std::move(chain));
}

ExpressionPtr ExpressionParser::parse_sum() {
  static constexpr OperatorRow kRows[] = {{"+", Operator::add}, {"-", Operator::subtract}};
  return parse_chain(kRows, &ExpressionParser::parse_concatenation);
}

ExpressionPtr ExpressionParser::parse_concatenation() {
  static constexpr OperatorRow kRows[] = {{"~", Operator::concatenate}};
  return parse_chain(kRows, &ExpressionParser::parse_product);
}

ExpressionPtr ExpressionParser::parse_product() {
  static constexpr OperatorRow kRows[] = {{"*", Operator::multiply},
                                          {"/", Operator::divide},
                                          {"//", Operator::floor_divide},
                                          {"%", Operator::modulo}};
  return parse_chain(kRows, &ExpressionParser::parse_power);
}

ExpressionPtr ExpressionParser::parse_power() {
  static constexpr OperatorRow kRows[] = {{"**", Operator::power}};
  return parse_chain(kRows, &ExpressionParser::parse_unary);
}

ExpressionPtr ExpressionParser::parse_chain(std::span<const OperatorRow> operators, Part operand) {
  ExpressionPtr first = (this->*operand)();
  const uint32_t offset = first->offset;
  Chain chain{nullptr, {}};
  while (true) {
    const Token& token = peek();
    const auto row = std::find_if(operators.begin(), operators.end(),
                                  [&](const OperatorRow& candidate) { return token.is_op(candidate.text); });
    if (row == operators.end()) break;
    next();
    chain.rest.push_back({token.offset, row->op, (this->*operand)()});
  }
  if (chain.rest.empty()) return first;
  chain.first = std::move(first);
  return make(offset, std::move(chain));
}

ExpressionPtr ExpressionParser::parse_unary() { return parse_suffixes(parse_signed(), true); }

ExpressionPtr ExpressionParser::parse_signed() {
  if (!peek().is_op("-") && !peek().is_op("+")) return parse_suffixes(parse_primary(), false);
  const Level level(*this);
  const Token& sign = next();
  const auto op = sign.text == "-" ? UnaryOperator::negate : UnaryOperator::plus;
  return make(sign.offset, Unary{op, parse_signed()});
}

ExpressionPtr ExpressionParser::parse_suffixes(ExpressionPtr base, bool with_filters) {
  std::vector<Suffix> suffixes;
  bool filtered = false;
  while (true) {
    const Token& token = peek();
    if (token.is_op("(")) {
      next();
      suffixes.push_back({token.offset, Call{parse_arguments()}});
    } else if (!filtered && token.is_op(".")) {
      next();
      suffixes.push_back(parse_member(token.offset));
    } else if (!filtered && token.is_op("[")) {
      next();
      suffixes.push_back(parse_subscript(token.offset));
    } else if (with_filters && token.is_op("|")) {
      suffixes.push_back(parse_filter());
      filtered = true;
    } else if (with_filters && token.is_name("is")) {
      suffixes.push_back(parse_test());
      filtered = true;
    } else {
      break;
    }
  }
  if (suffixes.empty()) return base;
  const uint32_t offset = base->offset;
  if (auto* inner = std::get_if<Suffixed>(&base->what)) {  // (a|f).b and a.b|f are one run
    std::move(suffixes.begin(), suffixes.end(), std::back_inserter(inner->suffixes));
    return base;
  }
  return make(offset, Suffixed{std::move(base), std::move(suffixes)});
}

Suffix ExpressionParser::parse_member(uint32_t offset) {
  const Token& token = next();
  if (token.kind == TokenKind::name) return {offset, Attribute{token.text}};
  if (token.kind != TokenKind::integer) fail_expected(token, "a name or number");
  return {offset, Subscript{parse_integer_token(token)}};
}

ExpressionPtr ExpressionParser::parse_integer_token(const Token& token) {
  return make(token.offset, Constant{{}, {}, Value(parse_integer(token.text).value())});
}

Suffix ExpressionParser::parse_subscript(uint32_t offset) {
  ExpressionPtr start;
  if (!peek().is_op(":")) {
    start = parse_tuple();
    if (take_op("]")) return {offset, Subscript{std::move(start)}};
  }
  Slice slice{std::move(start), nullptr, nullptr};
  expect_op(":");
  if (!peek().is_op(":") && !peek().is_op("]")) slice.stop = parse_expression();
  if (take_op(":") && !peek().is_op("]")) slice.step = parse_expression();
  expect_op("]");
  return {offset, std::move(slice)};
}

CallArguments ExpressionParser::parse_arguments() {
  CallArguments arguments;
  bool is_first = true;
  while (!take_op(")")) {
    if (!std::exchange(is_first, false)) {
      expect_op(",");
      if (take_op(")")) break;
    }
    if (take_op("*")) {
      arguments.rest = parse_expression();
    } else if (take_op("**")) {
      arguments.named_rest = parse_expression();
    } else if (peek().kind == TokenKind::name && peek(1).is_op("=")) {
      const std::string name = next().text;
      next();
      arguments.named.emplace_back(name, parse_expression());
    } else {
      if (!arguments.named.empty()) fail(peek(), "a positional argument follows a named one");
      arguments.positional.push_back(parse_expression());
    }
  }
  return arguments;
}

Suffix ExpressionParser::parse_filter() {
  expect_op("|");
  return parse_filter_name();
}

std::string ExpressionParser::parse_dotted_name() {
  std::string name = expect_name().text;
  while (take_op(".")) name += "." + expect_name().text;
  return name;
}

Suffix ExpressionParser::parse_filter_name() {
  const uint32_t offset = peek().offset;
  std::string name = parse_dotted_name();
  const Native* native = find_filter(name);
  Filter filter{std::move(name), native, {}};
  if (take_op("(")) filter.arguments = parse_arguments();
  return {offset, std::move(filter)};
}

Suffix ExpressionParser::parse_test() {
  next();
  const uint32_t offset = peek().offset;
  const bool negated = take_name("not");
  std::string name = parse_dotted_name();
  const Native* native = find_test(name);
  Test test{std::move(name), native, {}, negated};
  const Token& token = peek();
  const bool is_operand = token.kind == TokenKind::string || token.kind == TokenKind::integer ||
                          token.kind == TokenKind::real || token.is_op("[") || token.is_op("{") ||
                          (token.kind == TokenKind::name && !is_keyword(token.text));
  if (take_op("(")) {
    test.arguments = parse_arguments();
  } else if (is_operand) {
    test.arguments.positional.push_back(parse_suffixes(parse_primary(), false));
  } else if (token.is_name("is")) {
    fail(token, "tests can't be chained");
  }
  return {offset, std::move(test)};
}

bool ExpressionParser::is_keyword(std::string_view word) {
  constexpr std::array<std::string_view, 8> kWords = {"else", "or", "and", "is",
                                                      "if",   "in", "not", "recursive"};
  return std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

ExpressionPtr ExpressionParser::parse_primary() {
  const Token& token = next();
  switch (token.kind) {
    case TokenKind::name:
      return parse_name(token);
    case TokenKind::string:
      return parse_string(token);
    case TokenKind::integer:
      return parse_integer_token(token);
    case TokenKind::real:
      return make(token.offset, Constant{{}, {}, Value(parse_float(token.text).value_or(0.0))});
    default:
      break;
  }
  if (token.is_op("(")) return parse_parenthesised(token);
  if (token.is_op("[")) return parse_list(token);
  if (token.is_op("{")) return parse_dict(token);
  fail_expected(token, "an expression");
}

ExpressionPtr ExpressionParser::parse_name(const Token& token) {
  const std::string& name = token.text;
  if (name == "true" || name == "True") return make(token.offset, Constant{{}, {}, Value(true)});
  if (name == "false" || name == "False") return make(token.offset, Constant{{}, {}, Value(false)});
  if (name == "none" || name == "None") return make(token.offset, Constant{{}, {}, Value::none()});
  saw_varargs_ |= name == "varargs";
  saw_kwargs_ |= name == "kwargs";
  if (name == "self") fail(token, "'self' is not supported");
  return make(token.offset, NameLookup{intern(name)});
}

ExpressionPtr ExpressionParser::parse_string(const Token& token) {
  std::string bytes = token.text;
  while (peek().kind == TokenKind::string) bytes += next().text;
  ExpressionPtr expression = make(token.offset, Constant{std::move(bytes), {}, {}});
  auto& constant = std::get<Constant>(expression->what);
  constant.text.bytes = constant.bytes;
  constant.value = Value(constant.text);
  return expression;
}

ExpressionPtr ExpressionParser::parse_parenthesised(const Token& open) {
  if (take_op(")")) return make(open.offset, ListDisplay{{}, Sequence::Flavour::tuple});
  ExpressionPtr inner = parse_tuple();
  expect_op(")");
  return inner;
}

ExpressionPtr ExpressionParser::parse_list(const Token& open) {
  ListDisplay list{{}, Sequence::Flavour::list};
  while (!take_op("]")) {
    if (!list.items.empty()) {
      expect_op(",");
      if (take_op("]")) break;
    }
    list.items.push_back(parse_expression());
  }
  return make(open.offset, std::move(list));
}

ExpressionPtr ExpressionParser::parse_dict(const Token& open) {
  DictDisplay dict;
  while (!take_op("}")) {
    if (!dict.items.empty()) {
      expect_op(",");
      if (take_op("}")) break;
    }
    ExpressionPtr key = parse_expression();
    expect_op(":");
    dict.items.emplace_back(std::move(key), parse_expression());
  }
  return make(open.offset, std::move(dict));
}

}  // namespace ruvllm::text::jinja
