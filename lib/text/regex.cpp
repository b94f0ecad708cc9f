#include "text/regex.h"

#include "base/error.h"
#include "base/utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <utility>

namespace ruvllm::text {
namespace {

constexpr size_t kJitStackStart = 64 << 10;
constexpr size_t kJitStackMost = 16 << 20;
constexpr uint32_t kMatchSteps = 20'000'000;
constexpr uint32_t kHeapKibibytes = 256 << 10;

template <auto free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    free(object);
  }
};

std::string message_of(int error_code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error_code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

}  // namespace

struct Regex::Code {
  std::unique_ptr<pcre2_code, Freer<pcre2_code_free>> compiled;
  bool has_jit = false;
};

struct Regex::Scratch {
  std::unique_ptr<pcre2_match_data, Freer<pcre2_match_data_free>> data{pcre2_match_data_create(1, nullptr)};
  std::unique_ptr<pcre2_match_context, Freer<pcre2_match_context_free>> context{
      pcre2_match_context_create(nullptr)};
  std::unique_ptr<pcre2_jit_stack, Freer<pcre2_jit_stack_free>> stack{
      pcre2_jit_stack_create(kJitStackStart, kJitStackMost, nullptr)};
};

Regex::Regex(std::string_view pattern) : code_(std::make_unique<Code>()), pattern_(pattern) {
  int error_code = 0;
  PCRE2_SIZE offset = 0;
  code_->compiled.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                      PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error_code, &offset,
                                      nullptr));
  if (!code_->compiled)
    throw Error(Errc::corrupt_file, "regular expression \"{}\": {} at offset {}", printable(pattern, 80),
                message_of(error_code), offset);
  code_->has_jit = pcre2_jit_compile(code_->compiled.get(), PCRE2_JIT_COMPLETE) == 0;
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

std::shared_ptr<Regex::Scratch> Regex::make_scratch() {
  auto scratch = std::make_shared<Scratch>();
  if (!scratch->data || !scratch->context || !scratch->stack)
    throw Error(Errc::no_resources, "no memory for regular expressions");
  pcre2_set_match_limit(scratch->context.get(), kMatchSteps);
  pcre2_set_heap_limit(scratch->context.get(), kHeapKibibytes);
  pcre2_jit_stack_assign(scratch->context.get(), nullptr, scratch->stack.get());
  return scratch;
}

bool Regex::find(std::string_view subject, size_t begin, Match& match, Scratch& scratch) const {
  const auto* bytes = reinterpret_cast<PCRE2_SPTR>(subject.data());
  const pcre2_code* code = code_->compiled.get();
  int found = PCRE2_ERROR_JIT_STACKLIMIT;
  if (code_->has_jit)
    found = pcre2_jit_match(code, bytes, subject.size(), begin, 0, scratch.data.get(), scratch.context.get());
  if (found == PCRE2_ERROR_JIT_STACKLIMIT)
    found = pcre2_match(code, bytes, subject.size(), begin, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                        scratch.data.get(), scratch.context.get());
  if (found == PCRE2_ERROR_NOMATCH) return false;
  if (found < 0)
    throw Error(Errc::failed, "regular expression \"{}\" gives up: {}", printable(pattern_, 80),
                message_of(found));
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(scratch.data.get());
  match = {offsets[0], std::max(offsets[0], offsets[1])};
  return true;
}

}  // namespace ruvllm::text
