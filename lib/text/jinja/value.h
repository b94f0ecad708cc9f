// Values of the template language, and the heap they live on.
//
// A Value is 16 bytes and copied freely: small things by value, the rest as a handle to an object on the Heap
// of the rendering, which frees everything at once when the rendering ends. So there is no counting, no cycle
// that leaks and no destructor that recurses. Objects never change after they are made (Jinja's immutable
// sandbox), but for namespaces, loop state and spent generators.
//
// Every text knows which of its bytes came from the caller's input (messages, tools) and which from the
// template: the tokenizer takes special tokens only in the latter (injection of control tokens by message
// text). Semantics follow Python and Jinja2 3.1 as Hugging Face sets it up. Tested by
// tests/text/jinja_*_test.cpp.
#pragma once

#include "base/error.h"
#include "base/json.h"

#include <cstdint>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::text::jinja {

struct Text;
struct Sequence;
struct Dict;
struct Range;
struct Namespace;
struct Callable;
struct LoopState;
struct Missing;
struct Native;
struct Macro;
struct Scope;
class Heap;

enum class Kind : uint8_t {
  undefined,
  none,
  boolean,
  integer,
  real,
  text,
  sequence,
  dict,
  range,
  name_space,
  callable,
  loop,
};

class Value {
 public:
  /// Nothing at all: an argument that was not given.
  Value() = default;
  explicit Value(bool value) : kind_(Kind::boolean), boolean_(value) {}
  explicit Value(int64_t value) : kind_(Kind::integer), integer_(value) {}
  explicit Value(double value) : kind_(Kind::real), real_(value) {}
  explicit Value(const Text& value) : kind_(Kind::text), text_(&value) {}
  explicit Value(const Sequence& value) : kind_(Kind::sequence), sequence_(&value) {}
  explicit Value(const Dict& value) : kind_(Kind::dict), dict_(&value) {}
  explicit Value(const Range& value) : kind_(Kind::range), range_(&value) {}
  explicit Value(Namespace& value) : kind_(Kind::name_space), namespace_(&value) {}
  explicit Value(const Callable& value) : kind_(Kind::callable), callable_(&value) {}
  explicit Value(LoopState& value) : kind_(Kind::loop), loop_(&value) {}
  explicit Value(const Missing& value) : kind_(Kind::undefined), missing_(&value) {}
  static Value none() {
    Value value;
    value.kind_ = Kind::none;
    return value;
  }

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_absent() const { return kind_ == Kind::undefined && missing_ == nullptr; }
  bool is_undefined() const { return kind_ == Kind::undefined; }
  bool is_none() const { return kind_ == Kind::none; }
  bool is_text() const { return kind_ == Kind::text; }
  /// Booleans count as integers, as in Python.
  bool is_integral() const { return kind_ == Kind::integer || kind_ == Kind::boolean; }
  bool is_number() const { return is_integral() || kind_ == Kind::real; }

  // The content; the caller knows the kind.
  bool boolean() const { return boolean_; }
  int64_t integer() const { return kind_ == Kind::boolean ? boolean_ : integer_; }
  double number() const { return kind_ == Kind::real ? real_ : static_cast<double>(integer()); }
  const Text& text() const { return *text_; }
  const Sequence& sequence() const { return *sequence_; }
  const Dict& dict() const { return *dict_; }
  const Range& range() const { return *range_; }
  Namespace& name_space() const { return *namespace_; }
  const Callable& callable() const { return *callable_; }
  LoopState& loop() const { return *loop_; }
  const Missing& missing() const { return *missing_; }

 private:
  Kind kind_ = Kind::undefined;
  union {
    bool boolean_;
    int64_t integer_;
    double real_;
    const Text* text_;
    const Sequence* sequence_;
    const Dict* dict_;
    const Range* range_;
    Namespace* namespace_;
    const Callable* callable_;
    LoopState* loop_;
    const Missing* missing_ = nullptr;
  };
};

/// A text and where its bytes came from.
struct Text {
  std::string_view bytes;
  std::string_view marks;  ///< one byte of 0 or 1 (from input) for each of `bytes`; empty where all are alike
  bool from_input = false;  ///< of all bytes, where `marks` is empty
  bool markup = false;  ///< the `safe` filter made it: adding another text to it escapes that one for HTML

  bool input_at(size_t i) const { return marks.empty() ? from_input : marks[i] != 0; }
};

/// Lists and what behaves much like them.
struct Sequence {
  enum class Flavour : uint8_t { list, tuple, generator, view };
  Flavour flavour = Flavour::list;
  uint16_t depth = 1;  ///< how deep lists and dicts nest in it, itself included
  std::span<const Value> items;
  std::span<const std::string_view> names = {};  ///< of a tuple: its items' names; of a view: its type
  mutable bool spent = false;                    ///< a generator gives its items once
};

struct Dict {
  uint16_t depth = 1;
  std::span<const Value> keys;  ///< in order of insertion
  std::span<const Value> values;
  std::span<const uint32_t> buckets;  ///< hash -> position + 1, 0 where free; empty for small dicts
};

/// range(start, stop, step), never written out.
struct Range {
  int64_t start = 0;
  int64_t step = 1;
  int64_t n_items = 0;
  int64_t stop = 0;  ///< as it was given, for printing
};

/// namespace(...): the one thing that templates can change.
struct Namespace {
  struct Attribute {
    std::string_view name;
    Value value;
  };
  explicit Namespace(std::pmr::memory_resource& memory) : attributes(&memory) {}
  std::pmr::vector<Attribute> attributes;
};

/// Something that isn't there, with what there is to say about it when it's used.
struct Missing {
  enum class Reason : uint8_t { variable, attribute, element, parameter, forbidden };
  Reason reason = Reason::variable;
  std::string_view name;
  std::string_view owner;  ///< type of the object that lacks it
};

/// A function of the library, a method bound to its object, or a macro bound to its scope.
struct Callable {
  const Native* native = nullptr;
  Value self;  ///< of a method
  const Macro* macro = nullptr;
  Scope* scope = nullptr;  ///< where the macro was defined
};

struct NamedValue {
  std::string_view name;
  Value value;
};

/// Owns every object of one rendering and meters the work.
class Heap {
 public:
  /// `n_steps`: how much work the rendering may do, in units of about 20 ns. Input that comes in by
  /// from_json() adds what its own size costs.
  explicit Heap(uint64_t n_steps) : steps_left_(n_steps) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  /// Counts work; throws Errc::corrupt_file when there was too much.
  void charge(uint64_t n_steps) {
    if (n_steps > steps_left_) fail_exhausted();
    steps_left_ -= n_steps;
  }

  Value text(std::string_view bytes, bool from_input = false);
  /// A part of a text, sharing its bytes.
  Value part(const Text& whole, size_t begin, size_t n_bytes);
  Value text(const Text& text);
  Value sequence(std::span<const Value> items, Sequence::Flavour flavour = Sequence::Flavour::list);
  Value list(std::span<const Value> items) { return sequence(items); }
  /// A tuple whose items can be had by names, or a view of the type of that name. Names outlive the heap.
  Value named(std::span<const Value> items, Sequence::Flavour flavour,
              std::span<const std::string_view> names);
  /// A sequence over values that live on the heap already.
  Value share(std::span<const Value> items, Sequence::Flavour flavour);
  /// Later duplicates of a key win, in the place of the first.
  Value dict(std::span<const Value> keys, std::span<const Value> values);
  Value missing(const Missing& missing);
  Value range(const Range& range);
  Value name_space();
  Value callable(const Callable& callable);

  /// Any other object; never destroyed, so its memory must come from memory().
  template <typename T, typename... Args>
  T& make(Args&&... args) {
    charge(1 + sizeof(T) / kBytesPerStep);
    return *std::pmr::polymorphic_allocator<>(&memory_).new_object<T>(std::forward<Args>(args)...);
  }
  std::pmr::memory_resource& memory() { return memory_; }
  /// A copy of some bytes that lives as long as the heap.
  std::string_view keep(std::string_view bytes);

  /// JSON as values; its texts count as input where `from_input` says so, but for the names of well-known
  /// roles.
  Value from_json(const OrderedJson& json, bool from_input);
  /// Bytes of all texts that from_json() has seen.
  uint64_t n_input_bytes() const { return n_input_bytes_; }

 private:
  static constexpr uint64_t kBytesPerStep = 8;

  template <typename T>
  std::span<const T> copy(std::span<const T> items);
  [[noreturn]] static void fail_exhausted();
  Value from_json(const OrderedJson& json, bool from_input, int depth);

  uint64_t steps_left_;
  uint64_t n_input_bytes_ = 0;
  std::pmr::monotonic_buffer_resource memory_{1 << 14};
};

/// Builds a text out of parts, keeping track of where they came from.
class TextBuilder {
 public:
  void append(std::string_view bytes, bool from_input = false);
  void append(const Text& text);
  size_t n_bytes() const { return bytes_.size(); }
  const std::string& bytes() const { return bytes_; }
  bool input_at(size_t i) const { return marks_.empty() ? from_input_ : marks_[i] != 0; }
  std::string take_bytes() { return std::move(bytes_); }
  /// The text on the heap; the builder is empty again.
  Value finish(Heap& heap, bool markup = false);

 private:
  std::string bytes_;
  std::string marks_;
  bool from_input_ = false;
};

/// A template's mistake; the evaluator adds line and column as it rises.
template <typename... Args>
Error template_error(fmt::format_string<Args...> format, Args&&... args) {
  return Error(Errc::corrupt_file, "{}", fmt::format(format, std::forward<Args>(args)...));
}

/// Python's name of a value's type: "str", "list", "dict"...
std::string_view type_name(const Value& value);
bool is_true(const Value& value);
bool equal(Heap& heap, const Value& a, const Value& b);
/// a < b. Throws where Python would.
bool less(Heap& heap, const Value& a, const Value& b);
/// needle in haystack.
bool contains(Heap& heap, const Value& haystack, const Value& needle);
/// len(value); throws for what has none.
int64_t length(const Value& value);
/// int(value) of a number; throws where it doesn't fit 64 bits.
int64_t whole_number(const Value& value);
/// What a loop over the value sees. A range is written out.
std::span<const Value> iterate(Heap& heap, const Value& value);
Value range_item(const Range& range, int64_t i);
/// The value of a key, or nothing.
const Value* find(Heap& heap, const Dict& dict, const Value& key);
const Value* find(const Dict& dict, std::string_view key);
const Value* find(const Namespace& name_space, std::string_view name);
/// Throws what using an undefined value throws; returns for all others.
void require_defined(const Value& value);

// Positions inside texts count code points.
/// Where `part` first stands in `whole` at or behind `from`, or npos; linear whatever the texts are.
size_t find_text(std::string_view whole, std::string_view part, size_t from = 0);
size_t n_code_points(std::string_view text);
/// The byte where code point `index` begins; size() past the end.
size_t byte_offset(std::string_view text, size_t index);
/// Whether Python's str.isspace() holds for a code point.
bool is_space(uint32_t code_point);
std::string_view strip_left(std::string_view text);
std::string_view strip_right(std::string_view text);

}  // namespace ruvllm::text::jinja
