// What lines that begin with '/' do: one table, one function each.
#include "base/error.h"
#include "base/limits.h"
#include "base/machine.h"
#include "base/strings.h"
#include "base/text_file.h"
#include "base/utf8.h"
#include "cli/help.h"
#include "cli/load_model.h"
#include "cli/resolve_options.h"
#include "repl.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

namespace ruvllm::chat {
namespace {

std::string need(const std::string& argument, std::string_view wish) {
  if (argument.empty()) throw Error(Errc::usage, "{}", wish);
  return argument;
}

// Files and folders (these with a slash behind) whose path begins so, in order. Hidden ones have to be asked
// for by their dot, and names that a terminal could take for more than text are left out.
std::vector<std::string> paths_that_begin(std::string_view beginning) {
  const size_t slash = beginning.rfind('/');
  const std::string folder(beginning.substr(0, slash + 1));  // npos + 1 is 0
  const std::string_view name = beginning.substr(folder.size());
  std::vector<std::string> paths;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder.empty() ? "." : folder, error), end;
       !error && entry != end; entry.increment(error)) {
    const std::string found = entry->path().filename();
    if (!found.starts_with(name) || (found.starts_with('.') && !name.starts_with('.'))) continue;
    if (printable(found, found.size()) != found) continue;
    std::error_code ignored;
    paths.push_back(folder + found + (entry->is_directory(ignored) ? "/" : ""));
  }
  std::ranges::sort(paths);
  return paths;
}

}  // namespace

const std::vector<Repl::Command>& Repl::commands() {
  static const std::vector<Command> table = {
      {"/help", "", "Show this list.", &Repl::help},
      {"/exit", "", "End; so does Ctrl-D.", &Repl::exit},
      {"/clear", "", "Forget what was said.", &Repl::clear},
      {"/system", "TEXT", "Tell the model how to behave; without TEXT, no longer.", &Repl::system},
      {"/undo", "", "Take back the last exchange.", &Repl::undo},
      {"/retry", "", "Answer again.", &Repl::retry},
      {"/set", "NAME VALUE", "Change an option of answers: /set temp 0.2", &Repl::set},
      {"/show", "", "Show the options of answers.", &Repl::show},
      {"/save", "FILE", "Write the conversation to a file.", &Repl::save},
      {"/load", "FILE", "Go on with a conversation from a file.", &Repl::load},
      {"/file", "FILE", "Put a file before what you say next.", &Repl::file},
      {"/stats", "", "Show speed, context and memory.", &Repl::stats},
      {"/model", "MODEL", "Talk to another model.", &Repl::model},
  };
  return table;
}

std::vector<std::string> Repl::complete(std::string_view line) {
  std::vector<std::string> lines;
  if (!line.starts_with('/')) return lines;
  for (const Command& command : commands())
    if (command.name.starts_with(line))
      lines.push_back(std::string(command.name) + (command.argument.empty() ? "" : " "));
  const size_t space = line.find(' ');
  if (space == line.npos) return lines;
  for (const Command& command : commands())
    if (command.name == line.substr(0, space) && (command.argument == "FILE" || command.argument == "MODEL"))
      for (const std::string& path : paths_that_begin(line.substr(space + 1)))
        lines.push_back(fmt::format("{} {}", command.name, path));
  return lines;
}

void Repl::obey(const std::string& line) {
  const std::string word = line.substr(0, line.find(' '));
  const std::string argument(trim(std::string_view(line).substr(word.size())));
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    if (command.name != word) {
      names.emplace_back(command.name);
      continue;
    }
    if (command.argument.empty() && !argument.empty())
      throw Error(Errc::usage, "{} takes nothing after it", word);
    return (this->*command.run)(argument);
  }
  const auto nearest = nearest_match(word, names);
  throw Error(Errc::usage, "there is no {}; {}", printable(word),
              nearest ? "did you mean " + *nearest + "?" : "/help lists the commands");
}

void Repl::help(const std::string&) {
  std::vector<cli::HelpRow> rows;
  for (const Command& command : commands())
    rows.push_back({fmt::format("{} {}", command.name, command.argument), std::string(command.about)});
  rows.push_back({"\"\"\"", "Opens and closes a block of several lines."});
  cli::print(cli::help_rows(rows, cli::terminal_width(STDOUT_FILENO), style_));
}

void Repl::exit(const std::string&) { done_ = true; }

void Repl::clear(const std::string&) {
  conversation_.clear();
  attached_.clear();
  tell("Forgotten.");
}

void Repl::system(const std::string& argument) {
  if (!session_->prompts().uses_template())
    throw Error(Errc::usage, "this model has no chat template, so there is no place for a system text");
  options_.system = argument;
  tell(argument.empty() ? "No system text." : "Noted; it holds from the next answer on.");
}

void Repl::undo(const std::string&) {
  tell(conversation_.undo() ? "Taken back." : "There is nothing to take back.");
}

void Repl::retry(const std::string&) {
  if (!conversation_.take_back_answer()) throw Error(Errc::usage, "there is no answer to try again");
  answer();
}

// The same options as on the command line, with the same checks.
void Repl::set(const std::string& argument) {
  const size_t space = argument.find(' ');
  if (argument.empty()) throw Error(Errc::usage, "/set NAME VALUE; /show lists the names");
  Options changed = options_;
  changed.stop.clear();
  CLI::App command("", "/set");
  add_answer_options(command, changed);
  std::vector<std::string> words = {"--" + argument.substr(0, space)};
  if (space != std::string::npos)
    words.insert(words.begin(), std::string(trim(argument.substr(space))));  // CLI11 reads backwards
  try {
    command.parse(words);
  } catch (const CLI::ParseError& error) {
    throw cli::usage_error(error, command);
  }
  if (changed.stop.empty()) changed.stop = options_.stop;
  options_ = std::move(changed);
}

void Repl::show(const std::string&) {
  CLI::App command("", "/set");
  Options current = options_;
  add_answer_options(command, current);
  std::vector<cli::HelpRow> rows;
  for (const CLI::Option* option :
       command.get_options([&](const CLI::Option* o) { return o != command.get_help_ptr(); })) {
    const std::string name = option->get_lnames()[0];
    std::string value = option->get_default_str();
    if (name == "seed")
      value = current.sampling.seed ? fmt::format("{}", *current.sampling.seed) : "new for each answer";
    if (name == "ignore-eos") value = current.ignore_eos ? "true" : "false";
    if (name == "stop") {
      value = current.stop.empty() ? "none" : "";
      for (const std::string& stop : current.stop) value += fmt::format("'{}' ", printable(stop));
    }
    rows.push_back({name, value});
  }
  if (!options_.system.empty()) rows.push_back({"system", printable(options_.system)});
  cli::print(cli::help_rows(rows, cli::terminal_width(STDOUT_FILENO), style_));
}

void Repl::save(const std::string& argument) {
  conversation_.save(need(argument, "/save FILE"), options_.system);
  tell(fmt::format("{} messages saved.", conversation_.messages().size()));
}

void Repl::load(const std::string& argument) {
  conversation_.load(need(argument, "/load FILE"), options_.system);
  tell(fmt::format("{} messages loaded.", conversation_.messages().size()));
}

void Repl::file(const std::string& argument) {
  const std::string text = read_text_file(need(argument, "/file FILE"), limits::kPromptBytes);
  attached_ += text + (text.ends_with('\n') ? "" : "\n");
  tell(fmt::format("{} will stand before what you say next.", format_bytes(text.size())));
}

void Repl::stats(const std::string&) {
  const kv::KvCache& cache = session_->cache();
  const std::string last = last_stats_.empty() ? "no answer yet" : last_stats_;
  cli::print(cli::help_rows({{"last answer", last},
                             {"context", fmt::format("{} of {} tokens, {}", cache.n_tokens(),
                                                     cache.capacity(), format_bytes(cache.n_bytes()))},
                             {"weights", format_bytes(session_->loaded().model->weight_bytes())},
                             {"peak memory", format_bytes(peak_memory_bytes())},
                             {"threads", fmt::format("{}", common_.threads)}},
                            cli::terminal_width(STDOUT_FILENO), style_));
}

void Repl::model(const std::string& argument) {
  auto loaded = load_chat_model(need(argument, "/model MODEL"), options_, common_);
  if (const std::string warning = options_.sampling.take_recommended(loaded.file->metadata); !warning.empty())
    cli::warn(common_, warning);
  session_ = std::make_unique<Session>(std::move(loaded), options_);
  options_.model = argument;
  conversation_.clear();
  tell("Loaded; the conversation begins anew.");
}

}  // namespace ruvllm::chat
