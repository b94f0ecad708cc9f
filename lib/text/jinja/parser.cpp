#include "text/jinja/parser.h"

#include "base/limits.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "text/jinja/builtins.h"
#include "text/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <unordered_map>

namespace ruvllm::text::jinja {
namespace {

struct OperatorRow {
  std::string_view text;
  Operator op;
};
constexpr std::array<OperatorRow, 2> kSums = {{{"+", Operator::add}, {"-", Operator::subtract}}};
constexpr std::array<OperatorRow, 1> kConcatenations = {{{"~", Operator::concatenate}}};
constexpr std::array<OperatorRow, 4> kProducts = {{{"*", Operator::multiply},
                                                   {"/", Operator::divide},
                                                   {"//", Operator::floor_divide},
                                                   {"%", Operator::modulo}}};
constexpr std::array<OperatorRow, 1> kPowers = {{{"**", Operator::power}}};
constexpr std::array<OperatorRow, 6> kComparisons = {{{"==", Operator::equal},
                                                      {"!=", Operator::not_equal},
                                                      {"<", Operator::less},
                                                      {"<=", Operator::less_equal},
                                                      {">", Operator::greater},
                                                      {">=", Operator::greater_equal}}};

class Parser {
 public:
  explicit Parser(Program& program) : program_(program), tokens_(tokenize(program.source)) {
    program_.loop = intern("loop");
    program_.caller = intern("caller");
    program_.varargs = intern("varargs");
    program_.kwargs = intern("kwargs");
  }

  void run() {
    program_.body = parse_body({});
    RUVLLM_ASSERT(peek().kind == TokenKind::end);
  }

 private:
  // Nesting of source constructs; the guard of every recursive function.
  class Level {
   public:
    explicit Level(Parser& parser) : parser_(parser) {
      if (++parser_.depth_ > limits::kTemplateDepth)
        parser_.fail(parser_.peek(), fmt::format("nested more than {} deep", limits::kTemplateDepth));
    }
    ~Level() { --parser_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Parser& parser_;
  };

  [[noreturn]] static void fail(const Token& token, std::string message) {
    throw SyntaxError{token.offset, std::move(message)};
  }
  [[noreturn]] static void fail_expected(const Token& token, std::string_view wish) {
    fail(token, fmt::format("expected {}, found {}", wish, describe(token)));
  }

  static std::string describe(const Token& token) {
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

  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  const Token& next() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }

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
  void expect_op(std::string_view op) {
    if (!take_op(op)) fail_expected(peek(), fmt::format("'{}'", op));
  }
  void expect_block_end() {
    if (peek().kind != TokenKind::block_end) fail_expected(peek(), "the end of the tag");
    next();
  }
  const Token& expect_name() {
    if (peek().kind != TokenKind::name) fail_expected(peek(), "a name");
    return next();
  }

  NameId intern(const std::string& name) {
    const auto [found, is_new] = ids_.try_emplace(name, static_cast<NameId>(program_.names.size()));
    if (is_new) program_.names.push_back(name);
    return found->second;
  }

  template <typename Node>
  static ExpressionPtr make(uint32_t offset, Node node) {
    return std::make_unique<Expression>(Expression{offset, std::move(node)});
  }

  // Statements

  // Parses until a block tag whose word is in `ends`, which stays: peek() is the word. Without ends, to the
  // end.
  Body parse_body(std::initializer_list<std::string_view> ends) {
    const Level level(*this);
    Body body;
    while (peek().kind != TokenKind::end) {
      const Token& token = next();
      if (token.kind == TokenKind::data) {
        body.push_back({token.offset, Data{token.text}});
      } else if (token.kind == TokenKind::output_begin) {
        body.push_back({token.offset, Output{parse_tuple()}});
        if (next().kind != TokenKind::output_end) fail_expected(tokens_[at_ - 1], "the end of the tag");
      } else {
        const Token& word = peek();
        if (word.kind == TokenKind::name && std::find(ends.begin(), ends.end(), word.text) != ends.end())
          return body;
        parse_statement(body);
      }
    }
    if (ends.size() > 0) fail(peek(), fmt::format("'{}' is missing", *(ends.end() - 1)));
    return body;
  }

  // Takes the word that ended a body, and the end of its tag.
  void finish_block(std::string_view word) {
    if (!take_name(word)) fail_expected(peek(), word);
    expect_block_end();
  }

  void parse_statement(Body& body) {
    struct Row {
      std::string_view word;
      void (Parser::*parse)(Body&, uint32_t offset);
    };
    static constexpr std::array<Row, 11> kStatements = {{{"if", &Parser::parse_if},
                                                         {"for", &Parser::parse_for},
                                                         {"set", &Parser::parse_set},
                                                         {"macro", &Parser::parse_macro},
                                                         {"call", &Parser::parse_call},
                                                         {"filter", &Parser::parse_filter_block},
                                                         {"with", &Parser::parse_with},
                                                         {"generation", &Parser::parse_generation},
                                                         {"autoescape", &Parser::parse_autoescape},
                                                         {"break", &Parser::parse_break},
                                                         {"continue", &Parser::parse_continue}}};
    const Token& word = expect_name();
    for (const Row& row : kStatements)
      if (word.text == row.word) return (this->*row.parse)(body, word.offset);
    fail(word, fmt::format("unknown tag '{}'", printable(word.text, 40)));
  }

  void parse_if(Body& body, uint32_t offset) {
    If node;
    while (true) {
      ExpressionPtr condition = parse_tuple(false);
      expect_block_end();
      node.branches.emplace_back(std::move(condition), parse_body({"elif", "else", "endif"}));
      if (take_name("elif")) continue;
      if (take_name("else")) {
        expect_block_end();
        node.otherwise = parse_body({"endif"});
      }
      break;
    }
    finish_block("endif");
    body.push_back({offset, std::move(node)});
  }

  void parse_for(Body& body, uint32_t offset) {
    For node{.target = parse_target(),
             .items = {},
             .condition = {},
             .body = {},
             .otherwise = {},
             .recursive = false};
    if (!take_name("in")) fail_expected(peek(), "'in'");
    node.items = parse_tuple(false);
    if (take_name("if")) node.condition = parse_expression();
    node.recursive = take_name("recursive");
    expect_block_end();
    ++n_loops_;
    node.body = parse_body({"else", "endfor"});
    --n_loops_;
    if (take_name("else")) {
      expect_block_end();
      node.otherwise = parse_body({"endfor"});
    }
    finish_block("endfor");
    body.push_back({offset, std::move(node)});
  }

  void parse_set(Body& body, uint32_t offset) {
    Target target = parse_target();
    if (take_op("=")) {
      ExpressionPtr value = parse_tuple();
      expect_block_end();
      body.push_back({offset, Set{std::move(target), std::move(value)}});
      return;
    }
    if (!target.parts.empty()) fail_expected(peek(), "'='");
    SetBlock node{std::move(target), {}, {}};
    while (peek().is_op("|")) node.filters.push_back(parse_filter());
    expect_block_end();
    node.body = parse_function_body("endset");
    body.push_back({offset, std::move(node)});
  }

  // A body of its own scope, where no loop of the outside can be broken off.
  Body parse_function_body(std::string_view end) {
    const int n_loops = std::exchange(n_loops_, 0);
    Body inner = parse_body({end});
    n_loops_ = n_loops;
    finish_block(end);
    return inner;
  }

  void parse_macro(Body& body, uint32_t offset) {
    auto node = std::make_unique<Macro>();
    node->text = expect_name().text;
    node->name = intern(node->text);
    expect_op("(");
    node->parameters = parse_parameters();
    expect_block_end();
    parse_macro_body(*node, "endmacro");
    body.push_back({offset, std::move(node)});
  }

  void parse_macro_body(Macro& macro, std::string_view end) {
    const bool outer_varargs = std::exchange(saw_varargs_, false);
    const bool outer_kwargs = std::exchange(saw_kwargs_, false);
    macro.body = parse_function_body(end);
    macro.takes_varargs = std::exchange(saw_varargs_, outer_varargs);
    macro.takes_kwargs = std::exchange(saw_kwargs_, outer_kwargs);
  }

  // Behind "(", up to and with ")".
  std::vector<Parameter> parse_parameters() {
    std::vector<Parameter> parameters;
    while (!take_op(")")) {
      if (!parameters.empty()) {
        expect_op(",");
        if (take_op(")")) break;
      }
      const Token& name = expect_name();
      Parameter parameter{intern(name.text), name.text, nullptr};
      if (take_op("=")) {
        parameter.default_value = parse_expression();
      } else if (!parameters.empty() && parameters.back().default_value) {
        fail(name, "a parameter without default follows one with");
      }
      parameters.push_back(std::move(parameter));
    }
    return parameters;
  }

  void parse_call(Body& body, uint32_t offset) {
    CallBlock node{std::make_unique<Macro>(), nullptr};
    node.caller->text = "caller";
    node.caller->name = program_.caller;
    if (take_op("(")) node.caller->parameters = parse_parameters();
    const Token& start = peek();
    node.call = parse_expression();
    const auto* suffixed = std::get_if<Suffixed>(&node.call->what);
    if (!suffixed || !std::holds_alternative<Call>(suffixed->suffixes.back().what))
      fail(start, "expected a call");
    expect_block_end();
    parse_macro_body(*node.caller, "endcall");
    body.push_back({offset, std::move(node)});
  }

  void parse_filter_block(Body& body, uint32_t offset) {
    FilterBlock node;
    node.filters.push_back(parse_filter_name());
    while (peek().is_op("|")) node.filters.push_back(parse_filter());
    expect_block_end();
    node.body = parse_function_body("endfilter");
    body.push_back({offset, std::move(node)});
  }

  void parse_with(Body& body, uint32_t offset) {
    With node;
    while (peek().kind != TokenKind::block_end) {
      if (!node.bindings.empty()) expect_op(",");
      Target target = parse_target();
      expect_op("=");
      node.bindings.emplace_back(std::move(target), parse_expression());
    }
    expect_block_end();
    node.body = parse_body({"endwith"});
    finish_block("endwith");
    body.push_back({offset, std::move(node)});
  }

  // {% generation %}, Hugging Face's mark around what the assistant said: its content is plain content.
  void parse_generation(Body& body, uint32_t offset) {
    expect_block_end();
    body.push_back({offset, With{{}, parse_body({"endgeneration"})}});
    finish_block("endgeneration");
  }

  void parse_autoescape(Body& body, uint32_t offset) {
    const Token& value = peek();
    if (!take_name("false") && !take_name("False")) fail(value, "only 'autoescape false' is supported");
    expect_block_end();
    body.push_back({offset, With{{}, parse_body({"endautoescape"})}});
    finish_block("endautoescape");
  }

  void parse_break(Body& body, uint32_t offset) {
    if (n_loops_ == 0) fail(tokens_[at_ - 1], "'break' outside of a loop");
    expect_block_end();
    body.push_back({offset, Break{}});
  }

  void parse_continue(Body& body, uint32_t offset) {
    if (n_loops_ == 0) fail(tokens_[at_ - 1], "'continue' outside of a loop");
    expect_block_end();
    body.push_back({offset, Continue{}});
  }

  // a | a.b | a, b | (a, (b, c))
  Target parse_target() {
    const uint32_t offset = peek().offset;
    Target first = parse_target_part();
    if (!peek().is_op(",")) return first;
    Target tuple{.offset = offset, .name = 0, .attribute = {}, .parts = {}};
    tuple.parts.push_back(std::move(first));
    while (take_op(",")) {
      if (peek().is_name("in") || peek().is_op("=") || peek().is_op(")")) break;
      tuple.parts.push_back(parse_target_part());
    }
    return tuple;
  }

  Target parse_target_part() {
    const Level level(*this);
    if (take_op("(")) {
      Target inner = parse_target();
      expect_op(")");
      return inner;
    }
    const Token& name = expect_name();
    constexpr std::array<std::string_view, 6> kConstants = {"true", "True", "false", "False", "none", "None"};
    if (name.text == "loop" || std::find(kConstants.begin(), kConstants.end(), name.text) != kConstants.end())
      fail(name, fmt::format("can't assign to '{}'", name.text));
    Target target{.offset = name.offset, .name = intern(name.text), .attribute = {}, .parts = {}};
    if (take_op(".")) target.attribute = expect_name().text;
    return target;
  }

  // Expressions, from loose to tight

  // a, b, c is a tuple. `with_conditional` false leaves an "if" to the caller (for loops).
  ExpressionPtr parse_tuple(bool with_conditional = true) {
    const uint32_t offset = peek().offset;
    ExpressionPtr first = with_conditional ? parse_expression() : parse_or();
    if (!peek().is_op(",")) return first;
    ListDisplay tuple{{}, Sequence::Flavour::tuple};
    tuple.items.push_back(std::move(first));
    while (take_op(",")) {
      const Token& token = peek();
      if (token.kind == TokenKind::output_end || token.kind == TokenKind::block_end || token.is_op(")"))
        break;
      tuple.items.push_back(with_conditional ? parse_expression() : parse_or());
    }
    return make(offset, std::move(tuple));
  }

  ExpressionPtr parse_expression() {
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

  ExpressionPtr parse_or() { return parse_word_chain("or", Operator::logical_or, &Parser::parse_and); }
  ExpressionPtr parse_and() { return parse_word_chain("and", Operator::logical_and, &Parser::parse_not); }

  ExpressionPtr parse_word_chain(std::string_view word, Operator op, ExpressionPtr (Parser::*operand)()) {
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

  ExpressionPtr parse_not() {
    if (!peek().is_name("not")) return parse_comparison();
    const Level level(*this);
    const uint32_t offset = next().offset;
    return make(offset, Unary{UnaryOperator::logical_not, parse_not()});
  }

  ExpressionPtr parse_comparison() {
    ExpressionPtr first = parse_sum();
    const uint32_t offset = first->offset;
    Chain chain{nullptr, {}};
    while (true) {
      const Token& token = peek();
      const auto row =
          std::find_if(kComparisons.begin(), kComparisons.end(),
                       [&](const OperatorRow& candidate) { return token.is_op(candidate.text); });
      Operator op;
      if (row != kComparisons.end()) {
        op = row->op;
        next();
      } else if (take_name("in")) {
        op = Operator::in;
      } else if (token.is_name("not") && peek(1).is_name("in")) {
        op = Operator::not_in;
        at_ += 2;
      } else {
        break;
      }
      chain.rest.push_back({token.offset, op, parse_sum()});
    }
    if (chain.rest.empty()) return first;
    chain.first = std::move(first);
    return make(offset, std::move(chain));
  }

  ExpressionPtr parse_sum() { return parse_chain(kSums, &Parser::parse_concatenation); }
  ExpressionPtr parse_concatenation() { return parse_chain(kConcatenations, &Parser::parse_product); }
  ExpressionPtr parse_product() { return parse_chain(kProducts, &Parser::parse_power); }
  ExpressionPtr parse_power() { return parse_chain(kPowers, &Parser::parse_unary); }

  ExpressionPtr parse_chain(std::span<const OperatorRow> operators, ExpressionPtr (Parser::*operand)()) {
    ExpressionPtr first = (this->*operand)();
    const uint32_t offset = first->offset;
    Chain chain{nullptr, {}};
    while (true) {
      const Token& token = peek();
      const auto row = std::find_if(operators.begin(), operators.end(), [&](const OperatorRow& candidate) {
        return token.is_op(candidate.text);
      });
      if (row == operators.end()) break;
      next();
      chain.rest.push_back({token.offset, row->op, (this->*operand)()});
    }
    if (chain.rest.empty()) return first;
    chain.first = std::move(first);
    return make(offset, std::move(chain));
  }

  ExpressionPtr parse_unary() { return parse_suffixes(parse_signed(), true); }

  // A sign binds looser than .x and [x], tighter than filters and tests.
  ExpressionPtr parse_signed() {
    if (!peek().is_op("-") && !peek().is_op("+")) return parse_suffixes(parse_primary(), false);
    const Level level(*this);
    const Token& sign = next();
    const auto op = sign.text == "-" ? UnaryOperator::negate : UnaryOperator::plus;
    return make(sign.offset, Unary{op, parse_signed()});
  }

  // The suffixes of a value: .x [x] (x), and filters and tests where `with_filters`.
  ExpressionPtr parse_suffixes(ExpressionPtr base, bool with_filters) {
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

  Suffix parse_member(uint32_t offset) {
    const Token& token = next();
    if (token.kind == TokenKind::name) return {offset, Attribute{token.text}};
    if (token.kind != TokenKind::integer) fail_expected(token, "a name or number");
    return {offset, Subscript{parse_integer_token(token)}};
  }

  ExpressionPtr parse_integer_token(const Token& token) {
    return make(token.offset, Constant{{}, {}, Value(parse_integer(token.text).value())});
  }

  // Behind "[": an index, a slice, or a tuple of indices.
  Suffix parse_subscript(uint32_t offset) {
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

  // Behind "(", up to and with ")".
  CallArguments parse_arguments() {
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

  Suffix parse_filter() {
    expect_op("|");
    return parse_filter_name();
  }

  // a.b.c, as filters and tests are named.
  std::string parse_dotted_name() {
    std::string name = expect_name().text;
    while (take_op(".")) name += "." + expect_name().text;
    return name;
  }

  Suffix parse_filter_name() {
    const uint32_t offset = peek().offset;
    std::string name = parse_dotted_name();
    const Native* native = find_filter(name);
    Filter filter{std::move(name), native, {}};
    if (take_op("(")) filter.arguments = parse_arguments();
    return {offset, std::move(filter)};
  }

  Suffix parse_test() {
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

  // Words that end an operand.
  static bool is_keyword(std::string_view word) {
    constexpr std::array<std::string_view, 8> kWords = {"else", "or", "and", "is",
                                                        "if",   "in", "not", "recursive"};
    return std::find(kWords.begin(), kWords.end(), word) != kWords.end();
  }

  ExpressionPtr parse_primary() {
    const Token& token = next();
    switch (token.kind) {
      case TokenKind::name:
        return parse_name(token);
      case TokenKind::string:
        return parse_string(token);
      case TokenKind::integer:
        return parse_integer_token(token);
      case TokenKind::real:
        return make(token.offset, Constant{{}, {}, Value(parse_number(token.text).value_or(0.0))});
      default:
        break;
    }
    if (token.is_op("(")) return parse_parenthesised(token);
    if (token.is_op("[")) return parse_list(token);
    if (token.is_op("{")) return parse_dict(token);
    fail_expected(token, "an expression");
  }

  ExpressionPtr parse_name(const Token& token) {
    const std::string& name = token.text;
    if (name == "true" || name == "True") return make(token.offset, Constant{{}, {}, Value(true)});
    if (name == "false" || name == "False") return make(token.offset, Constant{{}, {}, Value(false)});
    if (name == "none" || name == "None") return make(token.offset, Constant{{}, {}, Value::none()});
    saw_varargs_ |= name == "varargs";
    saw_kwargs_ |= name == "kwargs";
    if (name == "self") fail(token, "'self' is not supported");
    return make(token.offset, NameLookup{intern(name)});
  }

  // Strings that stand side by side are one.
  ExpressionPtr parse_string(const Token& token) {
    std::string bytes = token.text;
    while (peek().kind == TokenKind::string) bytes += next().text;
    ExpressionPtr expression = make(token.offset, Constant{std::move(bytes), {}, {}});
    auto& constant = std::get<Constant>(expression->what);
    constant.text.bytes = constant.bytes;
    constant.value = Value(constant.text);
    return expression;
  }

  ExpressionPtr parse_parenthesised(const Token& open) {
    if (take_op(")")) return make(open.offset, ListDisplay{{}, Sequence::Flavour::tuple});
    ExpressionPtr inner = parse_tuple();
    expect_op(")");
    return inner;
  }

  ExpressionPtr parse_list(const Token& open) {
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

  ExpressionPtr parse_dict(const Token& open) {
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

  Program& program_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  int n_loops_ = 0;           // around here, up to the next macro
  bool saw_varargs_ = false;  // in the macro that is being read
  bool saw_kwargs_ = false;
  std::unordered_map<std::string, NameId> ids_;
};

}  // namespace

std::string position_text(std::string_view source, uint32_t offset) {
  const std::string_view before = source.substr(0, offset);
  const auto n_newlines = std::count(before.begin(), before.end(), '\n');
  const std::string_view line = before.substr(before.rfind('\n') + 1);  // npos + 1 is 0
  return fmt::format("line {}, column {}", n_newlines + 1, n_code_points(line) + 1);
}

std::unique_ptr<const Program> parse(std::string_view source, std::string_view name) {
  auto program = std::make_unique<Program>();
  program->name = name;
  if (source.size() > limits::kTemplateBytes)
    throw Error(Errc::corrupt_file, "{}: the template is larger than {}", name,
                format_bytes(limits::kTemplateBytes));
  program->source = normalise_source(source);
  try {
    Parser(*program).run();
  } catch (const SyntaxError& error) {
    throw Error(Errc::corrupt_file, "{}: {}: {}", name, position_text(program->source, error.offset),
                error.message);
  }
  return program;
}

}  // namespace ruvllm::text::jinja
