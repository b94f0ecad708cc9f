// Conversations as a program that chats would lead them: for each answer of the assistant, the prompt that
// the model is fed, to the byte, and what it is to write then.
//
// What a chat template writes of an answer that was given is not always what the model writes when asked:
// prompts open a thought that past answers are written without, or close one, or end in an order that stands
// elsewhere afterwards. The answer learned is the one after the prompt, its thought ended as the template
// ends thoughts. Tested by tests/train/chat_turns_test.cpp.
#pragma once

#include "text/chat_template.h"
#include "train/data_notes.h"
#include "train/rows.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ruvllm::train {

/// One answer.
struct ChatTurn {
  text::Prompt asked;   ///< what the model is fed
  text::Prompt answer;  ///< what it goes on with
  /// Behind the answer the template writes other things; what the model writes ends with its first end token.
  bool must_end = false;
};

/// Reads conversations by a model's own template.
class ChatReader {
 public:
  explicit ChatReader(std::shared_ptr<const text::ChatTemplate> chat_template);

  /// The answers of a conversation that are learned, in order. Throws Errc::corrupt_file where the template
  /// refuses it, or writes an answer otherwise than it asks for it in a way that isn't known.
  std::vector<ChatTurn> operator()(const Conversation& conversation, DataNotes& notes) const;

 private:
  struct Answer;
  text::Prompt render(const Conversation& conversation, size_t n, bool asks) const;
  ChatTurn turn(const Conversation& conversation, const Conversation& plain, size_t i,
                DataNotes& notes) const;
  bool end_thought(const Answer& answer, ChatTurn& turn, DataNotes& notes) const;
  bool begin_thought(const Answer& answer, ChatTurn& turn, DataNotes& notes) const;
  void probe_thoughts();

  std::shared_ptr<const text::ChatTemplate> template_;
  /// How the template writes a thought, where it does: what stands between it and the answer.
  std::optional<std::string> thought_end_;
  /// What its prompts end with, where past thoughts are written without that.
  std::string prompt_end_;
};

/// Renders conversations to turns; empty where a model has no chat template.
using ChatRenderer = std::function<std::vector<ChatTurn>(const Conversation&, DataNotes&)>;

}  // namespace ruvllm::train
