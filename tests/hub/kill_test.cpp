// A pull that is killed: at random moments, and at each write, sync, rename and link that it makes.
#include "hub/kill.h"

#include <random>
#include <thread>

using namespace ruvllm::test;

namespace {

/// Grows with every call that changes the disk.
uintmax_t bytes_logged(const HubFixture& fixture) {
  std::error_code none_yet;
  const uintmax_t n_bytes = std::filesystem::file_size(fixture.folder / "calls", none_yet);
  return none_yet ? 0 : n_bytes;
}

}  // namespace

TEST_CASE("killed twenty times at random moments, a pull still ends in the right file") {
  HubFixture fixture;
  const std::string content = random_bytes(48 << 20, 11);
  fixture.hub.add(HubFixture::kRepo, kKilledFile, content, true);
  preload(fixture);
  std::mt19937_64 random(test_seed());
  uint64_t n_killed = 0;
  for (int i = 0; i < 20; ++i) {
    // A moment is so much work later: no clock decides how far a pull has come.
    const uintmax_t moment = bytes_logged(fixture) + random() % 5000;
    auto pull = fixture.start("pull", {"org/model"});
    while (bytes_logged(fixture) < moment && pull->is_running())
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    pull->kill(SIGKILL);
    n_killed += pull->wait().exit_code == 128 + SIGKILL;
  }
  CHECK(n_killed > 5);
  REQUIRE(fixture.run("pull", {"org/model"}).exit_code == 0);
  check_after_kills(fixture, kKilledFile, content.size(), n_killed);
}

TEST_CASE(
    "killed at its writes, syncs, renames and links, some of each, a pull still ends in the right file") {
  constexpr size_t kMostKills = 4;
  for (const char* call : kKillPoints)
    for (const bool begun : {false, true}) kill_at_calls(call, "kill", kMostKills, begun);
  CHECK(kill_at_calls("pwrite", "kill", kMostKills, false) >= 3);
  CHECK(kill_at_calls("pwrite", "tear", kMostKills, false) >= 3);
  CHECK(kill_at_calls("write", "tear", kMostKills, false) >= 1);
}

TEST_CASE("a write, sync or rename that fails is an error that says so, and what follows it is whole") {
  struct Row {
    const char* call;
    int error;
    int exit_code;
  };
  for (const Row& row : std::vector<Row>{{"pwrite", ENOSPC, 6},
                                         {"pwrite", EDQUOT, 6},
                                         {"pwrite", EIO, 1},
                                         {"fdatasync", EIO, 1},
                                         {"fsync", EIO, 1},
                                         {"rename", EXDEV, 1},
                                         {"symlink", EACCES, 1},
                                         {"fallocate", ENOSPC, 6},
                                         {"fallocate", EDQUOT, 6},
                                         {"open", EMFILE, 1},
                                         {"mkdir", EACCES, 1},
                                         {"mkdir", EROFS, 1},
                                         {"mkdir", ENOSPC, 6}}) {
    CAPTURE(std::string(row.call));
    CAPTURE(row.error);
    KillFixture fixture;
    const ProgramResult result = fixture.pull(std::to_string(row.error), row.call, "1+");
    CHECK(result.exit_code == row.exit_code);
    CHECK(result.errors.find("ruvllm pull: error: ") != std::string::npos);
    CHECK(fixture.pull().exit_code == 0);
    check_whole(fixture, kKilledFile);
  }
}

TEST_CASE("an interrupted pull says so with 130 and goes on from there") {
  HubFixture fixture;
  const std::string content = random_bytes(16 << 20, 3);
  fixture.hub.add(HubFixture::kRepo, kKilledFile, content, true);
  preload(fixture);
  fixture.hub.set_script([](const HubRequest& request, HubReply reply) {
    if (request.at_storage) reply.bytes_per_second = 2 << 20;
    return reply;
  });
  auto pull = fixture.start("pull", {"org/model"});
  while (fixture.hub.content_bytes() < (4 << 20)) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  pull->kill(SIGINT);
  CHECK(pull->wait().exit_code == 130);
  fixture.hub.set_script(nullptr);
  REQUIRE(fixture.run("pull", {"org/model"}).exit_code == 0);
  // What had come is written down before the program ends, so that nothing is fetched twice but what was
  // under way.
  check_after_kills(fixture, kKilledFile, content.size(), 1);
}

TEST_CASE("two pulls stay right even where locks do nothing") {
  for (int round = 0; round < 5; ++round) {
    KillFixture fixture;
    preload(fixture, "succeed", "flock", "1+");
    auto first = fixture.start("pull", {"org/model"});
    auto second = fixture.start("pull", {"org/model"});
    CHECK(first->wait().exit_code == 0);
    CHECK(second->wait().exit_code == 0);
    check_whole(fixture, kKilledFile);
  }
}
