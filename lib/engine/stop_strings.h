// Finds stop strings in text that arrives piece by piece, across all borders, and lets text go only when no
// stop string can begin in it. Tested by tests/engine/stop_strings_test.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::engine {

class StopStrings {
 public:
  /// Empty strings never match. Throws Errc::usage where there are more, or longer ones, than limits.h
  /// allows.
  explicit StopStrings(std::vector<std::string> stop);

  /// Adds text and returns what is now certain not to belong to a stop string. Once one is found, everything
  /// before it has been returned and stopped() is true.
  std::string push(std::string_view text);
  /// The end of the text: what was held back.
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  /// Bytes at the end of held_ that a stop string could begin with.
  size_t n_possible() const;

  std::vector<std::string> stop_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace ruvllm::engine
