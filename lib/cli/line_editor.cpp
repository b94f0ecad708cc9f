#include "cli/line_editor.h"

#include "base/error.h"
#include "cli/app.h"

#include <histedit.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstring>
#include <cwchar>
#include <utility>

namespace ruvllm::cli {
namespace {

constexpr int kHistoryLines = 1000;
constexpr wchar_t kControlC = 3;
constexpr char kEscapeMark = '\1';  // brackets escape sequences in the prompt, which take no columns

struct CloseEditor {
  void operator()(EditLine* editor) const { el_end(editor); }
};
struct CloseHistory {
  void operator()(History* history) const { history_end(history); }
};

std::string common_beginning(const std::vector<std::string>& words) {
  std::string common = words.front();
  for (const std::string& word : words) {
    const auto end = std::mismatch(common.begin(), common.end(), word.begin(), word.end()).first;
    common.erase(end, common.end());
  }
  return common;
}

}  // namespace

// What libedit calls back with; it carries a pointer to this.
struct LineEditor::State {
  std::unique_ptr<History, CloseHistory> history{history_init()};
  std::unique_ptr<EditLine, CloseEditor> editor;
  std::filesystem::path history_path;
  Complete complete;
  std::string prompt;
  std::string last_line;
  bool dropped = false;

  static State& of(EditLine* editor) {
    void* state = nullptr;
    el_get(editor, EL_CLIENTDATA, &state);
    return *static_cast<State*>(state);
  }
  static char* give_prompt(EditLine* editor) { return of(editor).prompt.data(); }

  // The next character typed. Ctrl-C is one, also where the terminal made a signal of it because it came
  // between two lines, when keys aren't read one by one.
  static int read_character(EditLine*, wchar_t* character) {
    std::mbstate_t state{};
    for (;;) {
      if (!wait_for_input(STDIN_FILENO)) {
        take_interrupt();
        *character = kControlC;
        return 1;
      }
      char byte = 0;
      const ssize_t n_read = read(STDIN_FILENO, &byte, 1);
      if (n_read < 0 && errno == EINTR) continue;
      if (n_read <= 0) return static_cast<int>(n_read);
      const size_t n_bytes = std::mbrtowc(character, &byte, 1, &state);
      if (n_bytes <= 1) return 1;
      if (n_bytes == static_cast<size_t>(-1)) state = {};  // no character: left out; -2: it goes on
    }
  }

  static unsigned char drop_line(EditLine* editor, int) {
    of(editor).dropped = true;
    std::fputs("^C\n", stdout);
    return CC_NEWLINE;
  }

  static unsigned char complete_line(EditLine* editor, int) {
    const LineInfo* info = el_line(editor);
    const std::string typed(info->buffer, info->cursor);
    const std::vector<std::string> words = of(editor).complete(typed);
    if (words.empty()) return CC_REFRESH_BEEP;
    const std::string common = common_beginning(words);
    if (common.size() > typed.size()) {
      el_insertstr(editor, common.c_str() + typed.size());
      return CC_REFRESH;
    }
    std::fputc('\n', stdout);
    for (const std::string& word : words) std::printf("%s  ", word.c_str());
    std::fputc('\n', stdout);
    return CC_REDISPLAY;
  }
};

LineEditor::LineEditor(std::string_view program, const std::filesystem::path& history, Complete complete)
    : state_(std::make_unique<State>()) {
  if (!std::setlocale(LC_CTYPE, "") || std::strcmp(std::setlocale(LC_CTYPE, nullptr), "C") == 0)
    std::setlocale(LC_CTYPE, "C.UTF-8");
  State& state = *state_;
  state.complete = std::move(complete);
  state.editor.reset(el_init(std::string(program).c_str(), stdin, stdout, stderr));
  if (!state.editor || !state.history)
    throw Error(Errc::failed, "the terminal can't be used for editing lines");
  EditLine* editor = state.editor.get();
  el_set(editor, EL_CLIENTDATA, state_.get());
  el_set(editor, EL_PROMPT_ESC, State::give_prompt, kEscapeMark);
  el_set(editor, EL_EDITOR, "emacs");
  el_set(editor, EL_GETCFN, State::read_character);
  el_set(editor, EL_SETTY, "-d", "-isig", nullptr);  // Ctrl-C is a key while a line is edited
  el_set(editor, EL_ADDFN, "drop-line", "Drop the line", State::drop_line);
  el_set(editor, EL_BIND, "^C", "drop-line", nullptr);
  el_set(editor, EL_ADDFN, "complete-line", "Complete the word", State::complete_line);
  el_set(editor, EL_BIND, "^I", "complete-line", nullptr);
  el_set(editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);

  HistEvent event;
  ::history(state.history.get(), &event, H_SETSIZE, kHistoryLines);
  ::history(state.history.get(), &event, H_SETUNIQUE, 1);
  el_set(editor, EL_HIST, ::history, state.history.get());
  if (history.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(history.parent_path(), error);
  if (error) return;  // no history is kept where it can't be
  state.history_path = history;
  ::history(state.history.get(), &event, H_LOAD, history.c_str());
}

LineEditor::~LineEditor() = default;

LineEditor::Input LineEditor::read_line(std::string_view prompt) {
  State& state = *state_;
  state.prompt = prompt;
  state.dropped = false;
  int n_bytes = 0;
  const char* line = el_gets(state.editor.get(), &n_bytes);
  if (state.dropped) return {Outcome::dropped, ""};
  if (!line || n_bytes <= 0) return {Outcome::end, ""};
  std::string text(line, static_cast<size_t>(n_bytes));
  if (text.ends_with('\n')) text.pop_back();
  return {Outcome::line, std::move(text)};
}

void LineEditor::remember(const std::string& line) {
  State& state = *state_;
  if (line.empty() || line == state.last_line) return;
  state.last_line = line;
  HistEvent event;
  ::history(state.history.get(), &event, H_ENTER, line.c_str());
  if (state.history_path.empty()) return;
  const mode_t previous = umask(077);  // what was said is nobody else's business
  ::history(state.history.get(), &event, H_SAVE, state.history_path.c_str());
  umask(previous);
}

}  // namespace ruvllm::cli
