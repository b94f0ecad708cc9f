// Progress of something long: bars with speed and time left on a terminal, a line every ten seconds
// elsewhere, nothing with --quiet. Always on stderr. Tested by tests/cli/console_test.cpp and
// tests/hub/progress_test.cpp.
#pragma once

#include "cli/app.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace ruvllm::cli {

enum class ProgressUnit { bytes, items };

/// One line of progress; a pure function of its arguments, `width` columns at most.
/// "model.gguf   42% ━━━━━━╸       1.20 of 2.90 GiB  34.1 MiB/s  0:48 left"
std::string progress_line(std::string_view label, uint64_t done, uint64_t total, double seconds,
                          uint64_t done_before, ProgressUnit unit, int width);

/// How much of something is done, and since when.
struct Advance {
  std::string label;
  ProgressUnit unit = ProgressUnit::bytes;
  uint64_t done = 0;
  uint64_t total = 0;        ///< 0: unknown
  uint64_t done_before = 0;  ///< in an earlier run (a resumed download): not counted in the speed
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();

  std::string line(int width) const;
};

/// When and how progress is drawn. Nothing is drawn before half a second has gone: short work stays silent.
class ProgressPen {
 public:
  explicit ProgressPen(const CommonOptions& common);
  ~ProgressPen() { finish(); }
  ProgressPen(const ProgressPen&) = delete;
  ProgressPen& operator=(const ProgressPen&) = delete;

  /// Draws where it is time to: `bars` for a width on a terminal, else `line`. Cheap.
  void draw(const std::function<std::string(int)>& bars, const std::function<std::string()>& line);
  /// Removes the bars, so that the next line stands on its own.
  void finish();
  bool drawn() const { return drawn_; }

 private:
  using Clock = std::chrono::steady_clock;

  bool silent_;
  bool bar_;
  bool drawn_ = false;
  Clock::time_point next_;
};

/// Progress of one thing.
class Progress {
 public:
  Progress(const CommonOptions& common, std::string label, ProgressUnit unit = ProgressUnit::bytes);

  /// What was done in an earlier run.
  void start_at(uint64_t done) { advance_.done_before = done; }
  /// Draws where it is time to. `total` 0 means unknown. Cheap: call it as often as you like, from one
  /// thread.
  void update(uint64_t done, uint64_t total);
  void finish() { pen_.finish(); }

 private:
  Advance advance_;
  ProgressPen pen_;
};

/// Progress of several files, one after the other: a bar for the file at work, and below it, where there is
/// more than one, a bar for the whole. A file's bar stays on the terminal when the next file begins.
class FilesProgress {
 public:
  FilesProgress(const CommonOptions& common, size_t n_files, uint64_t n_bytes);

  void file_begins(std::string_view name, uint64_t n_bytes);
  /// The first call for a file tells what an earlier run had left.
  void file_advances(uint64_t n_done);
  void file_ends();

 private:
  void draw();

  const CommonOptions& common_;
  size_t n_files_;
  size_t n_begun_ = 0;
  bool advanced_ = false;     // this file
  uint64_t done_before_ = 0;  // bytes of the files that have ended
  Advance file_;
  Advance whole_;
  ProgressPen pen_;
};

}  // namespace ruvllm::cli
