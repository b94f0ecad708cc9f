#include "cli/console.h"

#include "base/error.h"
#include "base/strings.h"
#include "base/utf8.h"

#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace ruvllm::cli {
namespace {

constexpr size_t kOutputBufferBytes = 1 << 16;

// Results on their way out. Not stdio's buffer: that one is lost where Ctrl-C interrupts a write.
std::string& pending_output() {
  static std::string text;
  return text;
}

[[noreturn]] void output_failed() {
  if (errno == EPIPE) throw OutputClosed{};
  throw system_error(errno, "writing to standard output");
}

bool& printed() {
  static bool anything = false;
  return anything;
}

// How many lines of status the terminal shows; the cursor stands at the end of the last.
int& status_lines() {
  static int n_lines = 0;
  return n_lines;
}

// What takes the status away.
std::string erased_status() {
  const int n_lines = std::exchange(status_lines(), 0);
  if (n_lines == 0) return {};
  return n_lines == 1 ? "\r\x1b[J" : fmt::format("\r\x1b[{}A\x1b[J", n_lines - 1);
}

void print_line_to_stderr(const std::string& text) {
  const std::string line = erased_status() + text;
  std::fwrite(line.data(), 1, line.size(), stderr);  // nowhere to report that stderr is gone
}

}  // namespace

bool is_terminal(int descriptor) { return isatty(descriptor) == 1; }

int terminal_width(int descriptor) {
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* columns = std::getenv("COLUMNS");
  const auto given = parse_integer(columns ? columns : "");
  return given && *given > 0 && *given < 10'000 ? static_cast<int>(*given) : 80;
}

bool use_color(int descriptor, ColorMode mode) {
  if (mode != ColorMode::automatic) return mode == ColorMode::always;
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  if (no_color && *no_color) return false;
  return terminal && std::string_view(terminal) != "dumb" && is_terminal(descriptor);
}

std::string Style::wrap(std::string_view code, std::string_view text) const {
  return on_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
}

bool has_printed() { return printed(); }

void print(std::string_view text) {
  printed() = true;
  pending_output() += text;
  if (pending_output().size() >= kOutputBufferBytes) flush_output();
}

void flush_output() {
  const std::string text = std::exchange(pending_output(), {});
  if (!text.empty()) show_status({});
  for (size_t done = 0; done < text.size();) {
    const ssize_t n_written = ::write(STDOUT_FILENO, text.data() + done, text.size() - done);
    if (n_written < 0 && errno != EINTR) output_failed();
    if (n_written > 0) done += static_cast<size_t>(n_written);
  }
}

std::string terminal_safe(std::string_view text) {
  std::string safe;
  while (!text.empty()) {
    const CodePoint code_point = first_code_point(text);
    const uint32_t value = code_point.value;
    const bool moves_cursor =
        (value < 0x20 && value != '\n' && value != '\t') || (value >= 0x7F && value < 0xA0);
    append_utf8(safe, moves_cursor ? kReplacementCharacter : value);
    text.remove_prefix(code_point.n_bytes);
  }
  return safe;
}

void show_status(std::string_view lines) {
  std::string text = erased_status();
  if (!lines.empty()) status_lines() = 1 + static_cast<int>(std::count(lines.begin(), lines.end(), '\n'));
  text += lines;
  if (!text.empty()) std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

void note(const CommonOptions& common, std::string_view text) {
  if (!common.quiet) print_line_to_stderr(fmt::format("{}\n", text));
}

void detail(const CommonOptions& common, std::string_view text) {
  if (common.verbose > 0) note(common, text);
}

void warn(const CommonOptions& common, std::string_view text) {
  const Style style(use_color(STDERR_FILENO, common.color));
  print_line_to_stderr(fmt::format("ruvllm {}: {} {}\n", common.verb, style.yellow("warning:"), text));
}

int display_width(std::string_view text) {
  int width = 0;
  while (!text.empty()) {
    if (text.starts_with("\x1b[")) {  // a colour of ours: up to its 'm'
      text.remove_prefix(std::min(text.find('m'), text.size() - 1) + 1);
      continue;
    }
    const CodePoint code_point = first_code_point(text);
    width += std::max(0, utf8proc_charwidth(static_cast<utf8proc_int32_t>(code_point.value)));
    text.remove_prefix(code_point.n_bytes);
  }
  return width;
}

std::string wrap_text(std::string_view text, int width, int indent) {
  std::string wrapped;
  int column = 0;
  for (std::string_view word : split(text, ' ')) {
    const int word_width = display_width(word);
    if (column > 0 && column + 1 + word_width > width) {
      wrapped += '\n' + std::string(static_cast<size_t>(indent), ' ');
      column = 0;
    }
    if (column > 0) wrapped += ' ', ++column;
    wrapped += word;
    column += word_width;
  }
  return wrapped;
}

}  // namespace ruvllm::cli
