#include "train/chat_pieces.h"

#include "base/error.h"

#include <algorithm>

namespace ruvllm::train {
namespace {

text::Prompt render_first(const text::ChatTemplate& chat_template, const OrderedJson& messages, size_t n,
                          bool add_generation_prompt) {
  text::ChatRequest request;
  for (size_t i = 0; i < n; ++i) request.messages.push_back(messages[i]);
  request.add_generation_prompt = add_generation_prompt;
  // A resumed run reads what the first one read, whatever the day: the first of 2025, a Wednesday.
  std::tm now{};
  now.tm_mday = 1, now.tm_year = 125, now.tm_wday = 3;
  request.now = now;
  return chat_template.render(request);
}

// Bytes [begin, end) of a rendering, and what of them users wrote.
TextPiece cut(const text::Prompt& prompt, size_t begin, size_t end, bool is_target) {
  TextPiece piece{prompt.text.substr(begin, end - begin), is_target, true, {}};
  for (const text::ByteRange& range : prompt.from_input)
    if (range.end > begin && range.begin < end)
      piece.literal.push_back({std::max(range.begin, begin) - begin, std::min(range.end, end) - begin});
  return piece;
}

}  // namespace

std::vector<TextPiece> chat_pieces(const text::ChatTemplate& chat_template, const OrderedJson& messages) {
  if (!messages.is_array()) throw Error(Errc::corrupt_file, "\"messages\" is no list");
  std::vector<TextPiece> pieces;
  std::string done;  // what the pieces hold so far
  for (size_t i = 0; i < messages.size(); ++i) {
    if (!messages[i].is_object() || messages[i].value("role", OrderedJson()) != "assistant") continue;
    const text::Prompt asked = render_first(chat_template, messages, i, true);
    const text::Prompt answered = render_first(chat_template, messages, i + 1, false);
    if (!answered.text.starts_with(asked.text))
      throw Error(Errc::corrupt_file, "the chat template writes message {} otherwise than it asks for it", i);
    if (!asked.text.starts_with(done)) pieces.clear(), done.clear();
    // The space after the token that ends a turn belongs to what comes next.
    const size_t end = std::max(answered.text.find_last_not_of(" \n") + 1, asked.text.size());
    pieces.push_back(cut(asked, done.size(), asked.text.size(), false));
    pieces.push_back(cut(answered, asked.text.size(), end, true));
    done = answered.text.substr(0, end);
  }
  if (pieces.empty()) throw Error(Errc::corrupt_file, "no message is the assistant's");
  return pieces;
}

}  // namespace ruvllm::train
