// The front: `ruvllm VERB ...` becomes the program ruvllm-VERB that lies beside this one or in
// ../libexec/ruvllm. It knows no verb by heart but for the sentence that --help shows; what is installed is
// what it offers. Tested by tests/cli/front_test.cpp.
#include "base/error.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "cli/console.h"
#include "cli/help.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace ruvllm {
namespace {

namespace fs = std::filesystem;

const std::vector<cli::HelpRow>& known_verbs() {
  static const std::vector<cli::HelpRow> verbs = {
      {"chat", "Talk to a model, or complete one prompt with -p."},
      {"serve", "Serve models over HTTP, OpenAI-compatible, with a web page."},
      {"pull", "Fetch a model from a Hugging Face hub."},
      {"push", "Upload a model to a hub."},
      {"list", "Show the models that are cached."},
      {"rm", "Delete cached models."},
      {"info", "Sum up a model, or what this machine can run."},
      {"inspect", "Look inside: tokens, templates, logits, tensors."},
      {"quantize", "Convert a model to GGUF in a smaller type."},
      {"bench", "Measure speed and quality, and hold them to bounds."},
      {"train-qat", "Train a model so that it survives quantisation."},
  };
  return verbs;
}

bool is_program(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && access(path.c_str(), X_OK) == 0;
}

// Where verbs lie: beside this program, or in ../libexec/ruvllm.
std::vector<fs::path> verb_folders() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error)
    throw Error(Errc::failed, "can't find out where this program lies (/proc/self/exe: {})", error.message());
  const fs::path folder = self.parent_path();
  return {folder, folder.parent_path() / "libexec" / "ruvllm"};
}

fs::path find_verb(const std::string& verb) {
  for (const fs::path& folder : verb_folders())
    if (is_program(folder / ("ruvllm-" + verb))) return folder / ("ruvllm-" + verb);
  return {};
}

std::vector<cli::HelpRow> installed_verbs() {
  std::vector<cli::HelpRow> verbs;
  for (const cli::HelpRow& verb : known_verbs())
    if (!find_verb(verb.term).empty()) verbs.push_back(verb);
  return verbs;
}

int print_help() {
  const cli::Style style(cli::use_color(STDOUT_FILENO, cli::ColorMode::automatic));
  std::string page = "Pull, run, shrink, measure and train language models on ordinary processors.\n\n";
  page += style.bold("usage:") + " ruvllm VERB [OPTIONS]\n\n" + style.bold("Verbs") + "\n";
  page += cli::help_rows(installed_verbs(), cli::terminal_width(STDOUT_FILENO), style);
  page += "\n'ruvllm VERB --help' tells more about each.\n\n" + style.bold("Example") + "\n";
  page += "  ruvllm chat model.gguf -p 'Once upon a time'\n";
  cli::print(page);
  cli::flush_output();
  return 0;
}

[[noreturn]] void unknown_verb(const std::string& verb) {
  std::vector<std::string> names;
  for (const cli::HelpRow& row : installed_verbs()) names.push_back(row.term);
  const auto nearest = nearest_match(verb, names);
  throw Error(Errc::usage, "there is no verb '{}'; {}", printable(verb),
              nearest ? "did you mean " + *nearest + "?" : "'ruvllm --help' lists them");
}

bool can_be_a_verb(const std::string& word) {
  return !word.empty() &&
         word.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

int run(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb.empty() || verb == "-h" || verb == "--help") return print_help();
  if (verb == "help" && argc > 2) {
    std::string help = "--help";
    char* arguments[] = {argv[0], argv[2], help.data(), nullptr};
    return run(3, arguments);
  }
  if (verb == "help") return print_help();
  if (verb == "--version") {
    cli::print("ruvllm " RUVLLM_VERSION "\n");
    cli::flush_output();
    return 0;
  }
  if (verb.starts_with('-'))
    throw Error(Errc::usage, "unknown option {}; options come after the verb", printable(verb));
  const fs::path program = can_be_a_verb(verb) ? find_verb(verb) : fs::path();
  if (program.empty()) unknown_verb(verb);
  std::string name = program.filename();
  argv[1] = name.data();
  execv(program.c_str(), argv + 1);
  throw system_error(errno, program.string());
}

}  // namespace
}  // namespace ruvllm

int main(int argc, char** argv) {
  try {
    return ruvllm::run(argc, argv);
  } catch (const ruvllm::cli::OutputClosed&) {
    return 0;
  } catch (const ruvllm::Error& error) {
    std::fprintf(stderr, "ruvllm: error: %s\n", error.what());
    return ruvllm::error_kind(error.code()).exit_code;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ruvllm: error: %s\n", error.what());
    return 1;
  }
}
