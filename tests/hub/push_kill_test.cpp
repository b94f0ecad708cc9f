// A push that is killed: before and after every request that it makes, and at random moments. Run again, it
// ends in the same commit, and nothing that had arrived is sent once more.
#include "hub/hub_fixture.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <random>
#include <thread>

using namespace ruvllm::test;
namespace fs = std::filesystem;

namespace {

constexpr const char* kTarget = "me/model";
constexpr uint64_t kPartBytes = 100'000;
constexpr uint64_t kManyPartsBytes = 450'000;
constexpr uint64_t kOnePartBytes = 60'000;

/// A folder to push: a file that goes up in parts, one that goes up whole, small ones, and a GGUF file, for
/// the card that is made from it.
struct PushKillFixture : HubFixture {
  uint64_t n_kills = 0;

  PushKillFixture() {
    environment["HF_TOKEN"] = "hf_x";
    hub.set_upload_part_bytes(kPartBytes);
    fs::create_directories(folder / "model");
    file("config.json", "{}");
    file("a.safetensors", random_bytes(kManyPartsBytes, 1));
    file("b.safetensors", random_bytes(kOnePartBytes, 2));
    fs::copy_file(fs::path(RUVLLM_SOURCE_DIR) / "tests/fuzz/corpus/gguf" / kGguf, folder / "model/c.gguf");
  }
  static constexpr const char* kGguf = "formats.gguf";

  void file(const std::string& name, const std::string& content) {
    std::ofstream(folder / ("model/" + name), std::ios::binary) << content;
  }
  std::vector<std::string> arguments() const { return {(folder / "model").string(), kTarget}; }

  /// A push that is killed when its n-th request arrives, before anything comes of it or just after.
  bool push_and_kill(int n, bool before) {
    struct Trap {  // the hub's threads may look at it when this function is over
      std::atomic<int> n_arrived{0};
      std::atomic<pid_t> pid{0};
      void spring() const {
        while (pid == 0) std::this_thread::yield();
        ::kill(pid, SIGKILL);
      }
    };
    const auto trap = std::make_shared<Trap>();
    hub.set_arrival([=](const HubRequest&) {
      const bool last = ++trap->n_arrived >= n;
      if (last && before) trap->spring();
      return !last || !before;
    });
    hub.set_script([=](const HubRequest&, HubReply reply) {
      reply.no_answer = trap->n_arrived >= n;
      if (reply.no_answer) trap->spring();
      return reply;
    });
    auto push = start("push", arguments());
    trap->pid = push->pid();
    const bool killed = push->wait().exit_code == 128 + SIGKILL;
    hub.set_arrival(nullptr);
    hub.set_script(nullptr);
    n_kills += killed;
    return killed;
  }

  uint64_t bytes_at_storage() const {
    uint64_t sum = 0;
    for (const HubRequest& request : hub.requests())
      if (request.at_storage && request.method == "PUT") sum += request.body.size();
    return sum;
  }
  size_t n_commits() const {
    size_t n = 0;
    for (const HubRequest& request : hub.requests())
      n += request.path().find("/commit/") != std::string::npos;
    return n;
  }

  /// Ends it, and checks what must hold whenever it was killed: what arrived is there as it should be, with
  /// one commit, and no part was taken in by the hub more often than once, plus the one that was under way
  /// at each kill.
  void check_finished() {
    const ProgramResult last = run("push", arguments());
    REQUIRE_MESSAGE(last.exit_code == 0, last.errors);
    const auto files = hub.files(kTarget);
    CHECK(files.size() == 5);
    CHECK(files.at("config.json") == "{}");
    CHECK(files.at("a.safetensors") == random_bytes(kManyPartsBytes, 1));
    CHECK(files.at("b.safetensors") == random_bytes(kOnePartBytes, 2));
    CHECK(files.at("c.gguf") == contents_of(folder / "model/c.gguf"));
    CHECK(files.at("README.md").starts_with("---\n"));
    CHECK(n_commits() == 1);
    const uint64_t n_large = kManyPartsBytes + kOnePartBytes + files.at("c.gguf").size();
    CHECK(bytes_at_storage() >= n_large);
    CHECK(bytes_at_storage() <= n_large + n_kills * kPartBytes);
    CHECK(tree_of(folder / ".cache/ruvllm").empty());
    const uint64_t n_sent = bytes_at_storage();
    CHECK(run("push", arguments()).exit_code == 0);
    CHECK(bytes_at_storage() == n_sent);
    CHECK(n_commits() == 1);
  }
};

}  // namespace

TEST_CASE("killed before and after every one of its requests, a push still ends in one right commit") {
  int n_requests = 0;
  {
    PushKillFixture whole;
    whole.check_finished();
    for (const HubRequest& request : whole.hub.requests()) {
      ++n_requests;
      if (request.path().find("/commit/") != std::string::npos) break;
    }
  }
  CHECK(n_requests >= 10);
  for (int n = 1; n <= n_requests; ++n)
    for (const bool before : {true, false}) {
      CAPTURE(n);
      CAPTURE(before);
      PushKillFixture fixture;
      CHECK(fixture.push_and_kill(n, before));
      fixture.check_finished();
    }
}

TEST_CASE("killed again and again, at random requests and moments, a push still ends in one right commit") {
  std::mt19937_64 random(test_seed());
  for (int round = 0; round < 3; ++round) {
    PushKillFixture fixture;
    for (int kill = 0; kill < 6; ++kill) {
      if (random() % 2) {
        fixture.push_and_kill(1 + static_cast<int>(random() % 12), random() % 2);
        continue;
      }
      auto push = fixture.start("push", fixture.arguments());
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 40'000));
      push->kill(SIGKILL);
      fixture.n_kills += push->wait().exit_code == 128 + SIGKILL;
    }
    fixture.check_finished();
  }
}
