// Files of training data, read as what they are: plain text, or rows. Rows are JSON objects, one a line or in
// one array; what a file holds shows in its text, and its name only says what has to be there. Tested by
// tests/train/data_file_test.cpp.
#pragma once

#include "base/json.h"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::train {

class DataFile {
 public:
  /// Throws what read_text_file() does, and Errc::corrupt_file where a file that is to hold rows doesn't.
  explicit DataFile(std::filesystem::path path);
  DataFile(const DataFile&) = delete;
  DataFile& operator=(const DataFile&) = delete;

  bool has_rows() const { return has_rows_; }
  /// All of it as text.
  const std::string& text() const { return text_; }
  /// Hands over every row; what is thrown meanwhile is named by file and line.
  void for_each_row(const std::function<void(const OrderedJson& row)>& take) const;

 private:
  struct RowText {
    size_t line;
    std::string_view json;  // of text_
  };
  void find_rows();
  void find_lines();
  void find_elements(size_t begin);
  [[noreturn]] void refuse(size_t at, std::string_view finding) const;

  std::filesystem::path path_;
  std::string text_;
  bool has_rows_ = false;
  std::vector<RowText> rows_;
};

}  // namespace ruvllm::train
