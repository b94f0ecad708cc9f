// Regular expressions of pre-tokenisers: PCRE2 with its JIT, bounded.
//
// The JIT gets a stack of its own (32 KiB of the machine's would overflow on long texts); where even that is
// short, the interpreter takes over with bounded steps and heap, so that a hostile text or pattern ends in an
// Error, never in a crash or a hang. Subjects must be valid UTF-8. Tested by tests/text/regex_test.cpp.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace ruvllm::text {

class Regex {
 public:
  struct Scratch;

  /// Compiles a pattern in UTF-8 with Unicode properties. Throws corrupt_file: what is wrong, and where.
  explicit Regex(std::string_view pattern);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  /// What matching works in; one a thread, any number of expressions and texts.
  static std::shared_ptr<Scratch> make_scratch();

  struct Match {
    size_t begin;
    size_t end;
  };
  /// The first match at or after `begin`; the text before it is seen by look-behind. False where there is
  /// none. Throws Errc::failed where the limits are reached.
  bool find(std::string_view subject, size_t begin, Match& match, Scratch& scratch) const;

  const std::string& pattern() const { return pattern_; }

 private:
  struct Code;
  std::unique_ptr<Code> code_;
  std::string pattern_;
};

}  // namespace ruvllm::text
