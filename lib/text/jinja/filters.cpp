// The filters of `value|FILTER` for texts, numbers and the rest; list_filters.cpp has those for lists.
#include "base/strings.h"
#include "base/utf8.h"
#include "text/char_class.h"
#include "text/jinja/builtins.h"
#include "text/jinja/print.h"
#include "text/jinja/text_ops.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace ruvllm::text::jinja {
namespace {

Value subject_text(const Invocation& call) { return to_text(call.heap(), call.subject); }

// Texts

template <LetterCase letter_case>
Value filter_case(const Invocation& call) {
  return change_case(call.heap(), subject_text(call).text(), letter_case);
}

// Jinja's own title(): words begin behind blanks, hyphens and opening brackets.
Value filter_title(const Invocation& call) {
  Heap& heap = call.heap();
  const Value subject = subject_text(call);
  const Text& text = subject.text();
  std::vector<Value> words;
  size_t begin = 0;
  for (size_t at = 0; at <= text.bytes.size(); ++at) {
    const bool is_gap = at < text.bytes.size() &&
                        std::string_view("-({[< \t\n\v\f\r").find(text.bytes[at]) != std::string_view::npos;
    if (!is_gap && at < text.bytes.size()) continue;
    const Value word = heap.part(text, begin, at - begin);
    words.push_back(change_case(heap, word.text(), LetterCase::capitalised));
    if (is_gap) words.push_back(heap.part(text, at, 1));
    begin = at + 1;
  }
  return join(heap, Text{}, words);
}

Value filter_trim(const Invocation& call) {
  const bool by_space = !call.has(0) || call.arguments[0].is_none();
  return strip(call.heap(), subject_text(call).text(),
               by_space ? std::nullopt : std::optional<std::string_view>(call.text(0)), Side::both);
}

Value filter_replace(const Invocation& call) {
  const Value before = to_text(call.heap(), call.arguments[0]);
  const Value after = to_text(call.heap(), call.arguments[1]);
  const bool all = !call.has(2) || call.arguments[2].is_none();
  return replace(call.heap(), subject_text(call).text(), before.text().bytes, after.text(),
                 all ? -1 : call.integer(2));
}

Value filter_center(const Invocation& call) {
  return pad(call.heap(), subject_text(call).text(), call.integer(0, 80), " ", Side::both);
}

Value filter_indent(const Invocation& call) {
  Heap& heap = call.heap();
  std::string indent;
  if (call.has(0) && call.arguments[0].is_text()) {
    indent = call.text(0);
  } else {
    const auto n_spaces = static_cast<size_t>(std::max<int64_t>(call.integer(0, 4), 0));
    heap.charge(n_spaces);
    indent.assign(n_spaces, ' ');
  }
  const Value subject = subject_text(call);
  const bool with_blank = call.boolean(2, false);
  // A text without its last newline ends in a line all the same.
  std::vector<Value> lines = split_lines(heap, subject.text(), false);
  const std::string_view bytes = subject.text().bytes;
  if (bytes.empty() || bytes.ends_with('\n')) lines.push_back(heap.text(""));
  TextBuilder out;
  for (size_t i = 0; i < lines.size(); ++i) {
    heap.charge(1 + (indent.size() + lines[i].text().bytes.size()) / 4);
    if (i > 0) out.append("\n");
    const bool wanted = i == 0 ? call.boolean(1, false) : with_blank || !lines[i].text().bytes.empty();
    if (wanted) out.append(indent);
    out.append(lines[i].text());
  }
  return out.finish(heap);
}

Value filter_truncate(const Invocation& call) {
  Heap& heap = call.heap();
  const Value subject = subject_text(call);
  const Text& text = subject.text();
  const int64_t width = call.integer(0, 255);
  const std::string_view end = call.text(2, "...");
  const int64_t leeway = call.integer(3, 5);
  const auto n_end = static_cast<int64_t>(n_code_points(end));
  if (width < n_end || leeway < 0) throw template_error("truncate: expected a length of at least {}", n_end);
  heap.charge(1 + text.bytes.size() / 16);
  if (static_cast<int64_t>(n_code_points(text.bytes)) <= width + leeway) return subject;
  size_t n_kept = byte_offset(text.bytes, static_cast<size_t>(width - n_end));
  if (!call.boolean(1, false))
    if (const size_t space = text.bytes.substr(0, n_kept).rfind(' '); space != std::string_view::npos)
      n_kept = space;
  TextBuilder out;
  out.append(heap.part(text, 0, n_kept).text());
  out.append(end);
  return out.finish(heap);
}

// Words of letters, digits and underscores.
Value filter_wordcount(const Invocation& call) {
  const Value subject = subject_text(call);
  std::string_view left = subject.text().bytes;
  call.heap().charge(1 + left.size());
  int64_t n_words = 0;
  for (bool inside = false; !left.empty();) {
    const CodePoint point = first_code_point(left);
    const bool is_letter = point.value == '_' || is_word_class(char_type(point.value));
    if (is_letter && !inside) ++n_words;
    inside = is_letter;
    left.remove_prefix(point.n_bytes);
  }
  return Value(n_words);
}

Value filter_format(const Invocation& call) {
  if (!call.named_rest.empty()) throw template_error("format: named values are not supported");
  return percent_format(call.heap(), subject_text(call).text(), call.rest);
}

Value filter_string(const Invocation& call) { return subject_text(call); }
Value filter_escape(const Invocation& call) { return escape_html(call.heap(), call.subject); }

Value filter_safe(const Invocation& call) {
  Text text = subject_text(call).text();
  text.markup = true;
  return call.heap().text(text);
}

Value filter_urlencode(const Invocation& call) {
  if (call.subject.is(Kind::dict) || call.subject.is(Kind::sequence))
    throw template_error("urlencode: expected a string, found {}", type_name(call.subject));
  const Value subject = subject_text(call);
  const Text& text = subject.text();
  call.heap().charge(1 + text.bytes.size());
  TextBuilder out;
  for (size_t i = 0; i < text.bytes.size(); ++i) {
    const char c = text.bytes[i];
    const bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          std::string_view("_.-~/").find(c) != std::string_view::npos;
    out.append(is_plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<uint8_t>(c)),
               text.input_at(i));
  }
  return out.finish(call.heap());
}

// tojson as Hugging Face sets it: json.dumps, nothing escaped for HTML.
Value filter_tojson(const Invocation& call) {
  JsonStyle style;
  style.ensure_ascii = call.boolean(0, false);
  style.sort_keys = call.boolean(3, false);
  const Value& indent = call.arguments[1];
  if (indent.is_text()) {
    style.indent = std::string(indent.text().bytes);
  } else if (call.has(1) && !indent.is_none()) {
    const auto n_spaces = static_cast<size_t>(std::max<int64_t>(call.integer(1), 0));
    call.heap().charge(n_spaces);
    style.indent = std::string(n_spaces, ' ');
  }
  if (style.indent) style.item_separator = ",";
  if (call.has(2) && !call.arguments[2].is_none()) {
    const std::span<const Value> separators = iterate(call.heap(), call.arguments[2]);
    if (separators.size() != 2 || !separators[0].is_text() || !separators[1].is_text())
      throw template_error("tojson: separators are two strings");
    style.item_separator = separators[0].text().bytes;
    style.key_separator = separators[1].text().bytes;
  }
  return to_json(call.heap(), call.subject, style);
}

// Numbers and the rest

Value filter_default(const Invocation& call) {
  const bool is_good = call.boolean(1, false) ? is_true(call.subject) : !call.subject.is_undefined();
  if (is_good) return call.subject;
  return call.has(0) ? call.arguments[0] : call.heap().text("");
}

Value filter_abs(const Invocation& call) {
  require_defined(call.subject);
  if (call.subject.is(Kind::real)) return Value(std::fabs(call.subject.number()));
  if (!call.subject.is_integral())
    throw template_error("abs: bad operand type: '{}'", type_name(call.subject));
  if (call.subject.integer() == INT64_MIN) throw template_error("abs: integer overflow");
  return Value(std::abs(call.subject.integer()));
}

// The number that a text spells, with blanks around and underscores inside as Python takes them; also one
// beyond all bounds, and the words for what is none.
std::optional<double> spelled_number(std::string_view text) {
  std::string plain;
  for (const char c : strip_left(strip_right(text)))
    if (c != '_') plain += c;
  if (plain.starts_with('+')) plain.erase(0, 1);
  const bool is_negative = plain.starts_with('-');
  const std::string word = plain.size() > 9 ? "" : to_lower(std::string_view(plain).substr(is_negative));
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (word == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (word == "inf" || word == "infinity") return is_negative ? -kInfinity : kInfinity;
  return parse_float(plain);
}

bool is_digits(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

Value filter_int(const Invocation& call) {
  const Value fallback = call.has(0) ? call.arguments[0] : Value(int64_t{0});
  const int64_t base = call.integer(1, 10);
  require_defined(call.subject);
  if (call.subject.is_integral()) return Value(call.subject.integer());
  std::optional<double> number;
  if (call.subject.is(Kind::real)) number = call.subject.number();
  if (call.subject.is_text()) {
    std::string digits(strip_left(strip_right(call.subject.text().bytes)));
    std::erase(digits, '_');
    if (base != 10) {
      if (base < 2 || base > 36) return fallback;
      if (digits.size() > 2 && digits[0] == '0' &&
          std::string_view("xXoObB").find(digits[1]) != std::string_view::npos)
        digits.erase(0, 2);
      char* end = nullptr;
      errno = 0;
      const int64_t value = std::strtoll(digits.c_str(), &end, static_cast<int>(base));
      const bool is_whole = !digits.empty() && end == digits.c_str() + digits.size() && errno == 0;
      return is_whole ? Value(value) : fallback;
    }
    if (digits.starts_with('+')) digits.erase(0, 1);
    if (const auto whole = parse_integer(digits)) return Value(*whole);
    if (is_digits(digits)) throw template_error("int: the integer is too large");
    number = spelled_number(digits);
  }
  if (!number || std::isnan(*number)) return fallback;
  if (!(std::fabs(*number) < 0x1p63)) throw template_error("int: the integer is too large");
  return Value(static_cast<int64_t>(*number));
}

Value filter_float(const Invocation& call) {
  require_defined(call.subject);
  if (call.subject.is_number()) return Value(call.subject.number());
  if (call.subject.is_text())
    if (const auto number = spelled_number(call.subject.text().bytes)) return Value(*number);
  return call.has(0) ? call.arguments[0] : Value(0.0);
}

Value filter_round(const Invocation& call) {
  require_defined(call.subject);
  if (!call.subject.is_number())
    throw template_error("round: expected a number, found {}", type_name(call.subject));
  const int64_t precision = call.integer(0, 0);
  const std::string_view method = call.text(1, "common");
  if (std::abs(precision) > 300) throw template_error("round: precision {} is out of range", precision);
  if (method != "common" && method != "ceil" && method != "floor")
    throw template_error("round: the method is 'common', 'ceil' or 'floor'");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (method != "common") {
    const double scaled = call.subject.number() * scale;
    return Value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
  }
  if (call.subject.is_integral() && precision >= 0) return Value(call.subject.integer());
  if (precision < 0 && call.subject.is_integral())
    return Value(whole_number(Value(std::nearbyint(call.subject.number() * scale) / scale)));
  if (precision < 0) return Value(std::nearbyint(call.subject.number() * scale) / scale);
  // Printing rounds the exact value half to even, as Python does.
  return Value(
      parse_float(fmt::format("{:.{}f}", call.subject.number(), precision)).value_or(call.subject.number()));
}

// Unlike the dot, attr never takes an element.
Value filter_attr(const Invocation& call) {
  if (!call.subject.is(Kind::dict)) return get_attribute(call.heap(), call.subject, call.text(0));
  const Value no_elements = call.heap().dict({}, {});
  const Value found = get_attribute(call.heap(), no_elements, call.text(0));
  if (!found.is(Kind::callable)) return found;
  Callable method = found.callable();
  method.self = call.subject;
  return call.heap().callable(method);
}

constexpr std::array<Native, 24> kFilters = {{
    {"abs", "", filter_abs},
    {"attr", "name", filter_attr},
    {"capitalize", "", filter_case<LetterCase::capitalised>},
    {"center", "width?", filter_center},
    {"d", "default_value? boolean?", filter_default},
    {"default", "default_value? boolean?", filter_default},
    {"e", "", filter_escape},
    {"escape", "", filter_escape},
    {"float", "default?", filter_float},
    {"format", "...", filter_format},
    {"indent", "width? first? blank?", filter_indent},
    {"int", "default? base?", filter_int},
    {"lower", "", filter_case<LetterCase::lower>},
    {"replace", "old new count?", filter_replace},
    {"round", "precision? method?", filter_round},
    {"safe", "", filter_safe},
    {"string", "", filter_string},
    {"title", "", filter_title},
    {"tojson", "ensure_ascii? indent? separators? sort_keys?", filter_tojson},
    {"trim", "chars?", filter_trim},
    {"truncate", "length? killwords? end? leeway?", filter_truncate},
    {"upper", "", filter_case<LetterCase::upper>},
    {"urlencode", "", filter_urlencode},
    {"wordcount", "", filter_wordcount},
}};

}  // namespace

std::span<const Native> filter_table() { return kFilters; }

}  // namespace ruvllm::text::jinja
