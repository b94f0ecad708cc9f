// Reading JSON of a known shape: each access checks the type it wants and names the place in the document
// where it is wrong. Tested through tokenizer.json by tests/text/tokenizer_json_test.cpp.
#pragma once

#include "base/error.h"
#include "base/json.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace ruvllm::text {

class JsonView {
 public:
  /// `where` names the value in messages: "tokenizer.json", then "tokenizer.json: model.vocab".
  JsonView(const Json& value, std::string where) : value_(&value), where_(std::move(where)) {}

  const Json& json() const { return *value_; }
  const std::string& where() const { return where_; }

  /// A member of an object; nothing where it is absent or null.
  std::optional<JsonView> find(std::string_view key) const {
    wants(value_->is_object(), "an object");
    const auto found = value_->find(key);
    if (found == value_->end() || found->is_null()) return std::nullopt;
    return JsonView(*found, where_ + (where_.ends_with(".json") ? ": " : ".") + std::string(key));
  }
  JsonView at(std::string_view key) const {
    std::optional<JsonView> found = find(key);
    if (!found) throw Error(Errc::corrupt_file, "{}: {} is missing", where_, key);
    return *std::move(found);
  }
  std::string text(std::string_view key, std::string_view otherwise) const {
    const std::optional<JsonView> found = find(key);
    return found ? found->text() : std::string(otherwise);
  }
  bool boolean(std::string_view key, bool otherwise) const {
    const std::optional<JsonView> found = find(key);
    return found ? found->boolean() : otherwise;
  }

  /// Elements of an array.
  size_t n_elements() const {
    wants(value_->is_array(), "an array");
    return value_->size();
  }
  JsonView element(size_t i) const {
    if (i >= n_elements())
      throw Error(Errc::corrupt_file, "{} has {} elements, expected more", where_, n_elements());
    return JsonView((*value_)[i], fmt::format("{}[{}]", where_, i));
  }

  std::string text() const {
    wants(value_->is_string(), "a string");
    return value_->get<std::string>();
  }
  bool boolean() const {
    wants(value_->is_boolean(), "true or false");
    return value_->get<bool>();
  }
  /// An integer in [0, most].
  int64_t count(int64_t most) const {
    wants(value_->is_number_integer() && *value_ >= 0 && *value_ <= most,
          fmt::format("an integer from 0 to {}", most));
    return value_->get<int64_t>();
  }

 private:
  void wants(bool holds, std::string_view what) const {
    if (!holds) throw Error(Errc::corrupt_file, "{} is {}, expected {}", where_, value_->type_name(), what);
  }

  const Json* value_;
  std::string where_;
};

}  // namespace ruvllm::text
