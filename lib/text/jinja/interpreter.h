// The walk over a syntax tree that eval.h promises, cut by subject: eval.cpp begins and ends it and keeps the
// variables, eval_statements.cpp, eval_expressions.cpp and eval_calls.cpp do what their names say. Included
// by these alone.
#pragma once

#include "text/jinja/ast.h"
#include "text/jinja/builtins.h"
#include "text/jinja/eval.h"
#include "text/jinja/print.h"

#include <memory_resource>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace ruvllm::text::jinja {

/// Variables of one block: looked up from the innermost scope outwards.
struct Scope {
  struct Binding {
    NameId name;
    Value value;
  };
  Scope(Scope* outer, std::pmr::memory_resource& memory) : parent(outer), bindings(&memory) {}
  Scope* parent;
  std::pmr::vector<Binding> bindings;
  bool captured = false;  ///< a macro refers to it, so it can't be used again for the next turn of a loop
};

/// The variable `loop`.
struct LoopState {
  const For* node;
  Scope* scope;  ///< around the loop
  std::span<const Value> items;
  const Range* range = nullptr;  ///< in place of items
  int64_t n_items = 0;
  int64_t index = 0;
  int64_t depth = 0;  ///< of recursive calls
  Value last_seen;    ///< by changed()

  Value item(int64_t i) const { return range ? range_item(*range, i) : items[static_cast<size_t>(i)]; }
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<NamedValue> named;
};

enum class Flow { onward, leave_loop, next_turn };

class Interpreter {
 public:
  Interpreter(const Program& program, const std::tm& now);

  Rendering run(std::span<const Variable> variables);

 private:
  // One level of the walk.
  class Level {
   public:
    explicit Level(Interpreter& interpreter);
    ~Level() { --interpreter_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Interpreter& interpreter_;
  };

  // A scope while it is the innermost.
  class ScopeGuard {
   public:
    ScopeGuard(Interpreter& interpreter, Scope& scope)
        : interpreter_(interpreter), outer_(std::exchange(interpreter.scope_, &scope)) {}
    ~ScopeGuard() { interpreter_.scope_ = outer_; }
    ScopeGuard(const ScopeGuard&) = delete;
    ScopeGuard& operator=(const ScopeGuard&) = delete;

   private:
    Interpreter& interpreter_;
    Scope* outer_;
  };

  Scope& new_scope(Scope* parent);
  void bind_globals(std::span<const Variable> variables);
  Rendering finish();

  // Variables
  Value look_up(NameId name);
  void bind(NameId name, const Value& value);
  void assign(const Target& target, const Value& value);
  void unpack(const Target& target, const Value& value);

  // Statements
  Flow execute(const Body& body);

  // Runs a body whose output becomes a value.
  Value capture(const Body& body, Scope& scope);
  void put(const Value& value);
  void check_output() const;
  Flow execute_node(const Data& data);
  Flow execute_node(const Output& output);
  Flow execute_node(const If& node);
  Flow execute_node(const For& node);
  void run_loop(const For& node, const Value& items, int64_t depth);

  // The items for which the loop's own `if` holds.
  std::span<const Value> matching_items(const For& node, std::span<const Value> items);
  Flow execute_node(const Set& node);
  Flow execute_node(const SetBlock& node);
  Flow execute_node(const FilterBlock& node);
  Flow execute_node(const With& node);
  Flow execute_node(const std::unique_ptr<Macro>& macro);
  Value bind_macro(const Macro& macro);
  Flow execute_node(const CallBlock& node);
  Flow execute_node(const Break&);
  Flow execute_node(const Continue&);

  // Expressions
  Value evaluate(const Expression& expression);

  // Of a part that may be left out: absent.
  Value evaluate(const ExpressionPtr& expression);
  Value evaluate_node(const Constant& node);
  Value evaluate_node(const NameLookup& node);
  Value evaluate_node(const ListDisplay& node);
  Value evaluate_node(const DictDisplay& node);
  Value evaluate_node(const Chain& chain);
  Value evaluate_node(const Unary& node);
  Value evaluate_node(const Conditional& node);
  Value evaluate_node(const Suffixed& node);
  Value apply_suffixes(Value value, std::span<const Suffix> suffixes);
  Value apply_suffix(const Value& object, const Attribute& attribute, uint32_t offset);
  Value apply_suffix(const Value& object, const Subscript& subscript, uint32_t offset);
  Value apply_suffix(const Value& object, const Slice& slice, uint32_t offset);
  Value apply_suffix(const Value& callee, const Call& call, uint32_t offset);
  Value apply_suffix(const Value& subject, const Filter& filter, uint32_t offset);
  Value apply_suffix(const Value& subject, const Test& test, uint32_t offset);

  // Calls, and the loop as an object
  Arguments evaluate(const CallArguments& nodes);
  Value call_value(const Value& callee, const Arguments& arguments);

  // loop(items) of a recursive loop.
  Value call_loop(const LoopState& loop, const Arguments& arguments);
  Value call_macro(const Macro& macro, Scope* defined_in, const Arguments& arguments);
  void bind_parameters(const Macro& macro, const Arguments& arguments);
  Value loop_attribute(const Value& value, std::string_view name);

  const Program& program_;
  Heap heap_;
  Context context_;
  std::vector<Value> globals_;  // by NameId: inputs and functions; absent where there is none
  Scope* scope_ = nullptr;
  TextBuilder out_;
  size_t n_output_most_ = 0;
  uint32_t at_ = 0;  // offset of what is being done, for messages
  int depth_ = 0;
  int n_calls_ = 0;
};

}  // namespace ruvllm::text::jinja
