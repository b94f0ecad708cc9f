// The syntax tree of a template. Built once by parser.cpp, walked any number of times (by several threads) by
// eval.cpp.
//
// Runs of operators of one precedence and runs of suffixes (x.a[b](c)|f) are flat lists, so that the tree is
// only as deep as the source nests, and neither evaluation nor destruction can recurse further than
// limits::kTemplateDepth allows. Every node knows its offset in the source, for messages.
#pragma once

#include "text/jinja/value.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace ruvllm::text::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

/// Index into Program::names.
using NameId = uint32_t;

struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr rest;        ///< *rest
  ExpressionPtr named_rest;  ///< **named_rest
};

// What can follow a value.
struct Attribute {
  std::string name;
};
struct Subscript {
  ExpressionPtr index;
};
struct Slice {
  ExpressionPtr start, stop, step;  ///< null where left out
};
struct Call {
  CallArguments arguments;
};
struct Filter {
  std::string name;
  const Native* native;  ///< null: no such filter, an error when it's reached
  CallArguments arguments;
};
struct Test {
  std::string name;
  const Native* native;
  CallArguments arguments;
  bool negated;
};
struct Suffix {
  uint32_t offset;
  std::variant<Attribute, Subscript, Slice, Call, Filter, Test> what;
};

// Kinds of expression.
struct Constant {
  std::string bytes;  ///< of a text
  Text text;          ///< views `bytes`
  Value value;
};
struct NameLookup {
  NameId name;
};
struct ListDisplay {
  std::vector<ExpressionPtr> items;
  Sequence::Flavour flavour;
};
struct DictDisplay {
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> items;
};
enum class Operator : uint8_t {
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  modulo,
  power,
  concatenate,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  not_in,
  logical_and,
  logical_or,
};
struct Operand {
  uint32_t offset;  ///< of the operator
  Operator op;
  ExpressionPtr right;
};
/// first op right op right ..., from left to right. For comparisons all must hold; `and` and `or` stop early.
struct Chain {
  ExpressionPtr first;
  std::vector<Operand> rest;
};
enum class UnaryOperator : uint8_t { negate, plus, logical_not };
struct Unary {
  UnaryOperator op;
  ExpressionPtr operand;
};
/// value if condition else (value if condition else ...).
struct Conditional {
  struct Choice {
    ExpressionPtr condition, value;
  };
  std::vector<Choice> choices;
  ExpressionPtr otherwise;  ///< null: undefined
};
struct Suffixed {
  ExpressionPtr base;
  std::vector<Suffix> suffixes;
};

struct Expression {
  uint32_t offset;
  std::variant<Constant, NameLookup, ListDisplay, DictDisplay, Chain, Unary, Conditional, Suffixed> what;
};

struct Statement;
using Body = std::vector<Statement>;

/// Where a value goes: a name, an attribute of a namespace, or several of them.
struct Target {
  uint32_t offset;
  NameId name = 0;
  std::string attribute;      ///< of the namespace `name`; empty for a plain name
  std::vector<Target> parts;  ///< of a tuple; empty otherwise
};

struct Parameter {
  NameId name;
  std::string text;
  ExpressionPtr default_value;  ///< null: none
};

struct Data {
  std::string bytes;
};
struct Output {
  ExpressionPtr value;
};
struct If {
  std::vector<std::pair<ExpressionPtr, Body>> branches;
  Body otherwise;
};
struct For {
  Target target;
  ExpressionPtr items;
  ExpressionPtr condition;  ///< null: all
  Body body;
  Body otherwise;
  bool recursive;
};
struct Set {
  Target target;
  ExpressionPtr value;
};
struct SetBlock {
  Target target;
  std::vector<Suffix> filters;
  Body body;
};
struct Macro {
  NameId name;
  std::string text;
  std::vector<Parameter> parameters;
  Body body;
  bool takes_varargs = false;  ///< the body asks for arguments beyond the parameters
  bool takes_kwargs = false;
};
struct CallBlock {
  std::unique_ptr<Macro> caller;  ///< the block as a macro
  ExpressionPtr call;             ///< a Suffixed that ends with a Call
};
struct FilterBlock {
  std::vector<Suffix> filters;
  Body body;
};
struct With {
  std::vector<std::pair<Target, ExpressionPtr>> bindings;
  Body body;
};
struct Break {};
struct Continue {};

struct Statement {
  uint32_t offset;
  std::variant<Data, Output, If, For, Set, SetBlock, std::unique_ptr<Macro>, CallBlock, FilterBlock, With,
               Break, Continue>
      what;
};

/// A parsed template.
struct Program {
  std::string name;                ///< for messages
  std::string source;              ///< normalised; offsets point into it
  std::vector<std::string> names;  ///< by NameId
  Body body;

  // Names that the evaluator itself binds.
  NameId loop = 0;
  NameId caller = 0;
  NameId varargs = 0;
  NameId kwargs = 0;
};

/// "line L, column C" of an offset, both from 1; columns count code points.
std::string position_text(std::string_view source, uint32_t offset);

}  // namespace ruvllm::text::jinja
