#include "text/reply_parse.h"

#include "base/error.h"
#include "base/strings.h"

#include <algorithm>
#include <array>
#include <optional>

namespace ruvllm::text {

// What a mark opens.
struct ReplyParser::Mark {
  enum class Body {
    reasoning,   // text up to the closing mark
    json,        // {"name", "arguments"}, a list of them, or XML in their place, up to the closing mark
    json_value,  // the same, ending with its last bracket; or NAME[ARGS]{arguments}
    named_json,  // NAME>{arguments} up to the closing mark
  };
  std::string_view open;
  std::string_view close;  // empty where the JSON ends it
  Body body;

  // A bracket at its end belongs to the JSON as well.
  size_t n_shared() const { return open.ends_with('[') || open.ends_with('{') ? 1 : 0; }
};

// Families: Qwen, DeepSeek and Hermes; Seed; Mistral's reasoning; Hermes' and Qwen's calls; Mistral's calls;
// firefunction; Llama 3.1's and functionary's. One that is a prefix of another comes behind it.
const std::vector<ReplyParser::Mark>& ReplyParser::marks() {
  using Body = Mark::Body;
  static const std::vector<Mark> kMarks = {
      {"<think>", "</think>", Body::reasoning},  {"<seed:think>", "</seed:think>", Body::reasoning},
      {"[THINK]", "[/THINK]", Body::reasoning},  {"<tool_call>", "</tool_call>", Body::json},
      {"[TOOL_CALLS]", "", Body::json_value},    {"functools[", "", Body::json_value},
      {"<|python_tag|>{", "", Body::json_value}, {"<function=", "</function>", Body::named_json},
  };
  return kMarks;
}

namespace {

constexpr std::string_view kBlanks = " \t\r\n";
// More blanks than these don't wait for what follows them: they would be looked at with every piece.
constexpr size_t kMostBlanks = 64;
constexpr std::string_view kArguments = "[ARGS]";

// The object of a call by the names that families give its parts; nothing where it is no call.
std::optional<ToolCall> read_call(const OrderedJson& json) {
  if (!json.is_object()) return {};
  const OrderedJson& object =
      json.contains("function") && json["function"].is_object() ? json["function"] : json;
  if (!object.contains("name") || !object["name"].is_string()) return {};
  ToolCall call;
  call.name = object["name"].get<std::string>();
  if (json.contains("id") && json["id"].is_string()) call.id = json["id"].get<std::string>();
  for (const char* key : {"arguments", "parameters"}) {
    if (!object.contains(key)) continue;
    call.arguments = object[key].is_string() ? object[key].get<std::string>() : dump_json(object[key]);
    return call;
  }
  call.arguments = "{}";
  return call;
}

// One call or a list of them; empty where it's anything else.
std::vector<ToolCall> read_calls(std::string_view text) {
  std::vector<ToolCall> calls;
  OrderedJson json;
  try {
    json = parse_ordered_json(text, "tool call");
  } catch (const Error&) {
    return calls;
  }
  if (!json.is_array()) json = OrderedJson::array({json});
  for (const OrderedJson& entry : json) {
    const auto call = read_call(entry);
    if (!call) return {};
    calls.push_back(*call);
  }
  return calls;
}

// A parameter of an XML call: JSON where it is some, else text.
OrderedJson parameter_value(std::string_view text) {
  if (text.starts_with('\n')) text.remove_prefix(1);
  if (text.ends_with('\n')) text.remove_suffix(1);
  const bool looks_like_json =
      !text.empty() && std::string_view("{[-0123456789tfn").find(text[0]) != text.npos;
  if (looks_like_json) {
    try {
      return parse_ordered_json(text, "parameter");
    } catch (const Error&) {
      return std::string(text);
    }
  }
  return std::string(text);
}

// <function=NAME> <parameter=KEY>value</parameter> ... </function>, as Qwen3-Coder writes it inside
// <tool_call>.
std::vector<ToolCall> read_xml_calls(std::string_view text) {
  constexpr std::string_view kFunction = "<function=";
  constexpr std::string_view kParameter = "<parameter=";
  constexpr std::string_view kEnd = "</parameter>";
  text = trim(text);
  if (!text.starts_with(kFunction)) return {};
  const size_t name_end = text.find('>');
  if (name_end == text.npos) return {};
  ToolCall call;
  call.name = text.substr(kFunction.size(), name_end - kFunction.size());
  OrderedJson arguments = OrderedJson::object();
  size_t at = name_end + 1;
  while (true) {
    const size_t open = text.find(kParameter, at);
    if (open == text.npos) break;
    const size_t key_end = text.find('>', open);
    const size_t close = key_end == text.npos ? text.npos : text.find(kEnd, key_end);
    if (close == text.npos) return {};
    const std::string key(text.substr(open + kParameter.size(), key_end - open - kParameter.size()));
    arguments[key] = parameter_value(text.substr(key_end + 1, close - key_end - 1));
    at = close + kEnd.size();
  }
  call.arguments = dump_json(arguments);
  return {call};
}

// NAME{arguments}, with "[ARGS]" or ">" between, as newer Mistrals and functionary write it.
std::vector<ToolCall> read_named_call(std::string_view text, std::string_view between) {
  const size_t separator = text.find(between);
  if (separator == text.npos) return {};
  const std::string_view name = trim(text.substr(0, separator));
  const std::string_view arguments = trim(text.substr(separator + between.size()));
  if (name.empty() || !arguments.starts_with('{')) return {};
  try {
    return {ToolCall{.id = {},
                     .name = std::string(name),
                     .arguments = dump_json(parse_ordered_json(arguments, "tool call"))}};
  } catch (const Error&) {
    return {};
  }
}

// How many bytes at the end of `text` may be the beginning of `mark`.
size_t unfinished_mark(std::string_view text, std::string_view mark) {
  for (size_t n_bytes = std::min(mark.size() - 1, text.size()); n_bytes > 0; --n_bytes)
    if (mark.starts_with(text.substr(text.size() - n_bytes))) return n_bytes;
  return 0;
}

}  // namespace

ReplyParser::ReplyParser(const Options& options) : options_(options) {
  if (options_.starts_in_reasoning) mark_ = &marks().front();
}

bool ReplyParser::opens_reasoning(std::string_view prompt) {
  return trim(prompt).ends_with(marks().front().open);
}

std::vector<ReplyPart> ReplyParser::push(std::string_view text) {
  held_ += text;
  while (scan()) {
  }
  held_.erase(0, std::exchange(begin_, 0));
  return std::exchange(parts_, {});
}

std::vector<ReplyPart> ReplyParser::finish() {
  const bool in_reasoning = mark_ && mark_->body == Mark::Body::reasoning;
  // A call that the end of the reply closes is a call all the same.
  const bool was_call = (bare_json_ || (mark_ && !in_reasoning)) && emit_calls(rest());
  if (in_reasoning) {
    emit(ReplyPart::Kind::reasoning, rest());
  } else if (!was_call) {
    if (mark_) emit(ReplyPart::Kind::content, mark_->open.substr(0, mark_->open.size() - mark_->n_shared()));
    emit(ReplyPart::Kind::content, rest());
  }
  held_.clear();
  return std::exchange(parts_, {});
}

// One step; false when more text is needed.
bool ReplyParser::scan() {
  if (skip_blanks_) {
    drop(std::min(rest().find_first_not_of(kBlanks), rest().size()));
    if (rest().empty()) return false;
    skip_blanks_ = false;
  }
  if (bare_json_) return false;  // only the end of the reply tells that nothing else follows
  if (!mark_) return scan_content();
  return mark_->body == Mark::Body::reasoning ? scan_reasoning() : scan_call();
}

bool ReplyParser::scan_content() {
  const std::string_view text = rest();
  if (options_.parse_tools && at_start_) {
    const size_t first = text.find_first_not_of(kBlanks);
    if (first == text.npos && text.size() <= kMostBlanks) return false;
    bare_json_ = first != text.npos && text[first] == '{';
    if (bare_json_) return false;
  }
  const auto is_enabled = [&](const Mark& mark) {
    return options_.parse_tools || mark.body == Mark::Body::reasoning;
  };
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '<' && text[at] != '[' && text[at] != 'f') continue;
    for (const Mark& mark : marks()) {
      if (!is_enabled(mark) || !text.substr(at).starts_with(mark.open)) continue;
      emit(ReplyPart::Kind::content, text.substr(0, at));
      drop(at + mark.open.size() - mark.n_shared());
      open(mark);
      return true;
    }
  }
  size_t n_kept = 0;
  for (const Mark& mark : marks())
    if (is_enabled(mark)) n_kept = std::max(n_kept, unfinished_mark(text, mark.open));
  emit(ReplyPart::Kind::content, text.substr(0, text.size() - n_kept));
  drop(text.size() - n_kept);
  return false;
}

void ReplyParser::open(const Mark& mark) {
  mark_ = &mark;
  at_start_ = false;
  json_depth_ = 0;
  in_string_ = false;
  escaped_ = false;
  skip_blanks_ = mark.body == Mark::Body::reasoning;
}

bool ReplyParser::scan_reasoning() {
  const std::string_view text = rest();
  const size_t close = text.find(mark_->close, n_scanned_);
  const bool is_closed = close != text.npos;
  const size_t n_certain = is_closed ? close : text.size() - unfinished_mark(text, mark_->close);
  // Blanks before the closing mark belong to it, so the last ones wait.
  const size_t last = text.substr(0, n_certain).find_last_not_of(kBlanks);
  const size_t n_blanks = n_certain - (last == text.npos ? 0 : last + 1);
  const size_t n_told = n_certain - std::min(n_blanks, kMostBlanks);
  emit(ReplyPart::Kind::reasoning, text.substr(0, n_told));
  if (!is_closed) {
    drop(n_told);
    n_scanned_ = rest().size() - std::min(rest().size(), mark_->close.size() - 1);
    return false;
  }
  drop(close + mark_->close.size());
  mark_ = nullptr;
  skip_blanks_ = true;
  return true;
}

// Where the body of the open call ends, or npos.
size_t ReplyParser::find_call_end() {
  const std::string_view text = rest();
  if (!mark_->close.empty()) {
    const size_t end = text.find(mark_->close, n_scanned_);
    n_scanned_ = text.size() - std::min(text.size(), mark_->close.size() - 1);
    return end;
  }
  while (n_scanned_ < text.size()) {
    const char c = text[n_scanned_++];
    if (in_string_) {
      in_string_ = escaped_ || c != '"';
      escaped_ = !escaped_ && c == '\\';
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++json_depth_;
    } else if (c == '}' || c == ']') {
      // The bracket of "NAME[ARGS]{...}" closes before the arguments begin.
      const bool is_name = --json_depth_ == 0 && text.substr(0, n_scanned_).ends_with(kArguments);
      if (json_depth_ <= 0 && !is_name) return n_scanned_;
    }
  }
  return text.npos;
}

bool ReplyParser::scan_call() {
  const size_t end = find_call_end();
  if (end == std::string_view::npos) return false;
  const std::string_view body = rest().substr(0, end);
  if (emit_calls(body)) {
    skip_blanks_ = true;
  } else {
    emit(ReplyPart::Kind::content, mark_->open.substr(0, mark_->open.size() - mark_->n_shared()));
    emit(ReplyPart::Kind::content, body);
    emit(ReplyPart::Kind::content, mark_->close);
  }
  drop(end + mark_->close.size());
  mark_ = nullptr;
  return true;
}

bool ReplyParser::emit_calls(std::string_view body) {
  std::vector<ToolCall> calls = read_calls(trim(body));
  if (mark_ && calls.empty()) {
    if (mark_->body == Mark::Body::json) calls = read_xml_calls(body);
    if (mark_->body == Mark::Body::json_value) calls = read_named_call(body, kArguments);
    if (mark_->body == Mark::Body::named_json) calls = read_named_call(body, ">");
  }
  for (ToolCall& call : calls) parts_.push_back({ReplyPart::Kind::tool_call, {}, std::move(call)});
  return !calls.empty();
}

void ReplyParser::emit(ReplyPart::Kind kind, std::string_view text) {
  if (text.empty()) return;
  at_start_ = false;
  if (!parts_.empty() && parts_.back().kind == kind) {
    parts_.back().text += text;
  } else {
    parts_.push_back({kind, std::string(text), {}});
  }
}

void ReplyParser::drop(size_t n_bytes) {
  begin_ += n_bytes;
  n_scanned_ = 0;
}

std::vector<ReplyPart> parse_reply(std::string_view reply, const ReplyParser::Options& options) {
  ReplyParser parser(options);
  std::vector<ReplyPart> parts = parser.push(reply);
  for (ReplyPart& part : parser.finish()) {
    const bool joins =
        part.kind != ReplyPart::Kind::tool_call && !parts.empty() && parts.back().kind == part.kind;
    if (joins) {
      parts.back().text += part.text;
    } else {
      parts.push_back(std::move(part));
    }
  }
  return parts;
}

}  // namespace ruvllm::text
