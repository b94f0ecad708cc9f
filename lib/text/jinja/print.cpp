#include "text/jinja/print.h"

#include "base/utf8.h"

#include <utf8proc.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <system_error>

namespace ruvllm::text::jinja {
namespace {

// Whether Python prints a code point in repr() as itself.
bool is_printable(uint32_t code_point) {
  if (code_point < 0x7F) return code_point >= 0x20;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

// Appends a text with each code point replaced by escape(code point) where that isn't empty.
template <typename Escape>
void append_escaped(const Text& text, TextBuilder& out, const Escape& escape) {
  size_t plain_from = 0;
  const auto flush = [&](size_t end) {
    Text plain = text;
    plain.bytes = text.bytes.substr(plain_from, end - plain_from);
    if (!text.marks.empty()) plain.marks = text.marks.substr(plain_from, end - plain_from);
    out.append(plain);
  };
  const auto is_plain = [](char c) {  // for every escape there is
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ';
  };
  for (size_t at = 0; at < text.bytes.size();) {
    if (is_plain(text.bytes[at])) {
      ++at;
      continue;
    }
    const CodePoint point = first_code_point(text.bytes.substr(at));
    if (const std::string replacement = escape(point.value); !replacement.empty()) {
      flush(at);
      out.append(replacement, text.input_at(at));
      plain_from = at + point.n_bytes;
    }
    at += point.n_bytes;
  }
  flush(text.bytes.size());
}

void print_text_repr(const Text& text, TextBuilder& out) {
  const bool has_single = text.bytes.find('\'') != std::string_view::npos;
  const char quote = has_single && text.bytes.find('"') == std::string_view::npos ? '"' : '\'';
  const std::string_view quote_text(&quote, 1);
  out.append(quote_text);
  append_escaped(text, out, [quote](uint32_t point) -> std::string {
    if (point == '\n') return "\\n";
    if (point == '\r') return "\\r";
    if (point == '\t') return "\\t";
    if (point == '\\') return "\\\\";
    if (point == static_cast<unsigned char>(quote)) return {'\\', quote};
    if (is_printable(point)) return {};
    if (point < 0x100) return fmt::format("\\x{:02x}", point);
    return point < 0x10000 ? fmt::format("\\u{:04x}", point) : fmt::format("\\U{:08x}", point);
  });
  out.append(quote_text);
}

void print_items(Heap& heap, std::span<const Value> items, TextBuilder& out) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.append(", ");
    print_repr(heap, items[i], out);
  }
}

void print_sequence(Heap& heap, const Sequence& sequence, TextBuilder& out) {
  switch (sequence.flavour) {
    case Sequence::Flavour::generator:
      out.append("<generator object>");
      return;
    case Sequence::Flavour::tuple:
      out.append("(");
      print_items(heap, sequence.items, out);
      out.append(sequence.items.size() == 1 ? ",)" : ")");
      return;
    case Sequence::Flavour::list:
    case Sequence::Flavour::view:
      for (const std::string_view name : sequence.names) out.append(name);
      out.append(sequence.names.empty() ? "[" : "([");
      print_items(heap, sequence.items, out);
      out.append(sequence.names.empty() ? "]" : "])");
      return;
  }
}

void print_namespace(Heap& heap, const Namespace& name_space, TextBuilder& out) {
  out.append("<Namespace {");
  for (size_t i = 0; i < name_space.attributes.size(); ++i) {
    if (i > 0) out.append(", ");
    print_repr(heap, heap.text(name_space.attributes[i].name), out);
    out.append(": ");
    print_repr(heap, name_space.attributes[i].value, out);
  }
  out.append("}>");
}

void print_dict(Heap& heap, const Dict& dict, TextBuilder& out) {
  out.append("{");
  for (size_t i = 0; i < dict.keys.size(); ++i) {
    if (i > 0) out.append(", ");
    print_repr(heap, dict.keys[i], out);
    out.append(": ");
    print_repr(heap, dict.values[i], out);
  }
  out.append("}");
}

// str(): everything but texts prints as repr() does.
void print_other(Heap& heap, const Value& value, TextBuilder& out) {
  heap.charge(3);
  switch (value.kind()) {
    case Kind::undefined:
    case Kind::text:
      return;
    case Kind::none:
      return out.append("None");
    case Kind::boolean:
      return out.append(value.boolean() ? "True" : "False");
    case Kind::integer:
      return out.append(fmt::to_string(value.integer()));
    case Kind::real:
      return out.append(print_float(value.number()));
    case Kind::sequence:
      return print_sequence(heap, value.sequence(), out);
    case Kind::dict:
      return print_dict(heap, value.dict(), out);
    case Kind::range: {
      const Range& range = value.range();
      out.append(range.step == 1 ? fmt::format("range({}, {})", range.start, range.stop)
                                 : fmt::format("range({}, {}, {})", range.start, range.stop, range.step));
      return;
    }
    case Kind::name_space:
      return print_namespace(heap, value.name_space(), out);
    case Kind::callable:
      return out.append("<function>");
    case Kind::loop:
      return out.append("<LoopContext>");
  }
}

class JsonWriter {
 public:
  JsonWriter(Heap& heap, const JsonStyle& style) : heap_(heap), style_(style) {}

  void write(const Value& value) {
    heap_.charge(2);
    switch (value.kind()) {
      case Kind::none:
        return out_.append("null");
      case Kind::boolean:
        return out_.append(value.boolean() ? "true" : "false");
      case Kind::integer:
        return out_.append(fmt::to_string(value.integer()));
      case Kind::real:
        return out_.append(number(value.number()));
      case Kind::text:
        return write_text(value.text());
      case Kind::dict:
        return write_dict(value.dict());
      case Kind::sequence:
        if (value.sequence().flavour <= Sequence::Flavour::tuple) return write_list(value.sequence().items);
        break;
      default:
        break;
    }
    throw template_error("Object of type {} is not JSON serializable", type_name(value));
  }

  Value finish() { return out_.finish(heap_); }

 private:
  static std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
    return print_float(value);
  }

  void write_text(const Text& text) {
    heap_.charge(text.bytes.size() / 4);
    out_.append("\"");
    append_escaped(text, out_, [this](uint32_t point) -> std::string {
      switch (point) {
        case '"':
          return "\\\"";
        case '\\':
          return "\\\\";
        case '\n':
          return "\\n";
        case '\r':
          return "\\r";
        case '\t':
          return "\\t";
        case '\b':
          return "\\b";
        case '\f':
          return "\\f";
        default:
          break;
      }
      if (point < 0x20) return fmt::format("\\u{:04x}", point);
      if (point < 0x80 || !style_.ensure_ascii) return {};
      if (point < 0x10000) return fmt::format("\\u{:04x}", point);
      return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((point - 0x10000) >> 10), 0xDC00 + (point & 0x3FF));
    });
    out_.append("\"");
  }

  void write_key(const Value& key) {
    if (key.is_text()) return write_text(key.text());
    if (!key.is_number() && !key.is_none())
      throw template_error("keys must be str, int, float, bool or None, not {}", type_name(key));
    out_.append("\"");
    write(key);
    out_.append("\"");
  }

  void new_line() {
    if (!style_.indent) return;
    out_.append("\n");
    for (int level = 0; level < level_; ++level) {
      heap_.charge(1 + style_.indent->size() / 8);
      out_.append(*style_.indent);
    }
  }

  void write_list(std::span<const Value> items) {
    if (items.empty()) return out_.append("[]");
    out_.append("[");
    ++level_;
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_.append(style_.item_separator);
      new_line();
      write(items[i]);
    }
    --level_;
    new_line();
    out_.append("]");
  }

  void write_dict(const Dict& dict) {
    if (dict.keys.empty()) return out_.append("{}");
    std::vector<size_t> order(dict.keys.size());
    std::iota(order.begin(), order.end(), 0);
    if (style_.sort_keys)
      std::stable_sort(order.begin(), order.end(),
                       [&](size_t a, size_t b) { return less(heap_, dict.keys[a], dict.keys[b]); });
    out_.append("{");
    ++level_;
    for (size_t i = 0; i < order.size(); ++i) {
      if (i > 0) out_.append(style_.item_separator);
      new_line();
      write_key(dict.keys[order[i]]);
      out_.append(style_.key_separator);
      write(dict.values[order[i]]);
    }
    --level_;
    new_line();
    out_.append("}");
  }

  Heap& heap_;
  const JsonStyle& style_;
  TextBuilder out_;
  int level_ = 0;
};

}  // namespace

std::string print_float(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[32];
  const auto scientific = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const std::string_view digits(buffer, static_cast<size_t>(scientific.ptr - buffer));
  const size_t e = digits.find('e');
  int exponent = 0;
  std::from_chars(digits.data() + e + 1 + (digits[e + 1] == '+'), scientific.ptr, exponent);
  if (exponent < -4 || exponent >= 16) return std::string(digits);
  const auto fixed = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  std::string text(buffer, fixed.ptr);
  if (text.find('.') == std::string::npos) text += ".0";
  return text;
}

std::optional<double> parse_float(std::string_view text) {
  double value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || fault == std::errc::invalid_argument) return std::nullopt;
  if (fault == std::errc()) return std::isfinite(value) ? std::optional(value) : std::nullopt;
  // Out of range: as large as can be with an exponent that says so, else as good as nothing.
  const size_t exponent = text.find_first_of("eE");
  const bool is_small = exponent == text.npos
                            ? text.find('.') != text.npos && text.find_first_of("123456789") > text.find('.')
                            : text.substr(exponent + 1).starts_with('-');
  const double bound = is_small ? 0.0 : std::numeric_limits<double>::infinity();
  return text.starts_with('-') ? -bound : bound;
}

void print(Heap& heap, const Value& value, TextBuilder& out) {
  if (value.is_text()) {
    heap.charge(1 + value.text().bytes.size() / 16);
    out.append(value.text());
  } else {
    print_other(heap, value, out);
  }
}

Value to_text(Heap& heap, const Value& value) {
  if (value.is_text()) return value;
  TextBuilder out;
  print(heap, value, out);
  return out.finish(heap);
}

void print_repr(Heap& heap, const Value& value, TextBuilder& out) {
  if (value.is_undefined()) return out.append("Undefined");
  if (!value.is_text()) return print_other(heap, value, out);
  heap.charge(1 + value.text().bytes.size() / 4);
  print_text_repr(value.text(), out);
}

Value to_json(Heap& heap, const Value& value, const JsonStyle& style) {
  JsonWriter writer(heap, style);
  writer.write(value);
  return writer.finish();
}

Value escape_html(Heap& heap, const Value& value) {
  const Value text = to_text(heap, value);
  if (text.text().markup) return text;
  heap.charge(1 + text.text().bytes.size() / 2);
  TextBuilder out;
  append_escaped(text.text(), out, [](uint32_t point) -> std::string {
    switch (point) {
      case '&':
        return "&amp;";
      case '<':
        return "&lt;";
      case '>':
        return "&gt;";
      case '\'':
        return "&#39;";
      case '"':
        return "&#34;";
      default:
        return {};
    }
  });
  return out.finish(heap, true);
}

}  // namespace ruvllm::text::jinja
