// Expressions of a template: operators, displays, and what follows a value. See interpreter.h.
#include "base/utf8.h"
#include "text/jinja/arithmetic.h"
#include "text/jinja/interpreter.h"

namespace ruvllm::text::jinja {

Value Interpreter::evaluate(const Expression& expression) {
  const Level level(*this);
  heap_.charge(1);
  at_ = expression.offset;
  return std::visit([this](const auto& node) { return evaluate_node(node); }, expression.what);
}

Value Interpreter::evaluate(const ExpressionPtr& expression) {
  return expression ? evaluate(*expression) : Value();
}

Value Interpreter::evaluate_node(const Constant& node) { return node.value; }

Value Interpreter::evaluate_node(const NameLookup& node) { return look_up(node.name); }

Value Interpreter::evaluate_node(const ListDisplay& node) {
  std::vector<Value> items;
  items.reserve(node.items.size());
  for (const ExpressionPtr& item : node.items) items.push_back(evaluate(*item));
  return heap_.sequence(items, node.flavour);
}

Value Interpreter::evaluate_node(const DictDisplay& node) {
  std::vector<Value> keys;
  std::vector<Value> values;
  for (const auto& [key, value] : node.items) {
    keys.push_back(evaluate(*key));
    values.push_back(evaluate(*value));
  }
  return heap_.dict(keys, values);
}

Value Interpreter::evaluate_node(const Chain& chain) {
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

Value Interpreter::evaluate_node(const Unary& node) {
  const uint32_t offset = at_;
  const Value operand = evaluate(*node.operand);
  at_ = offset;
  return node.op == UnaryOperator::logical_not ? Value(!is_true(operand)) : apply_sign(node.op, operand);
}

Value Interpreter::evaluate_node(const Conditional& node) {
  for (const Conditional::Choice& choice : node.choices)
    if (is_true(evaluate(*choice.condition))) return evaluate(*choice.value);
  if (node.otherwise) return evaluate(*node.otherwise);
  return heap_.missing({Missing::Reason::variable, "inline if without else", {}});
}

Value Interpreter::evaluate_node(const Suffixed& node) {
  return apply_suffixes(evaluate(*node.base), node.suffixes);
}

Value Interpreter::apply_suffixes(Value value, std::span<const Suffix> suffixes) {
  for (const Suffix& suffix : suffixes) {
    heap_.charge(1);
    value =
        std::visit([&](const auto& what) { return apply_suffix(value, what, suffix.offset); }, suffix.what);
  }
  return value;
}

Value Interpreter::apply_suffix(const Value& object, const Attribute& attribute, uint32_t offset) {
  at_ = offset;
  if (object.is(Kind::loop)) return loop_attribute(object, attribute.name);
  return get_attribute(heap_, object, attribute.name);
}

Value Interpreter::apply_suffix(const Value& object, const Subscript& subscript, uint32_t offset) {
  const Value index = evaluate(*subscript.index);
  at_ = offset;
  if (object.is(Kind::loop) && index.is_text()) return loop_attribute(object, index.text().bytes);
  return get_element(heap_, object, index);
}

Value Interpreter::apply_suffix(const Value& object, const Slice& slice, uint32_t offset) {
  const Value start = evaluate(slice.start);
  const Value stop = evaluate(slice.stop);
  const Value step = evaluate(slice.step);
  at_ = offset;
  return take_slice(heap_, object, start, stop, step);
}

Value Interpreter::apply_suffix(const Value& callee, const Call& call, uint32_t offset) {
  const Arguments arguments = evaluate(call.arguments);
  at_ = offset;
  return call_value(callee, arguments);
}

Value Interpreter::apply_suffix(const Value& subject, const Filter& filter, uint32_t offset) {
  const Arguments arguments = evaluate(filter.arguments);
  at_ = offset;
  if (!filter.native) throw template_error("no filter named '{}'", printable(filter.name));
  return invoke(context_, *filter.native, subject, arguments.positional, arguments.named);
}

Value Interpreter::apply_suffix(const Value& subject, const Test& test, uint32_t offset) {
  const Arguments arguments = evaluate(test.arguments);
  at_ = offset;
  if (!test.native) throw template_error("no test named '{}'", printable(test.name));
  const Value verdict = invoke(context_, *test.native, subject, arguments.positional, arguments.named);
  return Value(is_true(verdict) != test.negated);
}

}  // namespace ruvllm::text::jinja
