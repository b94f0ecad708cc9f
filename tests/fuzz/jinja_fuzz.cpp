// Jinja: whatever the template is, parsing and rendering end with a text or an Error; two renderings are the
// same; the marks of what came from the input lie in order inside the text. Bytes behind a NUL are the user's
// message.
#include "fuzz.h"

#include "base/error.h"
#include "base/limits.h"
#include "text/jinja/eval.h"
#include "text/jinja/parser.h"

#include <optional>

using namespace ruvllm;
using namespace ruvllm::text;

namespace {

std::optional<jinja::Rendering> render(const jinja::Program& program,
                                       const std::vector<jinja::Variable>& variables) {
  try {
    return jinja::render(program, variables, std::tm{});
  } catch (const Error& error) {
    FUZZ_CHECK(error.code() == Errc::corrupt_file || error.code() == Errc::usage);
    FUZZ_CHECK(std::string_view(error.what()).find('\n') == std::string_view::npos);
    return std::nullopt;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view source = input.substr(0, input.find('\0'));
  const std::string message(input.substr(std::min(source.size() + 1, input.size())));
  std::unique_ptr<const jinja::Program> program;
  try {
    program = jinja::parse(source, "fuzz");
  } catch (const Error& error) {
    FUZZ_CHECK(error.code() == Errc::corrupt_file);
    return 0;
  }
  const std::vector<jinja::Variable> variables = {
      {"messages", OrderedJson::array({{{"role", "user"}, {"content", message}},
                                       {{"role", "assistant"}, {"content", nullptr}, {"n", 1.5}}})},
      {"tools", OrderedJson::array({{{"name", message}, {"parameters", {{"a", {1, 2, true}}}}}})},
      {"bos_token", "<s>", false},
      {"add_generation_prompt", true, false}};
  const auto first = render(*program, variables);
  const auto second = render(*program, variables);
  FUZZ_CHECK(first.has_value() == second.has_value());
  if (!first) return 0;
  FUZZ_CHECK(first->text == second->text);
  size_t end = 0;
  for (const ByteRange& range : first->from_input) {
    FUZZ_CHECK(range.begin >= end && range.end > range.begin && range.end <= first->text.size());
    end = range.end;
  }
  return 0;
}
