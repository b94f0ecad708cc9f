// Operators on values, as Python defines them for its numbers, texts and lists. Tested by
// tests/text/jinja_table_test.cpp.
#pragma once

#include "text/jinja/ast.h"

namespace ruvllm::text::jinja {

/// a op b, for every operator but `and` and `or`.
Value apply(Heap& heap, Operator op, const Value& a, const Value& b);

/// -a, +a.
Value apply_sign(UnaryOperator op, const Value& a);

/// object[start:stop:step]; absent or None where left out.
Value take_slice(Heap& heap, const Value& object, const Value& start, const Value& stop, const Value& step);

}  // namespace ruvllm::text::jinja
