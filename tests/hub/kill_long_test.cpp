// The long runs: two hundred kills, and a gibibyte against curl and sha256sum.
#include "hub/kill.h"

#include <signal.h>

#include <algorithm>
#include <random>
#include <thread>

using namespace ruvllm::test;

TEST_CASE("killed two hundred times at random moments, a pull still ends in the right file") {
  constexpr const char* kFile = "m-Q8_0.gguf";
  std::mt19937_64 random(test_seed());
  for (int round = 0; round < 10; ++round) {
    HubFixture fixture;
    const std::string content = random_bytes(64 << 20, static_cast<uint64_t>(round));
    fixture.hub.add(HubFixture::kRepo, kFile, content, true);
    int n_killed = 0;
    for (int i = 0; i < 20; ++i) {
      auto pull = fixture.start("pull", {"org/model"});
      std::this_thread::sleep_for(std::chrono::microseconds(random() % (i % 2 ? 400'000 : 60'000)));
      pull->kill(SIGKILL);
      n_killed += pull->wait().exit_code == 128 + SIGKILL;
    }
    REQUIRE(fixture.run("pull", {"org/model"}).exit_code == 0);
    check_after_kills(fixture, kFile, content.size(), static_cast<uint64_t>(n_killed));
  }
}

TEST_CASE(
    "killed at every one of its writes, syncs, renames and links, a pull still ends in the right file") {
  if (!can_run({"strace", "-o", "/dev/null", "true"})) {
    MESSAGE("skipped: strace can't be used here");
    return;
  }
  for (const char* calls : kKillPoints) kill_at_calls(calls, INT_MAX);
}

TEST_CASE("a gibibyte takes at most 1.3 times as long as curl and sha256sum, in 100 MiB of memory") {
  if (!can_run({"curl", "--version"}) || !can_run({"sha256sum", "--version"})) {
    MESSAGE("skipped: curl or sha256sum is not installed");
    return;
  }
  HubFixture fixture;
  fixture.hub.add(HubFixture::kRepo, "m-Q8_0.gguf", random_bytes(1 << 30, 1), true);
  const std::string url = fixture.hub.endpoint() + "/org/model/resolve/main/m-Q8_0.gguf";
  const std::string copy = (fixture.folder / "copy").string();
  std::vector<double> ratios;
  for (int round = 0; round < 5; ++round) {
    const ProgramResult curl = Program({"curl", "-sSfL", "-o", copy, url}, {}, fixture.folder.path()).wait();
    const ProgramResult sum = Program({"sha256sum", copy}, {}, fixture.folder.path()).wait();
    REQUIRE(curl.exit_code == 0);
    std::filesystem::remove(copy);
    const ProgramResult pull = fixture.run("pull", {"org/model"}, std::chrono::seconds(120));
    REQUIRE(pull.exit_code == 0);
    CHECK(pull.peak_kib <= 100 * 1024);
    ratios.push_back(pull.seconds / (curl.seconds + sum.seconds));
    MESSAGE("pull " << pull.seconds << " s, curl " << curl.seconds << " s + sha256sum " << sum.seconds
                    << " s, peak " << pull.peak_kib / 1024 << " MiB");
    std::filesystem::remove_all(fixture.cache());
  }
  std::sort(ratios.begin(), ratios.end());
  CHECK(ratios[2] <= 1.3);
}
