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
constexpr int kLeastNameColumns = 12;
constexpr int kMostNameColumns = 48;
constexpr int kPlainColumns = 100;

std::string format_amount(uint64_t amount, ProgressUnit unit) {
  return unit == ProgressUnit::bytes ? format_bytes(amount) : fmt::format("{}", amount);
}

std::string format_seconds(double seconds) {
  const auto whole = static_cast<uint64_t>(std::min(seconds, 359'999.0));
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

// "1.20 of 2.90 GiB", "512 MiB of 1.00 GiB", "3 of 12".
std::string format_share(uint64_t done, uint64_t total, ProgressUnit unit) {
  std::string part = format_amount(done, unit);
  const std::string whole = format_amount(total, unit);
  const size_t space = part.find(' ');
  if (space != std::string::npos && whole.ends_with(part.substr(space))) part.resize(space);
  return part + " of " + whole;
}

// A name that is too long loses its middle: what tells files apart is at their ends.
std::string shortened(std::string_view label, int columns) {
  const std::string whole = printable(label);
  if (display_width(whole) <= columns) return whole;
  std::string_view rest = whole;
  std::string front;
  while (display_width(front) < (columns - 1) / 3) {
    const size_t n_bytes = first_code_point(rest).n_bytes;
    front += rest.substr(0, n_bytes);
    rest.remove_prefix(n_bytes);
  }
  while (display_width(rest) > columns - 1 - display_width(front))
    rest.remove_prefix(first_code_point(rest).n_bytes);
  return front + "…" + std::string(rest);
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
  const std::string amounts = total > 0 ? format_share(done, total, unit) : format_amount(done, unit);
  std::string figures = amounts;
  if (speed >= 1) figures += fmt::format("  {}/s", format_amount(static_cast<uint64_t>(speed), unit));
  if (speed >= 1 && total > done)
    figures += "  " + format_seconds(static_cast<double>(total - done) / speed) + " left";

  // The richest line that fits: a long name gives way to the bar, and the bar to the figures.
  const int least_bar = kLeastBarColumns + 2;
  const int for_name = width - 1 - display_width(percent + figures) - 2 - (total > 0 ? least_bar : 0);
  const std::string name = shortened(label, std::clamp(for_name, kLeastNameColumns, kMostNameColumns)) + "  ";
  const int bar_columns = std::min(kBarColumns, width - display_width(name + percent + figures) - 3);
  if (total > 0 && bar_columns >= kLeastBarColumns)
    return name + percent + draw_bar(fraction, bar_columns) + "  " + figures;
  for (const std::string& line : {name + percent + figures, percent + figures, percent + amounts})
    if (display_width(line) < width) return line;
  return format_amount(done, unit);
}

std::string Advance::line(int width) const {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return progress_line(label, done, total, seconds, done_before, unit, width);
}

ProgressPen::ProgressPen(const CommonOptions& common)
    : silent_(common.quiet), bar_(is_terminal(STDERR_FILENO)) {
  const char* terminal = std::getenv("TERM");
  if (!terminal || std::string_view(terminal) == "dumb") bar_ = false;
  next_ = Clock::now() + (bar_ ? Clock::duration(kPatience) : Clock::duration(kLineEvery));
}

void ProgressPen::draw(const std::function<std::string(int)>& bars,
                       const std::function<std::string()>& line) {
  const auto now = Clock::now();
  if (silent_ || now < next_) return;
  if (bar_) {
    show_status(bars(terminal_width(STDERR_FILENO)));
    drawn_ = true;
  } else {
    std::fprintf(stderr, "%s\n", line().c_str());
  }
  next_ = now + (bar_ ? Clock::duration(kRedraw) : Clock::duration(kLineEvery));
}

void ProgressPen::finish() {
  if (drawn_) show_status({});
  drawn_ = false;
}

Progress::Progress(const CommonOptions& common, std::string label, ProgressUnit unit) : pen_(common) {
  advance_.label = std::move(label);
  advance_.unit = unit;
}

void Progress::update(uint64_t done, uint64_t total) {
  advance_.done = done;
  advance_.total = total;
  pen_.draw([&](int width) { return advance_.line(width); }, [&] { return advance_.line(kPlainColumns); });
}

FilesProgress::FilesProgress(const CommonOptions& common, size_t n_files, uint64_t n_bytes)
    : common_(common), n_files_(n_files), pen_(common) {
  whole_.label = fmt::format("all {} files", n_files);
  whole_.total = n_bytes;
}

void FilesProgress::file_begins(std::string_view name, uint64_t n_bytes) {
  ++n_begun_;
  file_ = {};
  file_.label = name;
  file_.total = n_bytes;
  advanced_ = false;
}

void FilesProgress::file_advances(uint64_t n_done) {
  if (!advanced_) {
    file_.done_before = n_done;
    whole_.done_before += n_done;
  }
  advanced_ = true;
  file_.done = n_done;
  whole_.done = done_before_ + n_done;
  draw();
}

void FilesProgress::file_ends() {
  done_before_ += file_.total;
  whole_.done = done_before_;
  if (!pen_.drawn() || n_begun_ == n_files_) return;
  file_.done = file_.total;
  note(common_, file_.line(terminal_width(STDERR_FILENO)));
}

void FilesProgress::draw() {
  pen_.draw(
      [&](int width) {
        return n_files_ == 1 ? file_.line(width) : file_.line(width) + "\n" + whole_.line(width);
      },
      [&] {
        if (n_files_ == 1) return file_.line(kPlainColumns);
        Advance whole = whole_;
        whole.label = fmt::format("file {} of {}, {}", n_begun_, n_files_, file_.label);
        return whole.line(kPlainColumns);
      });
}

}  // namespace ruvllm::cli
