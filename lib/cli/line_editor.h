// A line of input on a terminal, edited as in a shell, with a history that outlives the program (libedit).
// Ctrl-C drops the line (also one that came before the line was waited for), Ctrl-D on an empty one ends the
// input. Tested by tests/cli/repl_test.cpp on a
// pseudo-terminal.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::cli {

class LineEditor {
 public:
  /// The words that could stand where a line ends so far: whole lines, as they would read when completed.
  using Complete = std::function<std::vector<std::string>(std::string_view line)>;

  enum class Outcome { line, dropped, end };
  struct Input {
    Outcome outcome = Outcome::line;
    std::string text;  ///< without the newline
  };

  /// `history` is read now and written by remember(); empty: none is kept. What is typed is drawn on stdout.
  LineEditor(std::string_view program, const std::filesystem::path& history, Complete complete);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  /// `prompt` may hold escape sequences.
  Input read_line(std::string_view prompt);
  /// Adds a line to the history, unless it is the same as the last.
  void remember(const std::string& line);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ruvllm::cli
