// The long runs: two hundred kills at random moments, and one at every call that changes the disk.
#include "hub/kill.h"

#include <random>
#include <thread>

using namespace ruvllm::test;

TEST_CASE("killed two hundred times at random moments, a pull still ends in the right file") {
  constexpr uint64_t kKills = 200;
  constexpr uint64_t kKillsOfOne = 20;
  std::mt19937_64 random(test_seed());
  uint64_t n_killed_in_all = 0, n_written = 0, n_wanted = 0;
  for (uint64_t round = 0; n_killed_in_all < kKills; ++round) {
    HubFixture fixture;
    const std::string content = random_bytes(64 << 20, round);
    fixture.hub.add(HubFixture::kRepo, kKilledFile, content, true);
    preload(fixture);
    uint64_t n_killed = 0;
    for (bool done = false; !done && n_killed < kKillsOfOne;) {
      auto pull = fixture.start("pull", {"org/model"});
      std::this_thread::sleep_for(std::chrono::microseconds(random() % (n_killed % 2 ? 400'000 : 60'000)));
      pull->kill(SIGKILL);
      done = pull->wait().exit_code != 128 + SIGKILL;
      n_killed += !done;
    }
    REQUIRE(fixture.run("pull", {"org/model"}, std::chrono::minutes(5)).exit_code == 0);
    check_after_kills(fixture, kKilledFile, content.size(), n_killed);
    n_killed_in_all += n_killed;
    n_written += content_written(fixture, content.size());
    n_wanted += content.size();
  }
  MESSAGE(n_killed_in_all << " kills, " << n_wanted << " bytes wanted, " << n_written - n_wanted
                          << " fetched twice");
}

TEST_CASE("killed at every one of its calls that change the disk, a pull still ends in the right file") {
  uint64_t n_killed = 0;
  for (const char* call : kKillPoints)
    for (const bool begun : {false, true}) {
      const uint64_t n = kill_at_calls(call, "kill", SIZE_MAX, begun);
      MESSAGE(std::string(call) << std::string(begun ? " of a resumed pull: " : ": ") << n << " kills");
      n_killed += n;
    }
  for (const char* call : {"pwrite", "write"}) n_killed += kill_at_calls(call, "tear", SIZE_MAX, false);
  MESSAGE(n_killed << " kills");
  CHECK(n_killed >= 700);
}
