#include "train/data_notes.h"

#include "base/utf8.h"

#include <fmt/ranges.h>

namespace ruvllm::train {
namespace {

std::string list_of(const std::set<std::string>& tokens) {
  constexpr size_t kMost = 4;
  std::vector<std::string> some;
  for (const std::string& token : tokens)
    if (some.size() < kMost) some.push_back(printable(token, 40));
  return fmt::format("{}{}", fmt::join(some, ", "), tokens.size() > kMost ? ", ..." : "");
}

}  // namespace

std::vector<std::string> DataNotes::lines() const {
  std::vector<std::string> lines;
  if (n_empty > 0)
    lines.push_back(fmt::format("{} of {} rows hold nothing to learn, no text or no answer, and are left out",
                                n_empty, n_rows));
  if (n_opened_thoughts > 0)
    lines.push_back(
        fmt::format("the chat template opens a thought: {} answers without \"reasoning_content\" are learned "
                    "with an empty one",
                    n_opened_thoughts));
  if (n_dropped_thoughts > 0)
    lines.push_back(fmt::format(
        "the chat template does not write \"reasoning_content\": that of {} answers is not learned",
        n_dropped_thoughts));
  if (n_marked > 0)
    lines.push_back(fmt::format("{} texts spell out special tokens ({}), and are learned with them", n_marked,
                                list_of(marks)));
  if (n_spelled > 0)
    lines.push_back(
        fmt::format("{} texts hold {} as letters; they are special tokens only where a text begins with BOS",
                    n_spelled, list_of(spelled)));
  return lines;
}

}  // namespace ruvllm::train
