// A regular expression (PCRE2) that is looked for in tensor names. Tested by tests/quant/recipe_test.cpp.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace ruvllm::quant {

class NamePattern {
 public:
  /// Throws Errc::usage with the place of the mistake.
  explicit NamePattern(std::string_view pattern);
  ~NamePattern();
  NamePattern(NamePattern&&) noexcept;
  NamePattern& operator=(NamePattern&&) noexcept;

  const std::string& text() const { return text_; }
  /// Does it occur anywhere in the name? A pattern that backtracks without end counts as not occurring.
  bool occurs_in(std::string_view name) const;
  /// Is it this name, letter by letter? Anchors may stand around it and backslashes before its dots.
  bool is_name(std::string_view name) const;

 private:
  struct Compiled;
  std::string text_;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace ruvllm::quant
