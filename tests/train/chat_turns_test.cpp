#include "train/chat_turns.h"
#include "base/error.h"

#include <doctest/doctest.h>

using namespace ruvllm;
using namespace ruvllm::train;

namespace {

struct Read {
  std::vector<std::string> asked, answers;
  DataNotes notes;
};

Conversation talk(std::string_view messages) {
  return read_row({{"messages", parse_ordered_json(messages, "JSON")}}, true).conversation;
}

Read read(std::string_view source, std::string_view messages) {
  const ChatReader reader(
      std::make_shared<const text::ChatTemplate>(source, "test", text::TokenizerVariables{}));
  Read result;
  for (const ChatTurn& turn : reader(talk(messages), result.notes)) {
    result.asked.push_back(turn.asked.text);
    result.answers.push_back(turn.answer.text);
  }
  return result;
}

// Turns as [role]content[end]; `past` is what stands before the content of an answer, `ask` after its role in
// a prompt.
std::string turns(std::string_view past, std::string_view ask) {
  return "{%- for m in messages -%}[{{ m['role'] }}]{%- if m['role'] == 'assistant' -%}" + std::string(past) +
         "{%- endif -%}{{ m['content'] }}[end]{{ '\\n' }}{%- endfor -%}{%- if add_generation_prompt "
         "-%}[assistant]" +
         std::string(ask) + "{%- endif -%}";
}

constexpr std::string_view kPlain =
    R"([{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}])";
constexpr std::string_view kReasoned =
    R"([{"role":"user","content":"hi"},{"role":"assistant","content":"hello","reasoning_content":"Hm."}])";
constexpr std::string_view kInline =
    R"([{"role":"user","content":"hi"},{"role":"assistant","content":"<think>\nHm.\n</think>\n\nhello"}])";
// A template that writes a thought where there is one.
constexpr std::string_view kWritesThought =
    "{%- if m.reasoning_content -%}{{ '<think>' + m.reasoning_content + '</think>' }}{%- endif -%}";

}  // namespace

TEST_CASE("an answer goes on from its prompt, up to the mark that ends it") {
  const Read plain = read(turns("", ""), kPlain);
  CHECK(plain.asked == std::vector<std::string>{"[user]hi[end]\n[assistant]"});
  CHECK(plain.answers == std::vector<std::string>{"hello[end]"});
  CHECK(plain.notes.lines().empty());
  // The template leaves out what was thought, and it is said.
  CHECK(read(turns("", ""), kReasoned).notes.n_dropped_thoughts == 1);
  CHECK(read(turns("", ""), kInline).answers[0] == "<think>\nHm.\n</think>\n\nhello[end]");
}

TEST_CASE("where the prompt opens a thought, the answer ends it: the row's, or an empty one") {
  const std::string opens = turns("", "<think>{{ '\\n' }}");
  const Read plain = read(opens, kPlain);
  CHECK(plain.asked[0] == "[user]hi[end]\n[assistant]<think>\n");
  CHECK(plain.answers[0] == "\n</think>\n\nhello[end]");
  CHECK(plain.notes.n_opened_thoughts == 1);
  const Read reasoned = read(opens, kReasoned);
  CHECK(reasoned.answers[0] == "Hm.\n</think>\n\nhello[end]");
  CHECK(reasoned.notes.lines().empty());
  CHECK(read(opens, kInline).answers[0] == "Hm.\n</think>\n\nhello[end]");
}

TEST_CASE("a thought ends as the template ends thoughts, where it writes them") {
  const std::string opens = turns(kWritesThought, "<think>");
  CHECK(read(opens, kPlain).answers[0] == "</think>hello[end]");
  CHECK(read(opens, kReasoned).answers[0] == "Hm.</think>hello[end]");
  // Past answers with an empty thought that is written otherwise.
  const std::string always = turns("<think></think>", "<think>{{ '\\n' }}");
  CHECK(read(always, kPlain).answers[0] == "\n</think>\n\nhello[end]");
}

TEST_CASE("a thought that the prompt has closed is no part of the answer") {
  const std::string closed = turns("", "<think>{{ '\\n\\n' }}</think>{{ '\\n\\n' }}");
  CHECK(read(closed, kPlain).answers[0] == "hello[end]");
  CHECK(read(closed, kPlain).notes.lines().empty());
  CHECK(read(closed, kReasoned).notes.n_dropped_thoughts == 1);
}

TEST_CASE("words with which a prompt begins a thought are learned from, as a mark is") {
  const std::string words =
      turns("{%- if m.reasoning_content -%}{{ m.reasoning_content }}[said]{%- endif -%}", "Let me see:");
  CHECK(read(words, kPlain).asked[0] == "[user]hi[end]\n[assistant]Let me see:");
  CHECK(read(words, kPlain).answers[0] == "[said]hello[end]");
  CHECK(read(words, kReasoned).answers[0] == "Hm.[said]hello[end]");
  // An answer that begins with the same letter as those words.
  CHECK(
      read(words, R"([{"role":"user","content":"hi"},{"role":"assistant","content":"Last."}])").answers[0] ==
      "[said]Last.[end]");
}

TEST_CASE("an answer behind the prompt's own last words is found where other words come first") {
  const std::string moved =
      "{%- for m in messages -%}[{{ m['role'] }}]{{ m['content'] }}[end]{%- endfor -%}[rules]Be kind.[end]"
      "{%- if add_generation_prompt -%}[assistant]{%- endif -%}";
  const ChatReader reader(
      std::make_shared<const text::ChatTemplate>(moved, "test", text::TokenizerVariables{}));
  DataNotes notes;
  const ChatTurn turn = reader(talk(kPlain), notes).at(0);
  CHECK(turn.asked.text == "[user]hi[end][rules]Be kind.[end][assistant]");
  CHECK(turn.answer.text == "hello[end][rules]Be kind.[end]");
  CHECK(turn.must_end);
  // Whose letters stand in those words, too.
  const ChatTurn short_turn =
      reader(talk(R"([{"role":"user","content":"hi"},{"role":"assistant","content":"a"}])"), notes).at(0);
  CHECK(short_turn.answer.text == "a[end][rules]Be kind.[end]");
}

TEST_CASE("an answer that is written otherwise than it is asked for is refused") {
  CHECK_THROWS_WITH_AS(read(turns("so: ", "well: "), kPlain), doctest::Contains("message 1"), Error);
  const std::string strict = "{{ raise_exception('no') }}";
  CHECK_THROWS_WITH_AS(read(strict, kPlain), doctest::Contains("refuses"), Error);
}

TEST_CASE("what was thought in earlier turns stands in a prompt as in a chat") {
  const std::string messages =
      R"([{"role":"user","content":"a"},{"role":"assistant","content":"<think>Hm.</think>b"},)"
      R"({"role":"user","content":"c"},{"role":"assistant","content":"d"}])";
  const Read read_turns = read(turns("", ""), messages);
  CHECK(read_turns.answers == std::vector<std::string>{"<think>Hm.</think>b[end]", "d[end]"});
  CHECK(read_turns.asked[1] == "[user]a[end]\n[assistant]b[end]\n[user]c[end]\n[assistant]");
}

TEST_CASE("what users and models said is known to be theirs in the answer") {
  const ChatReader reader(
      std::make_shared<const text::ChatTemplate>(turns("", "<think>"), "test", text::TokenizerVariables{}));
  DataNotes notes;
  const text::Prompt answer = reader(talk(kReasoned), notes).at(0).answer;
  std::string theirs;
  for (const text::ByteRange& range : answer.from_input)
    theirs += answer.text.substr(range.begin, range.end - range.begin) + "|";
  CHECK(theirs == "Hm.|hello|");
}
