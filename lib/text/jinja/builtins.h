// What templates can call without defining it: functions, filters, tests and methods, each a row of a table
// with its parameter names. No input or output, no attribute beyond these rows: a template reaches nothing
// else. Semantics follow Jinja2 3.1 and Python. Tested by tests/text/jinja_table_test.cpp.
#pragma once

#include "text/jinja/value.h"

#include <ctime>

namespace ruvllm::text::jinja {

/// What a rendering lends to the functions it calls.
struct Context {
  Heap& heap;
  std::tm now;  ///< local time, for strftime_now
};

/// One call. `arguments` has an entry for every parameter of the row, absent where it wasn't given.
struct Invocation {
  Context& context;
  const Native& native;
  Value subject;  ///< what is filtered, tested, or owns the method
  std::span<const Value> arguments;
  std::span<const Value> rest;  ///< positional arguments beyond the parameters, where the row takes them
  std::span<const NamedValue> named_rest;  ///< likewise named ones

  Heap& heap() const { return context.heap; }
  bool has(size_t i) const { return !arguments[i].is_absent(); }
  /// Argument i as a type, or the fallback where it wasn't given (nothing: then it must be).
  int64_t integer(size_t i, std::optional<int64_t> fallback = {}) const;
  bool boolean(size_t i, bool fallback) const { return has(i) ? is_true(arguments[i]) : fallback; }
  std::string_view text(size_t i, std::optional<std::string_view> fallback = {}) const;
};

struct Native {
  std::string_view name;
  std::string_view
      parameters;  ///< "a b? c?": required ones, then optional ones; "..." at the end takes any more
  Value (*function)(const Invocation&);
};

/// Rows by name; null where there is none.
const Native* find_function(std::string_view name);
const Native* find_filter(std::string_view name);
const Native* find_test(std::string_view name);
/// A method of the type of `object`.
const Native* find_method(const Value& object, std::string_view name);
/// Whether Python's type has such a method and the sandbox forbids it, for it changes the object.
bool is_mutating_method(const Value& object, std::string_view name);

/// Binds arguments to the row's parameters and calls it.
Value invoke(Context& context, const Native& native, const Value& subject, std::span<const Value> positional,
             std::span<const NamedValue> named);

/// object[key] as Jinja looks it up: element, then method, then undefined.
Value get_element(Heap& heap, const Value& object, const Value& key);
/// object.name: method, then element, then undefined.
Value get_attribute(Heap& heap, const Value& object, std::string_view name);

/// The tables: filters.cpp, list_filters.cpp, tests.cpp, methods.cpp.
std::span<const Native> filter_table();
std::span<const Native> list_filter_table();
std::span<const Native> test_table();
std::span<const Native> text_method_table();
std::span<const Native> sequence_method_table();
std::span<const Native> dict_method_table();

}  // namespace ruvllm::text::jinja
