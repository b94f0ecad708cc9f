// What Python's str can do, on texts that remember where their bytes came from. Shared by filters.cpp and
// methods.cpp. Tested by tests/text/jinja_table_test.cpp.
#pragma once

#include "text/jinja/value.h"

namespace ruvllm::text::jinja {

enum class LetterCase { lower, upper, title, capitalised, swapped };

/// str.lower(), upper(), title(), capitalize(), swapcase().
Value change_case(Heap& heap, const Text& text, LetterCase letter_case);

enum class Side { both, left, right };

/// str.strip() and its kin: of whitespace, or of the given characters.
Value strip(Heap& heap, const Text& text, std::optional<std::string_view> characters, Side side);

/// str.replace(); `n_most` < 0: all.
Value replace(Heap& heap, const Text& text, std::string_view before, const Text& after, int64_t n_most);

/// str.split() and rsplit(); no separator: by runs of whitespace.
Value split_text(Heap& heap, const Text& text, std::optional<std::string_view> separator, int64_t n_most,
                 bool from_right);

/// str.splitlines().
std::vector<Value> split_lines(Heap& heap, const Text& text, bool keep_ends);

/// str.ljust(), rjust(), center(): padded to `width` code points. Side: where the text goes.
Value pad(Heap& heap, const Text& text, int64_t width, std::string_view fill, Side side);

/// separator.join(items); every item must be a text.
Value join(Heap& heap, const Text& separator, std::span<const Value> items);

/// template % values: %s %r %d %i %x %o %f %e %g %c with flags, width and precision.
Value percent_format(Heap& heap, const Text& format, std::span<const Value> values);

}  // namespace ruvllm::text::jinja
