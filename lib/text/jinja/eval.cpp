#include "text/jinja/eval.h"

#include "base/limits.h"
#include "base/strings.h"
#include "text/jinja/interpreter.h"

#include <algorithm>

namespace ruvllm::text::jinja {
namespace {

// How deep expressions, statements and macro calls together may be, so that the machine's stack is never the
// limit.
constexpr int kWalkDepth = 16 * limits::kTemplateDepth;

}  // namespace

Interpreter::Interpreter(const Program& program, const std::tm& now)
    : program_(program),
      heap_(limits::kTemplateSteps),
      context_{heap_, now},
      globals_(program.names.size()) {}

Interpreter::Level::Level(Interpreter& interpreter) : interpreter_(interpreter) {
  if (++interpreter_.depth_ > kWalkDepth) throw template_error("nested more than {} deep", kWalkDepth);
}

Rendering Interpreter::run(std::span<const Variable> variables) {
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

Scope& Interpreter::new_scope(Scope* parent) { return heap_.make<Scope>(parent, heap_.memory()); }

void Interpreter::bind_globals(std::span<const Variable> variables) {
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

Rendering Interpreter::finish() {
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

Value Interpreter::look_up(NameId name) {
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

void Interpreter::bind(NameId name, const Value& value) {
  heap_.charge(1 + scope_->bindings.size() / 16);
  for (Scope::Binding& binding : scope_->bindings) {
    if (binding.name != name) continue;
    binding.value = value;
    return;
  }
  scope_->bindings.push_back({name, value});
}

void Interpreter::assign(const Target& target, const Value& value) {
  at_ = target.offset;
  if (!target.parts.empty()) return unpack(target, value);
  if (target.attribute.empty()) return bind(target.name, value);
  const Value owner = look_up(target.name);
  if (!owner.is(Kind::name_space)) throw template_error("cannot assign attribute on non-namespace object");
  auto& attributes = owner.name_space().attributes;
  heap_.charge(1 + attributes.size() / 8);
  const auto found = std::find_if(attributes.begin(), attributes.end(),
                                  [&](const auto& attribute) { return attribute.name == target.attribute; });
  if (found != attributes.end()) {
    found->value = value;
  } else {
    attributes.push_back({target.attribute, value});
  }
}

void Interpreter::unpack(const Target& target, const Value& value) {
  require_defined(value);
  const std::span<const Value> parts = iterate(heap_, value);
  if (parts.size() != target.parts.size())
    throw template_error("expected {} values to unpack, got {}", target.parts.size(), parts.size());
  for (size_t i = 0; i < parts.size(); ++i) assign(target.parts[i], parts[i]);
}

Rendering render(const Program& program, std::span<const Variable> variables, const std::tm& now) {
  return Interpreter(program, now).run(variables);
}

}  // namespace ruvllm::text::jinja
