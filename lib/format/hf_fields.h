// A JSON object of a Hugging Face configuration whose fields are asked for by type. What is null counts as
// absent: the library writes None so. Used by the readers of hf_config.h; tested by
// tests/format/hf_config_test.cpp.
#pragma once

#include "base/checked.h"
#include "base/error.h"
#include "base/json.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::format {

/// Every look-up throws Errc::corrupt_file naming the field where it is of another type. The object must
/// outlive it.
class HfFields {
 public:
  explicit HfFields(const Json& object) : object_(object) {}

  const Json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  std::optional<uint32_t> integer(const char* key) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_number_integer()) wrong_type(key, *value, "an integer");
    return value->is_number_unsigned() ? checked_cast<uint32_t>(value->get<uint64_t>(), key)
                                       : checked_cast<uint32_t>(value->get<int64_t>(), key);
  }
  std::optional<double> number(const char* key) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_number()) wrong_type(key, *value, "a number");
    return value->get<double>();
  }
  std::optional<bool> boolean(const char* key) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_boolean()) wrong_type(key, *value, "a bool");
    return value->get<bool>();
  }
  std::optional<std::string> string(const char* key) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_string()) wrong_type(key, *value, "a string");
    return value->get<std::string>();
  }
  /// An object; an empty one where absent.
  Json object(const char* key) const {
    const Json* value = find(key);
    if (!value) return Json::object();
    if (!value->is_object()) wrong_type(key, *value, "an object");
    return *value;
  }
  std::optional<std::vector<float>> numbers(const char* key) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_array()) wrong_type(key, *value, "an array");
    std::vector<float> numbers;
    for (const Json& element : *value) {
      if (!element.is_number()) wrong_type(key, element, "a number");
      numbers.push_back(element.get<float>());
    }
    return numbers;
  }
  std::optional<std::vector<std::string>> strings(const char* key) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_array()) wrong_type(key, *value, "an array");
    std::vector<std::string> strings;
    for (const Json& element : *value) {
      if (!element.is_string()) wrong_type(key, element, "a string");
      strings.push_back(element.get<std::string>());
    }
    return strings;
  }
  template <typename T>
  T required(const std::optional<T>& value, std::string_view key) const {
    if (!value) throw Error(Errc::corrupt_file, "{} is missing", key);
    return *value;
  }

 private:
  [[noreturn]] void wrong_type(const char* key, const Json& found, std::string_view wanted) const {
    throw Error(Errc::corrupt_file, "{} is a JSON {}, expected {}", key, found.type_name(), wanted);
  }

  const Json& object_;
};

}  // namespace ruvllm::format
