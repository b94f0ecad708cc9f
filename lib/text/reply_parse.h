// What a model answers, taken apart while it streams: reasoning, tool calls, and the content that is left.
//
// Models mark these in their text, each family in its way; the marks are rows of a table (reply_parse.cpp),
// and one hand-written scanner knows them all. Each byte is looked at a bounded number of times, whatever the
// text is. A call that is malformed stays content, as written. Tested by tests/text/reply_parse_test.cpp.
#pragma once

#include "text/chat_message.h"

#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::text {

/// What became certain with a piece of text.
struct ReplyPart {
  enum class Kind { content, reasoning, tool_call };
  Kind kind = Kind::content;
  std::string text;  ///< of content and reasoning
  ToolCall call;     ///< of a tool call, complete
};

class ReplyParser {
 public:
  struct Options {
    bool parse_tools = true;           ///< else tool calls are content
    bool starts_in_reasoning = false;  ///< the prompt has opened the reasoning already
  };
  explicit ReplyParser(const Options& options);

  /// Whether a prompt ends by opening the reasoning that the reply goes on with (starts_in_reasoning).
  static bool opens_reasoning(std::string_view prompt);

  /// Takes the next piece of a reply.
  std::vector<ReplyPart> push(std::string_view text);
  /// The rest, at the end of the reply.
  std::vector<ReplyPart> finish();

 private:
  struct Mark;
  static const std::vector<Mark>& marks();

  bool scan();
  bool scan_content();
  bool scan_reasoning();
  bool scan_call();
  size_t find_call_end();
  std::string_view rest() const { return std::string_view(held_).substr(begin_); }
  void open(const Mark& mark);
  void emit(ReplyPart::Kind kind, std::string_view text);
  bool emit_calls(std::string_view body);
  void drop(size_t n_bytes);

  Options options_;
  std::string held_;
  size_t begin_ = 0;            // of what is not yet told in held_
  size_t n_scanned_ = 0;        // of rest(): has been looked at in this state
  const Mark* mark_ = nullptr;  // what is open; null: content
  bool at_start_ = true;        // nothing but blanks so far
  bool bare_json_ = false;      // the whole reply may be a call in plain JSON
  bool skip_blanks_ = false;    // blanks that belong to a mark come next
  int json_depth_ = 0;          // of a body that ends with its JSON
  bool in_string_ = false;
  bool escaped_ = false;
  std::vector<ReplyPart> parts_;
};

/// A whole reply at once. Texts of one kind are joined.
std::vector<ReplyPart> parse_reply(std::string_view reply, const ReplyParser::Options& options);

}  // namespace ruvllm::text
