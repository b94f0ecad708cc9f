#include "text/jinja/value.h"

#include "base/limits.h"
#include "base/utf8.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>  // memmem, of glibc and musl
#include <functional>

namespace ruvllm::text::jinja {
namespace {

// Values nest at most this deep: JSON's own limit plus what a template may wrap around it.
constexpr int kValueDepth = limits::kJsonDepth + limits::kTemplateDepth;
// Smaller dicts are searched front to back.
constexpr size_t kSmallDict = 8;

int depth_of(const Value& value) {
  if (value.is(Kind::sequence)) return value.sequence().depth;
  return value.is(Kind::dict) ? value.dict().depth : 0;
}

uint16_t depth_around(std::span<const Value> items) {
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, depth_of(item));
  if (depth >= kValueDepth) throw template_error("lists and dicts nest more than {} deep", kValueDepth);
  return static_cast<uint16_t>(depth + 1);
}

size_t hash_of(const Value& key) {
  switch (key.kind()) {
    case Kind::text:
      return std::hash<std::string_view>()(key.text().bytes);
    case Kind::boolean:
    case Kind::integer:
    case Kind::real:
      return std::hash<double>()(key.number());
    case Kind::none:
    case Kind::undefined:
      return 0;
    default:
      throw template_error("unhashable type: '{}'", type_name(key));
  }
}

// Whether two keys are the same: `equal` for the kinds that hash_of takes.
bool same_key(const Value& a, const Value& b) {
  if (a.is_text() && b.is_text()) return a.text().bytes == b.text().bytes;
  if (a.is_number() && b.is_number()) return a.number() == b.number();
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

// Position of a key in an open-addressed table, or of the free bucket where it would go.
size_t bucket_of(std::span<const uint32_t> buckets, std::span<const Value> keys, const Value& key) {
  size_t bucket = hash_of(key) & (buckets.size() - 1);
  while (buckets[bucket] != 0 && !same_key(keys[buckets[bucket] - 1], key))
    bucket = (bucket + 1) & (buckets.size() - 1);
  return bucket;
}

// Roles are words of the chat protocol, not free text: templates spell control tokens with them ("<|" + role
// + "|>").
bool is_role_name(std::string_view text) {
  constexpr std::array<std::string_view, 9> kRoles = {
      "system", "developer", "user", "assistant", "tool", "model", "function", "ipython", "tool_response"};
  return std::find(kRoles.begin(), kRoles.end(), text) != kRoles.end();
}

bool equal_items(Heap& heap, std::span<const Value> a, std::span<const Value> b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (!equal(heap, a[i], b[i])) return false;
  return true;
}

}  // namespace

void Heap::fail_exhausted() {
  throw template_error("too much work: stopped after {} steps", limits::kTemplateSteps);
}

template <typename T>
std::span<const T> Heap::copy(std::span<const T> items) {
  if (items.empty()) return {};
  charge(1 + items.size_bytes() / kBytesPerStep);
  T* const memory = std::pmr::polymorphic_allocator<T>(&memory_).allocate(items.size());
  std::uninitialized_copy(items.begin(), items.end(), memory);
  return {memory, items.size()};
}

std::string_view Heap::keep(std::string_view bytes) {
  const std::span<const char> kept = copy(std::span<const char>(bytes));
  return {kept.data(), kept.size()};
}

Value Heap::text(std::string_view bytes, bool from_input) {
  return Value(make<Text>(Text{.bytes = keep(bytes), .marks = {}, .from_input = from_input}));
}

Value Heap::text(const Text& text) { return Value(make<Text>(text)); }

Value Heap::part(const Text& whole, size_t begin, size_t n_bytes) {
  Text part = whole;
  part.bytes = whole.bytes.substr(begin, n_bytes);
  if (!whole.marks.empty()) part.marks = whole.marks.substr(begin, n_bytes);
  return Value(make<Text>(part));
}

Value Heap::share(std::span<const Value> items, Sequence::Flavour flavour) {
  return Value(make<Sequence>(Sequence{.flavour = flavour, .depth = depth_around(items), .items = items}));
}

Value Heap::sequence(std::span<const Value> items, Sequence::Flavour flavour) {
  return share(copy(items), flavour);
}

Value Heap::named(std::span<const Value> items, Sequence::Flavour flavour,
                  std::span<const std::string_view> names) {
  return Value(make<Sequence>(
      Sequence{.flavour = flavour, .depth = depth_around(items), .items = copy(items), .names = names}));
}

Value Heap::dict(std::span<const Value> keys, std::span<const Value> values) {
  RUVLLM_ASSERT(keys.size() == values.size());
  size_t n_buckets = 1;
  while (n_buckets < 2 * keys.size()) n_buckets *= 2;
  charge(n_buckets);
  std::vector<uint32_t> buckets(n_buckets);
  std::vector<Value> unique_keys;
  std::vector<Value> unique_values;
  for (size_t i = 0; i < keys.size(); ++i) {
    uint32_t& bucket = buckets[bucket_of(buckets, unique_keys, keys[i])];
    if (bucket != 0) {
      unique_values[bucket - 1] = values[i];
      continue;
    }
    unique_keys.push_back(keys[i]);
    unique_values.push_back(values[i]);
    bucket = static_cast<uint32_t>(unique_keys.size());
  }
  Dict& dict = make<Dict>();
  dict.depth = depth_around(unique_values);
  dict.keys = copy(std::span<const Value>(unique_keys));
  dict.values = copy(std::span<const Value>(unique_values));
  if (unique_keys.size() > kSmallDict) dict.buckets = copy(std::span<const uint32_t>(buckets));
  return Value(dict);
}

Value Heap::missing(const Missing& missing) { return Value(make<Missing>(missing)); }
Value Heap::range(const Range& range) { return Value(make<Range>(range)); }
Value Heap::name_space() { return Value(make<Namespace>(memory_)); }
Value Heap::callable(const Callable& callable) { return Value(make<Callable>(callable)); }

Value Heap::from_json(const OrderedJson& json, bool from_input) { return from_json(json, from_input, 0); }

Value Heap::from_json(const OrderedJson& json, bool from_input, int depth) {
  if (depth > limits::kJsonDepth) throw template_error("input nests more than {} deep", limits::kJsonDepth);
  constexpr uint64_t kStepsPerItem = 16;
  steps_left_ += kStepsPerItem;
  using Type = OrderedJson::value_t;
  switch (json.type()) {
    case Type::boolean:
      return Value(json.get<bool>());
    case Type::number_integer:
      return Value(json.get<int64_t>());
    case Type::number_unsigned:
      if (json.get<uint64_t>() > INT64_MAX)
        throw template_error("the integer {} is too large", json.get<uint64_t>());
      return Value(json.get<int64_t>());
    case Type::number_float:
      return Value(json.get<double>());
    case Type::string: {
      const std::string& bytes = json.get_ref<const std::string&>();
      n_input_bytes_ += bytes.size();
      steps_left_ += bytes.size();
      return text(bytes, from_input);
    }
    case Type::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const OrderedJson& item : json) items.push_back(from_json(item, from_input, depth + 1));
      return list(items);
    }
    case Type::object: {
      std::vector<Value> keys;
      std::vector<Value> values;
      for (const auto& [key, item] : json.items()) {
        steps_left_ += kStepsPerItem + key.size();
        n_input_bytes_ += key.size();
        keys.push_back(text(key, from_input));
        const bool is_role =
            key == "role" && item.is_string() && is_role_name(item.get_ref<const std::string&>());
        values.push_back(from_json(item, from_input && !is_role, depth + 1));
      }
      return dict(keys, values);
    }
    default:
      return Value::none();
  }
}

void TextBuilder::append(std::string_view bytes, bool from_input) {
  append(Text{.bytes = bytes, .marks = {}, .from_input = from_input});
}

void TextBuilder::append(const Text& text) {
  if (text.bytes.empty()) return;
  if (bytes_.empty() && text.marks.empty()) from_input_ = text.from_input;
  const bool alike = marks_.empty() && text.marks.empty() && text.from_input == from_input_;
  if (!alike) {
    if (marks_.empty()) marks_.assign(bytes_.size(), from_input_ ? '\1' : '\0');
    if (text.marks.empty()) {
      marks_.append(text.bytes.size(), text.from_input ? '\1' : '\0');
    } else {
      marks_ += text.marks;
    }
  }
  bytes_ += text.bytes;
}

Value TextBuilder::finish(Heap& heap, bool markup) {
  const Text text{
      .bytes = heap.keep(bytes_), .marks = heap.keep(marks_), .from_input = from_input_, .markup = markup};
  bytes_.clear();
  marks_.clear();
  from_input_ = false;
  return heap.text(text);
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      return "Undefined";
    case Kind::none:
      return "NoneType";
    case Kind::boolean:
      return "bool";
    case Kind::integer:
      return "int";
    case Kind::real:
      return "float";
    case Kind::text:
      return "str";
    case Kind::sequence: {
      constexpr std::array<std::string_view, 4> kNames = {"list", "tuple", "generator", "dict view"};
      return kNames[static_cast<size_t>(value.sequence().flavour)];
    }
    case Kind::dict:
      return "dict";
    case Kind::range:
      return "range";
    case Kind::name_space:
      return "Namespace";
    case Kind::callable:
      return value.callable().macro ? "Macro" : "function";
    case Kind::loop:
      return "LoopContext";
  }
  return "object";
}

void require_defined(const Value& value) {
  if (!value.is_undefined()) return;
  if (value.is_absent()) throw template_error("an argument is missing");
  const Missing& missing = value.missing();
  switch (missing.reason) {
    case Missing::Reason::variable:
      throw template_error("'{}' is undefined", printable(missing.name));
    case Missing::Reason::attribute:
      throw template_error("'{} object' has no attribute '{}'", missing.owner, printable(missing.name));
    case Missing::Reason::element:
      throw template_error("{} object has no element {}", missing.owner, printable(missing.name));
    case Missing::Reason::parameter:
      throw template_error("parameter '{}' was not provided", printable(missing.name));
    case Missing::Reason::forbidden:
      throw template_error("access to attribute '{}' of '{}' object is unsafe", printable(missing.name),
                           missing.owner);
  }
}

bool is_true(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
    case Kind::none:
      return false;
    case Kind::boolean:
      return value.boolean();
    case Kind::integer:
      return value.integer() != 0;
    case Kind::real:
      return value.number() != 0;
    case Kind::text:
      return !value.text().bytes.empty();
    case Kind::sequence:
      return value.sequence().flavour == Sequence::Flavour::generator || !value.sequence().items.empty();
    case Kind::dict:
      return !value.dict().keys.empty();
    case Kind::range:
      return value.range().n_items > 0;
    default:
      return true;
  }
}

bool equal(Heap& heap, const Value& a, const Value& b) {
  heap.charge(1);
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return a.integer() == b.integer();
    return a.number() == b.number();
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::undefined:
    case Kind::none:
      return true;
    case Kind::text:
      heap.charge(a.text().bytes.size() / 64);
      return a.text().bytes == b.text().bytes;
    case Kind::sequence:
      return a.sequence().flavour == b.sequence().flavour &&
             equal_items(heap, a.sequence().items, b.sequence().items);
    case Kind::dict: {
      if (a.dict().keys.size() != b.dict().keys.size()) return false;
      for (size_t i = 0; i < a.dict().keys.size(); ++i) {
        const Value* other = find(heap, b.dict(), a.dict().keys[i]);
        if (!other || !equal(heap, a.dict().values[i], *other)) return false;
      }
      return true;
    }
    case Kind::range:
      return a.range().start == b.range().start && a.range().n_items == b.range().n_items &&
             a.range().step == b.range().step;
    case Kind::name_space:
      return &a.name_space() == &b.name_space();
    case Kind::callable:
      return &a.callable() == &b.callable();
    default:
      return &a.loop() == &b.loop();
  }
}

bool less(Heap& heap, const Value& a, const Value& b) {
  heap.charge(1);
  if (a.is_integral() && b.is_integral()) return a.integer() < b.integer();
  if (a.is_number() && b.is_number()) return a.number() < b.number();
  require_defined(a);
  require_defined(b);
  if (a.is_text() && b.is_text()) {
    heap.charge(std::min(a.text().bytes.size(), b.text().bytes.size()) / 64);
    return a.text().bytes < b.text().bytes;
  }
  if (a.is(Kind::sequence) && b.is(Kind::sequence) && a.sequence().flavour == b.sequence().flavour) {
    const std::span<const Value> left = a.sequence().items;
    const std::span<const Value> right = b.sequence().items;
    for (size_t i = 0; i < std::min(left.size(), right.size()); ++i)
      if (!equal(heap, left[i], right[i])) return less(heap, left[i], right[i]);
    return left.size() < right.size();
  }
  throw template_error("'<' not supported between instances of '{}' and '{}'", type_name(a), type_name(b));
}

bool contains(Heap& heap, const Value& haystack, const Value& needle) {
  if (haystack.is_text()) {
    if (!needle.is_text())
      throw template_error("'in <string>' requires string as left operand, not {}", type_name(needle));
    heap.charge(haystack.text().bytes.size() / 4);
    return find_text(haystack.text().bytes, needle.text().bytes) != std::string_view::npos;
  }
  if (haystack.is(Kind::dict)) return find(heap, haystack.dict(), needle) != nullptr;
  if (haystack.is(Kind::range)) {
    const Range& range = haystack.range();
    if (!needle.is_integral()) return false;
    const int64_t distance = needle.integer() - range.start;
    return distance % range.step == 0 && distance / range.step >= 0 && distance / range.step < range.n_items;
  }
  if (!haystack.is(Kind::sequence) && !haystack.is_undefined())
    throw template_error("argument of type '{}' is not iterable", type_name(haystack));
  for (const Value& item : iterate(heap, haystack))
    if (equal(heap, item, needle)) return true;
  return false;
}

int64_t length(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      if (!value.is_absent()) return 0;
      break;
    case Kind::text:
      return static_cast<int64_t>(n_code_points(value.text().bytes));
    case Kind::sequence:
      if (value.sequence().flavour == Sequence::Flavour::generator) break;
      return static_cast<int64_t>(value.sequence().items.size());
    case Kind::dict:
      return static_cast<int64_t>(value.dict().keys.size());
    case Kind::range:
      return value.range().n_items;
    default:
      break;
  }
  throw template_error("object of type '{}' has no len()", type_name(value));
}

int64_t whole_number(const Value& value) {
  if (value.is_integral()) return value.integer();
  const double number = std::trunc(value.number());
  if (!(std::fabs(number) < 0x1p63)) throw template_error("cannot convert {} to an integer", value.number());
  return static_cast<int64_t>(number);
}

Value range_item(const Range& range, int64_t i) { return Value(range.start + i * range.step); }

std::span<const Value> iterate(Heap& heap, const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      if (!value.is_absent()) return {};
      break;
    case Kind::text: {
      std::vector<Value> characters;
      const std::string_view bytes = value.text().bytes;
      for (size_t at = 0; at < bytes.size();) {
        const size_t n_bytes = first_code_point(bytes.substr(at)).n_bytes;
        characters.push_back(heap.part(value.text(), at, n_bytes));
        at += n_bytes;
      }
      return heap.list(characters).sequence().items;
    }
    case Kind::sequence: {
      const Sequence& sequence = value.sequence();
      if (sequence.flavour != Sequence::Flavour::generator) return sequence.items;
      return std::exchange(sequence.spent, true) ? std::span<const Value>() : sequence.items;
    }
    case Kind::dict:
      return value.dict().keys;
    case Kind::range: {
      const Range& range = value.range();
      heap.charge(static_cast<uint64_t>(range.n_items));
      std::vector<Value> items;
      for (int64_t i = 0; i < range.n_items; ++i) items.push_back(range_item(range, i));
      return heap.list(items).sequence().items;
    }
    default:
      break;
  }
  throw template_error("'{}' object is not iterable", type_name(value));
}

const Value* find(Heap& heap, const Dict& dict, const Value& key) {
  heap.charge(1);
  hash_of(key);  // throws for what can't be a key
  if (!dict.buckets.empty()) {
    const uint32_t bucket = dict.buckets[bucket_of(dict.buckets, dict.keys, key)];
    return bucket ? &dict.values[bucket - 1] : nullptr;
  }
  for (size_t i = 0; i < dict.keys.size(); ++i)
    if (same_key(dict.keys[i], key)) return &dict.values[i];
  return nullptr;
}

const Value* find(const Dict& dict, std::string_view key) {
  const Text text{.bytes = key, .marks = {}};
  if (!dict.buckets.empty()) {
    const uint32_t bucket = dict.buckets[bucket_of(dict.buckets, dict.keys, Value(text))];
    return bucket ? &dict.values[bucket - 1] : nullptr;
  }
  for (size_t i = 0; i < dict.keys.size(); ++i)
    if (dict.keys[i].is_text() && dict.keys[i].text().bytes == key) return &dict.values[i];
  return nullptr;
}

const Value* find(const Namespace& name_space, std::string_view name) {
  for (const Namespace::Attribute& attribute : name_space.attributes)
    if (attribute.name == name) return &attribute.value;
  return nullptr;
}

size_t find_text(std::string_view whole, std::string_view part, size_t from) {
  if (from > whole.size()) return std::string_view::npos;
  const void* found = memmem(whole.data() + from, whole.size() - from, part.data(), part.size());
  return found ? static_cast<size_t>(static_cast<const char*>(found) - whole.data()) : std::string_view::npos;
}

size_t n_code_points(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
}

size_t byte_offset(std::string_view text, size_t index) {
  size_t at = 0;
  while (at < text.size() && index > 0) {
    ++at;
    while (at < text.size() && (text[at] & 0xC0) == 0x80) ++at;
    --index;
  }
  return at;
}

bool is_space(uint32_t code_point) {
  return (code_point >= 0x09 && code_point <= 0x0D) || (code_point >= 0x1C && code_point <= 0x20) ||
         code_point == 0x85 || code_point == 0xA0 || code_point == 0x1680 ||
         (code_point >= 0x2000 && code_point <= 0x200A) || code_point == 0x2028 || code_point == 0x2029 ||
         code_point == 0x202F || code_point == 0x205F || code_point == 0x3000;
}

std::string_view strip_left(std::string_view text) {
  while (!text.empty()) {
    const CodePoint first = first_code_point(text);
    if (!is_space(first.value)) break;
    text.remove_prefix(first.n_bytes);
  }
  return text;
}

std::string_view strip_right(std::string_view text) {
  while (!text.empty()) {
    size_t last = text.size() - 1;
    while (last > 0 && (text[last] & 0xC0) == 0x80) --last;
    if (!is_space(first_code_point(text.substr(last)).value)) break;
    text.remove_suffix(text.size() - last);
  }
  return text;
}

}  // namespace ruvllm::text::jinja
