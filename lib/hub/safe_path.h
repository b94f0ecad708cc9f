// A file name as a repository may contain it: a relative path that stays inside its folder on every system,
// prints on every terminal, and never means a device, a drive, a stream or git's own folder. The one way from
// a hub's text to a path. Tested by tests/hub/names_test.cpp with a table of evil names.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace ruvllm::hub {

class SafePath {
 public:
  /// Nothing, with the finding in `why`, where the text is not such a name.
  static std::optional<SafePath> parse(std::string_view text, std::string* why = nullptr);

  const std::string& text() const { return text_; }
  std::filesystem::path path() const { return text_; }
  std::string_view file_name() const;
  /// How many folders deep: 0 for a file at the root.
  int depth() const;

  bool operator==(const SafePath&) const = default;
  auto operator<=>(const SafePath&) const = default;

 private:
  explicit SafePath(std::string_view text) : text_(text) {}
  std::string text_;
};

}  // namespace ruvllm::hub
