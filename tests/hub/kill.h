// Kills a pull at chosen moments, resumes it, and checks what must hold whatever the moment was. What the
// program writes is logged by the preloaded library, so that what was fetched twice is counted to the byte.
#pragma once

#include "hub/hub_fixture.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <sstream>

namespace ruvllm::test {

inline constexpr const char* kKilledFile = "m-Q8_0.gguf";

/// Every run of a program in `fixture` from now on is logged, and `action` of preload.cpp happens at the
/// `at`-th call of this name.
inline void preload(HubFixture& fixture, const std::string& action = "", const std::string& call = "",
                    const std::string& at = "0") {
  std::map<std::string, std::string>& environment = fixture.environment;
  environment["LD_PRELOAD"] = HUB_TEST_PRELOAD;
  environment["ASAN_OPTIONS"] = "verify_asan_link_order=0";
  environment["HUB_TEST_CALL"] = call;
  environment["HUB_TEST_ACTION"] = action;
  environment["HUB_TEST_AT"] = at;
  environment["HUB_TEST_LOG"] = (fixture.folder / "calls").string();
}

struct LoggedCall {
  std::string name;
  uint64_t offset = 0;
  uint64_t n_bytes = 0;
};

inline std::vector<LoggedCall> logged_calls(const HubFixture& fixture) {
  std::vector<LoggedCall> calls;
  std::istringstream lines(contents_of(fixture.folder / "calls"));
  for (LoggedCall call; lines >> call.name >> call.offset >> call.n_bytes;) calls.push_back(call);
  return calls;
}

inline size_t count_logged(const HubFixture& fixture, const std::string& name) {
  const std::vector<LoggedCall> calls = logged_calls(fixture);
  return static_cast<size_t>(
      std::count_if(calls.begin(), calls.end(), [&](const LoggedCall& call) { return call.name == name; }));
}

/// Bytes of the file's content that all logged runs together wrote; the journal lies beyond it.
inline uint64_t content_written(const HubFixture& fixture, uint64_t n_bytes) {
  uint64_t sum = 0;
  for (const LoggedCall& call : logged_calls(fixture))
    if (call.name == "pwrite" && call.offset < n_bytes) sum += call.n_bytes;
  return sum;
}

/// What a resumed pull must have come to: the right content, linked and referred to, and no leftovers of
/// ours.
inline void check_whole(HubFixture& fixture, const std::string& file) {
  const std::string digest = fixture.hub.digest(HubFixture::kRepo, file);
  CHECK(sha256_hex(contents_of(fixture.snapshot() / file)) == digest);
  CHECK(contents_of(fixture.repo() / "refs/main") == fixture.hub.commit(HubFixture::kRepo));
  CHECK(tree_of(fixture.repo()) ==
        std::vector<std::string>{"blobs/" + digest, "refs/main",
                                 "snapshots/" + fixture.hub.commit(HubFixture::kRepo) + "/" + file});
  CHECK(tree_of(fixture.cache()) ==
        std::vector<std::string>{
            ".locks/models--org--model/" + digest + ".lock", "CACHEDIR.TAG",
            "models--org--model/blobs/" + digest, "models--org--model/refs/main",
            "models--org--model/snapshots/" + fixture.hub.commit(HubFixture::kRepo) + "/" + file});
  CHECK(contents_of(fixture.cache() / "CACHEDIR.TAG").starts_with("Signature: "));
}

/// That, and no byte was fetched more often than once, plus one part for each time it was killed.
inline void check_after_kills(HubFixture& fixture, const std::string& file, uint64_t n_bytes,
                              uint64_t n_killed) {
  check_whole(fixture, file);
  const uint64_t part_bytes = std::clamp<uint64_t>(n_bytes / 8, 1 << 20, 32 << 20);
  const uint64_t written = content_written(fixture, n_bytes);
  CHECK(written >= n_bytes);
  CHECK(written <= n_bytes + n_killed * part_bytes);
}

/// The calls between which the state on the disk is another.
inline constexpr const char* kKillPoints[] = {"pwrite",    "write",   "fdatasync", "fsync",
                                              "rename",    "symlink", "unlink",    "ftruncate",
                                              "fallocate", "mkdir",   "open",      "flock"};

/// A hub with one model of 5 MiB, an empty cache, and every run logged.
struct KillFixture : HubFixture {
  static constexpr uint64_t kBytes = 5 << 20;
  uint64_t n_killed = 0;

  KillFixture() {
    static const std::string content = random_bytes(kBytes, 1);
    hub.add(kRepo, kKilledFile, content, true);
    preload(*this);
  }
  /// A pull with this done to it.
  ProgramResult pull(const std::string& action = "", const std::string& call = "",
                     const std::string& at = "0") {
    preload(*this, action, call, at);
    const ProgramResult result = run("pull", {"org/model"});
    n_killed += result.exit_code == 128 + SIGKILL;
    return result;
  }
  /// Leaves half of a download behind.
  void begin() {
    static const size_t n_writes = [] {
      KillFixture whole;
      REQUIRE(whole.pull().exit_code == 0);
      return count_logged(whole, "pwrite");
    }();
    REQUIRE(pull("kill", "pwrite", std::to_string(n_writes / 2)).exit_code == 128 + SIGKILL);
  }
};

/// Kills a pull at its first, second... call of this name, at most `most` of them evenly chosen, and resumes
/// it each time. `begun`: the one that is killed goes on with half of a download already. Returns how often
/// it was killed.
inline uint64_t kill_at_calls(const std::string& call, const std::string& action, size_t most, bool begun) {
  CAPTURE(call);
  CAPTURE(action);
  CAPTURE(begun);
  size_t n_calls = 0;
  {
    KillFixture fixture;
    if (begun) fixture.begin();
    const size_t n_before = count_logged(fixture, call);
    REQUIRE(fixture.pull().exit_code == 0);
    n_calls = count_logged(fixture, call) - n_before;
  }
  uint64_t n_killed = 0;
  for (size_t n = 1; n <= n_calls; n += 1 + (n_calls - 1) / most) {
    CAPTURE(n);
    KillFixture fixture;
    if (begun) fixture.begin();
    fixture.n_killed = 0;
    fixture.pull(action, call, std::to_string(n));
    n_killed += fixture.n_killed;
    REQUIRE(fixture.pull().exit_code == 0);
    check_after_kills(fixture, kKilledFile, KillFixture::kBytes, fixture.n_killed + begun);
  }
  return n_killed;
}

}  // namespace ruvllm::test
