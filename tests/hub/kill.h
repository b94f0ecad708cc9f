// Kills a pull at chosen moments, resumes it, and checks what must hold whatever the moment was.
#pragma once

#include "hub/hub_fixture.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <climits>

namespace ruvllm::test {

/// What a resumed pull must have come to: the right content, linked and referred to; no leftovers of ours;
/// and of the content at most `n_killed` times a bounded part fetched twice.
inline void check_after_kills(HubFixture& fixture, const std::string& file, uint64_t n_bytes,
                              uint64_t n_killed) {
  constexpr uint64_t kMostLost = 16ull << 20;  // unjournaled bytes, and what was under way in the parts
  const std::string digest = fixture.hub.digest(HubFixture::kRepo, file);
  CHECK(sha256_hex(contents_of(fixture.snapshot() / file)) == digest);
  CHECK(contents_of(fixture.repo() / "refs/main") == fixture.hub.commit(HubFixture::kRepo));
  CHECK(tree_of(fixture.repo()) ==
        std::vector<std::string>{"blobs/" + digest, "refs/main",
                                 "snapshots/" + fixture.hub.commit(HubFixture::kRepo) + "/" + file});
  CHECK(fixture.hub.content_bytes() <= n_bytes + n_killed * std::min(kMostLost, n_bytes));
}

/// The system calls after which the state on the disk is another.
inline constexpr const char* kKillPoints[] = {
    "pwrite64", "fdatasync,fsync", "rename", "symlink", "ftruncate,fallocate", "mkdir", "openat"};

/// How often a pull makes one of these calls, counted by strace.
inline int count_calls(const std::string& calls) {
  HubFixture fixture;
  fixture.hub.add(HubFixture::kRepo, "m-Q8_0.gguf", random_bytes(9 << 20, 1), true);
  const std::string trace = (fixture.folder / "trace").string();
  const std::vector<std::string> words = {
      "strace", "-f", "-qq", "-e", "trace=" + calls, "-o", trace, suite_program("pull"), "org/model"};
  REQUIRE(Program(words, fixture.environment, fixture.folder.path()).wait().exit_code == 0);
  const std::string lines = contents_of(trace);
  return static_cast<int>(std::count(lines.begin(), lines.end(), '('));
}

/// Kills a pull at its first, second... call of these, at most `most` of them evenly chosen, and resumes it
/// each time.
inline void kill_at_calls(const std::string& calls, int most) {
  const int n_calls = count_calls(calls);
  CAPTURE(calls);
  CHECK(n_calls > 0);
  const int step = 1 + (n_calls - 1) / most;
  for (int n = 1; n <= n_calls; n += step) {
    CAPTURE(n);
    HubFixture fixture;
    fixture.hub.add(HubFixture::kRepo, "m-Q8_0.gguf", random_bytes(9 << 20, 1), true);
    const std::vector<std::string> words = {"strace",
                                            "-f",
                                            "-qq",
                                            "-e",
                                            "trace=" + calls,
                                            "-e",
                                            "inject=" + calls + ":signal=KILL:when=" + std::to_string(n),
                                            "-o",
                                            "/dev/null",
                                            suite_program("pull"),
                                            "org/model"};
    Program(words, fixture.environment, fixture.folder.path()).wait();
    REQUIRE(fixture.run("pull", {"org/model"}).exit_code == 0);
    check_after_kills(fixture, "m-Q8_0.gguf", 9 << 20, 1);
  }
}

}  // namespace ruvllm::test
