#include "format/metadata.h"

#include "base/checked.h"
#include "base/error.h"
#include "base/utf8.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

namespace ruvllm::format {
namespace {

struct ValueTypeRow {
  std::string_view name;
  uint64_t n_bytes;
  bool integer;
  bool number;
};

constexpr std::array<ValueTypeRow, 13> kValueTypes = {{
    {"u8", 1, true, true},
    {"i8", 1, true, true},
    {"u16", 2, true, true},
    {"i16", 2, true, true},
    {"u32", 4, true, true},
    {"i32", 4, true, true},
    {"f32", 4, false, true},
    {"bool", 1, false, false},
    {"string", 0, false, false},
    {"array", 0, false, false},
    {"u64", 8, true, true},
    {"i64", 8, true, true},
    {"f64", 8, false, true},
}};

const ValueTypeRow& row_of(ValueType type) {
  RUVLLM_ASSERT(static_cast<size_t>(type) < kValueTypes.size());
  return kValueTypes[static_cast<size_t>(type)];
}

template <typename To, typename From>
To element(std::span<const std::byte> bytes, uint64_t i) {
  From value;
  std::memcpy(&value, bytes.subspan(i * sizeof(From), sizeof(From)).data(), sizeof(From));
  if constexpr (std::is_same_v<To, int64_t> && std::is_integral_v<From>)
    return checked_cast<int64_t>(value, "array element");
  else
    return static_cast<To>(value);
}

template <typename To>
To element_of(const MetadataArray& array, uint64_t i) {
  RUVLLM_ASSERT(i < array.n_elements);
  switch (array.type) {
    case ValueType::boolean:
    case ValueType::u8:
      return element<To, uint8_t>(array.bytes, i);
    case ValueType::i8:
      return element<To, int8_t>(array.bytes, i);
    case ValueType::u16:
      return element<To, uint16_t>(array.bytes, i);
    case ValueType::i16:
      return element<To, int16_t>(array.bytes, i);
    case ValueType::u32:
      return element<To, uint32_t>(array.bytes, i);
    case ValueType::i32:
      return element<To, int32_t>(array.bytes, i);
    case ValueType::u64:
      return element<To, uint64_t>(array.bytes, i);
    case ValueType::i64:
      return element<To, int64_t>(array.bytes, i);
    case ValueType::f32:
      return element<To, float>(array.bytes, i);
    case ValueType::f64:
      return element<To, double>(array.bytes, i);
    case ValueType::string:
    case ValueType::array:
      break;
  }
  RUVLLM_ASSERT(!"the elements are numbers");
  return {};
}

}  // namespace

std::string_view value_type_name(ValueType type) { return row_of(type).name; }
uint64_t value_type_bytes(ValueType type) { return row_of(type).n_bytes; }
bool is_integer(ValueType type) { return row_of(type).integer; }
bool is_number(ValueType type) { return row_of(type).number; }

ValueType type_of(const MetadataValue& value) { return static_cast<ValueType>(value.index()); }

double MetadataArray::number(uint64_t i) const { return element_of<double>(*this, i); }

int64_t MetadataArray::integer(uint64_t i) const {
  RUVLLM_ASSERT(is_integer(type) || type == ValueType::boolean);
  return element_of<int64_t>(*this, i);
}

bool operator==(const MetadataArray& a, const MetadataArray& b) {
  return a.type == b.type && a.n_elements == b.n_elements && std::ranges::equal(a.bytes, b.bytes) &&
         a.strings == b.strings;
}

bool Metadata::add(std::string key, MetadataValue value) {
  if (!index_.try_emplace(key, entries_.size()).second) return false;
  entries_.push_back({std::move(key), std::move(value)});
  return true;
}

void Metadata::set(std::string key, MetadataValue value) {
  if (const auto found = index_.find(key); found != index_.end())
    entries_[found->second].value = std::move(value);
  else
    add(std::move(key), std::move(value));
}

void Metadata::erase(std::string_view key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return;
  const size_t place = found->second;
  index_.erase(found);
  entries_.erase(entries_.begin() + static_cast<ptrdiff_t>(place));
  for (auto& [other, index] : index_)
    if (index > place) --index;
}

const MetadataValue* Metadata::find(std::string_view key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries_[found->second].value;
}

std::optional<int64_t> Metadata::integer(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  return std::visit(
      [&](const auto& number) -> int64_t {
        using T = std::decay_t<decltype(number)>;
        if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
          return checked_cast<int64_t>(number, printable(key));
        else
          wrong_type(key, *value, "an integer");
      },
      *value);
}

std::optional<double> Metadata::number(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  return std::visit(
      [&](const auto& number) -> double {
        using T = std::decay_t<decltype(number)>;
        if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>)
          return static_cast<double>(number);
        else
          wrong_type(key, *value, "a number");
      },
      *value);
}

std::optional<bool> Metadata::boolean(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  if (const bool* found = std::get_if<bool>(value)) return *found;
  wrong_type(key, *value, "a bool");
}

std::optional<std::string_view> Metadata::string(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  if (const auto* found = std::get_if<std::string_view>(value)) return *found;
  wrong_type(key, *value, "a string");
}

const MetadataArray* Metadata::array(std::string_view key, ValueType type) const {
  const MetadataValue* value = find(key);
  if (!value) return nullptr;
  const auto* found = std::get_if<MetadataArray>(value);
  const bool any_integer = type == ValueType::i64;
  const bool any_number = type == ValueType::f64;
  if (found && (found->type == type || (any_integer && is_integer(found->type)) ||
                (any_number && is_number(found->type))))
    return found;
  wrong_type(key, *value,
             fmt::format("an array of {}", any_integer  ? "integers"
                                           : any_number ? "numbers"
                                                        : value_type_name(type)));
}

std::string_view Metadata::keep(std::string text) {
  return *kept_.emplace_back(std::make_shared<const std::string>(std::move(text)));
}

MetadataArray Metadata::keep_array(ValueType type, std::span<const std::byte> bytes) {
  RUVLLM_ASSERT(value_type_bytes(type) != 0 && bytes.size() % value_type_bytes(type) == 0);
  const std::string_view kept = keep({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  return {type, bytes.size() / value_type_bytes(type), std::as_bytes(std::span(kept)), {}};
}

MetadataArray Metadata::keep_strings(std::span<const std::string> values) {
  MetadataArray array{ValueType::string, values.size(), {}, {}};
  for (const std::string& value : values) array.strings.push_back(keep(value));
  return array;
}

void Metadata::wrong_type(std::string_view key, const MetadataValue& value, std::string_view wanted) const {
  std::string found(value_type_name(type_of(value)));
  if (const auto* array = std::get_if<MetadataArray>(&value))
    found = fmt::format("array of {}", value_type_name(array->type));
  throw Error(Errc::corrupt_file, "metadata key {} is of type {}, expected {}", printable(key), found,
              wanted);
}

}  // namespace ruvllm::format
