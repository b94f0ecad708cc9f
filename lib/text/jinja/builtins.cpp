#include "text/jinja/builtins.h"

#include "base/limits.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "text/jinja/print.h"

#include <algorithm>
#include <array>

namespace ruvllm::text::jinja {
namespace {

Value make_range(const Invocation& call) {
  const bool only_stop = !call.has(1);
  const int64_t start = only_stop ? 0 : call.integer(0);
  const int64_t stop = call.integer(only_stop ? 0 : 1);
  const int64_t step = call.integer(2, 1);
  if (step == 0) throw template_error("range() arg 3 must not be zero");
  const bool is_empty = step > 0 ? start >= stop : start <= stop;
  if (is_empty) return call.heap().range({start, step, 0, stop});
  // In 128 bits, where no difference of two numbers overflows.
  __extension__ using Wide = __int128;
  const Wide distance = static_cast<Wide>(stop) - start;
  const Wide n_items = (distance + step - (step > 0 ? 1 : -1)) / step;
  if (n_items > static_cast<Wide>(limits::kTemplateRange))
    throw template_error("range() gives more than {} numbers", limits::kTemplateRange);
  return call.heap().range({start, step, static_cast<int64_t>(n_items), stop});
}

Value make_namespace(const Invocation& call) {
  const Value made = call.heap().name_space();
  auto& attributes = made.name_space().attributes;
  if (!call.rest.empty() && call.rest[0].is(Kind::dict)) {
    const Dict& dict = call.rest[0].dict();
    for (size_t i = 0; i < dict.keys.size(); ++i)
      if (dict.keys[i].is_text()) attributes.push_back({dict.keys[i].text().bytes, dict.values[i]});
  }
  call.heap().charge(4 * call.named_rest.size());
  for (const NamedValue& named : call.named_rest)
    attributes.push_back({call.heap().keep(named.name), named.value});
  return made;
}

Value make_dict(const Invocation& call) {
  std::vector<Value> keys;
  std::vector<Value> values;
  if (call.rest.size() > 1) throw template_error("dict() takes at most one dict or list of pairs");
  if (!call.rest.empty() && call.rest[0].is(Kind::dict)) {
    const Dict& dict = call.rest[0].dict();
    keys.assign(dict.keys.begin(), dict.keys.end());
    values.assign(dict.values.begin(), dict.values.end());
  } else if (!call.rest.empty()) {
    for (const Value& item : iterate(call.heap(), call.rest[0])) {
      const std::span<const Value> pair = iterate(call.heap(), item);
      if (pair.size() != 2) throw template_error("dict(): expected pairs, found {} elements", pair.size());
      keys.push_back(pair[0]);
      values.push_back(pair[1]);
    }
  }
  for (const NamedValue& named : call.named_rest) {
    keys.push_back(call.heap().text(named.name));
    values.push_back(named.value);
  }
  return call.heap().dict(keys, values);
}

Value raise_exception(const Invocation& call) {
  const Value message = to_text(call.heap(), call.arguments[0]);
  throw Error(Errc::usage, "the chat template refuses this conversation: {}",
              printable(message.text().bytes, 1000));
}

// A format without what names the time zone: the time that templates see has none, as Python's now().
std::string without_zone(std::string_view format) {
  std::string plain;
  for (size_t at = 0; at < format.size(); ++at) {
    const bool is_field = format[at] == '%' && at + 1 < format.size();
    if (is_field && (format[at + 1] == 'Z' || format[at + 1] == 'z')) {
      ++at;
      continue;
    }
    plain += format[at];
    if (is_field) plain += format[++at];
  }
  return plain;
}

Value strftime_now(const Invocation& call) {
  const std::string format(call.text(0));
  if (format.empty()) return call.heap().text("");
  if (format.size() > 256) throw template_error("strftime_now: the format is longer than 256 bytes");
  std::array<char, 4096> buffer;
  const size_t n_bytes =
      std::strftime(buffer.data(), buffer.size(), without_zone(format).c_str(), &call.context.now);
  return call.heap().text({buffer.data(), n_bytes});
}

constexpr std::array<Native, 5> kFunctions = {{{"range", "start stop? step?", make_range},
                                               {"namespace", "...", make_namespace},
                                               {"dict", "...", make_dict},
                                               {"raise_exception", "message", raise_exception},
                                               {"strftime_now", "format", strftime_now}}};

const Native* find_row(std::span<const Native> table, std::string_view name) {
  const auto row =
      std::find_if(table.begin(), table.end(), [&](const Native& native) { return native.name == name; });
  return row == table.end() ? nullptr : &*row;
}

// A negative index counts from the end; nothing where it is outside.
std::optional<size_t> resolve_index(int64_t index, int64_t n_items) {
  if (index < 0) index += n_items;
  if (index < 0 || index >= n_items) return {};
  return static_cast<size_t>(index);
}

Value text_element(Heap& heap, const Text& text, int64_t index) {
  heap.charge(text.bytes.size() / 16);
  const auto position = resolve_index(index, static_cast<int64_t>(n_code_points(text.bytes)));
  if (!position) return {};
  const size_t begin = byte_offset(text.bytes, *position);
  return heap.part(text, begin, first_code_point(text.bytes.substr(begin)).n_bytes);
}

// object[key] where there is such an element, else absent.
Value find_element(Heap& heap, const Value& object, const Value& key) {
  if (object.is(Kind::dict)) {
    const bool is_hashable = key.is_text() || key.is_number() || key.is_none();
    const Value* found = is_hashable ? find(heap, object.dict(), key) : nullptr;
    return found ? *found : Value();
  }
  if (!key.is_integral()) return {};
  if (object.is_text()) return text_element(heap, object.text(), key.integer());
  if (object.is(Kind::range)) {
    const auto position = resolve_index(key.integer(), object.range().n_items);
    return position ? range_item(object.range(), static_cast<int64_t>(*position)) : Value();
  }
  if (!object.is(Kind::sequence) || object.sequence().flavour > Sequence::Flavour::tuple) return {};
  const std::span<const Value> items = object.sequence().items;
  const auto position = resolve_index(key.integer(), static_cast<int64_t>(items.size()));
  return position ? items[*position] : Value();
}

// A method, or an attribute of a namespace or a named tuple; absent where there is none.
Value find_member(Heap& heap, const Value& object, std::string_view name) {
  if (name.starts_with("__") && name.ends_with("__"))
    throw template_error("access to attribute '{}' of '{}' object is unsafe", printable(name),
                         type_name(object));
  if (object.is(Kind::name_space)) {
    const Value* found = find(object.name_space(), name);
    return found ? *found : Value();
  }
  if (object.is(Kind::range)) {
    const Range& range = object.range();
    if (name == "start") return Value(range.start);
    if (name == "stop") return Value(range.stop);
    if (name == "step") return Value(range.step);
  }
  if (object.is(Kind::sequence) && object.sequence().flavour == Sequence::Flavour::tuple) {
    const Sequence& sequence = object.sequence();
    const auto found = std::find(sequence.names.begin(), sequence.names.end(), name);
    if (found != sequence.names.end())
      return sequence.items[static_cast<size_t>(found - sequence.names.begin())];
  }
  if (const Native* method = find_method(object, name))
    return heap.callable({.native = method, .self = object, .macro = nullptr, .scope = nullptr});
  if (is_mutating_method(object, name))
    return heap.missing({Missing::Reason::forbidden, name, type_name(object)});
  return {};
}

}  // namespace

const Native* find_function(std::string_view name) { return find_row(kFunctions, name); }
const Native* find_filter(std::string_view name) {
  const Native* filter = find_row(filter_table(), name);
  return filter ? filter : find_row(list_filter_table(), name);
}
const Native* find_test(std::string_view name) { return find_row(test_table(), name); }

const Native* find_method(const Value& object, std::string_view name) {
  if (object.is_text()) return find_row(text_method_table(), name);
  if (object.is(Kind::dict)) return find_row(dict_method_table(), name);
  const bool has_methods = object.is(Kind::sequence) && object.sequence().flavour <= Sequence::Flavour::tuple;
  return has_methods ? find_row(sequence_method_table(), name) : nullptr;
}

bool is_mutating_method(const Value& object, std::string_view name) {
  constexpr std::array<std::string_view, 8> kList = {"append", "clear",  "extend",  "insert",
                                                     "pop",    "remove", "reverse", "sort"};
  constexpr std::array<std::string_view, 5> kDict = {"clear", "pop", "popitem", "setdefault", "update"};
  if (object.is(Kind::dict)) return std::find(kDict.begin(), kDict.end(), name) != kDict.end();
  const bool is_list = object.is(Kind::sequence) && object.sequence().flavour == Sequence::Flavour::list;
  return is_list && std::find(kList.begin(), kList.end(), name) != kList.end();
}

Value get_element(Heap& heap, const Value& object, const Value& key) {
  require_defined(object);
  const Value element = find_element(heap, object, key);
  if (!element.is_absent()) return element;
  if (key.is_text()) {
    const Value member = find_member(heap, object, key.text().bytes);
    if (!member.is_absent()) return member;
    return heap.missing({Missing::Reason::attribute, key.text().bytes, type_name(object)});
  }
  return heap.missing({Missing::Reason::element, to_text(heap, key).text().bytes, type_name(object)});
}

Value get_attribute(Heap& heap, const Value& object, std::string_view name) {
  require_defined(object);
  const Value member = find_member(heap, object, name);
  if (!member.is_absent()) return member;
  if (object.is(Kind::dict))
    if (const Value* element = find(object.dict(), name)) return *element;
  return heap.missing({Missing::Reason::attribute, name, type_name(object)});
}

int64_t Invocation::integer(size_t i, std::optional<int64_t> fallback) const {
  if (!has(i) && fallback) return *fallback;
  require_defined(arguments[i]);
  if (!arguments[i].is_integral())
    throw template_error("{}: '{}' object cannot be interpreted as an integer", native.name,
                         type_name(arguments[i]));
  return arguments[i].integer();
}

std::string_view Invocation::text(size_t i, std::optional<std::string_view> fallback) const {
  if (!has(i) && fallback) return *fallback;
  require_defined(arguments[i]);
  if (!arguments[i].is_text())
    throw template_error("{}: expected a string, found {}", native.name, type_name(arguments[i]));
  return arguments[i].text().bytes;
}

Value invoke(Context& context, const Native& native, const Value& subject, std::span<const Value> positional,
             std::span<const NamedValue> named) {
  constexpr size_t kMostParameters = 5;
  std::array<Value, kMostParameters> bound;
  std::array<std::string_view, kMostParameters> names;
  size_t n_parameters = 0;
  size_t n_required = 0;  // they come first
  bool takes_rest = false;
  for (std::string_view left = native.parameters; !left.empty();) {
    const size_t n_bytes = std::min(left.find(' '), left.size());
    const std::string_view name = left.substr(0, n_bytes);
    left.remove_prefix(std::min(n_bytes + 1, left.size()));
    if (name == "...") {
      takes_rest = true;
      continue;
    }
    RUVLLM_ASSERT(n_parameters < kMostParameters);
    n_required += name.ends_with('?') ? 0 : 1;
    names[n_parameters++] = name.substr(0, name.size() - (name.ends_with('?') ? 1 : 0));
  }
  const size_t n_bound = std::min(positional.size(), n_parameters);
  std::copy_n(positional.begin(), n_bound, bound.begin());
  if (positional.size() > n_parameters && !takes_rest)
    throw template_error("{}() takes at most {} arguments ({} given)", native.name, n_parameters,
                         positional.size());
  std::vector<NamedValue> named_rest;
  for (const NamedValue& argument : named) {
    const auto* slot = std::find(names.begin(), names.begin() + n_parameters, argument.name);
    const auto i = static_cast<size_t>(slot - names.begin());
    if (i < n_parameters && bound[i].is_absent()) {
      bound[i] = argument.value;
    } else if (i >= n_parameters && takes_rest) {
      named_rest.push_back(argument);
    } else {
      throw template_error("{}() got an unexpected argument '{}'", native.name, printable(argument.name));
    }
  }
  for (size_t i = 0; i < n_required; ++i)
    if (bound[i].is_absent()) throw template_error("{}() lacks its argument '{}'", native.name, names[i]);
  return native.function(Invocation{.context = context,
                                    .native = native,
                                    .subject = subject,
                                    .arguments = std::span(bound).first(n_parameters),
                                    .rest = positional.subspan(n_bound),
                                    .named_rest = named_rest});
}

}  // namespace ruvllm::text::jinja
