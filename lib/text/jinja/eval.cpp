#include "text/jinja/eval.h"

#include "base/limits.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "text/jinja/arithmetic.h"
#include "text/jinja/builtins.h"
#include "text/jinja/print.h"

#include <algorithm>
#include <array>

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

namespace {

// How deep expressions, statements and macro calls together may be, so that the machine's stack is never the
// limit.
constexpr int kWalkDepth = 16 * limits::kTemplateDepth;

Value loop_cycle(const Invocation& call) {
  if (call.rest.empty()) throw template_error("no items for cycling given");
  return call.rest[static_cast<size_t>(call.subject.loop().index) % call.rest.size()];
}

Value loop_changed(const Invocation& call) {
  LoopState& loop = call.subject.loop();
  const Value seen = call.heap().list(call.rest);
  const bool changed = loop.last_seen.is_absent() || !equal(call.heap(), loop.last_seen, seen);
  loop.last_seen = seen;
  return Value(changed);
}

constexpr Native kLoopCycle = {"cycle", "...", loop_cycle};
constexpr Native kLoopChanged = {"changed", "...", loop_changed};

struct Arguments {
  std::vector<Value> positional;
  std::vector<NamedValue> named;
};

enum class Flow { onward, leave_loop, next_turn };

class Interpreter {
 public:
  Interpreter(const Program& program, const std::tm& now)
      : program_(program),
        heap_(limits::kTemplateSteps),
        context_{heap_, now},
        globals_(program.names.size()) {}

  Rendering run(std::span<const Variable> variables) {
    try {
      bind_globals(variables);
      const size_t from_input = 8 * heap_.n_input_bytes();
      n_output_most_ = std::max<size_t>(limits::kTemplateOutputBytes, from_input);
      scope_ = &heap_.make<Scope>(nullptr, heap_.memory());
      execute(program_.body);
    } catch (const Error& error) {
      throw with_context(error, fmt::format("{}: {}", program_.name, position_text(program_.source, at_)));
    }
    return finish();
  }

 private:
  // One level of the walk.
  class Level {
   public:
    explicit Level(Interpreter& interpreter) : interpreter_(interpreter) {
      if (++interpreter_.depth_ > kWalkDepth) throw template_error("nested more than {} deep", kWalkDepth);
    }
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

  Scope& new_scope(Scope* parent) { return heap_.make<Scope>(parent, heap_.memory()); }

  void bind_globals(std::span<const Variable> variables) {
    for (size_t i = 0; i < globals_.size(); ++i) {
      if (const Native* function = find_function(program_.names[i]))
        globals_[i] = heap_.callable({.native = function, .self = {}, .macro = nullptr, .scope = nullptr});
    }
    for (const Variable& variable : variables) {
      const auto name = std::find(program_.names.begin(), program_.names.end(), variable.name);
      if (name == program_.names.end()) continue;  // nobody asks for it
      globals_[static_cast<size_t>(name - program_.names.begin())] =
          heap_.from_json(variable.value, variable.from_input);
    }
  }

  Rendering finish() {
    Rendering rendering;
    const size_t n_bytes = out_.n_bytes();
    for (size_t i = 0; i < n_bytes; ++i) {
      if (!out_.input_at(i)) continue;
      if (rendering.from_input.empty() || rendering.from_input.back().end != i)
        rendering.from_input.push_back({i, i});
      rendering.from_input.back().end = i + 1;
    }
    rendering.text = out_.take_bytes();
    return rendering;
  }

  // Variables

  Value look_up(NameId name) {
    size_t n_seen = 0;
    for (const Scope* scope = scope_; scope; scope = scope->parent) {
      for (const Scope::Binding& binding : scope->bindings)
        if (binding.name == name) return binding.value;
      n_seen += 1 + scope->bindings.size();
    }
    heap_.charge(n_seen / 8);
    if (!globals_[name].is_absent()) return globals_[name];
    return heap_.missing({Missing::Reason::variable, program_.names[name], {}});
  }

  void bind(NameId name, const Value& value) {
    heap_.charge(1 + scope_->bindings.size() / 16);
    for (Scope::Binding& binding : scope_->bindings) {
      if (binding.name != name) continue;
      binding.value = value;
      return;
    }
    scope_->bindings.push_back({name, value});
  }

  void assign(const Target& target, const Value& value) {
    at_ = target.offset;
    if (!target.parts.empty()) return unpack(target, value);
    if (target.attribute.empty()) return bind(target.name, value);
    const Value owner = look_up(target.name);
    if (!owner.is(Kind::name_space)) throw template_error("cannot assign attribute on non-namespace object");
    auto& attributes = owner.name_space().attributes;
    heap_.charge(1 + attributes.size() / 8);
    const auto found = std::find_if(attributes.begin(), attributes.end(), [&](const auto& attribute) {
      return attribute.name == target.attribute;
    });
    if (found != attributes.end()) {
      found->value = value;
    } else {
      attributes.push_back({target.attribute, value});
    }
  }

  void unpack(const Target& target, const Value& value) {
    require_defined(value);
    const std::span<const Value> parts = iterate(heap_, value);
    if (parts.size() != target.parts.size())
      throw template_error("expected {} values to unpack, got {}", target.parts.size(), parts.size());
    for (size_t i = 0; i < parts.size(); ++i) assign(target.parts[i], parts[i]);
  }

  // Statements

  Flow execute(const Body& body) {
    const Level level(*this);
    for (const Statement& statement : body) {
      heap_.charge(1);
      at_ = statement.offset;
      const Flow flow = std::visit([this](const auto& node) { return execute_node(node); }, statement.what);
      if (flow != Flow::onward) return flow;
    }
    return Flow::onward;
  }

  // Runs a body whose output becomes a value.
  Value capture(const Body& body, Scope& scope) {
    TextBuilder outer = std::exchange(out_, TextBuilder());
    {
      const ScopeGuard guard(*this, scope);
      execute(body);
    }
    return std::exchange(out_, std::move(outer)).finish(heap_);
  }

  void put(const Value& value) {
    print(heap_, value, out_);
    check_output();
  }

  void check_output() const {
    if (out_.n_bytes() > n_output_most_)
      throw template_error("the output is longer than {}", format_bytes(n_output_most_));
  }

  Flow execute_node(const Data& data) {
    heap_.charge(data.bytes.size() / 32);
    out_.append(data.bytes);
    check_output();
    return Flow::onward;
  }

  Flow execute_node(const Output& output) {
    put(evaluate(*output.value));
    return Flow::onward;
  }

  Flow execute_node(const If& node) {
    for (const auto& [condition, body] : node.branches)
      if (is_true(evaluate(*condition))) return execute(body);
    return execute(node.otherwise);
  }

  Flow execute_node(const For& node) {
    run_loop(node, evaluate(*node.items), 0);
    return Flow::onward;
  }

  void run_loop(const For& node, const Value& items, int64_t depth) {
    LoopState& loop = heap_.make<LoopState>();
    loop.node = &node;
    loop.scope = scope_;
    loop.depth = depth;
    if (items.is(Kind::range) && !node.condition) {
      loop.range = &items.range();
      loop.n_items = loop.range->n_items;
    } else {
      loop.items = iterate(heap_, items);
      if (node.condition) loop.items = matching_items(node, loop.items);
      loop.n_items = static_cast<int64_t>(loop.items.size());
    }
    if (loop.n_items == 0) {
      execute(node.otherwise);
      return;
    }
    Scope* scope = &new_scope(scope_);
    for (; loop.index < loop.n_items; ++loop.index) {
      if (scope->captured) scope = &new_scope(scope_);
      scope->bindings.clear();
      heap_.charge(1);
      const ScopeGuard guard(*this, *scope);
      bind(program_.loop, Value(loop));
      assign(node.target, loop.item(loop.index));
      if (execute(node.body) == Flow::leave_loop) break;
    }
  }

  // The items for which the loop's own `if` holds.
  std::span<const Value> matching_items(const For& node, std::span<const Value> items) {
    Scope& scope = new_scope(scope_);
    const ScopeGuard guard(*this, scope);
    std::vector<Value> matching;
    for (const Value& item : items) {
      scope.bindings.clear();
      assign(node.target, item);
      if (is_true(evaluate(*node.condition))) matching.push_back(item);
    }
    return heap_.list(matching).sequence().items;
  }

  Flow execute_node(const Set& node) {
    assign(node.target, evaluate(*node.value));
    return Flow::onward;
  }

  Flow execute_node(const SetBlock& node) {
    const Value text = capture(node.body, new_scope(scope_));
    assign(node.target, apply_suffixes(text, node.filters));
    return Flow::onward;
  }

  Flow execute_node(const FilterBlock& node) {
    const Value text = capture(node.body, new_scope(scope_));
    put(apply_suffixes(text, node.filters));
    return Flow::onward;
  }

  Flow execute_node(const With& node) {
    Scope& scope = new_scope(scope_);
    std::vector<Value> values;  // of all bindings, before any of them is seen
    for (const auto& binding : node.bindings) values.push_back(evaluate(*binding.second));
    const ScopeGuard guard(*this, scope);
    for (size_t i = 0; i < values.size(); ++i) assign(node.bindings[i].first, values[i]);
    return execute(node.body);
  }

  Flow execute_node(const std::unique_ptr<Macro>& macro) {
    bind(macro->name, bind_macro(*macro));
    return Flow::onward;
  }

  Value bind_macro(const Macro& macro) {
    for (Scope* scope = scope_; scope && !scope->captured; scope = scope->parent) scope->captured = true;
    return heap_.callable({.native = nullptr, .self = {}, .macro = &macro, .scope = scope_});
  }

  Flow execute_node(const CallBlock& node) {
    const auto& call = std::get<Suffixed>(node.call->what);
    const std::span<const Suffix> suffixes(call.suffixes);
    const Value callee = apply_suffixes(evaluate(*call.base), suffixes.first(suffixes.size() - 1));
    Arguments arguments = evaluate(std::get<Call>(suffixes.back().what).arguments);
    arguments.named.push_back({"caller", bind_macro(*node.caller)});
    at_ = suffixes.back().offset;
    put(call_value(callee, arguments));
    return Flow::onward;
  }

  Flow execute_node(const Break&) { return Flow::leave_loop; }
  Flow execute_node(const Continue&) { return Flow::next_turn; }

  // Expressions

  Value evaluate(const Expression& expression) {
    const Level level(*this);
    heap_.charge(1);
    at_ = expression.offset;
    return std::visit([this](const auto& node) { return evaluate_node(node); }, expression.what);
  }

  // Of a part that may be left out: absent.
  Value evaluate(const ExpressionPtr& expression) { return expression ? evaluate(*expression) : Value(); }

  Value evaluate_node(const Constant& node) { return node.value; }
  Value evaluate_node(const NameLookup& node) { return look_up(node.name); }

  Value evaluate_node(const ListDisplay& node) {
    std::vector<Value> items;
    items.reserve(node.items.size());
    for (const ExpressionPtr& item : node.items) items.push_back(evaluate(*item));
    return heap_.sequence(items, node.flavour);
  }

  Value evaluate_node(const DictDisplay& node) {
    std::vector<Value> keys;
    std::vector<Value> values;
    for (const auto& [key, value] : node.items) {
      keys.push_back(evaluate(*key));
      values.push_back(evaluate(*value));
    }
    return heap_.dict(keys, values);
  }

  Value evaluate_node(const Chain& chain) {
    Value left = evaluate(*chain.first);
    for (size_t i = 0; i < chain.rest.size(); ++i) {
      const Operand& operand = chain.rest[i];
      if (operand.op == Operator::logical_and || operand.op == Operator::logical_or) {
        if (is_true(left) == (operand.op == Operator::logical_or)) return left;
        left = evaluate(*operand.right);
        continue;
      }
      const Value right = evaluate(*operand.right);
      at_ = operand.offset;
      const Value result = apply(heap_, operand.op, left, right);
      const bool is_comparison = operand.op >= Operator::equal;
      if (is_comparison && (i + 1 == chain.rest.size() || !is_true(result))) return result;
      left = is_comparison ? right : result;
    }
    return left;
  }

  Value evaluate_node(const Unary& node) {
    const uint32_t offset = at_;
    const Value operand = evaluate(*node.operand);
    at_ = offset;
    return node.op == UnaryOperator::logical_not ? Value(!is_true(operand)) : apply_sign(node.op, operand);
  }

  Value evaluate_node(const Conditional& node) {
    for (const Conditional::Choice& choice : node.choices)
      if (is_true(evaluate(*choice.condition))) return evaluate(*choice.value);
    if (node.otherwise) return evaluate(*node.otherwise);
    return heap_.missing({Missing::Reason::variable, "inline if without else", {}});
  }

  Value evaluate_node(const Suffixed& node) { return apply_suffixes(evaluate(*node.base), node.suffixes); }

  Value apply_suffixes(Value value, std::span<const Suffix> suffixes) {
    for (const Suffix& suffix : suffixes) {
      heap_.charge(1);
      value =
          std::visit([&](const auto& what) { return apply_suffix(value, what, suffix.offset); }, suffix.what);
    }
    return value;
  }

  Value apply_suffix(const Value& object, const Attribute& attribute, uint32_t offset) {
    at_ = offset;
    if (object.is(Kind::loop)) return loop_attribute(object, attribute.name);
    return get_attribute(heap_, object, attribute.name);
  }

  Value apply_suffix(const Value& object, const Subscript& subscript, uint32_t offset) {
    const Value index = evaluate(*subscript.index);
    at_ = offset;
    if (object.is(Kind::loop) && index.is_text()) return loop_attribute(object, index.text().bytes);
    return get_element(heap_, object, index);
  }

  Value apply_suffix(const Value& object, const Slice& slice, uint32_t offset) {
    const Value start = evaluate(slice.start);
    const Value stop = evaluate(slice.stop);
    const Value step = evaluate(slice.step);
    at_ = offset;
    return take_slice(heap_, object, start, stop, step);
  }

  Value apply_suffix(const Value& callee, const Call& call, uint32_t offset) {
    const Arguments arguments = evaluate(call.arguments);
    at_ = offset;
    return call_value(callee, arguments);
  }

  Value apply_suffix(const Value& subject, const Filter& filter, uint32_t offset) {
    const Arguments arguments = evaluate(filter.arguments);
    at_ = offset;
    if (!filter.native) throw template_error("no filter named '{}'", printable(filter.name));
    return invoke(context_, *filter.native, subject, arguments.positional, arguments.named);
  }

  Value apply_suffix(const Value& subject, const Test& test, uint32_t offset) {
    const Arguments arguments = evaluate(test.arguments);
    at_ = offset;
    if (!test.native) throw template_error("no test named '{}'", printable(test.name));
    const Value verdict = invoke(context_, *test.native, subject, arguments.positional, arguments.named);
    return Value(is_true(verdict) != test.negated);
  }

  Value loop_attribute(const Value& value, std::string_view name) {
    const LoopState& loop = value.loop();
    const auto neighbour = [&](int64_t i) {
      return i >= 0 && i < loop.n_items ? loop.item(i)
                                        : heap_.missing({Missing::Reason::element, name, "loop"});
    };
    const auto method = [&](const Native& native) {
      return heap_.callable({.native = &native, .self = value, .macro = nullptr, .scope = nullptr});
    };
    if (name == "index") return Value(loop.index + 1);
    if (name == "index0") return Value(loop.index);
    if (name == "revindex") return Value(loop.n_items - loop.index);
    if (name == "revindex0") return Value(loop.n_items - loop.index - 1);
    if (name == "first") return Value(loop.index == 0);
    if (name == "last") return Value(loop.index + 1 == loop.n_items);
    if (name == "length") return Value(loop.n_items);
    if (name == "depth") return Value(loop.depth + 1);
    if (name == "depth0") return Value(loop.depth);
    if (name == "previtem") return neighbour(loop.index - 1);
    if (name == "nextitem") return neighbour(loop.index + 1);
    if (name == "cycle") return method(kLoopCycle);
    if (name == "changed") return method(kLoopChanged);
    return heap_.missing({Missing::Reason::attribute, name, type_name(value)});
  }

  // Calls

  Arguments evaluate(const CallArguments& nodes) {
    Arguments arguments;
    for (const ExpressionPtr& node : nodes.positional) arguments.positional.push_back(evaluate(*node));
    for (const auto& [name, node] : nodes.named) arguments.named.push_back({name, evaluate(*node)});
    if (nodes.rest) {
      const std::span<const Value> rest = iterate(heap_, evaluate(*nodes.rest));
      heap_.charge(rest.size());
      arguments.positional.insert(arguments.positional.end(), rest.begin(), rest.end());
    }
    if (nodes.named_rest) {
      const Value rest = evaluate(*nodes.named_rest);
      if (!rest.is(Kind::dict))
        throw template_error("argument after ** must be a mapping, not {}", type_name(rest));
      heap_.charge(rest.dict().keys.size());
      for (size_t i = 0; i < rest.dict().keys.size(); ++i) {
        if (!rest.dict().keys[i].is_text()) throw template_error("keywords must be strings");
        arguments.named.push_back({rest.dict().keys[i].text().bytes, rest.dict().values[i]});
      }
    }
    return arguments;
  }

  Value call_value(const Value& callee, const Arguments& arguments) {
    require_defined(callee);
    if (callee.is(Kind::loop)) return call_loop(callee.loop(), arguments);
    if (!callee.is(Kind::callable)) throw template_error("'{}' object is not callable", type_name(callee));
    const Callable& callable = callee.callable();
    if (callable.macro) return call_macro(*callable.macro, callable.scope, arguments);
    return invoke(context_, *callable.native, callable.self, arguments.positional, arguments.named);
  }

  // loop(items) of a recursive loop.
  Value call_loop(const LoopState& loop, const Arguments& arguments) {
    if (!loop.node->recursive) throw template_error("the loop must have the 'recursive' marker to be called");
    if (arguments.positional.size() != 1) throw template_error("loop() takes one argument");
    const Level level(*this);
    TextBuilder outer = std::exchange(out_, TextBuilder());
    {
      const ScopeGuard guard(*this, *loop.scope);
      run_loop(*loop.node, arguments.positional[0], loop.depth + 1);
    }
    return std::exchange(out_, std::move(outer)).finish(heap_);
  }

  Value call_macro(const Macro& macro, Scope* defined_in, const Arguments& arguments) {
    if (++n_calls_ > limits::kTemplateDepth)
      throw template_error("macros call each other more than {} deep", limits::kTemplateDepth);
    Scope& scope = new_scope(defined_in);
    {
      const ScopeGuard guard(*this, scope);
      bind_parameters(macro, arguments);
    }
    const Value text = capture(macro.body, scope);
    --n_calls_;
    return text;
  }

  void bind_parameters(const Macro& macro, const Arguments& arguments) {
    const size_t n_parameters = macro.parameters.size();
    if (arguments.positional.size() > n_parameters && !macro.takes_varargs)
      throw template_error("macro '{}' takes not more than {} argument(s)", printable(macro.text),
                           n_parameters);
    std::vector<Value> extra_keys;
    std::vector<Value> extra_values;
    Value caller = heap_.missing({Missing::Reason::parameter, "caller", {}});
    std::vector<Value> given(n_parameters);
    std::copy_n(arguments.positional.begin(), std::min(n_parameters, arguments.positional.size()),
                given.begin());
    for (const NamedValue& named : arguments.named) {
      const auto parameter =
          std::find_if(macro.parameters.begin(), macro.parameters.end(),
                       [&](const Parameter& candidate) { return candidate.text == named.name; });
      if (parameter != macro.parameters.end()) {
        Value& slot = given[static_cast<size_t>(parameter - macro.parameters.begin())];
        if (!slot.is_absent())
          throw template_error("macro '{}' got two values for '{}'", printable(macro.text),
                               printable(named.name));
        slot = named.value;
      } else if (named.name == "caller") {
        caller = named.value;
      } else if (macro.takes_kwargs) {
        extra_keys.push_back(heap_.text(named.name));
        extra_values.push_back(named.value);
      } else {
        throw template_error("macro '{}' takes no keyword argument '{}'", printable(macro.text),
                             printable(named.name));
      }
    }
    bind(program_.caller, caller);
    for (size_t i = 0; i < n_parameters; ++i) {
      const Parameter& parameter = macro.parameters[i];
      Value value = given[i];
      if (value.is_absent())
        value = parameter.default_value ? evaluate(*parameter.default_value)
                                        : heap_.missing({Missing::Reason::parameter, parameter.text, {}});
      bind(parameter.name, value);
    }
    if (macro.takes_varargs) {
      const std::span<const Value> all(arguments.positional);
      bind(program_.varargs,
           heap_.sequence(all.subspan(std::min(n_parameters, all.size())), Sequence::Flavour::tuple));
    }
    if (macro.takes_kwargs) bind(program_.kwargs, heap_.dict(extra_keys, extra_values));
  }

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

}  // namespace

Rendering render(const Program& program, std::span<const Variable> variables, const std::tm& now) {
  return Interpreter(program, now).run(variables);
}

}  // namespace ruvllm::text::jinja
