// A pull that is killed: at random moments, and at each write, sync, rename and link that it makes.
#include "hub/kill.h"

#include <signal.h>

#include <random>
#include <thread>

using namespace ruvllm::test;

namespace {

constexpr const char* kFile = "m-Q8_0.gguf";

}  // namespace

TEST_CASE("killed twenty times at random moments, a pull still ends in the right file") {
  HubFixture fixture;
  const std::string content = random_bytes(48 << 20, 11);
  fixture.hub.add(HubFixture::kRepo, kFile, content, true);
  fixture.hub.set_script([](const HubRequest& request, HubReply reply) {
    if (request.at_storage) reply.bytes_per_second = 8 << 20;
    return reply;
  });
  std::mt19937_64 random(test_seed());
  int n_killed = 0;
  for (int i = 0; i < 20; ++i) {
    auto pull = fixture.start("pull", {"org/model"});
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 400));
    pull->kill(SIGKILL);
    n_killed += pull->wait().exit_code == 128 + SIGKILL;
  }
  CHECK(n_killed > 5);
  fixture.hub.set_script(nullptr);
  REQUIRE(fixture.run("pull", {"org/model"}).exit_code == 0);
  check_after_kills(fixture, kFile, content.size(), static_cast<uint64_t>(n_killed));
}

TEST_CASE(
    "killed at its writes, syncs, renames and links, twelve of each, a pull still ends in the right file") {
  if (!can_run({"strace", "-o", "/dev/null", "true"})) {
    MESSAGE("skipped: strace can't be used here");
    return;
  }
  constexpr int kMostKills = 12;
  for (const char* calls : kKillPoints) kill_at_calls(calls, kMostKills);
}

TEST_CASE("a write, sync or rename that fails is an error that says so, and what follows it is whole") {
  if (!can_run({"strace", "-o", "/dev/null", "true"})) {
    MESSAGE("skipped: strace can't be used here");
    return;
  }
  // More than may wait for the journal, so that every call is made.
  struct Row {
    const char* call;
    const char* error;
    int exit_code;
  };
  for (const Row& row : std::vector<Row>{{"pwrite64", "ENOSPC", 6},
                                         {"pwrite64", "EIO", 1},
                                         {"fdatasync", "EIO", 1},
                                         {"fsync", "EIO", 1},
                                         {"rename", "EXDEV", 1},
                                         {"fallocate", "ENOSPC", 6},
                                         {"fallocate", "EDQUOT", 6},
                                         {"mkdir", "EACCES", 1},
                                         {"mkdir", "EROFS", 1},
                                         {"mkdir", "ENOSPC", 6}}) {
    CAPTURE(row.call);
    CAPTURE(row.error);
    HubFixture fixture;
    fixture.hub.add(HubFixture::kRepo, kFile, random_bytes(24 << 20, 1), true);
    const std::vector<std::string> words = {
        "strace",
        "-f",
        "-qq",
        "-e",
        "trace=" + std::string(row.call),
        "-e",
        "inject=" + std::string(row.call) + ":error=" + row.error + ":when=1+",
        "-o",
        "/dev/null",
        suite_program("pull"),
        "org/model"};
    const ProgramResult result = Program(words, fixture.environment, fixture.folder.path()).wait();
    CHECK(result.exit_code == row.exit_code);
    CHECK(result.errors.find("ruvllm pull: error: ") != std::string::npos);
    REQUIRE(fixture.run("pull", {"org/model"}).exit_code == 0);
    check_after_kills(fixture, kFile, 24 << 20, 1);
  }
}

TEST_CASE("an interrupted pull says so with 130 and goes on from there") {
  HubFixture fixture;
  const std::string content = random_bytes(16 << 20, 3);
  fixture.hub.add(HubFixture::kRepo, kFile, content, true);
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
  CHECK(fixture.hub.content_bytes() < content.size() + (4 << 20));
  check_after_kills(fixture, kFile, content.size(), 1);
}

TEST_CASE("two pulls stay right even where locks do nothing") {
  if (!can_run({"strace", "-o", "/dev/null", "true"})) {
    MESSAGE("skipped: strace can't be used here");
    return;
  }
  for (int round = 0; round < 5; ++round) {
    HubFixture fixture;
    const std::string content = random_bytes(9 << 20, 3);
    fixture.hub.add(HubFixture::kRepo, kFile, content, true);
    const std::vector<std::string> words = {"strace",
                                            "-f",
                                            "-qq",
                                            "-e",
                                            "trace=flock",
                                            "-e",
                                            "inject=flock:retval=0",
                                            "-o",
                                            "/dev/null",
                                            suite_program("pull"),
                                            "org/model"};
    Program first(words, fixture.environment, fixture.folder.path());
    Program second(words, fixture.environment, fixture.folder.path());
    CHECK(first.wait().exit_code == 0);
    CHECK(second.wait().exit_code == 0);
    check_after_kills(fixture, kFile, content.size(), 1);
  }
}
