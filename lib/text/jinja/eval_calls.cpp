// Calls of macros, functions and recursive loops, and what `loop` can be asked. See interpreter.h.
#include "base/limits.h"
#include "base/utf8.h"
#include "text/jinja/arithmetic.h"
#include "text/jinja/interpreter.h"

#include <algorithm>

namespace ruvllm::text::jinja {
namespace {

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

}  // namespace

Arguments Interpreter::evaluate(const CallArguments& nodes) {
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

Value Interpreter::call_value(const Value& callee, const Arguments& arguments) {
  require_defined(callee);
  if (callee.is(Kind::loop)) return call_loop(callee.loop(), arguments);
  if (!callee.is(Kind::callable)) throw template_error("'{}' object is not callable", type_name(callee));
  const Callable& callable = callee.callable();
  if (callable.macro) return call_macro(*callable.macro, callable.scope, arguments);
  return invoke(context_, *callable.native, callable.self, arguments.positional, arguments.named);
}

Value Interpreter::call_loop(const LoopState& loop, const Arguments& arguments) {
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

Value Interpreter::call_macro(const Macro& macro, Scope* defined_in, const Arguments& arguments) {
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

void Interpreter::bind_parameters(const Macro& macro, const Arguments& arguments) {
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

Value Interpreter::loop_attribute(const Value& value, std::string_view name) {
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

}  // namespace ruvllm::text::jinja
