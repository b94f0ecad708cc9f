// What the programs know of the terminal, and the few ways they write: results to stdout, everything else to
// stderr.
//
// A write to stdout that fails is an exception: OutputClosed where the reader went away (main_app() makes
// that a success, as `ruvllm list | head -1` should be), Error where the disk is full. Tested by tests/cli/.
#pragma once

#include "cli/app.h"

#include <string>
#include <string_view>

namespace ruvllm::cli {

/// The reader of stdout went away.
struct OutputClosed {};

bool is_terminal(int descriptor);

/// Columns of the terminal at `descriptor`; $COLUMNS, else 80, where it is none.
int terminal_width(int descriptor);

/// --color, then NO_COLOR, TERM=dumb, and whether `descriptor` is a terminal.
bool use_color(int descriptor, ColorMode mode);

/// Text in the colours of a terminal, or as it is.
class Style {
 public:
  explicit Style(bool on) : on_(on) {}
  std::string bold(std::string_view text) const { return wrap("1", text); }
  std::string dim(std::string_view text) const { return wrap("2", text); }
  std::string red(std::string_view text) const { return wrap("31", text); }
  std::string green(std::string_view text) const { return wrap("32", text); }
  std::string yellow(std::string_view text) const { return wrap("33", text); }
  std::string cyan(std::string_view text) const { return wrap("36", text); }

 private:
  std::string wrap(std::string_view code, std::string_view text) const;
  bool on_;
};

/// Writes a result to stdout (buffered; main_app() flushes at the end).
void print(std::string_view text);
/// Whether print() was called: then stdout holds the result, and what follows is told on stderr.
bool has_printed();
/// Writes what is buffered: for text that streams.
void flush_output();

/// The text with control characters other than newline and tab replaced, so that what a model says can't move
/// the cursor or rename the window.
std::string terminal_safe(std::string_view text);

/// Shows these lines at the end of the terminal at stderr, where they stay until the next call or until
/// something else is written, which takes their place; empty takes them away. Each has to fit the terminal.
void show_status(std::string_view lines);

/// A line on stderr, unless --quiet.
void note(const CommonOptions& common, std::string_view text);
/// The same with -v only.
void detail(const CommonOptions& common, std::string_view text);
/// "ruvllm VERB: warning: text" on stderr, even with --quiet.
void warn(const CommonOptions& common, std::string_view text);

/// How many columns a text takes on a terminal (wide characters two, combining ones and colours none).
int display_width(std::string_view text);

/// The text cut into lines of at most `width` columns at spaces; lines after the first are indented.
std::string wrap_text(std::string_view text, int width, int indent);

}  // namespace ruvllm::cli
