// The tests of `x is TEST`. Each gives a boolean.
#include "text/jinja/builtins.h"

#include <utf8proc.h>

#include "base/utf8.h"

#include <array>

namespace ruvllm::text::jinja {
namespace {

bool is_boolean(const Value& value) { return value.is(Kind::boolean); }
bool is_plain_integer(const Value& value) { return value.is(Kind::integer); }
bool has_length(const Value& value) {
  if (value.is(Kind::sequence)) return value.sequence().flavour <= Sequence::Flavour::tuple;
  return value.is_text() || value.is(Kind::dict) || value.is(Kind::range) || value.is_undefined();
}
bool is_iterable(const Value& value) {
  return has_length(value) || value.is(Kind::sequence) || value.is(Kind::loop);
}

template <bool (*predicate)(const Value&)>
Value test_kind(const Invocation& call) {
  return Value(predicate(call.subject));
}
template <Kind kind>
Value test_is(const Invocation& call) {
  return Value(call.subject.is(kind));
}

// What is undefined can be called, only to fail.
Value test_callable(const Invocation& call) {
  return Value(call.subject.is(Kind::callable) || call.subject.is_undefined());
}

Value test_defined(const Invocation& call) { return Value(!call.subject.is_undefined()); }
Value test_number(const Invocation& call) { return Value(call.subject.is_number()); }
Value test_true(const Invocation& call) { return Value(is_boolean(call.subject) && call.subject.boolean()); }
Value test_false(const Invocation& call) {
  return Value(is_boolean(call.subject) && !call.subject.boolean());
}

// Whether both are the same object; values without identity are compared.
Value test_same(const Invocation& call) {
  const Value& other = call.arguments[0];
  if (call.subject.kind() != other.kind()) return Value(false);
  switch (other.kind()) {
    case Kind::sequence:
      return Value(&call.subject.sequence() == &other.sequence());
    case Kind::dict:
      return Value(&call.subject.dict() == &other.dict());
    default:
      return Value(equal(call.heap(), call.subject, other));
  }
}

Value test_equal(const Invocation& call) {
  return Value(equal(call.heap(), call.subject, call.arguments[0]));
}
Value test_not_equal(const Invocation& call) {
  return Value(!equal(call.heap(), call.subject, call.arguments[0]));
}
Value test_less(const Invocation& call) { return Value(less(call.heap(), call.subject, call.arguments[0])); }
Value test_greater(const Invocation& call) {
  return Value(less(call.heap(), call.arguments[0], call.subject));
}
Value test_less_equal(const Invocation& call) {
  return Value(less(call.heap(), call.subject, call.arguments[0]) ||
               equal(call.heap(), call.subject, call.arguments[0]));
}
Value test_greater_equal(const Invocation& call) {
  return Value(less(call.heap(), call.arguments[0], call.subject) ||
               equal(call.heap(), call.subject, call.arguments[0]));
}
Value test_in(const Invocation& call) {
  return Value(contains(call.heap(), call.arguments[0], call.subject));
}

int64_t integral_subject(const Invocation& call) {
  require_defined(call.subject);
  if (!call.subject.is_integral())
    throw template_error("{}: expected an integer, found {}", call.native.name, type_name(call.subject));
  return call.subject.integer();
}
Value test_odd(const Invocation& call) { return Value(integral_subject(call) % 2 != 0); }
Value test_even(const Invocation& call) { return Value(integral_subject(call) % 2 == 0); }
Value test_divisible(const Invocation& call) {
  const int64_t divisor = call.integer(0);
  if (divisor == 0) throw template_error("divisibleby: division by zero");
  return Value(divisor == -1 || integral_subject(call) % divisor == 0);
}

// str.islower() and isupper(): some letter has case, and none has the other.
template <utf8proc_category_t wanted, utf8proc_category_t other>
Value test_case(const Invocation& call) {
  if (!call.subject.is_text()) return Value(false);
  std::string_view bytes = call.subject.text().bytes;
  call.heap().charge(1 + bytes.size() / 4);
  bool found = false;
  while (!bytes.empty()) {
    const CodePoint point = first_code_point(bytes);
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(point.value));
    if (category == other || category == UTF8PROC_CATEGORY_LT) return Value(false);
    found |= category == wanted;
    bytes.remove_prefix(point.n_bytes);
  }
  return Value(found);
}
constexpr auto test_lower = test_case<UTF8PROC_CATEGORY_LL, UTF8PROC_CATEGORY_LU>;
constexpr auto test_upper = test_case<UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LL>;

Value test_escaped(const Invocation& call) {
  return Value(call.subject.is_text() && call.subject.text().markup);
}
Value test_filter(const Invocation& call) {
  return Value(call.subject.is_text() && find_filter(call.subject.text().bytes) != nullptr);
}
Value test_test(const Invocation& call) {
  return Value(call.subject.is_text() && find_test(call.subject.text().bytes) != nullptr);
}

constexpr std::array<Native, 39> kTests = {{
    {"defined", "", test_defined},
    {"undefined", "", test_is<Kind::undefined>},
    {"none", "", test_is<Kind::none>},
    {"boolean", "", test_kind<is_boolean>},
    {"true", "", test_true},
    {"false", "", test_false},
    {"integer", "", test_kind<is_plain_integer>},
    {"float", "", test_is<Kind::real>},
    {"number", "", test_number},
    {"string", "", test_is<Kind::text>},
    {"mapping", "", test_is<Kind::dict>},
    {"sequence", "", test_kind<has_length>},
    {"iterable", "", test_kind<is_iterable>},
    {"callable", "", test_callable},
    {"sameas", "other", test_same},
    {"eq", "other", test_equal},
    {"==", "other", test_equal},
    {"equalto", "other", test_equal},
    {"ne", "other", test_not_equal},
    {"!=", "other", test_not_equal},
    {"lt", "other", test_less},
    {"<", "other", test_less},
    {"lessthan", "other", test_less},
    {"le", "other", test_less_equal},
    {"<=", "other", test_less_equal},
    {"gt", "other", test_greater},
    {">", "other", test_greater},
    {"greaterthan", "other", test_greater},
    {"ge", "other", test_greater_equal},
    {">=", "other", test_greater_equal},
    {"in", "items", test_in},
    {"odd", "", test_odd},
    {"even", "", test_even},
    {"divisibleby", "number", test_divisible},
    {"lower", "", test_lower},
    {"upper", "", test_upper},
    {"escaped", "", test_escaped},
    {"filter", "", test_filter},
    {"test", "", test_test},
}};

}  // namespace

std::span<const Native> test_table() { return kTests; }

}  // namespace ruvllm::text::jinja
