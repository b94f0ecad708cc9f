#include "base/json.h"

#include "base/error.h"
#include "base/limits.h"

#include <algorithm>

namespace ruvllm {
namespace {

// Counts depth and throws away everything else, so that a bomb never becomes a tree. What nlohmann's
// sax_parse() asks of a reader.
class DepthGuard {
 public:
  bool start_object(auto) { return enter(); }
  bool start_array(auto) { return enter(); }
  bool end_object() { return leave(); }
  bool end_array() { return leave(); }
  bool key(auto&) { return true; }
  bool string(auto&) { return true; }
  bool binary(auto&) { return true; }
  bool number_float(auto, const auto&) { return true; }
  bool number_unsigned(auto) { return true; }
  bool number_integer(auto) { return true; }
  bool boolean(auto) { return true; }
  bool null() { return true; }
  bool parse_error(size_t position, const auto&, const auto& error) {
    position_ = position;
    message_ = error.what();
    return false;
  }

  bool is_too_deep() const { return depth_ > limits::kJsonDepth; }
  size_t position() const { return position_; }
  const std::string& message() const { return message_; }

 private:
  bool enter() { return ++depth_ <= limits::kJsonDepth; }
  bool leave() {
    --depth_;
    return true;
  }

  int depth_ = 0;
  size_t position_ = 0;
  std::string message_;
};

// nlohmann's text is "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ... -
// reason".
std::string reason_of(const std::string& message) {
  const size_t dash = message.find(" - ");
  std::string reason = dash == std::string::npos ? message : message.substr(dash + 3);
  if (const size_t bracket = reason.rfind("] "); bracket != std::string::npos && bracket < 60)
    reason = reason.substr(bracket + 2);
  std::replace_if(
      reason.begin(), reason.end(), [](unsigned char c) { return c < 32 || c > 126; }, '?');
  return reason.substr(0, 160);
}

template <typename Tree>
Tree parse(std::string_view text, std::string_view name) {
  DepthGuard guard;
  if (!Json::sax_parse(text, &guard)) {
    if (guard.is_too_deep())
      throw Error(Errc::corrupt_file, "{}: nested more than {} deep", name, limits::kJsonDepth);
    const std::string_view before = text.substr(0, std::min(guard.position(), text.size()));
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const size_t column =
        before.size() - (before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1);
    throw Error(Errc::corrupt_file, "{}: line {}, column {}: {}", name, line, column,
                reason_of(guard.message()));
  }
  return Tree::parse(text);
}

}  // namespace

Json parse_json(std::string_view text, std::string_view name) { return parse<Json>(text, name); }

OrderedJson parse_ordered_json(std::string_view text, std::string_view name) {
  return parse<OrderedJson>(text, name);
}

std::string dump_json(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string dump_json(const OrderedJson& json) {
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

}  // namespace ruvllm
