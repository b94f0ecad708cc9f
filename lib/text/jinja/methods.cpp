// The methods of str, list, tuple and dict that templates may call: those of Python that change nothing.
#include "base/utf8.h"
#include "text/jinja/builtins.h"
#include "text/jinja/print.h"
#include "text/jinja/text_ops.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

namespace ruvllm::text::jinja {
namespace {

const Text& self_text(const Invocation& call) { return call.subject.text(); }

std::optional<std::string_view> optional_text(const Invocation& call, size_t i) {
  if (!call.has(i) || call.arguments[i].is_none()) return {};
  return call.text(i);
}

template <LetterCase letter_case>
Value text_case(const Invocation& call) {
  return change_case(call.heap(), self_text(call), letter_case);
}

template <Side side>
Value text_strip(const Invocation& call) {
  return strip(call.heap(), self_text(call), optional_text(call, 0), side);
}

template <bool from_right>
Value text_split(const Invocation& call) {
  return split_text(call.heap(), self_text(call), optional_text(call, 0), call.integer(1, -1), from_right);
}

Value text_split_lines(const Invocation& call) {
  return call.heap().list(split_lines(call.heap(), self_text(call), call.boolean(0, false)));
}

// The bytes [begin, end) that `start` and `stop` (code points, negative from the end) leave for a search.
std::string_view search_part(const Invocation& call, size_t first_argument, size_t* begin) {
  const std::string_view bytes = self_text(call).bytes;
  call.heap().charge(1 + bytes.size() / 16);
  *begin = 0;
  if (!call.has(first_argument)) return bytes;
  const auto n_points = static_cast<int64_t>(n_code_points(bytes));
  const auto clamp = [&](int64_t index) {
    return static_cast<size_t>(std::clamp<int64_t>(index < 0 ? index + n_points : index, 0, n_points));
  };
  const size_t start = clamp(call.integer(first_argument));
  const size_t stop = std::max(start, clamp(call.integer(first_argument + 1, n_points)));
  *begin = byte_offset(bytes, start);
  return bytes.substr(*begin, byte_offset(bytes, stop) - *begin);
}

template <bool at_end>
Value text_affix(const Invocation& call) {
  size_t begin;
  const std::string_view bytes = search_part(call, 1, &begin);
  const auto holds = [&](const Value& affix) {
    if (!affix.is_text())
      throw template_error("{} first arg must be str or a tuple of str, not {}", call.native.name,
                           type_name(affix));
    return at_end ? bytes.ends_with(affix.text().bytes) : bytes.starts_with(affix.text().bytes);
  };
  const Value& wanted = call.arguments[0];
  require_defined(wanted);
  if (wanted.is(Kind::sequence) && wanted.sequence().flavour == Sequence::Flavour::tuple)
    return Value(std::any_of(wanted.sequence().items.begin(), wanted.sequence().items.end(), holds));
  return Value(holds(wanted));
}

template <bool from_right, bool must_be_there>
Value text_find(const Invocation& call) {
  size_t begin;
  const std::string_view bytes = search_part(call, 1, &begin);
  const std::string_view wanted = call.text(0);
  if (from_right)
    call.heap().charge(bytes.size() / 16 * (wanted.size() / 16));  // rfind() may look that often
  const size_t found = from_right ? bytes.rfind(wanted) : find_text(bytes, wanted);
  if (found != bytes.npos)
    return Value(static_cast<int64_t>(n_code_points(self_text(call).bytes.substr(0, begin + found))));
  if (must_be_there) throw template_error("substring not found");
  return Value(int64_t{-1});
}

Value text_count(const Invocation& call) {
  size_t begin;
  const std::string_view bytes = search_part(call, 1, &begin);
  const std::string_view wanted = call.text(0);
  if (wanted.empty()) return Value(static_cast<int64_t>(n_code_points(bytes)) + 1);
  int64_t n_found = 0;
  for (size_t at = find_text(bytes, wanted); at != bytes.npos;
       at = find_text(bytes, wanted, at + wanted.size()))
    ++n_found;
  return Value(n_found);
}

Value text_replace(const Invocation& call) {
  call.text(1);
  return replace(call.heap(), self_text(call), call.text(0), call.arguments[1].text(), call.integer(2, -1));
}

Value text_join(const Invocation& call) {
  return join(call.heap(), self_text(call), iterate(call.heap(), call.arguments[0]));
}

Value text_remove_prefix(const Invocation& call) {
  const Text& text = self_text(call);
  const size_t n_gone = text.bytes.starts_with(call.text(0)) ? call.text(0).size() : 0;
  return call.heap().part(text, n_gone, text.bytes.size() - n_gone);
}

Value text_remove_suffix(const Invocation& call) {
  const Text& text = self_text(call);
  const size_t n_gone = text.bytes.ends_with(call.text(0)) ? call.text(0).size() : 0;
  return call.heap().part(text, 0, text.bytes.size() - n_gone);
}

template <Side side>
Value text_pad(const Invocation& call) {
  return pad(call.heap(), self_text(call), call.integer(0), call.text(1, " "), side);
}

Value text_zero_fill(const Invocation& call) {
  const Text& text = self_text(call);
  const bool is_signed = text.bytes.starts_with('-') || text.bytes.starts_with('+');
  const Value digits = call.heap().part(text, is_signed, text.bytes.size() - is_signed);
  const Value padded = pad(call.heap(), digits.text(), call.integer(0) - is_signed, "0", Side::right);
  TextBuilder out;
  if (is_signed) out.append(text.bytes.substr(0, 1), text.input_at(0));
  out.append(padded.text());
  return out.finish(call.heap());
}

template <bool from_right>
Value text_partition(const Invocation& call) {
  const Text& text = self_text(call);
  const std::string_view separator = call.text(0);
  if (separator.empty()) throw template_error("empty separator");
  Heap& heap = call.heap();
  heap.charge(1 + text.bytes.size() / 16);
  if (from_right) heap.charge(text.bytes.size() / 16 * (separator.size() / 16));
  const size_t found = from_right ? text.bytes.rfind(separator) : find_text(text.bytes, separator);
  if (found == text.bytes.npos) {
    const std::array<Value, 3> parts = {from_right ? heap.text("") : call.subject, heap.text(""),
                                        from_right ? call.subject : heap.text("")};
    return heap.sequence(parts, Sequence::Flavour::tuple);
  }
  const size_t after = found + separator.size();
  const std::array<Value, 3> parts = {heap.part(text, 0, found), heap.part(text, found, separator.size()),
                                      heap.part(text, after, text.bytes.size() - after)};
  return heap.sequence(parts, Sequence::Flavour::tuple);
}

// {} {0} {name} of str.format(), without attributes, conversions and format specifications.
Value text_format(const Invocation& call) {
  const Text& format = self_text(call);
  Heap& heap = call.heap();
  heap.charge(1 + format.bytes.size() / 16);
  TextBuilder out;
  size_t n_next = 0;
  bool has_numbers = false;
  for (size_t at = 0; at < format.bytes.size();) {
    const char c = format.bytes[at];
    const bool doubled = at + 1 < format.bytes.size() && format.bytes[at + 1] == c;
    if ((c != '{' && c != '}') || doubled) {
      out.append(format.bytes.substr(at, 1), format.input_at(at));
      at += doubled && (c == '{' || c == '}') ? 2 : 1;
      continue;
    }
    const size_t end = format.bytes.find('}', at);
    if (c == '}' || end == format.bytes.npos)
      throw template_error("format: single '{}' in the format string", c);
    const std::string_view field = format.bytes.substr(at + 1, end - at - 1);
    const auto named = std::find_if(call.named_rest.begin(), call.named_rest.end(),
                                    [&](const NamedValue& candidate) { return candidate.name == field; });
    const bool is_number =
        !field.empty() && field.size() < 4 &&
        std::all_of(field.begin(), field.end(), [](char d) { return d >= '0' && d <= '9'; });
    if (named != call.named_rest.end()) {
      out.append(to_text(heap, named->value).text());
    } else {
      has_numbers |= is_number;
      const size_t i = is_number ? std::stoul(std::string(field)) : n_next++;
      if ((!field.empty() && !is_number) || i >= call.rest.size())
        throw template_error("format: no value for '{{{}}}'", printable(field));
      out.append(to_text(heap, call.rest[i]).text());
    }
    if (has_numbers && n_next > 0) throw template_error("format: fields with and without numbers are mixed");
    at = end + 1;
  }
  return out.finish(heap, format.markup);
}

// Whether there are characters and all are of a kind.
template <bool (*predicate)(uint32_t)>
Value text_all(const Invocation& call) {
  std::string_view bytes = self_text(call).bytes;
  call.heap().charge(1 + bytes.size() / 4);
  if (bytes.empty()) return Value(false);
  while (!bytes.empty()) {
    const CodePoint point = first_code_point(bytes);
    if (!predicate(point.value)) return Value(false);
    bytes.remove_prefix(point.n_bytes);
  }
  return Value(true);
}

bool is_alpha(uint32_t code_point) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}
bool is_decimal(uint32_t code_point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code_point)) == UTF8PROC_CATEGORY_ND;
}
bool is_alphanumeric(uint32_t code_point) { return is_alpha(code_point) || is_decimal(code_point); }

Value text_is_case(const Invocation& call) {
  const Native* test = find_test(call.native.name == "isupper" ? "upper" : "lower");
  return invoke(call.context, *test, call.subject, {}, {});
}

Value sequence_index(const Invocation& call) {
  const std::span<const Value> items = call.subject.sequence().items;
  for (size_t i = 0; i < items.size(); ++i)
    if (equal(call.heap(), items[i], call.arguments[0])) return Value(static_cast<int64_t>(i));
  throw template_error("the value is not in the list");
}

Value sequence_count(const Invocation& call) {
  int64_t n_found = 0;
  for (const Value& item : call.subject.sequence().items)
    n_found += equal(call.heap(), item, call.arguments[0]);
  return Value(n_found);
}

Value copy_of(const Invocation& call) { return call.subject; }

Value dict_get(const Invocation& call) {
  if (const Value* found = find(call.heap(), call.subject.dict(), call.arguments[0])) return *found;
  return call.has(1) ? call.arguments[1] : Value::none();
}

constexpr std::string_view kKeysName[] = {"dict_keys"};
constexpr std::string_view kValuesName[] = {"dict_values"};
constexpr std::string_view kItemsName[] = {"dict_items"};

Value dict_keys(const Invocation& call) {
  return call.heap().named(call.subject.dict().keys, Sequence::Flavour::view, kKeysName);
}
Value dict_values(const Invocation& call) {
  return call.heap().named(call.subject.dict().values, Sequence::Flavour::view, kValuesName);
}
Value dict_items(const Invocation& call) {
  const Dict& dict = call.subject.dict();
  std::vector<Value> items;
  for (size_t i = 0; i < dict.keys.size(); ++i)
    items.push_back(call.heap().sequence(std::array{dict.keys[i], dict.values[i]}, Sequence::Flavour::tuple));
  return call.heap().named(items, Sequence::Flavour::view, kItemsName);
}

constexpr std::array<Native, 38> kTextMethods = {{
    {"lower", "", text_case<LetterCase::lower>},
    {"casefold", "", text_case<LetterCase::lower>},
    {"upper", "", text_case<LetterCase::upper>},
    {"title", "", text_case<LetterCase::title>},
    {"capitalize", "", text_case<LetterCase::capitalised>},
    {"swapcase", "", text_case<LetterCase::swapped>},
    {"strip", "chars?", text_strip<Side::both>},
    {"lstrip", "chars?", text_strip<Side::left>},
    {"rstrip", "chars?", text_strip<Side::right>},
    {"split", "sep? maxsplit?", text_split<false>},
    {"rsplit", "sep? maxsplit?", text_split<true>},
    {"splitlines", "keepends?", text_split_lines},
    {"startswith", "prefix start? end?", text_affix<false>},
    {"endswith", "suffix start? end?", text_affix<true>},
    {"find", "sub start? end?", text_find<false, false>},
    {"rfind", "sub start? end?", text_find<true, false>},
    {"index", "sub start? end?", text_find<false, true>},
    {"rindex", "sub start? end?", text_find<true, true>},
    {"count", "sub start? end?", text_count},
    {"replace", "old new count?", text_replace},
    {"join", "iterable", text_join},
    {"removeprefix", "prefix", text_remove_prefix},
    {"removesuffix", "suffix", text_remove_suffix},
    {"ljust", "width fillchar?", text_pad<Side::left>},
    {"rjust", "width fillchar?", text_pad<Side::right>},
    {"center", "width fillchar?", text_pad<Side::both>},
    {"zfill", "width", text_zero_fill},
    {"partition", "sep", text_partition<false>},
    {"rpartition", "sep", text_partition<true>},
    {"format", "...", text_format},
    {"isspace", "", text_all<is_space>},
    {"isalpha", "", text_all<is_alpha>},
    {"isalnum", "", text_all<is_alphanumeric>},
    {"isdigit", "", text_all<is_decimal>},
    {"isdecimal", "", text_all<is_decimal>},
    {"isnumeric", "", text_all<is_decimal>},
    {"isupper", "", text_is_case},
    {"islower", "", text_is_case},
}};

constexpr std::array<Native, 3> kSequenceMethods = {
    {{"index", "value", sequence_index}, {"count", "value", sequence_count}, {"copy", "", copy_of}}};

constexpr std::array<Native, 5> kDictMethods = {{{"get", "key default?", dict_get},
                                                 {"keys", "", dict_keys},
                                                 {"values", "", dict_values},
                                                 {"items", "", dict_items},
                                                 {"copy", "", copy_of}}};

}  // namespace

std::span<const Native> text_method_table() { return kTextMethods; }
std::span<const Native> sequence_method_table() { return kSequenceMethods; }
std::span<const Native> dict_method_table() { return kDictMethods; }

}  // namespace ruvllm::text::jinja
