#include "text/jinja/text_ops.h"

#include "base/strings.h"
#include "base/utf8.h"
#include "text/jinja/print.h"

#include <utf8proc.h>

#include <algorithm>

namespace ruvllm::text::jinja {
namespace {

bool is_letter(uint32_t code_point) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
      return true;
    default:
      return false;
  }
}

void append_upper(uint32_t code_point, std::string& out) {
  if (code_point == 0xDF) {
    out += "SS";  // the one common letter whose capital is two
  } else {
    append_utf8(out, static_cast<uint32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(code_point))));
  }
}

void append_lower(uint32_t code_point, std::string& out) {
  append_utf8(out, static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code_point))));
}

bool is_upper(uint32_t code_point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code_point)) == UTF8PROC_CATEGORY_LU;
}

bool contains_code_point(std::string_view characters, std::string_view character) {
  while (!characters.empty()) {
    const size_t n_bytes = first_code_point(characters).n_bytes;
    if (characters.substr(0, n_bytes) == character) return true;
    characters.remove_prefix(n_bytes);
  }
  return false;
}

size_t last_code_point(std::string_view text) {
  size_t last = text.size() - 1;
  while (last > 0 && (text[last] & 0xC0) == 0x80) --last;
  return last;
}

Text part_of(const Text& text, size_t begin, size_t n_bytes) {
  Text part = text;
  part.bytes = text.bytes.substr(begin, n_bytes);
  if (!text.marks.empty()) part.marks = text.marks.substr(begin, n_bytes);
  return part;
}

// One field of a % format: what stands between '%' and its letter.
struct FormatField {
  bool left = false;
  bool zero = false;
  bool plus = false;
  int64_t width = 0;
  int64_t precision = -1;
  char letter = 's';
};

class PercentFormatter {
 public:
  PercentFormatter(Heap& heap, const Text& format, std::span<const Value> values)
      : heap_(heap), format_(format), values_(values) {}

  Value run() {
    size_t at = 0;
    while (at < format_.bytes.size()) {
      const size_t percent = std::min(format_.bytes.find('%', at), format_.bytes.size());
      out_.append(part_of(format_, at, percent - at));
      at = percent;
      if (at < format_.bytes.size()) at = format_field(at + 1);
    }
    if (n_used_ < values_.size())
      throw template_error("not all arguments converted during string formatting");
    return out_.finish(heap_);
  }

 private:
  size_t format_field(size_t at) {
    FormatField field;
    const std::string_view bytes = format_.bytes;
    for (; at < bytes.size() && std::string_view("-0+ #").find(bytes[at]) != std::string_view::npos; ++at) {
      field.left |= bytes[at] == '-';
      field.zero |= bytes[at] == '0';
      field.plus |= bytes[at] == '+';
    }
    const auto number = [&] {
      int64_t value = 0;
      for (; at < bytes.size() && bytes[at] >= '0' && bytes[at] <= '9'; ++at)
        value = std::min<int64_t>(value * 10 + (bytes[at] - '0'), INT32_MAX);
      return value;
    };
    field.width = number();
    if (at < bytes.size() && bytes[at] == '.') {
      ++at;
      field.precision = number();
    }
    if (at >= bytes.size()) throw template_error("incomplete format");
    field.letter = bytes[at];
    if (field.letter == '%') {
      out_.append("%");
    } else {
      put(field);
    }
    return at + 1;
  }

  void put(const FormatField& field) {
    if (n_used_ >= values_.size()) throw template_error("not enough arguments for format string");
    const Value& value = values_[n_used_++];
    heap_.charge(static_cast<uint64_t>(field.width) + 1);
    if (field.letter == 's' || field.letter == 'r') {
      TextBuilder text;
      field.letter == 's' ? print(heap_, value, text) : print_repr(heap_, value, text);
      const Value printed = text.finish(heap_);
      return out_.append(
          pad(heap_, printed.text(), field.width, " ", field.left ? Side::left : Side::right).text());
    }
    out_.append(number_text(field, value));
  }

  static std::string number_text(const FormatField& field, const Value& value) {
    require_defined(value);
    if (!value.is_number())
      throw template_error("%{} format: a number is required, not {}", field.letter, type_name(value));
    const int precision = static_cast<int>(std::min<int64_t>(field.precision < 0 ? 6 : field.precision, 100));
    std::string digits;
    switch (field.letter) {
      case 'd':
      case 'i':
        digits = fmt::to_string(whole_number(value));
        break;
      case 'x':
        digits = fmt::format("{:x}", whole_number(value));
        break;
      case 'f':
        digits = fmt::format("{:.{}f}", value.number(), precision);
        break;
      case 'e':
        digits = fmt::format("{:.{}e}", value.number(), precision);
        break;
      case 'g':
        digits = fmt::format("{:.{}g}", value.number(), precision);
        break;
      default:
        throw template_error("unsupported format character '{}'",
                             printable(std::string_view(&field.letter, 1)));
    }
    if (field.plus && digits[0] != '-') digits.insert(0, "+");
    const size_t n_sign = digits[0] == '-' || digits[0] == '+' ? 1 : 0;
    const size_t n_missing =
        static_cast<size_t>(std::max<int64_t>(field.width - static_cast<int64_t>(digits.size()), 0));
    if (field.left) return digits + std::string(n_missing, ' ');
    return digits.insert(field.zero ? n_sign : 0, n_missing, field.zero ? '0' : ' ');
  }

  Heap& heap_;
  const Text& format_;
  std::span<const Value> values_;
  size_t n_used_ = 0;
  TextBuilder out_;
};

}  // namespace

Value change_case(Heap& heap, const Text& text, LetterCase letter_case) {
  heap.charge(1 + text.bytes.size());
  const bool is_ascii =
      std::all_of(text.bytes.begin(), text.bytes.end(), [](char c) { return (c & 0x80) == 0; });
  if (is_ascii && (letter_case == LetterCase::lower || letter_case == LetterCase::upper)) {
    Text changed = text;
    std::string bytes(text.bytes);
    const char first = letter_case == LetterCase::lower ? 'A' : 'a';
    for (char& c : bytes)
      if (c >= first && c < first + 26) c ^= 0x20;
    changed.bytes = heap.keep(bytes);
    return heap.text(changed);
  }
  TextBuilder out;
  bool in_word = false;
  for (size_t at = 0; at < text.bytes.size();) {
    const CodePoint point = first_code_point(text.bytes.substr(at));
    std::string changed;
    const bool raise = letter_case == LetterCase::upper || (letter_case == LetterCase::title && !in_word) ||
                       (letter_case == LetterCase::capitalised && at == 0) ||
                       (letter_case == LetterCase::swapped && !is_upper(point.value));
    if (!point.valid) {
      changed = text.bytes[at];
    } else if (raise) {
      append_upper(point.value, changed);
    } else {
      append_lower(point.value, changed);
    }
    in_word = is_letter(point.value);
    out.append(changed, text.input_at(at));
    at += point.n_bytes;
  }
  return out.finish(heap, text.markup);
}

Value strip(Heap& heap, const Text& text, std::optional<std::string_view> characters, Side side) {
  std::string_view bytes = text.bytes;
  heap.charge(1 + bytes.size() / 64);
  if (!characters) {
    if (side != Side::right) bytes = strip_left(bytes);
    if (side != Side::left) bytes = strip_right(bytes);
  } else {
    heap.charge(characters->size());
    const auto is_wanted = [&](std::string_view character) {
      heap.charge(1 + characters->size() / 16);
      return !contains_code_point(*characters, character);
    };
    while (side != Side::right && !bytes.empty()) {
      const size_t n_bytes = first_code_point(bytes).n_bytes;
      if (is_wanted(bytes.substr(0, n_bytes))) break;
      bytes.remove_prefix(n_bytes);
    }
    while (side != Side::left && !bytes.empty()) {
      const size_t last = last_code_point(bytes);
      if (is_wanted(bytes.substr(last))) break;
      bytes.remove_suffix(bytes.size() - last);
    }
  }
  return heap.part(text, static_cast<size_t>(bytes.data() - text.bytes.data()), bytes.size());
}

Value replace(Heap& heap, const Text& text, std::string_view before, const Text& after, int64_t n_most) {
  heap.charge(1 + text.bytes.size() / 16);
  TextBuilder out;
  size_t at = 0;
  const auto put_after = [&] {
    heap.charge(1 + after.bytes.size() / 8);
    out.append(after);
  };
  for (int64_t n_done = 0; n_most < 0 || n_done < n_most; ++n_done) {
    if (before.empty()) {  // between all characters, and at both ends
      put_after();
      if (at >= text.bytes.size()) return out.finish(heap, text.markup);
      const size_t n_bytes = first_code_point(text.bytes.substr(at)).n_bytes;
      out.append(part_of(text, at, n_bytes));
      at += n_bytes;
      continue;
    }
    const size_t found = find_text(text.bytes, before, at);
    if (found == std::string_view::npos) break;
    out.append(part_of(text, at, found - at));
    put_after();
    at = found + before.size();
  }
  out.append(part_of(text, at, text.bytes.size() - at));
  return out.finish(heap, text.markup);
}

Value split_text(Heap& heap, const Text& text, std::optional<std::string_view> separator, int64_t n_most,
                 bool from_right) {
  if (separator && separator->empty()) throw template_error("empty separator");
  heap.charge(1 + text.bytes.size() / 16);
  const std::string_view bytes = text.bytes;
  // Where the gaps are, from the left: [begin, end) of each separator or run of whitespace.
  std::vector<std::pair<size_t, size_t>> gaps;
  if (separator) {
    if (from_right) {
      heap.charge(bytes.size() / 16 * (separator->size() / 16));  // rfind() may look at each byte so often
      for (size_t end = bytes.size(); end >= separator->size();) {
        const size_t found = bytes.substr(0, end).rfind(*separator);
        if (found == bytes.npos) break;
        gaps.emplace_back(found, found + separator->size());
        end = found;
      }
      std::reverse(gaps.begin(), gaps.end());
    } else {
      for (size_t at = find_text(bytes, *separator); at != bytes.npos;
           at = find_text(bytes, *separator, at + separator->size()))
        gaps.emplace_back(at, at + separator->size());
    }
  } else {
    for (size_t at = 0; at < bytes.size();) {
      const CodePoint point = first_code_point(bytes.substr(at));
      if (is_space(point.value)) {
        if (gaps.empty() || gaps.back().second != at) gaps.emplace_back(at, at);
        gaps.back().second = at + point.n_bytes;
      }
      at += point.n_bytes;
    }
  }
  // Whitespace at the ends separates nothing.
  size_t begin = 0;
  size_t end = bytes.size();
  if (!separator && !gaps.empty() && gaps.front().first == 0) {
    begin = gaps.front().second;
    gaps.erase(gaps.begin());
  }
  if (!separator && !gaps.empty() && gaps.back().second == end) {
    end = gaps.back().first;
    gaps.pop_back();
  }
  if (!separator && begin >= end) return heap.list({});
  if (n_most >= 0 && gaps.size() >= static_cast<size_t>(n_most)) {
    const auto n_excess = static_cast<std::ptrdiff_t>(gaps.size() - static_cast<size_t>(n_most));
    from_right ? gaps.erase(gaps.begin(), gaps.begin() + n_excess)
               : gaps.erase(gaps.end() - n_excess, gaps.end());
    // What isn't split any more keeps its blanks on the far side.
    if (!separator) (from_right ? begin : end) = from_right ? 0 : bytes.size();
  }
  std::vector<Value> parts;
  for (const auto& [gap_begin, gap_end] : gaps) {
    parts.push_back(heap.part(text, begin, gap_begin - begin));
    begin = gap_end;
  }
  parts.push_back(heap.part(text, begin, end - begin));
  return heap.list(parts);
}

std::vector<Value> split_lines(Heap& heap, const Text& text, bool keep_ends) {
  heap.charge(1 + text.bytes.size() / 16);
  std::vector<Value> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.bytes.size();) {
    const CodePoint point = first_code_point(text.bytes.substr(at));
    const uint32_t c = point.value;
    const bool is_end =
        (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    const size_t end = at;
    at += point.n_bytes;
    if (!is_end) continue;
    if (c == '\r' && at < text.bytes.size() && text.bytes[at] == '\n') ++at;
    lines.push_back(heap.part(text, begin, (keep_ends ? at : end) - begin));
    begin = at;
  }
  if (begin < text.bytes.size()) lines.push_back(heap.part(text, begin, text.bytes.size() - begin));
  return lines;
}

Value pad(Heap& heap, const Text& text, int64_t width, std::string_view fill, Side side) {
  const auto n_have = static_cast<int64_t>(n_code_points(text.bytes));
  if (width <= n_have) return heap.text(text);
  if (n_code_points(fill) != 1) throw template_error("the fill character must be exactly one character long");
  const int64_t n_missing = width - n_have;
  heap.charge(static_cast<uint64_t>(n_missing));
  // Python's center() puts the odd one to the left only where the width is odd too.
  const int64_t n_left = side == Side::left    ? 0
                         : side == Side::right ? n_missing
                                               : n_missing / 2 + (n_missing & width & 1);
  TextBuilder out;
  for (int64_t i = 0; i < n_left; ++i) out.append(fill);
  out.append(text);
  for (int64_t i = n_left; i < n_missing; ++i) out.append(fill);
  return out.finish(heap, text.markup);
}

Value join(Heap& heap, const Text& separator, std::span<const Value> items) {
  TextBuilder out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is_text())
      throw template_error("sequence item {}: expected str instance, {} found", i, type_name(items[i]));
    heap.charge(1 + (items[i].text().bytes.size() + separator.bytes.size()) / 8);
    if (i > 0) out.append(separator);
    out.append(items[i].text());
  }
  return out.finish(heap);
}

Value percent_format(Heap& heap, const Text& format, std::span<const Value> values) {
  heap.charge(1 + format.bytes.size() / 16);
  return PercentFormatter(heap, format, values).run();
}

}  // namespace ruvllm::text::jinja
