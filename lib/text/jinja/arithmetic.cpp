#include "text/jinja/arithmetic.h"

#include "text/jinja/print.h"
#include "text/jinja/text_ops.h"

#include <algorithm>
#include <cmath>

namespace ruvllm::text::jinja {
namespace {

std::string_view symbol(Operator op) {
  constexpr std::string_view kSymbols[] = {"+", "-", "*", "/", "//", "%", "**"};
  return kSymbols[static_cast<size_t>(op)];
}

[[noreturn]] void fail_types(Operator op, const Value& a, const Value& b) {
  require_defined(a);
  require_defined(b);
  if (op == Operator::add && a.is_text())
    throw template_error("can only concatenate str (not \"{}\") to str", type_name(b));
  throw template_error("unsupported operand type(s) for {}: '{}' and '{}'", symbol(op), type_name(a),
                       type_name(b));
}

double floor_modulo(double a, double b) {
  const double remainder = std::fmod(a, b);
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
}

// Where Python has no real number to give, it fails or leaves the reals.
Value real_power(double base, double exponent) {
  const double result = std::pow(base, exponent);
  if (std::isfinite(base) && std::isfinite(exponent) && !std::isfinite(result))
    throw template_error("{} ** {} is no number", base, exponent);
  return Value(result);
}

Value integer_power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  while (exponent > 0) {
    if (exponent % 2 != 0 && __builtin_mul_overflow(result, base, &result))
      throw template_error("integer overflow");
    exponent /= 2;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) throw template_error("integer overflow");
  }
  return Value(result);
}

Value integer_arithmetic(Operator op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflows = false;
  switch (op) {
    case Operator::add:
      overflows = __builtin_add_overflow(a, b, &result);
      break;
    case Operator::subtract:
      overflows = __builtin_sub_overflow(a, b, &result);
      break;
    case Operator::multiply:
      overflows = __builtin_mul_overflow(a, b, &result);
      break;
    case Operator::power:
      return b < 0 ? real_power(static_cast<double>(a), static_cast<double>(b)) : integer_power(a, b);
    default:  // division
      if (b == 0) throw template_error("division by zero");
      if (op == Operator::divide) return Value(static_cast<double>(a) / static_cast<double>(b));
      if (b == -1) {  // where INT64_MIN / -1 would trap
        if (op == Operator::floor_divide) overflows = __builtin_sub_overflow(int64_t{0}, a, &result);
        break;
      }
      const int64_t remainder = a % b;
      const bool rounds_down = remainder != 0 && (remainder < 0) != (b < 0);
      result = op == Operator::modulo ? remainder + (rounds_down ? b : 0) : a / b - (rounds_down ? 1 : 0);
  }
  if (overflows) throw template_error("integer overflow");
  return Value(result);
}

Value real_arithmetic(Operator op, double a, double b) {
  switch (op) {
    case Operator::add:
      return Value(a + b);
    case Operator::subtract:
      return Value(a - b);
    case Operator::multiply:
      return Value(a * b);
    case Operator::power:
      return real_power(a, b);
    default:
      if (b == 0) throw template_error("division by zero");
      if (op == Operator::divide) return Value(a / b);
      return Value(op == Operator::modulo ? floor_modulo(a, b) : std::floor(a / b));
  }
}

bool is_list_like(const Value& value) {
  return value.is(Kind::sequence) && value.sequence().flavour <= Sequence::Flavour::tuple;
}

Value repeat(Heap& heap, const Value& value, int64_t n_times) {
  const auto n = static_cast<uint64_t>(std::max<int64_t>(n_times, 0));
  if (value.is_text()) {
    const Text& text = value.text();
    if (text.bytes.empty() || n == 0) return heap.text("");
    // Before anything grows: n copies, or more than there can be.
    heap.charge(n > INT32_MAX ? UINT64_MAX : n * (1 + text.bytes.size() / 8));
    TextBuilder out;
    for (uint64_t i = 0; i < n; ++i) out.append(text);
    return out.finish(heap, text.markup);
  }
  const std::span<const Value> items = value.sequence().items;
  if (items.empty()) return value;
  heap.charge(n > INT32_MAX ? UINT64_MAX : n * items.size());
  std::vector<Value> repeated;
  for (uint64_t i = 0; i < n; ++i) repeated.insert(repeated.end(), items.begin(), items.end());
  return heap.sequence(repeated, value.sequence().flavour);
}

Value concatenate(Heap& heap, const Text& a, const Text& b, bool markup) {
  heap.charge((a.bytes.size() + b.bytes.size()) / 32);
  TextBuilder out;
  out.append(a);
  out.append(b);
  return out.finish(heap, markup);
}

// a + b. Markup escapes what is added to it; the operator ~ does not.
Value add_texts(Heap& heap, const Value& a, const Value& b) {
  if (!a.text().markup && !b.text().markup) return concatenate(heap, a.text(), b.text(), false);
  return concatenate(heap, escape_html(heap, a).text(), escape_html(heap, b).text(), true);
}

Value join_lists(Heap& heap, const Value& a, const Value& b) {
  const std::span<const Value> left = a.sequence().items;
  const std::span<const Value> right = b.sequence().items;
  heap.charge(left.size() + right.size());
  std::vector<Value> joined(left.begin(), left.end());
  joined.insert(joined.end(), right.begin(), right.end());
  return heap.sequence(joined, a.sequence().flavour);
}

Value arithmetic(Heap& heap, Operator op, const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) return integer_arithmetic(op, a.integer(), b.integer());
  if (a.is_number() && b.is_number()) return real_arithmetic(op, a.number(), b.number());
  if (op == Operator::add) {
    if (a.is_text() && b.is_text()) return add_texts(heap, a, b);
    if (is_list_like(a) && is_list_like(b) && a.sequence().flavour == b.sequence().flavour)
      return join_lists(heap, a, b);
  }
  if (op == Operator::multiply) {
    if ((a.is_text() || is_list_like(a)) && b.is_integral()) return repeat(heap, a, b.integer());
    if ((b.is_text() || is_list_like(b)) && a.is_integral()) return repeat(heap, b, a.integer());
  }
  if (op == Operator::modulo && a.is_text()) {
    const bool is_tuple = b.is(Kind::sequence) && b.sequence().flavour == Sequence::Flavour::tuple;
    return percent_format(heap, a.text(), is_tuple ? b.sequence().items : std::span(&b, 1));
  }
  fail_types(op, a, b);
}

// What Python's slice(start, stop, step).indices(n) gives.
struct SliceRange {
  int64_t start, stop, step;
};

SliceRange slice_range(const Value& start, const Value& stop, const Value& step, int64_t n_items) {
  const auto number = [](const Value& value, int64_t fallback) {
    if (value.is_absent() || value.is_none()) return fallback;
    require_defined(value);
    if (!value.is_integral())
      throw template_error("slice indices must be integers or None, not {}", type_name(value));
    return value.integer();
  };
  const int64_t by = number(step, 1);
  if (by == 0) throw template_error("slice step cannot be zero");
  const int64_t lowest = by > 0 ? 0 : -1;
  const int64_t highest = by > 0 ? n_items : n_items - 1;
  const auto clamp = [&](int64_t index) {
    if (index < 0) index += n_items;
    return std::clamp(index, lowest, highest);
  };
  const bool has_start = !start.is_absent() && !start.is_none();
  const bool has_stop = !stop.is_absent() && !stop.is_none();
  return {has_start ? clamp(number(start, 0)) : (by > 0 ? lowest : highest),
          has_stop ? clamp(number(stop, 0)) : (by > 0 ? highest : lowest), by};
}

// Calls take(i) for each index of a slice; the step is taken in care of overflow.
template <typename Take>
void for_each_index(const SliceRange& slice, const Take& take) {
  for (int64_t i = slice.start; slice.step > 0 ? i < slice.stop : i > slice.stop;) {
    take(i);
    if (__builtin_add_overflow(i, slice.step, &i)) return;
  }
}

Value slice_text(Heap& heap, const Text& text, const SliceRange& slice) {
  heap.charge(1 + text.bytes.size() / 16);
  if (slice.step == 1) {
    if (slice.start >= slice.stop) return heap.part(text, 0, 0);
    const size_t begin = byte_offset(text.bytes, static_cast<size_t>(slice.start));
    const size_t n_bytes =
        byte_offset(text.bytes.substr(begin), static_cast<size_t>(slice.stop - slice.start));
    return heap.part(text, begin, n_bytes);
  }
  const std::span<const Value> characters = iterate(heap, Value(text));
  std::vector<Value> taken;
  for_each_index(slice, [&](int64_t i) { taken.push_back(characters[static_cast<size_t>(i)]); });
  return join(heap, Text{}, taken);
}

// Again a range; of numbers that the whole one has, but for where it stops.
Value slice_of_range(Heap& heap, const Range& range, const SliceRange& slice) {
  int64_t n_items = 0;
  for_each_index(slice, [&](int64_t) { ++n_items; });
  heap.charge(1 + static_cast<uint64_t>(n_items));
  const auto place = [&](int64_t i) {
    int64_t value = 0;
    if (__builtin_mul_overflow(i, range.step, &value) || __builtin_add_overflow(value, range.start, &value))
      throw template_error("integer overflow");
    return value;
  };
  int64_t step = 0;
  if (__builtin_mul_overflow(range.step, slice.step, &step)) throw template_error("integer overflow");
  return heap.range({place(slice.start), step, n_items, place(slice.stop)});
}

}  // namespace

Value apply(Heap& heap, Operator op, const Value& a, const Value& b) {
  switch (op) {
    case Operator::concatenate:
      return concatenate(heap, to_text(heap, a).text(), to_text(heap, b).text(), false);
    case Operator::equal:
      return Value(equal(heap, a, b));
    case Operator::not_equal:
      return Value(!equal(heap, a, b));
    case Operator::less:
      return Value(less(heap, a, b));
    case Operator::greater:
      return Value(less(heap, b, a));
    case Operator::less_equal:
      return Value(less(heap, a, b) || equal(heap, a, b));
    case Operator::greater_equal:
      return Value(less(heap, b, a) || equal(heap, a, b));
    case Operator::in:
      return Value(contains(heap, b, a));
    case Operator::not_in:
      return Value(!contains(heap, b, a));
    default:
      return arithmetic(heap, op, a, b);
  }
}

Value apply_sign(UnaryOperator op, const Value& a) {
  require_defined(a);
  if (!a.is_number()) throw template_error("bad operand type for unary sign: '{}'", type_name(a));
  if (a.is(Kind::real)) return Value(op == UnaryOperator::negate ? -a.number() : a.number());
  return op == UnaryOperator::negate ? integer_arithmetic(Operator::subtract, 0, a.integer())
                                     : Value(a.integer());
}

Value take_slice(Heap& heap, const Value& object, const Value& start, const Value& stop, const Value& step) {
  require_defined(object);
  if (object.is_text())
    return slice_text(heap, object.text(), slice_range(start, stop, step, length(object)));
  if (!is_list_like(object) && !object.is(Kind::range))
    throw template_error("'{}' object can't be sliced", type_name(object));
  if (object.is(Kind::range))
    return slice_of_range(heap, object.range(), slice_range(start, stop, step, object.range().n_items));
  const std::span<const Value> items = iterate(heap, object);
  const SliceRange slice = slice_range(start, stop, step, static_cast<int64_t>(items.size()));
  std::vector<Value> taken;
  for_each_index(slice, [&](int64_t i) { taken.push_back(items[static_cast<size_t>(i)]); });
  heap.charge(taken.size());
  return heap.sequence(taken, object.sequence().flavour);
}

}  // namespace ruvllm::text::jinja
