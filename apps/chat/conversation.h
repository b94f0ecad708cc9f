// What was said so far, in turns. Tested by tests/cli/repl_test.cpp.
#pragma once

#include "prompt.h"

#include <filesystem>
#include <string>
#include <vector>

namespace ruvllm::chat {

class Conversation {
 public:
  void say(std::string text);
  void answered(std::string text, std::string reasoning);
  /// Takes back the last answer and what was said before it; false where nothing was.
  bool undo();
  /// Takes back the last answer only; false where there is none.
  bool take_back_answer();
  void clear() { messages_.clear(); }

  const std::vector<Message>& messages() const { return messages_; }

  void save(const std::filesystem::path& path, const std::string& system) const;
  /// Replaces everything, `system` too. Throws not_found, corrupt_file.
  void load(const std::filesystem::path& path, std::string& system);

 private:
  std::vector<Message> messages_;
};

}  // namespace ruvllm::chat
