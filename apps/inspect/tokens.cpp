// ruvllm inspect tokens: text to token ids, and back with --decode.
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "cli/console.h"
#include "cli/model_options.h"
#include "cli/token_list.h"
#include "format/model_file.h"
#include "inspect.h"
#include "text/tokenizer.h"

#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ruvllm::inspect {
namespace {

struct Options {
  std::string model;
  std::optional<std::string> text;
  std::string file;
  std::string standard_input;
  std::optional<std::string> decode;
  bool no_bos = false;
  bool no_special = false;
};

std::string read_text(const Options& options) {
  if (options.text) return *options.text;
  if (!options.file.empty() && options.file != "-") return read_file(options.file, limits::kPromptBytes);
  const bool asked = options.standard_input == "-" || options.file == "-";
  if (!options.standard_input.empty() && !asked)
    throw Error(Errc::usage, "unexpected argument '{}'; text is given with --text, a file with --file",
                printable(options.standard_input));
  if (!asked && cli::is_terminal(STDIN_FILENO))
    throw Error(Errc::usage, "which text? --text TEXT, --file FILE, or - for standard input");
  return read_stdin(limits::kPromptBytes);
}

int print_tokens(const text::Tokenizer& tokenizer, const std::vector<text::TokenId>& tokens, bool json) {
  if (json) {
    Json list = Json::array();
    for (const text::TokenId token : tokens)
      list.push_back({{"id", token}, {"text", to_valid_utf8(tokenizer.token_bytes(token, true))}});
    cli::print(dump_json(Json{{"tokens", std::move(list)}}) + "\n");
    return 0;
  }
  for (const text::TokenId token : tokens)
    cli::print(fmt::format("{:>7}  '{}'\n", token, printable(tokenizer.token_bytes(token, true))));
  return 0;
}

int run(const Options& options, const cli::CommonOptions& common) {
  const auto file = format::open_model_file(cli::resolve_model(options.model, common));
  const auto tokenizer = text::make_tokenizer(*file);
  if (!tokenizer->warning().empty()) cli::warn(common, printable(tokenizer->warning()));
  if (options.decode) {
    const auto tokens = cli::parse_token_list(*options.decode, tokenizer->n_tokens(), "--decode");
    const std::string text = tokenizer->decode(tokens, !options.no_special);
    cli::print(common.json ? dump_json(Json{{"text", to_valid_utf8(text)}}) + "\n" : text + "\n");
    return 0;
  }
  const text::EncodeOptions encoding{.add_special = !options.no_bos, .parse_special = !options.no_special};
  return print_tokens(*tokenizer, tokenizer->encode(read_text(options), encoding), common.json);
}

}  // namespace

Inspection add_tokens(CLI::App& inspect) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      inspect.add_subcommand("tokens", "How a model cuts text into tokens; --decode goes back.");
  cli::add_model_argument(*command, options->model);
  command->add_option("INPUT", options->standard_input, "'-' reads the text from standard input.")
      ->type_name("-");
  CLI::Option* text = command->add_option("--text", options->text, "The text to cut.")->type_name("TEXT");
  CLI::Option* file = command->add_option("--file", options->file, "The file to cut.")->type_name("FILE");
  CLI::Option* decode = command->add_option("--decode", options->decode, "Print the text of these tokens.")
                            ->type_name("ID,ID,...");
  text->excludes(file);
  decode->excludes(text)->excludes(file);
  command->add_flag("--no-bos", options->no_bos, "Add no token that opens or closes a text.");
  command->add_flag("--no-special", options->no_special,
                    "Take special tokens that are written out as plain text; hide them with --decode.");
  return {command, [options](const cli::CommonOptions& common) { return run(*options, common); }};
}

}  // namespace ruvllm::inspect
