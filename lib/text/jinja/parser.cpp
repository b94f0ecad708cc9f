#include "text/jinja/parser.h"

#include "base/limits.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "text/jinja/expression_parser.h"

#include <algorithm>
#include <array>

namespace ruvllm::text::jinja {
namespace {

// Statements; what they hold is parsed by the base.
class Parser : private ExpressionParser {
 public:
  explicit Parser(Program& program) : ExpressionParser(program) {
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
        if (next().kind != TokenKind::output_end) fail_expected(last(), "the end of the tag");
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
    if (n_loops_ == 0) fail(last(), "'break' outside of a loop");
    expect_block_end();
    body.push_back({offset, Break{}});
  }

  void parse_continue(Body& body, uint32_t offset) {
    if (n_loops_ == 0) fail(last(), "'continue' outside of a loop");
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

  int n_loops_ = 0;  // around here, up to the next macro
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
