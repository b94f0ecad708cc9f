// One answer: streamed to stdout, or one JSON document.
#include "base/error.h"
#include "base/json.h"
#include "chat.h"
#include "cli/console.h"
#include "prompt.h"

#include <unistd.h>

namespace ruvllm::chat {
namespace {

double per_second(size_t n_tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(n_tokens) / seconds : 0;
}

OrderedJson to_json(const engine::GenerationResult& result, size_t n_prompt, double load_seconds) {
  const size_t n_tokens = result.tokens.size();
  return {{"text", result.text},
          {"tokens", result.tokens},
          {"finish_reason", engine::finish_reason_name(result.finish_reason)},
          {"usage", {{"prompt_tokens", n_prompt}, {"completion_tokens", n_tokens}}},
          {"timings",
           {{"load_ms", load_seconds * 1e3},
            {"ttft_ms", result.prefill_seconds * 1e3},
            {"prompt_tps", per_second(n_prompt, result.prefill_seconds)},
            {"decode_tps", per_second(n_tokens > 0 ? n_tokens - 1 : 0, result.decode_seconds)}}}};
}

}  // namespace

std::string describe(const engine::GenerationResult& result, size_t n_prompt) {
  const size_t n_tokens = result.tokens.size();
  return fmt::format("{} tokens read at {:.1f}/s, {} written at {:.1f}/s; ended by {}", n_prompt,
                     per_second(n_prompt, result.prefill_seconds), n_tokens,
                     per_second(n_tokens > 0 ? n_tokens - 1 : 0, result.decode_seconds),
                     engine::finish_reason_name(result.finish_reason));
}

int answer_once(Session& session, const Options& options, const std::string& prompt,
                const cli::CommonOptions& common) {
  engine::GenerationRequest request = options.request();
  const Message said{"user", prompt};
  request.prompt = session.prompts().prompt({&said, 1}, options.system).tokens;
  const size_t n_prompt = request.prompt.size();
  const bool on_terminal = cli::is_terminal(STDOUT_FILENO);
  bool ends_line = false;
  const auto stream = [&](std::string_view text) {
    if (common.json || text.empty()) return;
    cli::print(on_terminal ? cli::terminal_safe(text) : text);
    cli::flush_output();
    ends_line = text.ends_with('\n');
  };
  const auto result = session.answer(std::move(request), stream, &cli::interrupt_flag());
  if (common.json)
    cli::print(dump_json(to_json(result, n_prompt, session.loaded().load_seconds)) + "\n");
  else if (!ends_line)
    cli::print("\n");
  cli::detail(common, describe(result, n_prompt));
  return result.finish_reason == engine::FinishReason::interrupted ? error_kind(Errc::interrupted).exit_code
                                                                   : 0;
}

}  // namespace ruvllm::chat
