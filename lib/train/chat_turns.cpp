#include "train/chat_turns.h"

#include "base/error.h"
#include "base/strings.h"
#include "text/prompt_tokens.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace ruvllm::train {
namespace {

/// How families mark what a model thinks before it answers, and what stands between thought and answer where
/// their template doesn't say.
struct ThoughtMarks {
  std::string_view open, close, end;
};
constexpr ThoughtMarks kThoughts[] = {
    {"<think>", "</think>", "\n</think>\n\n"},
    {"<seed:think>", "</seed:think>", "</seed:think>"},
    {"[THINK]", "[/THINK]", "[/THINK]"},
    {"<|channel>thought", "<channel|>", "\n<channel|>"},
};

constexpr std::string_view kBlanks = " \t\r\n";

std::string_view skip_blanks(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text;
}

bool is_blank(std::string_view text) { return skip_blanks(text).empty(); }

std::string string_of(const OrderedJson& message, const char* key) {
  return message.contains(key) && message[key].is_string() ? message[key].get<std::string>() : std::string();
}

size_t common_prefix(std::string_view a, std::string_view b) {
  return static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

// An answer as a program that chats takes it apart: what was thought, and what was said.
struct Said {
  std::string thought, text;
};
Said take_apart(const OrderedJson& message) {
  Said said{std::string(trim(string_of(message, "reasoning_content"))), string_of(message, "content")};
  for (const ThoughtMarks& marks : kThoughts) {
    const size_t close = said.text.find(marks.close);
    if (close == std::string::npos) continue;
    std::string_view thought = skip_blanks(std::string_view(said.text).substr(0, close));
    if (thought.starts_with(marks.open)) thought.remove_prefix(marks.open.size());
    if (thought.find(marks.open) != std::string_view::npos) continue;
    if (said.thought.empty()) said.thought = trim(thought);
    said.text = skip_blanks(std::string_view(said.text).substr(close + marks.close.size()));
    return said;
  }
  return said;
}

// Appends bytes [begin, end) of a rendering, and which of them users wrote.
void append(const text::Prompt& from, size_t begin, size_t end, text::Prompt& to) {
  const size_t shift = to.text.size();
  to.text.append(from.text, begin, end - begin);
  for (const text::ByteRange& range : from.from_input)
    if (range.end > begin && range.begin < end)
      to.from_input.push_back(
          {shift + std::max(range.begin, begin) - begin, shift + std::min(range.end, end) - begin});
}

void append_input(std::string_view text, text::Prompt& to) {
  if (text.empty()) return;
  to.from_input.push_back({to.text.size(), to.text.size() + text.size()});
  to.text += text;
}

// The space after the token that ends a turn belongs to what comes next.
size_t end_of(const text::Prompt& answered, size_t begin) {
  return std::max(answered.text.find_last_not_of(" \n") + 1, begin);
}

// A resumed run reads what the first one read, whatever the day: the first of 2025, a Wednesday.
std::tm first_of_2025() {
  std::tm now{};
  now.tm_mday = 1, now.tm_year = 125, now.tm_wday = 3;
  return now;
}

}  // namespace

// One answer in the making.
struct ChatReader::Answer {
  const text::Prompt& asked;
  const text::Prompt& answered;
  Said said;
};

ChatReader::ChatReader(std::shared_ptr<const text::ChatTemplate> chat_template)
    : template_(std::move(chat_template)) {
  probe_thoughts();
}

// Lets the template write an answer with a thought, in words that no template has by itself.
void ChatReader::probe_thoughts() {
  constexpr std::string_view kThought = "ruvllmthought", kAnswer = "ruvllmanswer";
  Conversation conversation;
  conversation.messages =
      OrderedJson::array({{{"role", "user"}, {"content", "hello"}},
                          {{"role", "assistant"}, {"content", kAnswer}, {"reasoning_content", kThought}}});
  try {
    const text::Prompt asked = render(conversation, 1, true), answered = render(conversation, 2, false);
    const size_t thought = answered.text.find(kThought);
    if (thought == std::string::npos) return;
    const size_t begin = thought + kThought.size(), end = answered.text.find(kAnswer, begin);
    if (end == std::string::npos) return;
    thought_end_ = answered.text.substr(begin, end - begin);
    const size_t n_common = common_prefix(asked.text, answered.text);
    if (n_common == thought) prompt_end_ = asked.text.substr(n_common);
  } catch (const Error&) {
    return;  // it wants other conversations, and will be asked again with those
  }
}

text::Prompt ChatReader::render(const Conversation& conversation, size_t n, bool asks) const {
  text::ChatRequest request;
  for (size_t i = 0; i < n; ++i) request.messages.push_back(conversation.messages[i]);
  request.tools = conversation.tools;
  request.add_generation_prompt = asks;
  request.now = first_of_2025();
  return text::render_prompt(*template_, std::move(request));
}

// The prompt ends in a mark that opens a thought, perhaps closed at once, and the past answer is written
// without, or with another space behind the mark.
bool ChatReader::end_thought(const Answer& answer, ChatTurn& turn, DataNotes& notes) const {
  const std::string_view asked = answer.asked.text, answered = answer.answered.text;
  for (const ThoughtMarks& marks : kThoughts) {
    const size_t open = asked.rfind(marks.open);
    if (open == std::string_view::npos || !answered.starts_with(asked.substr(0, open))) continue;
    std::string_view behind = skip_blanks(asked.substr(open + marks.open.size()));
    const bool is_closed = behind.starts_with(marks.close);
    if (is_closed) behind.remove_prefix(marks.close.size());
    if (!is_blank(behind)) continue;

    std::string_view body = answered.substr(open);
    if (const size_t close = body.find(marks.close);
        close != std::string_view::npos && (body.starts_with(marks.open) || is_blank(body.substr(0, close))))
      body = skip_blanks(body.substr(close + marks.close.size()));
    const size_t begin = answered.size() - body.size();
    if (!is_closed) {
      append_input(answer.said.thought, turn.answer);
      turn.answer.text += thought_end_.value_or(std::string(marks.end));
      notes.n_opened_thoughts += answer.said.thought.empty();
    }
    append(answer.answered, begin, end_of(answer.answered, begin), turn.answer);
    return true;
  }
  return false;
}

// The prompt ends in words that begin a thought, and past thoughts stand without them.
bool ChatReader::begin_thought(const Answer& answer, ChatTurn& turn, DataNotes& notes) const {
  const std::string_view asked = answer.asked.text;
  if (prompt_end_.empty() || !asked.ends_with(prompt_end_)) return false;
  const size_t begin = asked.size() - prompt_end_.size();
  if (!answer.answered.text.starts_with(asked.substr(0, begin))) return false;
  if (answer.said.thought.empty()) {
    turn.answer.text += *thought_end_;
    ++notes.n_opened_thoughts;
  }
  append(answer.answered, begin, end_of(answer.answered, begin), turn.answer);
  return true;
}

// Where the answer begins, if it stands behind the same words as in the prompt but something else came
// before.
std::optional<size_t> find_moved(const text::Prompt& asked, const text::Prompt& answered,
                                 const std::string& said) {
  const std::string_view wanted = trim(said);
  const size_t n_common = common_prefix(asked.text, answered.text);
  if (wanted.empty()) return {};
  for (size_t at = answered.text.find(wanted, n_common); at != std::string::npos;
       at = answered.text.find(wanted, at + 1))
    if (at > n_common &&
        asked.text.ends_with(std::string_view(answered.text).substr(n_common, at - n_common)))
      return at;
  return {};
}

ChatTurn ChatReader::turn(const Conversation& conversation, const Conversation& plain, size_t i,
                          DataNotes& notes) const {
  ChatTurn turn{.asked = render(plain, i, true), .answer = {}};
  Conversation told = plain;
  told.messages[i] = conversation.messages[i];
  const text::Prompt answered = render(told, i + 1, false);
  const Answer answer{turn.asked, answered, take_apart(conversation.messages[i])};
  if (answered.text.starts_with(turn.asked.text)) {
    const size_t begin = turn.asked.text.size();
    append(answered, begin, end_of(answered, begin), turn.answer);
  } else if (const auto moved = find_moved(turn.asked, answered, answer.said.text)) {
    append(answered, *moved, answered.text.size(), turn.answer);
    turn.must_end = true;
  } else if (!end_thought(answer, turn, notes) && !begin_thought(answer, turn, notes)) {
    throw Error(Errc::corrupt_file, "the chat template writes message {} otherwise than it asks for it", i);
  }
  if (!answer.said.thought.empty() && turn.answer.text.find(answer.said.thought) == std::string::npos)
    ++notes.n_dropped_thoughts;
  return turn;
}

std::vector<ChatTurn> ChatReader::operator()(const Conversation& conversation, DataNotes& notes) const {
  // What was answered before stands in a prompt as a program that chats has it.
  Conversation plain = conversation;
  for (OrderedJson& message : plain.messages) {
    if (message["role"] != "assistant" || !message["content"].is_string()) continue;
    Said said = take_apart(message);
    message["content"] = std::move(said.text);
    if (!said.thought.empty()) message["reasoning_content"] = std::move(said.thought);
  }
  std::vector<ChatTurn> turns;
  for (size_t i = 0; i < conversation.messages.size(); ++i) {
    if (!conversation.is_learned[i]) continue;
    try {
      turns.push_back(turn(conversation, plain, i, notes));
    } catch (const Error& error) {  // a template's refusal is one of the data here, and not of the command
      if (error.code() != Errc::usage) throw;
      throw Error(Errc::corrupt_file, "the chat template refuses the messages up to {}: {}", i, error.what());
    }
  }
  return turns;
}

}  // namespace ruvllm::train
