// The filters of `value|FILTER` for lists and what can be looped over; filters.cpp has the others.
#include "base/strings.h"
#include "base/utf8.h"
#include "text/jinja/arithmetic.h"
#include "text/jinja/builtins.h"
#include "text/jinja/print.h"
#include "text/jinja/text_ops.h"

#include <algorithm>
#include <array>

namespace ruvllm::text::jinja {
namespace {

// item.a.b.0, as filters name attributes. What a step doesn't find is `fallback`, where there is one.
Value attribute_path(Heap& heap, Value item, const Value& path, const Value& fallback = {}) {
  const auto step = [&](const Value& key) {
    item = get_element(heap, item, key);
    if (item.is_undefined() && !fallback.is_absent() && !fallback.is_none()) item = fallback;
  };
  if (path.is_integral()) {
    step(path);
    return item;
  }
  if (!path.is_text()) throw template_error("an attribute is named by a string, not {}", type_name(path));
  for (const std::string_view part : split(path.text().bytes, '.')) {
    heap.charge(1);
    const std::optional<int64_t> index = parse_integer(part);
    step(index ? Value(*index) : heap.text(part));
  }
  return item;
}

// What values are compared by: an attribute of theirs, texts without case.
Value sort_key(Heap& heap, const Value& item, const Value& attribute, bool case_sensitive,
               const Value& fallback = {}) {
  const Value key =
      attribute.is_absent() || attribute.is_none() ? item : attribute_path(heap, item, attribute, fallback);
  return key.is_text() && !case_sensitive ? change_case(heap, key.text(), LetterCase::lower) : key;
}

struct Keyed {
  Value key;
  Value item;
};

std::vector<Keyed> with_keys(Heap& heap, const Value& subject, const Value& attribute, bool case_sensitive) {
  std::vector<Keyed> keyed;
  for (const Value& item : iterate(heap, subject))
    keyed.push_back({sort_key(heap, item, attribute, case_sensitive), item});
  return keyed;
}

void sort_by_key(Heap& heap, std::vector<Keyed>& keyed, bool reverse) {
  std::stable_sort(keyed.begin(), keyed.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? less(heap, b.key, a.key) : less(heap, a.key, b.key);
  });
}

Value items_of(Heap& heap, const std::vector<Keyed>& keyed) {
  std::vector<Value> items;
  for (const Keyed& each : keyed) items.push_back(each.item);
  return heap.list(items);
}

// "a,b": by several attributes, the first one first.
std::vector<Keyed> with_key_lists(Heap& heap, const Value& subject, std::string_view attributes,
                                  bool case_sensitive) {
  std::vector<Keyed> keyed;
  for (const Value& item : iterate(heap, subject)) {
    std::vector<Value> keys;
    for (const std::string_view attribute : split(attributes, ','))
      keys.push_back(sort_key(heap, item, heap.text(attribute), case_sensitive));
    keyed.push_back({heap.list(keys), item});
  }
  return keyed;
}

Value filter_sort(const Invocation& call) {
  const Value& attribute = call.arguments[2];
  const bool has_several = attribute.is_text() && attribute.text().bytes.find(',') != std::string_view::npos;
  std::vector<Keyed> keyed =
      has_several ? with_key_lists(call.heap(), call.subject, attribute.text().bytes, call.boolean(1, false))
                  : with_keys(call.heap(), call.subject, attribute, call.boolean(1, false));
  sort_by_key(call.heap(), keyed, call.boolean(0, false));
  return items_of(call.heap(), keyed);
}

void require_hashable(const Value& key) {
  const bool changes =
      key.is(Kind::dict) || (key.is(Kind::sequence) && key.sequence().flavour == Sequence::Flavour::list);
  if (changes) throw template_error("unhashable type: '{}'", type_name(key));
}

Value filter_unique(const Invocation& call) {
  std::vector<Value> seen_keys;
  std::vector<Value> items;
  for (const Keyed& each : with_keys(call.heap(), call.subject, call.arguments[1], call.boolean(0, false))) {
    require_hashable(each.key);
    const bool is_new = std::none_of(seen_keys.begin(), seen_keys.end(),
                                     [&](const Value& seen) { return equal(call.heap(), seen, each.key); });
    if (!is_new) continue;
    seen_keys.push_back(each.key);
    items.push_back(each.item);
  }
  return call.heap().sequence(items, Sequence::Flavour::generator);
}

template <bool greatest>
Value filter_extreme(const Invocation& call) {
  const std::vector<Keyed> keyed =
      with_keys(call.heap(), call.subject, call.arguments[1], call.boolean(0, false));
  if (keyed.empty()) return call.heap().missing({Missing::Reason::element, "0", "empty sequence"});
  const Keyed* best = keyed.data();
  for (const Keyed& each : keyed)
    if (greatest ? less(call.heap(), best->key, each.key) : less(call.heap(), each.key, best->key))
      best = &each;
  return best->item;
}

constexpr std::array<std::string_view, 2> kGroupNames = {"grouper", "list"};

Value filter_groupby(const Invocation& call) {
  Heap& heap = call.heap();
  std::vector<Keyed> keyed;
  for (const Value& item : iterate(heap, call.subject))
    keyed.push_back(
        {sort_key(heap, item, call.arguments[0], call.boolean(2, false), call.arguments[1]), item});
  sort_by_key(heap, keyed, false);
  std::vector<Value> groups;
  for (size_t begin = 0; begin < keyed.size();) {
    size_t end = begin + 1;
    while (end < keyed.size() && equal(heap, keyed[begin].key, keyed[end].key)) ++end;
    const std::vector<Keyed> group(keyed.begin() + static_cast<std::ptrdiff_t>(begin),
                                   keyed.begin() + static_cast<std::ptrdiff_t>(end));
    const Value key = call.boolean(2, false)
                          ? keyed[begin].key
                          : attribute_path(heap, keyed[begin].item, call.arguments[0], call.arguments[1]);
    groups.push_back(
        heap.named(std::array{key, items_of(heap, group)}, Sequence::Flavour::tuple, kGroupNames));
    begin = end;
  }
  return heap.list(groups);
}

Value filter_dictsort(const Invocation& call) {
  Heap& heap = call.heap();
  require_defined(call.subject);
  if (!call.subject.is(Kind::dict))
    throw template_error("dictsort: expected a dict, found {}", type_name(call.subject));
  const std::string_view by = call.text(1, "key");
  if (by != "key" && by != "value") throw template_error("dictsort: 'by' is 'key' or 'value'");
  const Dict& dict = call.subject.dict();
  std::vector<Keyed> keyed;
  for (size_t i = 0; i < dict.keys.size(); ++i)
    keyed.push_back({sort_key(heap, by == "key" ? dict.keys[i] : dict.values[i], {}, call.boolean(0, false)),
                     heap.sequence(std::array{dict.keys[i], dict.values[i]}, Sequence::Flavour::tuple)});
  sort_by_key(heap, keyed, call.boolean(2, false));
  return items_of(heap, keyed);
}

Value filter_items(const Invocation& call) {
  if (call.subject.is_undefined()) return call.heap().sequence({}, Sequence::Flavour::generator);
  if (!call.subject.is(Kind::dict)) throw template_error("items: can only get item pairs from a mapping");
  return invoke(call.context, *find_method(call.subject, "items"), call.subject, {}, {});
}

Value filter_first(const Invocation& call) {
  const std::span<const Value> items = iterate(call.heap(), call.subject);
  return items.empty() ? call.heap().missing({Missing::Reason::element, "0", "empty sequence"})
                       : items.front();
}

Value filter_last(const Invocation& call) {
  if (call.subject.is(Kind::sequence) && call.subject.sequence().flavour == Sequence::Flavour::generator)
    throw template_error("'generator' object is not reversible");
  const std::span<const Value> items = iterate(call.heap(), call.subject);
  return items.empty() ? call.heap().missing({Missing::Reason::element, "-1", "empty sequence"})
                       : items.back();
}

Value filter_length(const Invocation& call) { return Value(length(call.subject)); }
Value filter_list(const Invocation& call) { return call.heap().list(iterate(call.heap(), call.subject)); }

Value filter_reverse(const Invocation& call) {
  const std::span<const Value> items = iterate(call.heap(), call.subject);
  const std::vector<Value> reversed(items.rbegin(), items.rend());
  if (!call.subject.is_text()) return call.heap().sequence(reversed, Sequence::Flavour::generator);
  return join(call.heap(), Text{}, reversed);
}

Value filter_join(const Invocation& call) {
  Heap& heap = call.heap();
  std::vector<Value> texts;
  for (const Value& item : iterate(heap, call.subject))
    texts.push_back(to_text(heap, call.has(1) ? attribute_path(heap, item, call.arguments[1]) : item));
  const Value separator = call.has(0) ? to_text(heap, call.arguments[0]) : heap.text("");
  return join(heap, separator.text(), texts);
}

Value filter_sum(const Invocation& call) {
  Value sum = call.has(1) ? call.arguments[1] : Value(int64_t{0});
  for (const Value& item : iterate(call.heap(), call.subject)) {
    const Value term = call.has(0) && !call.arguments[0].is_none()
                           ? attribute_path(call.heap(), item, call.arguments[0])
                           : item;
    require_defined(term);
    if (sum.is_text()) throw template_error("sum: can't sum strings; use join");
    sum = apply(call.heap(), Operator::add, sum, term);
  }
  return sum;
}

Value filter_batch(const Invocation& call) {
  Heap& heap = call.heap();
  const int64_t n_each = call.integer(0);
  if (n_each < 1) throw template_error("batch: expected a positive number");
  std::vector<Value> batches;
  std::vector<Value> batch;
  const std::span<const Value> items = iterate(heap, call.subject);
  for (size_t i = 0; i < items.size(); ++i) {
    batch.push_back(items[i]);
    const bool is_last = i + 1 == items.size();
    if (is_last && call.has(1) && !call.arguments[1].is_none()) {
      heap.charge(static_cast<uint64_t>(n_each));
      batch.resize(static_cast<size_t>(n_each), call.arguments[1]);
    }
    if (!is_last && static_cast<int64_t>(batch.size()) < n_each) continue;
    batches.push_back(heap.list(batch));
    batch.clear();
  }
  return heap.sequence(batches, Sequence::Flavour::generator);
}

Value filter_slice(const Invocation& call) {
  Heap& heap = call.heap();
  const int64_t n_slices = call.integer(0);
  if (n_slices < 1) throw template_error("slice: expected a positive number");
  heap.charge(static_cast<uint64_t>(n_slices));
  const std::span<const Value> items = iterate(heap, call.subject);
  const size_t n_each = items.size() / static_cast<size_t>(n_slices);
  const size_t n_longer = items.size() % static_cast<size_t>(n_slices);
  std::vector<Value> slices;
  for (size_t i = 0, begin = 0; i < static_cast<size_t>(n_slices); ++i) {
    const size_t n_here = n_each + (i < n_longer ? 1 : 0);
    std::vector<Value> slice(items.begin() + static_cast<std::ptrdiff_t>(begin),
                             items.begin() + static_cast<std::ptrdiff_t>(begin + n_here));
    if (call.has(1) && i >= n_longer && n_longer > 0) slice.push_back(call.arguments[1]);
    slices.push_back(heap.list(slice));
    begin += n_here;
  }
  return heap.sequence(slices, Sequence::Flavour::generator);
}

// What map, select and their kin make of anything that counts as false (none, undefined, 0): nothing,
// whatever their arguments.
Value no_items(Heap& heap) { return heap.sequence({}, Sequence::Flavour::generator); }

Value filter_map(const Invocation& call) {
  Heap& heap = call.heap();
  if (!is_true(call.subject)) return no_items(heap);
  std::vector<Value> mapped;
  if (call.rest.empty()) {
    const auto find_named = [&](std::string_view name) -> const Value* {
      for (const NamedValue& named : call.named_rest)
        if (named.name == name) return &named.value;
      return nullptr;
    };
    const Value* attribute = find_named("attribute");
    if (!attribute) throw template_error("map requires a filter argument");
    const Value* fallback = find_named("default");
    for (const NamedValue& named : call.named_rest)
      if (named.name != "attribute" && named.name != "default")
        throw template_error("map: unexpected argument '{}'", printable(named.name));
    for (const Value& item : iterate(heap, call.subject))
      mapped.push_back(attribute_path(heap, item, *attribute, fallback ? *fallback : Value()));
  } else {
    const Value name = to_text(heap, call.rest[0]);
    const Native* filter = find_filter(name.text().bytes);
    if (!filter) throw template_error("no filter named '{}'", printable(name.text().bytes));
    for (const Value& item : iterate(heap, call.subject))
      mapped.push_back(invoke(call.context, *filter, item, call.rest.subspan(1), call.named_rest));
  }
  return heap.sequence(mapped, Sequence::Flavour::generator);
}

// select, reject, selectattr, rejectattr: keep the items (or those with an attribute) whose test gives
// `wanted`.
template <bool by_attribute, bool wanted>
Value filter_select(const Invocation& call) {
  Heap& heap = call.heap();
  if (!is_true(call.subject)) return no_items(heap);
  std::span<const Value> arguments = call.rest;
  Value attribute;
  if (by_attribute) {
    if (arguments.empty()) throw template_error("{} requires an attribute", call.native.name);
    attribute = arguments.front();
    arguments = arguments.subspan(1);
  }
  const Native* test = nullptr;
  if (!arguments.empty()) {
    const Value name = to_text(heap, arguments.front());
    test = find_test(name.text().bytes);
    if (!test) throw template_error("no test named '{}'", printable(name.text().bytes));
    arguments = arguments.subspan(1);
  }
  std::vector<Value> kept;
  for (const Value& item : iterate(heap, call.subject)) {
    heap.charge(2);
    const Value value = by_attribute ? attribute_path(heap, item, attribute) : item;
    const Value verdict = test ? invoke(call.context, *test, value, arguments, call.named_rest) : value;
    if (is_true(verdict) == wanted) kept.push_back(item);
  }
  return heap.sequence(kept, Sequence::Flavour::generator);
}

constexpr std::array<Native, 22> kListFilters = {{
    {"batch", "linecount fill_with?", filter_batch},
    {"count", "", filter_length},
    {"dictsort", "case_sensitive? by? reverse?", filter_dictsort},
    {"first", "", filter_first},
    {"groupby", "attribute default? case_sensitive?", filter_groupby},
    {"items", "", filter_items},
    {"join", "d? attribute?", filter_join},
    {"last", "", filter_last},
    {"length", "", filter_length},
    {"list", "", filter_list},
    {"map", "...", filter_map},
    {"max", "case_sensitive? attribute?", filter_extreme<true>},
    {"min", "case_sensitive? attribute?", filter_extreme<false>},
    {"reject", "...", filter_select<false, false>},
    {"rejectattr", "...", filter_select<true, false>},
    {"reverse", "", filter_reverse},
    {"select", "...", filter_select<false, true>},
    {"selectattr", "...", filter_select<true, true>},
    {"slice", "slices fill_with?", filter_slice},
    {"sort", "reverse? case_sensitive? attribute?", filter_sort},
    {"sum", "attribute? start?", filter_sum},
    {"unique", "case_sensitive? attribute?", filter_unique},
}};

}  // namespace

std::span<const Native> list_filter_table() { return kListFilters; }

}  // namespace ruvllm::text::jinja
