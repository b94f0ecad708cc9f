// Parse, resolve, run, report: the same for every verb. See app.h.
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/machine.h"
#include "base/mapped_file.h"
#include "base/utf8.h"
#include "cli/app.h"
#include "cli/config_file.h"
#include "cli/console.h"
#include "cli/generate.h"
#include "cli/help.h"
#include "cli/resolve_options.h"
#include "tensor/instruction_set.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <new>
#include <span>
#include <system_error>

namespace ruvllm::cli {
namespace {

constexpr int kMaxThreads = 1024;
constexpr uint64_t kProseBytes = 1 << 20;

// Readable from SIGINT on, so that a wait for input ends by it; -1 where there is none yet.
std::atomic<int> interrupt_event{-1};

void on_interrupt(int) {
  if (interrupt_flag().exchange(true)) _exit(error_kind(Errc::interrupted).exit_code);
  const int saved = errno;
  const uint64_t one = 1;
  if (write(interrupt_event, &one, sizeof one) < 0) errno = saved;  // nobody waits
}

// No SA_RESTART: a read that waits for the user returns.
void install_signal_handlers() {
  interrupt_flag();
  interrupt_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // writes return EPIPE instead
  end_on_cut_files();
}

// With 0, 1 or 2 closed, the next file opened would take its number and be written to as stdout or stderr.
// The stand-ins are opened the wrong way round, so that using them is an error, except for stderr.
void occupy_standard_files() {
  for (const int descriptor : {0, 1, 2})
    if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF)
      (void)open("/dev/null", descriptor == 1 ? O_RDONLY : O_WRONLY);
}

// Before the options are resolved, errors have to know whether they are to be JSON.
bool asks_for_json(std::span<char*> arguments) {
  for (const char* argument : arguments) {
    if (std::strcmp(argument, "--") == 0) return false;
    if (std::strcmp(argument, "--json") == 0) return true;
  }
  return false;
}

void add_threads_option(CLI::App& cli, CommonOptions& common, bool is_list) {
  CLI::Option* option =
      is_list ? cli.add_option("-t,--threads", common.thread_counts,
                               "Compute with each of these numbers of threads (all cores where not given).")
                    ->delimiter(',')
                    ->type_name("N,...")
              : cli.add_option("-t,--threads", common.threads,
                               "Compute with this many threads (all cores where not given).")
                    ->type_name("N");
  option->check(between(1, kMaxThreads));
}

void add_common_options(CLI::App& cli, CommonOptions& common, const App& app) {
  static const std::map<std::string, ColorMode> kColors = {
      {"auto", ColorMode::automatic}, {"always", ColorMode::always}, {"never", ColorMode::never}};
  const auto check_color = [](std::string& text) {
    return kColors.count(text) ? std::string()
                               : fmt::format("'{}' is none of auto, always, never", printable(text));
  };
  cli.option_defaults()->group(kCommonGroup);
  cli.set_help_flag("-h,--help", "Show this page.");
  cli.set_version_flag("--version", fmt::format("ruvllm {} {}", cli.get_name(), RUVLLM_VERSION),
                       "Show the version.");
  cli.add_flag("-v,--verbose", common.verbose, "Say more; repeat for even more.");
  cli.add_flag("-q,--quiet", common.quiet, "Say nothing but results and errors.");
  cli.add_flag("--json", common.json, "Print one JSON document.");
  cli.add_option_function<std::string>(
         "--color", [&common](const std::string& text) { common.color = kColors.at(text); },
         "Colour the output.")
      ->type_name("auto|always|never")
      ->check(CLI::Validator(check_color, ""));
  cli.add_option("--config", common.config, "Read defaults from this TOML file.")->type_name("FILE");
  cli.add_option("--cache-dir", common.cache_dir, "Keep downloaded models here, not in HF_HUB_CACHE.")
      ->type_name("DIR");
  cli.add_flag("--offline", common.offline, "Never use the network.");
  add_threads_option(cli, common, app.lists_threads);
  cli.option_defaults()->group("Options");
}

void resolve(CLI::App& cli, CommonOptions& common) {
  resolve_from_environment(cli);
  if (const char* offline = std::getenv("HF_HUB_OFFLINE"); offline && std::strcmp(offline, "1") == 0)
    common.offline = true;
  const bool config_given = !common.config.empty();
  if (!config_given) common.config = default_config_path();
  if (std::error_code ignored; config_given || std::filesystem::exists(common.config, ignored)) {
    const ConfigFile file = read_config_file(common.config);
    resolve_from_config(cli, common.verb, file);
    if (const auto aliases = file.sections.find("aliases"); aliases != file.sections.end())
      for (const auto& [name, value] : aliases->second)
        common.aliases[name] = value.values.empty() ? "" : value.values[0];
  } else {
    common.config.clear();
  }
  if (const auto problem = tensor::instruction_set_problem(); !problem.empty())
    throw Error(Errc::usage, "{}", problem);
  if (!common.thread_counts.empty()) common.threads = std::ranges::max(common.thread_counts);
  if (common.threads == 0) common.threads = read_machine().default_threads();
  if (common.thread_counts.empty()) common.thread_counts = {common.threads};
}

std::string with_hint(const Error& error, std::string_view verb) {
  const std::string message = error.what();
  const bool has_hint = error.code() != Errc::usage || message.find("; ") != std::string::npos;
  return has_hint ? message : fmt::format("{}; try 'ruvllm {} --help'", message, verb);
}

// The last thing a program says; what can't be said any more is let go. With --json it is the document,
// unless one was printed already: rows of a measurement that missed its gate, say.
int report(const Error& error, const CommonOptions& common) {
  const ErrorKind& kind = error_kind(error.code());
  const std::string message = with_hint(error, common.verb);
  if (common.json && !has_printed()) {
    const std::string document =
        dump_json(Json{{"error", {{"kind", kind.name}, {"message", message}}}}) + "\n";
    std::fwrite(document.data(), 1, document.size(), stdout);
    std::fflush(stdout);
  } else if (error.code() != Errc::interrupted) {
    const Style style(use_color(STDERR_FILENO, common.color));
    const std::string line = fmt::format("ruvllm {}: {} {}\n", common.verb, style.red("error:"), message);
    std::fwrite(line.data(), 1, line.size(), stderr);
  }
  return kind.exit_code;
}

// What --generate asks for; see generate.h.
void print_generated(const std::string& what, const App& app, const CLI::App& cli) {
  if (what == "man")
    print(man_page(app, cli, read_stdin(kProseBytes)));
  else if (what == "bash")
    print(bash_completion(cli));
  else if (what == "zsh")
    print(zsh_completion(cli));
  else if (what == "fish")
    print(fish_completion(cli));
  else
    throw Error(Errc::usage, "--generate: '{}' is none of man, bash, zsh, fish", printable(what));
}

int parse_and_run(int argc, char** argv, const App& app, CommonOptions& common) {
  CLI::App cli{std::string(app.about), std::string(app.name)};
  cli.fallthrough();
  cli.option_defaults()->group("Options")->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_options(cli);
  add_common_options(cli, common, app);
  std::string generate;
  cli.add_option("--generate", generate)->group("");
  try {
    cli.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const Style style(use_color(STDOUT_FILENO, common.color));
    print(help_page(app, cli, selected_command(cli), terminal_width(STDOUT_FILENO), style));
    return 0;
  } catch (const CLI::CallForVersion& version) {
    print(fmt::format("{}\n", version.what()));
    return 0;
  } catch (const CLI::ParseError& error) {
    throw usage_error(error, cli);
  }
  if (cli.count("--json") == 0) common.json = false;  // it was guessed, and was something else's value
  if (!generate.empty()) return print_generated(generate, app, cli), 0;
  resolve(cli, common);
  return app.run(common);
}

// Runs `body`, and turns whatever it throws into one line and an exit code.
template <typename Body>
int report_errors(const CommonOptions& common, Body&& body) {
  try {
    return body();
  } catch (const OutputClosed&) {
    return 0;
  } catch (const Error& error) {
    return report(error, common);
  } catch (const std::bad_alloc&) {
    return report(Error(Errc::no_resources, "not enough memory"), common);
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::broken_pipe) return 0;
    return report(Error(Errc::failed, "{}", printable(error.what())), common);
  } catch (const std::exception& error) {
    return report(Error(Errc::failed, "{}", printable(error.what())), common);
  }
}

}  // namespace

std::atomic<bool>& interrupt_flag() {
  static std::atomic<bool> flag{false};
  static_assert(std::atomic<bool>::is_always_lock_free, "set by a signal handler");
  return flag;
}

bool take_interrupt() {
  uint64_t n_signals = 0;
  if (read(interrupt_event, &n_signals, sizeof n_signals) < 0) n_signals = 0;  // none came
  return interrupt_flag().exchange(false);
}

bool wait_for_input(int descriptor) {
  while (!interrupt_flag()) {
    pollfd files[2] = {{descriptor, POLLIN, 0}, {interrupt_event, POLLIN, 0}};
    const int n_ready = poll(files, 2, -1);
    if (n_ready < 0 && errno != EINTR) return true;  // reading will tell what is wrong
    if (n_ready > 0 && files[0].revents != 0 && files[1].revents == 0) return true;
    if (n_ready > 0 && files[1].revents != 0 && !interrupt_flag()) take_interrupt();  // an old one
  }
  return false;
}

void throw_if_interrupted() {
  if (interrupt_flag()) throw Error(Errc::interrupted, "interrupted");
}

int main_app(int argc, char** argv, const App& app) {
  occupy_standard_files();
  install_signal_handlers();
  CommonOptions common;
  common.verb = app.name;
  common.json = asks_for_json({argv, static_cast<size_t>(argc)});
  const int code = report_errors(common, [&] { return parse_and_run(argc, argv, app, common); });
  const int flushed = report_errors(common, [&] { return flush_output(), 0; });
  return code != 0 ? code : flushed;
}

}  // namespace ruvllm::cli
