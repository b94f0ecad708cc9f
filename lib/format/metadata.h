// Metadata of a model: keys with typed values, as GGUF has them. Readers of other formats make up the same
// keys, so that nothing above asks where a model came from.
//
// Values from a mapped file are views into it; values that a reader makes up live in the store behind keep().
// Tested by tests/format/metadata_test.cpp.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ruvllm::format {

/// Element types of GGUF metadata, with the ids of the file format.
enum class ValueType : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

/// "u32", "string", ...
std::string_view value_type_name(ValueType type);
/// Bytes of a number or bool in a file; 0 for strings and arrays.
uint64_t value_type_bytes(ValueType type);
/// False for bools.
bool is_integer(ValueType type);
/// Integers and floats; false for bools.
bool is_number(ValueType type);

/// An array of metadata: numbers and bools stay as bytes in the mapped file; strings are views into it.
/// Nothing is copied, so a file's claim to hold 2^60 elements costs nothing but the check that it does.
struct MetadataArray {
  ValueType type = ValueType::u8;
  uint64_t n_elements = 0;
  std::span<const std::byte> bytes;       ///< of numbers and bools
  std::vector<std::string_view> strings;  ///< of strings

  /// Element i as another number type. The caller has checked `type` to be a number or bool.
  double number(uint64_t i) const;
  /// The same for integers and bools. Throws Errc::corrupt_file where a u64 does not fit.
  int64_t integer(uint64_t i) const;
};

/// Equal where type, length and every byte are.
bool operator==(const MetadataArray& a, const MetadataArray& b);

/// The alternatives stand in the order of ValueType.
using MetadataValue = std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, float, bool,
                                   std::string_view, MetadataArray, uint64_t, int64_t, double>;

ValueType type_of(const MetadataValue& value);

/// Metadata in file order with logarithmic look-up. Look-ups that convert throw Errc::corrupt_file naming
/// key, type found and type wanted.
class Metadata {
 public:
  struct Entry {
    std::string key;
    MetadataValue value;
  };

  /// False where the key is there already.
  bool add(std::string key, MetadataValue value);
  /// Replaces or appends.
  void set(std::string key, MetadataValue value);
  /// Removes a key, if it is there, in time linear in the number of keys.
  void erase(std::string_view key);

  const MetadataValue* find(std::string_view key) const;
  const std::vector<Entry>& entries() const { return entries_; }

  /// Absent: nothing. Present with a type that is no integer (or out of range): throws.
  std::optional<int64_t> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::string_view> string(std::string_view key) const;
  /// An array whose elements are of `type` (numbers: of any integer type where type is i64, any number where
  /// f64). Absent: nullptr.
  const MetadataArray* array(std::string_view key, ValueType type) const;

  /// Text that must outlive the metadata's views (values made up by a reader, not mapped). Copies of the
  /// metadata share it.
  std::string_view keep(std::string text);
  /// The same for an array of numbers or bools that lie in `bytes`, ready to be set.
  MetadataArray keep_array(ValueType type, std::span<const std::byte> bytes);
  /// The same for an array of strings.
  MetadataArray keep_strings(std::span<const std::string> values);

 private:
  [[noreturn]] void wrong_type(std::string_view key, const MetadataValue& value,
                               std::string_view wanted) const;

  std::vector<Entry> entries_;
  std::map<std::string, size_t, std::less<>> index_;  // a tree: no choice of keys makes look-up slow
  std::vector<std::shared_ptr<const std::string>> kept_;
};

}  // namespace ruvllm::format
