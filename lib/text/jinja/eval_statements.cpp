// Statements of a template. See interpreter.h.
#include "base/strings.h"
#include "text/jinja/arithmetic.h"
#include "text/jinja/interpreter.h"

namespace ruvllm::text::jinja {

Flow Interpreter::execute(const Body& body) {
  const Level level(*this);
  for (const Statement& statement : body) {
    heap_.charge(1);
    at_ = statement.offset;
    const Flow flow = std::visit([this](const auto& node) { return execute_node(node); }, statement.what);
    if (flow != Flow::onward) return flow;
  }
  return Flow::onward;
}

Value Interpreter::capture(const Body& body, Scope& scope) {
  TextBuilder outer = std::exchange(out_, TextBuilder());
  {
    const ScopeGuard guard(*this, scope);
    execute(body);
  }
  return std::exchange(out_, std::move(outer)).finish(heap_);
}

void Interpreter::put(const Value& value) {
  print(heap_, value, out_);
  check_output();
}

void Interpreter::check_output() const {
  if (out_.n_bytes() > n_output_most_)
    throw template_error("the output is longer than {}", format_bytes(n_output_most_));
}

Flow Interpreter::execute_node(const Data& data) {
  heap_.charge(data.bytes.size() / 32);
  out_.append(data.bytes);
  check_output();
  return Flow::onward;
}

Flow Interpreter::execute_node(const Output& output) {
  put(evaluate(*output.value));
  return Flow::onward;
}

Flow Interpreter::execute_node(const If& node) {
  for (const auto& [condition, body] : node.branches)
    if (is_true(evaluate(*condition))) return execute(body);
  return execute(node.otherwise);
}

Flow Interpreter::execute_node(const For& node) {
  run_loop(node, evaluate(*node.items), 0);
  return Flow::onward;
}

void Interpreter::run_loop(const For& node, const Value& items, int64_t depth) {
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

std::span<const Value> Interpreter::matching_items(const For& node, std::span<const Value> items) {
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

Flow Interpreter::execute_node(const Set& node) {
  assign(node.target, evaluate(*node.value));
  return Flow::onward;
}

Flow Interpreter::execute_node(const SetBlock& node) {
  const Value text = capture(node.body, new_scope(scope_));
  assign(node.target, apply_suffixes(text, node.filters));
  return Flow::onward;
}

Flow Interpreter::execute_node(const FilterBlock& node) {
  const Value text = capture(node.body, new_scope(scope_));
  put(apply_suffixes(text, node.filters));
  return Flow::onward;
}

Flow Interpreter::execute_node(const With& node) {
  Scope& scope = new_scope(scope_);
  std::vector<Value> values;  // of all bindings, before any of them is seen
  for (const auto& binding : node.bindings) values.push_back(evaluate(*binding.second));
  const ScopeGuard guard(*this, scope);
  for (size_t i = 0; i < values.size(); ++i) assign(node.bindings[i].first, values[i]);
  return execute(node.body);
}

Flow Interpreter::execute_node(const std::unique_ptr<Macro>& macro) {
  bind(macro->name, bind_macro(*macro));
  return Flow::onward;
}

Value Interpreter::bind_macro(const Macro& macro) {
  for (Scope* scope = scope_; scope && !scope->captured; scope = scope->parent) scope->captured = true;
  return heap_.callable({.native = nullptr, .self = {}, .macro = &macro, .scope = scope_});
}

Flow Interpreter::execute_node(const CallBlock& node) {
  const auto& call = std::get<Suffixed>(node.call->what);
  const std::span<const Suffix> suffixes(call.suffixes);
  const Value callee = apply_suffixes(evaluate(*call.base), suffixes.first(suffixes.size() - 1));
  Arguments arguments = evaluate(std::get<Call>(suffixes.back().what).arguments);
  arguments.named.push_back({"caller", bind_macro(*node.caller)});
  at_ = suffixes.back().offset;
  put(call_value(callee, arguments));
  return Flow::onward;
}

Flow Interpreter::execute_node(const Break&) { return Flow::leave_loop; }

Flow Interpreter::execute_node(const Continue&) { return Flow::next_turn; }

}  // namespace ruvllm::text::jinja
