#include "engine/stop_strings.h"

#include "base/error.h"
#include "base/limits.h"

#include <algorithm>
#include <utility>

namespace ruvllm::engine {

StopStrings::StopStrings(std::vector<std::string> stop) : stop_(std::move(stop)) {
  std::erase_if(stop_, [](const std::string& s) { return s.empty(); });
  if (stop_.size() > limits::kStopStrings)
    throw Error(Errc::usage, "{} stop strings are given, at most {} are possible", stop_.size(),
                limits::kStopStrings);
  for (const std::string& s : stop_)
    if (s.size() > limits::kStopStringBytes)
      throw Error(Errc::usage, "a stop string has {} bytes, at most {} are possible", s.size(),
                  limits::kStopStringBytes);
}

std::string StopStrings::push(std::string_view text) {
  if (stopped_) return {};
  held_ += text;
  size_t found = std::string::npos;
  for (const std::string& s : stop_) found = std::min(found, held_.find(s));
  size_t n_certain = held_.size() - n_possible();
  if (found != std::string::npos) {
    stopped_ = true;
    n_certain = found;
  }
  std::string certain = held_.substr(0, n_certain);
  held_.erase(0, stopped_ ? std::string::npos : n_certain);
  return certain;
}

std::string StopStrings::finish() { return std::exchange(held_, {}); }

size_t StopStrings::n_possible() const {
  size_t longest = 0;
  for (const std::string& s : stop_) {
    const size_t most = std::min(s.size() - 1, held_.size());
    for (size_t n = most; n > longest; --n)
      if (std::string_view(held_).ends_with(std::string_view(s).substr(0, n))) longest = n;
  }
  return longest;
}

}  // namespace ruvllm::engine
