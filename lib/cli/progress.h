// Progress of something long: a bar with speed and time left on a terminal, a line every ten seconds
// elsewhere, nothing with --quiet. Always on stderr. Tested by tests/cli/console_test.cpp.
#pragma once

#include "cli/app.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace ruvllm::cli {

enum class ProgressUnit { bytes, items };

/// One line of progress; a pure function of its arguments, `width` columns at most.
/// "model.gguf  42% ━━━━━━╸       1.2/2.9 GiB  34.1 MiB/s  0:48"
std::string progress_line(std::string_view label, uint64_t done, uint64_t total, double seconds,
                          uint64_t done_before, ProgressUnit unit, int width);

class Progress {
 public:
  /// Nothing is drawn before half a second has gone: short work stays silent.
  Progress(const CommonOptions& common, std::string label, ProgressUnit unit = ProgressUnit::bytes);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// What was done in an earlier run (a resumed download): not counted in the speed.
  void start_at(uint64_t done) { done_before_ = done; }
  /// Draws where it is time to. `total` 0 means unknown. Cheap: call it as often as you like, from one
  /// thread.
  void update(uint64_t done, uint64_t total);
  /// Removes the bar, so that the next line stands on its own.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  std::string label_;
  ProgressUnit unit_;
  bool silent_;
  bool bar_;
  bool drawn_ = false;
  uint64_t done_before_ = 0;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_;
};

}  // namespace ruvllm::cli
