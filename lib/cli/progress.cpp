#include "cli/progress.h"

#include "base/error.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "cli/console.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace ruvllm::cli {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 500ms;
constexpr auto kRedraw = 100ms;
constexpr auto kLineEvery = 10s;
constexpr int kBarColumns = 30;
constexpr int kLeastBarColumns = 8;

std::string format_amount(uint64_t amount, ProgressUnit unit) {
  return unit == ProgressUnit::bytes ? format_bytes(amount) : fmt::format("{}", amount);
}

std::string format_seconds(double seconds) {
  const auto whole = static_cast<uint64_t>(std::min(seconds, 359'999.0));
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string draw_bar(double fraction, int columns) {
  const int halves = static_cast<int>(fraction * columns * 2);
  std::string bar;
  for (int i = 0; i < columns; ++i) bar += 2 * i + 1 < halves ? "━" : 2 * i < halves ? "╸" : " ";
  return bar;
}

}  // namespace

std::string progress_line(std::string_view label, uint64_t done, uint64_t total, double seconds,
                          uint64_t done_before, ProgressUnit unit, int width) {
  done_before = std::min(done_before, done);
  const double speed = seconds > 0 ? static_cast<double>(done - done_before) / seconds : 0;
  const double fraction =
      total > 0 ? std::min(1.0, static_cast<double>(done) / static_cast<double>(total)) : 0;
  const std::string percent = total > 0 ? fmt::format("{:3.0f}%  ", fraction * 100) : std::string();
  std::string figures = format_amount(done, unit);
  if (total > 0) figures += " of " + format_amount(total, unit);
  const std::string amounts = figures;
  if (speed >= 1) figures += fmt::format("  {}/s", format_amount(static_cast<uint64_t>(speed), unit));
  if (speed >= 1 && total > done)
    figures += "  " + format_seconds(static_cast<double>(total - done) / speed) + " left";

  // The richest line that fits.
  const std::string name = printable(label, static_cast<size_t>(std::max(12, width / 3))) + "  ";
  const int bar_columns = std::min(kBarColumns, width - display_width(name + percent + figures) - 3);
  if (total > 0 && bar_columns >= kLeastBarColumns)
    return name + percent + draw_bar(fraction, bar_columns) + "  " + figures;
  for (const std::string& line : {name + percent + figures, percent + figures, percent + amounts})
    if (display_width(line) < width) return line;
  return format_amount(done, unit);
}

Progress::Progress(const CommonOptions& common, std::string label, ProgressUnit unit)
    : label_(std::move(label)), unit_(unit), silent_(common.quiet), bar_(is_terminal(STDERR_FILENO)) {
  const char* terminal = std::getenv("TERM");
  if (!terminal || std::string_view(terminal) == "dumb") bar_ = false;
  next_ = start_ + (bar_ ? Clock::duration(kPatience) : Clock::duration(kLineEvery));
}

Progress::~Progress() { finish(); }

void Progress::update(uint64_t done, uint64_t total) {
  const auto now = Clock::now();
  if (silent_ || now < next_) return;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  if (bar_) {
    const std::string line =
        progress_line(label_, done, total, seconds, done_before_, unit_, terminal_width(STDERR_FILENO));
    std::fprintf(stderr, "\r\x1b[K%s", line.c_str());
    std::fflush(stderr);
    drawn_ = true;
    next_ = now + kRedraw;
  } else {
    std::fprintf(stderr, "%s\n",
                 progress_line(label_, done, total, seconds, done_before_, unit_, 79).c_str());
    next_ = now + kLineEvery;
  }
}

void Progress::finish() {
  if (!drawn_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace ruvllm::cli
