#include "train/data_file.h"

#include "base/error.h"
#include "base/strings.h"
#include "base/text_file.h"
#include "train/rows.h"

#include <algorithm>
#include <array>
#include <utility>

namespace ruvllm::train {
namespace {

constexpr uint64_t kDataBytes = 16ull << 30;
constexpr std::string_view kBlanks = " \t\r\n";

// What a name says that the file holds: the ending, in small letters, before .gz.
std::string ending_of(const std::filesystem::path& path) {
  std::filesystem::path name = to_lower(path.filename().string());
  if (name.extension() == ".gz") name = name.stem();
  return name.extension().string();
}

bool is_one_of(std::string_view ending, std::initializer_list<std::string_view> endings) {
  return std::ranges::find(endings, ending) != endings.end();
}

// Whether this is a row that can be trained on, and not some other text in braces.
bool is_row(std::string_view json) {
  try {
    return has_known_shape(parse_ordered_json(json, "JSON"));
  } catch (const Error&) {
    return false;
  }
}

bool is_json(std::string_view text) {
  try {
    parse_ordered_json(text, "JSON");
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::string_view first_line(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text.substr(0, text.find('\n'));
}

}  // namespace

DataFile::DataFile(std::filesystem::path path)
    : path_(std::move(path)), text_(read_text_file(path_, kDataBytes)) {
  const std::string ending = ending_of(path_);
  if (is_one_of(ending, {".csv", ".tsv"}))
    throw Error(Errc::corrupt_file, "{}: a table; write its rows as JSON lines, or its text as .txt",
                path_.string());
  if (is_one_of(ending, {".jsonl", ".ndjson", ".json"})) {
    has_rows_ = true;
    find_rows();
    return;
  }
  // Rows under another name. What looks like rows and is none is text.
  const size_t begin = text_.find_first_not_of(kBlanks);
  if (begin == std::string::npos || (text_[begin] != '{' && text_[begin] != '[')) return;
  if (text_[begin] == '{') {
    has_rows_ = is_row(first_line(text_));
    if (has_rows_) find_lines();
    return;
  }
  try {
    find_elements(begin);
    has_rows_ = !rows_.empty() && is_row(rows_[0].json);
  } catch (const Error&) {
    has_rows_ = false;
  }
  if (!has_rows_) rows_.clear();
}

void DataFile::refuse(size_t at, std::string_view finding) const {
  const auto line = std::count(text_.begin(), text_.begin() + static_cast<ptrdiff_t>(at), '\n') + 1;
  throw Error(Errc::corrupt_file, "{}:{}: {}", path_.string(), line, finding);
}

void DataFile::find_rows() {
  const size_t begin = text_.find_first_not_of(kBlanks);
  if (begin == std::string::npos) return;
  if (text_[begin] == '[') {
    find_elements(begin);
  } else if (is_json(first_line(text_)) || ending_of(path_) != ".json" || !is_json(text_)) {
    find_lines();
  } else {  // one object over many lines
    rows_.push_back({1, text_});
  }
}

void DataFile::find_lines() {
  size_t number = 0;
  for (const std::string_view line : split(text_, '\n')) {
    ++number;
    if (!trim(line).empty()) rows_.push_back({number, line});
  }
}

// The elements of an array by their brackets alone; each is parsed when it is its turn.
void DataFile::find_elements(size_t begin) {
  size_t line = 1, depth = 0, element = begin + 1, element_line = 0;
  bool in_string = false;
  const auto end_element = [&](size_t end, bool is_last) {
    const std::string_view json = trim(std::string_view(text_).substr(element, end - element));
    if (json.empty() && !(is_last && rows_.empty())) refuse(end, "an element of the array is missing");
    if (!json.empty()) rows_.push_back({element_line, json});
    element = end + 1;
    element_line = 0;
  };
  for (size_t at = 0; at < text_.size(); ++at) {
    const char c = text_[at];
    if (c == '\n') ++line;
    if (at < begin || kBlanks.find(c) != std::string_view::npos) continue;
    if (at >= element && element_line == 0) element_line = line;
    if (in_string) {
      if (c == '\\') ++at;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if (c == ',' && depth == 1) {
      end_element(at, false);
    } else if ((c == ']' || c == '}') && --depth == 0) {
      end_element(at, true);
      const size_t more = text_.find_first_not_of(kBlanks, at + 1);
      if (more != std::string::npos) refuse(more, "there is more after the array of rows");
      return;
    }
  }
  refuse(text_.size(), "the array of rows ends in the middle");
}

void DataFile::for_each_row(const std::function<void(const OrderedJson&)>& take) const {
  for (const RowText& row : rows_) try {
      take(parse_ordered_json(row.json, "JSON"));
    } catch (const Error& error) {
      throw with_context(error, fmt::format("{}:{}", path_.string(), row.line));
    }
}

}  // namespace ruvllm::train
