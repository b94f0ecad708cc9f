// ruvllm chat: one answer with -p, -f or piped text, else a conversation on the terminal. Tested by
// tests/cli/chat_test.cpp.
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text_file.h"
#include "chat.h"
#include "cli/console.h"
#include "cli/load_model.h"
#include "cli/model_options.h"
#include "cli/resolve_options.h"

#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace ruvllm::chat {
namespace {

// The prompt of a one-shot answer; nothing where there is to be a conversation.
std::optional<std::string> read_prompt(const Options& options) {
  if (options.prompt) return options.prompt;
  if (!options.file.empty() && options.file != "-") return read_text_file(options.file, limits::kPromptBytes);
  if (options.file.empty() && cli::is_terminal(STDIN_FILENO)) return std::nullopt;
  std::string text = decode_text(read_stdin(limits::kPromptBytes), "standard input", limits::kPromptBytes);
  if (text.empty()) throw Error(Errc::usage, "standard input is empty; give a prompt with -p, -f or a pipe");
  return text;
}

int run(Options options, const cli::CommonOptions& common) {
  if (options.stop.size() > static_cast<size_t>(limits::kStopStrings))
    throw Error(Errc::usage, "--stop: {} strings, at most {} can be given", options.stop.size(),
                limits::kStopStrings);
  cli::resolve_model(options.model, common);  // before standard input is waited for
  const std::optional<std::string> prompt = read_prompt(options);
  cli::LoadedModel loaded = load_chat_model(options.model, options, common);
  if (const std::string warning = options.sampling.take_recommended(loaded.file->metadata); !warning.empty())
    cli::warn(common, warning);
  auto session = std::make_unique<Session>(std::move(loaded), options);
  return prompt ? answer_once(*session, options, *prompt, common)
                : converse(std::move(session), options, common);
}

}  // namespace
}  // namespace ruvllm::chat

int main(int argc, char** argv) {
  using namespace ruvllm;
  chat::Options options;
  cli::App app;
  app.name = "chat";
  app.about = "Talk to a model on the terminal, or get one answer with -p.";
  app.example =
      "ruvllm chat model.gguf\n"
      "ruvllm chat model.gguf -p 'Write a haiku about rain' --temp 0";
  app.add_options = [&](CLI::App& command) { chat::add_options(command, options); };
  app.run = [&](const cli::CommonOptions& common) { return chat::run(options, common); };
  return cli::main_app(argc, argv, app);
}
