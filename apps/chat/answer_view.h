// An answer on the terminal while it streams: what a model thinks before it speaks stands apart, dimmed, from
// what it says. Tested by tests/cli/repl_test.cpp.
#pragma once

#include "cli/console.h"
#include "text/reply_parse.h"

#include <optional>
#include <string>
#include <string_view>

namespace ruvllm::chat {

class AnswerView {
 public:
  /// `marks`: how reasoning is told from speech; nothing: all is speech.
  AnswerView(cli::Style style, const std::optional<text::ReplyParser::Options>& marks);

  /// Shows more of the answer.
  void push(std::string_view text);
  /// Shows the rest, and ends the line.
  void finish();

  /// What has been shown.
  const std::string& content() const { return content_; }
  const std::string& reasoning() const { return reasoning_; }

 private:
  void show(std::string_view text, bool is_reasoning);

  cli::Style style_;
  std::optional<text::ReplyParser> parser_;
  std::string content_, reasoning_;
  bool in_reasoning_ = false;
  bool ends_line_ = true;
};

}  // namespace ruvllm::chat
