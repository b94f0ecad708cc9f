#include "options.h"

#include "base/limits.h"
#include "cli/load_model.h"
#include "cli/model_options.h"
#include "cli/resolve_options.h"

#include <limits>

namespace ruvllm::chat {

engine::GenerationRequest Options::request() const {
  engine::GenerationRequest request;
  request.max_tokens = max_tokens < 0 ? std::numeric_limits<int>::max() : max_tokens;
  request.ignore_eos = ignore_eos;
  request.stop = stop;
  request.sampling = sampling.resolved();
  request.prefill_chunk = chunk;
  return request;
}

void add_answer_options(CLI::App& command, Options& options) {
  command
      .add_option("-n,--max-tokens", options.max_tokens, "Stop after this many tokens; -1 fills the context.")
      ->type_name("N")
      ->capture_default_str()
      ->check(cli::between(-1, 1e9));
  const auto check_stop = [](std::string& text) {
    if (text.empty()) return std::string("a stop string can't be empty");
    return text.size() <= limits::kStopStringBytes ? std::string()
                                                   : std::string("the stop string is too long");
  };
  command.add_option("--stop", options.stop, "Stop before this text; can be given several times.")
      ->type_name("TEXT")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false)
      ->check(CLI::Validator(check_stop, ""));
  command.add_flag("--ignore-eos", options.ignore_eos, "Go on where the model would end.");
  cli::add_sampling_options(command, options.sampling);
}

void add_options(CLI::App& command, Options& options) {
  cli::add_model_argument(command, options.model);
  CLI::Option* prompt =
      command.add_option("-p,--prompt", options.prompt, "Answer this and exit.")->type_name("TEXT");
  command.add_option("-f,--file", options.file, "Answer what this file says ('-': standard input) and exit.")
      ->type_name("FILE")
      ->excludes(prompt);
  command.add_option("--system", options.system, "Tell the model how to behave.")->type_name("TEXT");
  command.add_flag("--raw", options.raw, "Feed the prompt as it is, without the model's chat template.");
  command
      .add_option("--chat-format", options.chat_format,
                  "Speak to the model in this format (chatml, llama3, ...).")
      ->type_name("NAME")
      ->excludes("--raw");
  add_answer_options(command, options);
  command
      .add_option("-c,--ctx", options.n_context,
                  "Room for this many tokens (what the model was trained for).")
      ->type_name("N")
      ->check(cli::between(1, static_cast<double>(limits::kContextTokens)));
  command.add_option("--chunk", options.chunk, "Read the prompt this many tokens at a time; changes no bit.")
      ->type_name("N")
      ->capture_default_str()
      ->check(cli::between(1, 1 << 20));
  cli::add_kv_type_option(command, options.kv_format);
  cli::add_quantize_on_load_option(command, options.quantize_on_load);
}

}  // namespace ruvllm::chat
