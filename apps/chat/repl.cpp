#include "repl.h"

#include "answer_view.h"
#include "base/error.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "cli/config_file.h"
#include "cli/line_editor.h"

#include <unistd.h>

#include <utility>

namespace ruvllm::chat {
namespace {

constexpr std::string_view kBlockMark = "\"\"\"";

std::filesystem::path history_path() {
  const auto folder = cli::default_state_folder();
  return folder.empty() ? folder : folder / "history";
}

// In the prompt, escape sequences stand between marks so that the editor doesn't count them.
std::string prompt_text(std::string_view text, bool color) {
  return color ? fmt::format("\1\x1b[1;32m\1{}\1\x1b[0m\1", text) : std::string(text);
}

}  // namespace

class Repl::Input {
 public:
  Input(cli::LineEditor::Complete complete, bool color)
      : editor_("ruvllm", history_path(), std::move(complete)), color_(color) {}

  cli::LineEditor::Input read(std::string_view prompt) {
    auto input = editor_.read_line(prompt_text(prompt, color_));
    if (input.outcome == cli::LineEditor::Outcome::line && !trim(input.text).empty())
      editor_.remember(input.text);
    return input;
  }

 private:
  cli::LineEditor editor_;
  bool color_;
};

Repl::Repl(std::unique_ptr<Session> session, Options options, const cli::CommonOptions& common)
    : session_(std::move(session)),
      options_(std::move(options)),
      common_(common),
      style_(cli::use_color(STDOUT_FILENO, common.color)),
      input_(std::make_unique<Input>(complete, cli::use_color(STDOUT_FILENO, common.color))) {}

Repl::~Repl() = default;

void Repl::run() {
  using Outcome = cli::LineEditor::Outcome;
  if (!common_.quiet)
    tell(fmt::format(
        "{}. /help shows the commands, Ctrl-C stops an answer, Ctrl-D ends.",
        session_->prompts().uses_template() ? "Say something" : "This model continues text: begin one"));
  while (!done_) {
    cli::flush_output();
    const auto [outcome, text] = input_->read("> ");
    if (outcome == Outcome::end) break;
    if (outcome == Outcome::dropped || trim(text).empty()) continue;
    try {
      if (text.starts_with('/')) {
        obey(text);
        continue;
      }
      const std::optional<std::string> said = text.starts_with(kBlockMark) ? read_block(text) : text;
      if (!said) continue;
      conversation_.say(std::exchange(attached_, "") + *said);
      answer();
    } catch (const Error& error) {
      if (error.code() == Errc::interrupted) cli::take_interrupt();
      cli::flush_output();
      cli::print(fmt::format("{} {}\n", style_.red("error:"), error.what()));
    }
  }
  if (!done_) cli::print("\n");
}

std::optional<std::string> Repl::read_block(std::string line) {
  line.erase(0, kBlockMark.size());
  std::string block;
  for (;;) {
    if (const size_t end = line.find(kBlockMark); end != std::string::npos)
      return block + line.substr(0, end);
    block += line + '\n';
    auto input = input_->read(". ");
    if (input.outcome != cli::LineEditor::Outcome::line) return std::nullopt;
    line = std::move(input.text);
  }
}

void Repl::answer() {
  engine::GenerationRequest request = options_.request();
  std::optional<AnswerView> view;
  try {
    PromptTokens prompt = session_->prompts().prompt(conversation_.messages(), options_.system);
    request.prompt = std::move(prompt.tokens);
    std::optional<text::ReplyParser::Options> marks;
    if (session_->prompts().uses_template())
      marks = {.parse_tools = false, .starts_in_reasoning = prompt.opens_reasoning};
    view.emplace(style_, marks);
    const auto result = session_->answer(
        std::move(request), [&](std::string_view text) { view->push(text); }, &cli::interrupt_flag());
    view->finish();
    if (result.finish_reason == engine::FinishReason::interrupted) {
      cli::take_interrupt();
      tell("(stopped)");
    }
    if (result.finish_reason == engine::FinishReason::length)
      tell("(cut off by --max-tokens; /set max-tokens N)");
    if (result.finish_reason == engine::FinishReason::context)
      tell("(the context is full; /clear makes room)");
    last_stats_ = describe(result, session_->n_fed());
    cli::detail(common_, last_stats_);
    conversation_.answered(view->content(), view->reasoning());
  } catch (const Error&) {
    if (view) view->finish();  // what was said before stands on lines of its own
    conversation_.undo();      // what couldn't be answered was not said
    throw;
  }
}

void Repl::tell(std::string_view text) const { cli::print(style_.dim(text) + "\n"); }

int converse(std::unique_ptr<Session> session, Options options, const cli::CommonOptions& common) {
  if (common.json) throw Error(Errc::usage, "--json needs a prompt: -p, -f or a pipe");
  if (!cli::is_terminal(STDOUT_FILENO))
    throw Error(Errc::usage, "a conversation needs a terminal; give a prompt with -p, -f or a pipe");
  Repl(std::move(session), std::move(options), common).run();
  return 0;
}

}  // namespace ruvllm::chat
