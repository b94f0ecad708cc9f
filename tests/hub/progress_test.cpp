// What a person sees while a pull or a push goes on: bars on a terminal, plain lines elsewhere.
#include "cli/process.h"
#include "hub/hub_fixture.h"

#include <doctest/doctest.h>

#include <thread>

using namespace ruvllm::test;

namespace {

constexpr const char* kFirst = "model-00001-of-00002.safetensors";
constexpr const char* kSecond = "model-00002-of-00002.safetensors";

/// A hub that gives content slowly until it is told to hurry.
class Gate {
 public:
  explicit Gate(HubFixture& fixture) {
    fixture.hub.set_script([open = open_](const HubRequest& request, HubReply reply) {
      if (request.is_file() && request.at_storage && !*open) reply.bytes_per_second = 200'000;
      return reply;
    });
  }
  void open() { *open_ = true; }

 private:
  std::shared_ptr<std::atomic<bool>> open_ = std::make_shared<std::atomic<bool>>(false);
};

Launch launch_of(const HubFixture& fixture, const std::string& verb, std::vector<std::string> arguments) {
  Launch launch;
  launch.program = suite_program(verb);
  launch.arguments = std::move(arguments);
  for (const auto& [name, value] : fixture.environment) launch.environment.emplace_back(name, value);
  return launch;
}

void add_two_shards(HubFixture& fixture) {
  fixture.hub.add("org/model", "config.json", "{}", false);
  fixture.hub.add("org/model", kFirst, random_bytes(600'000, 1), true);
  fixture.hub.add("org/model", kSecond, random_bytes(600'000, 2), true);
}

}  // namespace

TEST_CASE("on a terminal there is a bar for the file and one for the whole, and they go away") {
  if (!has_terminal()) return;
  HubFixture fixture;
  add_two_shards(fixture);
  Gate gate(fixture);
  Running pull(launch_of(fixture, "pull", {"org/model"}), true);
  REQUIRE_MESSAGE(pull.wait_for("━"), pull.output());
  REQUIRE_MESSAGE(pull.wait_for("all 3 files"), pull.output());
  REQUIRE_MESSAGE(pull.wait_for("/s  "), pull.output());
  REQUIRE_MESSAGE(pull.wait_for(" left"), pull.output());
  REQUIRE_MESSAGE(pull.wait_for("100%"), pull.output());  // the first shard's bar stays
  gate.open();
  REQUIRE(pull.wait_exit() == 0);
  const std::string& shown = pull.output();
  CHECK(shown.find("of-00002.safetensors  100%  ━") != std::string::npos);
  CHECK(shown.find("\x1b[1A\x1b[J") != std::string::npos);
  CHECK(shown.rfind('\x1b') < shown.rfind("fetched"));  // what is said at the end stands on its own
}

TEST_CASE("one file has one bar, a note about it stands on a line of its own, and --quiet has none") {
  if (!has_terminal()) return;
  HubFixture fixture;
  fixture.hub.add("org/model", "m-Q8_0.gguf", random_bytes(900'000, 1), true);
  auto n_dropped = std::make_shared<std::atomic<int>>(0);
  fixture.hub.set_script([=](const HubRequest& request, HubReply reply) {
    if (!request.at_storage) return reply;
    reply.bytes_per_second = 200'000;
    if ((*n_dropped)++ > 0) return reply;
    reply.drop_after = 200'000;
    return reply;
  });
  {
    Running pull(launch_of(fixture, "pull", {"org/model", "--retry-delay", "20"}), true);
    REQUIRE_MESSAGE(pull.wait_for("m-Q8_0.gguf"), pull.output());
    // The wait is drawn at random: where it is short there is no note, and nothing to look at.
    while (!pull.wait_exit(std::chrono::seconds(0)) && pull.output().find("next try") == std::string::npos)
      pull.wait_for("next try", std::chrono::seconds(1));
    if (const size_t note = pull.output().find("m-Q8_0.gguf: "); note != std::string::npos)
      CHECK(pull.output().substr(note - 3, 3) == "\x1b[J");
    CHECK(pull.output().find("all ") == std::string::npos);
    pull.interrupt();
    pull.wait_exit();
  }
  fixture.hub.set_script(nullptr);
  Running quiet(launch_of(fixture, "pull", {"org/model", "--quiet"}), true);
  REQUIRE(quiet.wait_exit() == 0);
  CHECK(quiet.output().find('\x1b') == std::string::npos);
}

TEST_CASE("an interrupt takes the bar away and says what is kept") {
  if (!has_terminal()) return;
  HubFixture fixture;
  fixture.hub.add("org/model", "m-Q8_0.gguf", random_bytes(4'000'000, 1), true);
  Gate gate(fixture);
  Running pull(launch_of(fixture, "pull", {"org/model"}), true);
  REQUIRE_MESSAGE(pull.wait_for("━"), pull.output());
  pull.interrupt();
  REQUIRE(pull.wait_exit() == 130);
  CHECK(pull.output().find("interrupted; ") != std::string::npos);
  CHECK(pull.output().find("are kept, the same command goes on from there") != std::string::npos);
}

TEST_CASE("elsewhere there is a plain line now and then, and none for short work") {
  HubFixture fixture;
  add_two_shards(fixture);
  const ProgramResult result = fixture.run("pull", {"org/model"});
  CHECK(result.exit_code == 0);
  CHECK(result.errors == "org/model: 1.14 MiB, 1.14 MiB fetched\n");
}

TEST_CASE("a push shows what it hashes and what it sends") {
  if (!has_terminal()) return;
  HubFixture fixture;
  fixture.environment["HF_TOKEN"] = "hf_x";
  std::filesystem::create_directories(fixture.folder / "model");
  for (const char* name : {kFirst, kSecond})
    std::ofstream(fixture.folder / ("model/" + std::string(name)), std::ios::binary)
        << random_bytes(1'000'000, name == kFirst ? 4 : 5);
  fixture.hub.set_script([](const HubRequest& request, HubReply reply) {
    // Until the second file is sent, bars have had time to be worth drawing.
    if (request.at_storage) std::this_thread::sleep_for(std::chrono::milliseconds(700));
    return reply;
  });
  Running push(launch_of(fixture, "push", {(fixture.folder / "model").string(), "me/model"}), true);
  REQUIRE_MESSAGE(push.wait_for("all 2 files"), push.output());
  REQUIRE(push.wait_exit() == 0);
  CHECK(push.output().find("pushing ") != std::string::npos);
  CHECK(push.output().find("/me/model/commit/") != std::string::npos);
}
