// Values as text: str() and repr() as Python prints them, JSON as json.dumps writes it, and HTML escaping.
// Tested by tests/text/jinja_table_test.cpp.
#pragma once

#include "text/jinja/value.h"

namespace ruvllm::text::jinja {

/// str(value) appended to `out`.
void print(Heap& heap, const Value& value, TextBuilder& out);
/// str(value); texts are returned as they are.
Value to_text(Heap& heap, const Value& value);
/// repr(value) appended to `out`.
void print_repr(Heap& heap, const Value& value, TextBuilder& out);
/// repr() of a float: the shortest digits that read back, with an exponent outside [1e-4, 1e16).
std::string print_float(double value);

/// The number that a whole text spells in decimal digits; infinite beyond the range, as in Python.
std::optional<double> parse_float(std::string_view text);

struct JsonStyle {
  std::optional<std::string> indent;  ///< text of one level; nothing: one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool ensure_ascii = false;
  bool sort_keys = false;
};

/// json.dumps(value). Throws for what is not JSON.
Value to_json(Heap& heap, const Value& value, const JsonStyle& style);

/// & < > ' " as entities (markupsafe.escape); texts that are markup already stay.
Value escape_html(Heap& heap, const Value& value);

}  // namespace ruvllm::text::jinja
