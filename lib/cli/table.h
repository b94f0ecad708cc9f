// Tables of text in columns that line up, for people: machines get --json. Tested by
// tests/cli/console_test.cpp.
#pragma once

#include "cli/console.h"

#include <string>
#include <vector>

namespace ruvllm::cli {

class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// One cell for each column; text from files must have gone through printable().
  void add_row(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  /// The titles in bold, then the rows; two spaces between columns, none at the end of a line.
  std::string text(const Style& style) const;

 private:
  std::string line(const std::vector<std::string>& cells, const std::vector<int>& widths) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace ruvllm::cli
