#include "engine/stop_strings.h"

#include "base/error.h"
#include "base/random.h"
#include "test_support.h"

#include <doctest/doctest.h>

namespace ruvllm::engine {
namespace {

/// All that comes out when `text` is cut into pieces of random length.
std::string through(const std::string& text, const std::vector<std::string>& stop, Random& random,
                    bool& stopped) {
  StopStrings stops(stop);
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t n = std::min<size_t>(1 + random.below(4), text.size() - at);
    out += stops.push(std::string_view(text).substr(at, n));
    at += n;
  }
  stopped = stops.stopped();
  return out + stops.finish();
}

}  // namespace

TEST_CASE("text is cut at the first stop string, however it arrives") {
  Random random(test::test_seed());
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (uint64_t n = random.below(30); n > 0; --n) text += static_cast<char>('a' + random.below(3));
    std::vector<std::string> stop;
    for (uint64_t n = random.below(4); n > 0; --n) {
      stop.emplace_back();
      for (uint64_t m = 1 + random.below(5); m > 0; --m)
        stop.back() += static_cast<char>('a' + random.below(3));
    }
    // Reading byte by byte, the stop string that ends first ends the text; among those, the one that begins
    // first.
    size_t wanted = text.size();
    bool wants_stop = false;
    for (size_t end = 1; end <= text.size() && !wants_stop; ++end)
      for (const std::string& s : stop)
        if (std::string_view(text).substr(0, end).ends_with(s)) {
          wanted = wants_stop ? std::min(wanted, end - s.size()) : end - s.size();
          wants_stop = true;
        }
    StopStrings by_byte(stop);
    std::string out;
    for (const char c : text) out += by_byte.push({&c, 1});
    out += by_byte.finish();
    CHECK(by_byte.stopped() == wants_stop);
    CHECK(out == text.substr(0, wanted));

    bool stopped = false;
    const std::string pieces = through(text, stop, random, stopped);
    CHECK(stopped == wants_stop);
    for (const std::string& s : stop) CHECK(pieces.find(s) == std::string::npos);
  }
}

TEST_CASE("only what could begin a stop string is held back") {
  StopStrings stops({"</end>", "STOP"});
  CHECK(stops.push("Hello <") == "Hello ");
  CHECK(stops.push("b> </e") == "<b> ");
  CHECK(stops.push("ST") == "</e");
  CHECK(stops.push("O") == "");
  CHECK(stops.finish() == "STO");
  CHECK_FALSE(stops.stopped());
}

TEST_CASE("too many or too long stop strings are refused, empty ones never match") {
  CHECK_THROWS_AS(StopStrings(std::vector<std::string>(17, "x")), Error);
  CHECK_THROWS_AS(StopStrings({std::string(1025, 'x')}), Error);
  StopStrings none({"", ""});
  CHECK(none.push("abc") == "abc");
  CHECK_FALSE(none.stopped());
}

}  // namespace ruvllm::engine
