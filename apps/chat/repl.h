// The conversation on a terminal: lines are said to the model, lines that begin with '/' are commands. The
// commands are one table (commands.cpp), which /help prints and Tab completes. Tested by
// tests/cli/repl_test.cpp.
#pragma once

#include "chat.h"
#include "cli/console.h"
#include "conversation.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::chat {

class Repl {
 public:
  Repl(std::unique_ptr<Session> session, Options options, const cli::CommonOptions& common);

  /// Reads and answers until the end of the input or /exit.
  void run();

 private:
  struct Command {
    std::string_view name;      ///< with the slash
    std::string_view argument;  ///< as /help shows it; empty where it takes none
    std::string_view about;
    void (Repl::*run)(const std::string& argument);
  };
  static const std::vector<Command>& commands();
  static std::vector<std::string> complete(std::string_view line);

  void obey(const std::string& line);
  void answer();
  /// The rest of a """ block that `line` opens; nothing where it was dropped.
  std::optional<std::string> read_block(std::string line);
  void tell(std::string_view text) const;

  void help(const std::string& argument);
  void exit(const std::string& argument);
  void clear(const std::string& argument);
  void system(const std::string& argument);
  void undo(const std::string& argument);
  void retry(const std::string& argument);
  void set(const std::string& argument);
  void show(const std::string& argument);
  void save(const std::string& argument);
  void load(const std::string& argument);
  void file(const std::string& argument);
  void stats(const std::string& argument);
  void model(const std::string& argument);

  class Input;

  std::unique_ptr<Session> session_;
  Options options_;
  const cli::CommonOptions& common_;
  cli::Style style_;
  Conversation conversation_;
  std::string attached_;  ///< files to be said before the next line
  std::string last_stats_;
  std::unique_ptr<Input> input_;
  bool done_ = false;

 public:
  ~Repl();
};

}  // namespace ruvllm::chat
