// The pieces of lib/cli that need no program: text on a terminal, tables, lines of progress.
#include <doctest/doctest.h>

#include "cli/console.h"
#include "cli/progress.h"
#include "cli/table.h"

#include <string>

using namespace ruvllm::cli;

TEST_CASE("the width of a text is what it takes on a terminal") {
  CHECK(display_width("abc") == 3);
  CHECK(display_width("日本") == 4);
  CHECK(display_width("e\u0301") == 1);
  CHECK(display_width("") == 0);
  CHECK(display_width(Style(true).green("fits")) == 4);
  CHECK(display_width("\x1b[3") == 0);
}

TEST_CASE("text is wrapped at spaces and indented") {
  CHECK(wrap_text("one two three", 7, 2) == "one two\n  three");
  CHECK(wrap_text("incomprehensible", 5, 2) == "incomprehensible");
  CHECK(wrap_text("", 5, 2) == "");
}

TEST_CASE("what a model says can't command the terminal") {
  CHECK(terminal_safe("line\n\ttab é 日") == "line\n\ttab é 日");
  CHECK(terminal_safe("\x1b]0;title\x07") == "\uFFFD]0;title\uFFFD");
  CHECK(terminal_safe("a\rb\x7f") == "a\uFFFDb\uFFFD");
  CHECK(terminal_safe("\u009b31m") == "\uFFFD31m");
  CHECK(terminal_safe("\xff") == "\uFFFD");
}

TEST_CASE("columns of a table line up, whatever is in them") {
  Table table({{"name"}, {"bytes", Table::Align::right}});
  table.add_row({"日本", "7"});
  table.add_row({"x", Style(true).red("123456")});
  CHECK(table.text(Style(false)) == "name   bytes\n日本       7\nx     \x1b[31m123456\x1b[0m\n");
}

TEST_CASE("a line of progress tells how far, how fast and how long, in the width there is") {
  const auto line = [](uint64_t done, uint64_t total, double seconds, uint64_t before, int width) {
    return progress_line("model.gguf", done, total, seconds, before, ProgressUnit::bytes, width);
  };
  const std::string half = line(512u << 20, 1u << 30, 8, 0, 100);
  CHECK(half.starts_with("model.gguf   50%  ━━━"));
  CHECK(half.ends_with("512 MiB of 1.00 GiB  64.0 MiB/s  0:08 left"));
  CHECK(line(512u << 20, 1u << 30, 8, 256u << 20, 100)
            .ends_with("32.0 MiB/s  0:16 left"));                            // what was resumed is not speed
  CHECK(line(5 << 20, 0, 1, 0, 100) == "model.gguf  5.00 MiB  5.00 MiB/s");  // total unknown
  CHECK(line(1u << 30, 1u << 30, 8, 0, 100).find("left") == std::string::npos);
  for (int width = 40; width < 200; ++width)
    CHECK(display_width(line(512u << 20, 1u << 30, 8, 0, width)) <= width);
  CHECK(progress_line("scoring", 3, 12, 1, 0, ProgressUnit::items, 80).find("3 of 12") != std::string::npos);
}

TEST_CASE("a long name gives way to the bar on a narrow terminal, and keeps both its ends") {
  const std::string name = "pulling Qwen2.5-0.5B-Instruct-Q4_K_M.gguf";
  const std::string narrow = progress_line(name, 1200u << 20, 2969u << 20, 34, 0, ProgressUnit::bytes, 80);
  CHECK(narrow.find("━") != std::string::npos);
  CHECK(narrow.find("…") != std::string::npos);
  CHECK(narrow.find("_M.gguf  ") != std::string::npos);
  CHECK(narrow.find("1.17 of 2.90 GiB") != std::string::npos);
  const std::string wide = progress_line(name, 1200u << 20, 2969u << 20, 34, 0, ProgressUnit::bytes, 140);
  CHECK(wide.starts_with(name + "  "));
  for (int width = 20; width < 200; ++width)
    CHECK(display_width(progress_line("日本語日本語日本語日本語日本語日本語", 5, 9, 1, 0, ProgressUnit::bytes,
                                      width)) < width);
}
