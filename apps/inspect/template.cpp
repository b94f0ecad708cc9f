// ruvllm inspect template: what a chat template makes of a conversation, to the byte.
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "cli/console.h"
#include "cli/model_options.h"
#include "format/model_file.h"
#include "inspect.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ruvllm::inspect {
namespace {

struct Options {
  std::string model;
  std::string template_file;
  std::string template_name;
  std::string messages;
  std::string tools;
  bool no_generation_prompt = false;
  std::string date;
  std::vector<std::string> variables;
};

OrderedJson read_json_list(const std::string& path) {
  OrderedJson json = parse_ordered_json(read_file(path, limits::kJsonFileBytes), path);
  if (!json.is_array()) throw Error(Errc::corrupt_file, "{}: expected a JSON list", path);
  return json;
}

// YYYY-MM-DDTHH:MM:SS, as the local time that strftime_now reports.
std::tm parse_date(const std::string& text) {
  std::tm time{};
  const char* end = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &time);
  if (!end || *end != '\0')
    throw Error(Errc::usage, "--date is '{}', expected YYYY-MM-DDTHH:MM:SS", printable(text));
  return time;
}

// NAME=JSON. What is given on the command line is the user's own word, as good as the template's.
text::jinja::Variable parse_variable(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    throw Error(Errc::usage, "--var is '{}', expected NAME=JSON", printable(text));
  const std::string name = text.substr(0, equals);
  try {
    return {name, parse_ordered_json(text.substr(equals + 1), "--var " + name), false};
  } catch (const Error& error) {
    throw Error(Errc::usage, "{}", error.what());
  }
}

text::ChatTemplate load_template(const Options& options, const cli::CommonOptions& common) {
  if (!options.template_file.empty())
    return text::ChatTemplate(read_file(options.template_file, limits::kTemplateBytes), options.template_file,
                              {});
  if (options.model.empty()) throw Error(Errc::usage, "which template? MODEL, or --template FILE");
  const auto file = format::open_model_file(cli::resolve_model(options.model, common));
  auto chat_template = text::load_chat_template(*file, *text::make_tokenizer(*file), options.template_name);
  if (!chat_template)
    throw Error(Errc::not_found,
                "{} has no chat template, and its vocabulary tells no format; give --template FILE",
                options.model);
  return std::move(*chat_template);
}

int run(const Options& options, const cli::CommonOptions& common) {
  text::ChatRequest request;
  request.messages = read_json_list(options.messages);
  if (!options.tools.empty()) request.tools = read_json_list(options.tools);
  request.add_generation_prompt = !options.no_generation_prompt;
  if (!options.date.empty()) request.now = parse_date(options.date);
  for (const std::string& variable : options.variables) request.variables.push_back(parse_variable(variable));
  const text::ChatTemplate chat_template = load_template(options, common);
  if (!chat_template.warning().empty()) cli::warn(common, chat_template.warning());
  const text::Prompt prompt = chat_template.render(request);
  if (!common.json) {
    cli::print(prompt.text);
    return 0;
  }
  Json from_input = Json::array();
  for (const text::ByteRange& range : prompt.from_input) from_input.push_back({range.begin, range.end});
  cli::print(dump_json(Json{{"prompt", to_valid_utf8(prompt.text)}, {"from_input", std::move(from_input)}}) +
             "\n");
  return 0;
}

}  // namespace

Inspection add_template(CLI::App& inspect) {
  auto options = std::make_shared<Options>();
  CLI::App* command = inspect.add_subcommand("template", "What a chat template makes of a conversation.");
  CLI::Option* model = cli::add_model_argument(*command, options->model)->required(false);
  CLI::Option* file = command
                          ->add_option("--template", options->template_file,
                                       "Use this Jinja template in place of the model's.")
                          ->type_name("FILE")
                          ->excludes(model);
  command
      ->add_option("--template-name", options->template_name,
                   "Of a model with several templates, use this one (tool_use, rag ...).")
      ->type_name("NAME")
      ->excludes(file);
  command->add_option("--messages", options->messages, "The conversation: a JSON list of messages.")
      ->type_name("FILE")
      ->required();
  command->add_option("--tools", options->tools, "Tools to offer: a JSON list.")->type_name("FILE");
  command->add_flag("--no-generation-prompt", options->no_generation_prompt,
                    "Leave out what opens the answer.");
  command->add_option("--date", options->date, "The time that templates see, YYYY-MM-DDTHH:MM:SS.")
      ->type_name("TIME");
  command->add_option("--var", options->variables, "Set a variable of the template; repeatable.")
      ->type_name("NAME=JSON")
      ->allow_extra_args(false);
  return {command, [options](const cli::CommonOptions& common) { return run(*options, common); }};
}

}  // namespace ruvllm::inspect
