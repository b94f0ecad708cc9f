#include "hub/hub_fixture.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <fstream>

using namespace ruvllm::test;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

struct PushFixture : HubFixture {
  PushFixture() {
    environment["HF_TOKEN"] = "hf_CANARYTOKEN";
    fs::create_directories(folder / "model/sub");
    file("config.json", "{\"a\":1}");
    file("model.safetensors", random_bytes(3'000'000, 1));
    file("sub/notes.txt", "notes\n");
    file(".hidden", "not this");
  }
  void file(const std::string& name, const std::string& content) {
    std::ofstream(folder / ("model/" + name), std::ios::binary) << content;
  }
  ProgramResult push(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {(folder / "model").string(), "me/new-model"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run("push", arguments);
  }
  uint64_t bytes_at_storage() const {
    uint64_t sum = 0;
    for (const HubRequest& request : hub.requests())
      if (request.at_storage && request.method == "PUT") sum += request.body.size();
    return sum;
  }
};

}  // namespace

TEST_CASE("a folder goes up as one commit, and again only what has changed") {
  PushFixture fixture;
  const ProgramResult result = fixture.push({"--private", "--json"});
  REQUIRE_MESSAGE(result.exit_code == 0, result.errors << result.output);
  const auto files = fixture.hub.files("me/new-model");
  CHECK(files.size() == 3);
  CHECK(files.at("config.json") == "{\"a\":1}");
  CHECK(files.at("sub/notes.txt") == "notes\n");
  CHECK(files.at("model.safetensors") == random_bytes(3'000'000, 1));
  CHECK(Json::parse(result.output).at("bytes_sent") == 3'000'000);
  bool is_private = false;
  for (const HubRequest& request : fixture.hub.requests())
    if (request.target == "/api/repos/create")
      is_private = Json::parse(request.body).at("private").get<bool>();
  CHECK(is_private);

  fixture.hub.forget_requests();
  const ProgramResult again = fixture.push({"--json"});
  REQUIRE(again.exit_code == 0);
  CHECK(Json::parse(again.output).at("unchanged") == 3);
  CHECK(fixture.bytes_at_storage() == 0);

  fixture.file("config.json", "{\"a\":2}");
  fs::copy_file(fixture.folder / "model/model.safetensors", fixture.folder / "model/copy.safetensors");
  fixture.hub.forget_requests();
  {
    const ProgramResult pushed = fixture.push();
    REQUIRE_MESSAGE(pushed.exit_code == 0, pushed.errors);
  }
  CHECK(fixture.bytes_at_storage() == 0);  // the hub has this content under another name
  CHECK(fixture.hub.files("me/new-model").at("config.json") == "{\"a\":2}");
  CHECK(fixture.hub.files("me/new-model").size() == 4);
}

TEST_CASE("a large file goes up in parts, and a broken upload goes on with the parts that are missing") {
  PushFixture fixture;
  fixture.hub.set_upload_part_bytes(500'000);
  fixture.hub.set_script([](const HubRequest& request, HubReply reply) {
    if (request.at_storage && request.path().ends_with("/4")) {
      reply = HubReply();
      reply.status = 500;
    }
    return reply;
  });
  const ProgramResult broken = fixture.push({"--retries", "2"});
  CHECK(broken.exit_code == 8);
  CHECK(broken.errors.find("the same command goes on") != std::string::npos);
  fixture.hub.set_script(nullptr);
  fixture.hub.forget_requests();
  {
    const ProgramResult pushed = fixture.push();
    REQUIRE_MESSAGE(pushed.exit_code == 0, pushed.errors);
  }
  CHECK(fixture.bytes_at_storage() == 1'500'000);
  CHECK(fixture.hub.files("me/new-model").at("model.safetensors") == random_bytes(3'000'000, 1));
  CHECK(tree_of(fixture.folder / ".cache/ruvllm/push").empty());
}

TEST_CASE("upload addresses that have run out are asked for anew") {
  PushFixture fixture;
  fixture.hub.set_upload_part_bytes(500'000);
  std::atomic<bool> expired{false};
  fixture.hub.set_script([&](const HubRequest& request, HubReply reply) {
    if (request.at_storage && request.path().ends_with("/4") && !expired) {
      reply = HubReply();
      reply.status = 403;
    }
    return reply;
  });
  CHECK(fixture.push().exit_code != 0);
  std::atomic<int> n_refused{0};
  expired = true;
  fixture.hub.set_script([&](const HubRequest& request, HubReply reply) {
    if (request.at_storage && request.path().ends_with("/4") && n_refused++ == 0) {
      reply = HubReply();
      reply.status = 403;
    }
    return reply;
  });
  {
    const ProgramResult pushed = fixture.push();
    REQUIRE_MESSAGE(pushed.exit_code == 0, pushed.errors);
  }
  CHECK(fixture.hub.files("me/new-model").at("model.safetensors") == random_bytes(3'000'000, 1));
}

TEST_CASE("the token goes to the hub only, is never printed, and is needed") {
  PushFixture fixture;
  const ProgramResult result = fixture.push({"-vvv"});
  REQUIRE(result.exit_code == 0);
  for (const HubRequest& request : fixture.hub.requests())
    CHECK(request.header("authorization").empty() == request.at_storage);
  CHECK(result.errors.find("CANARY") == std::string::npos);
  fixture.environment.erase("HF_TOKEN");
  const ProgramResult anonymous = fixture.push();
  CHECK(anonymous.exit_code == 2);
  CHECK(anonymous.errors.find("HF_TOKEN") != std::string::npos);
}

TEST_CASE("a GGUF file gets a model card made from what it says itself") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  PushFixture fixture;
  const std::vector<std::string> arguments = {model->string(), "me/stories",   "--license",
                                              "mit",           "--evaluation", "perplexity (stories)=4.305"};
  const ProgramResult result = fixture.run("push", arguments);
  REQUIRE_MESSAGE(result.exit_code == 0, result.errors);
  const std::string card = fixture.hub.files("me/stories").at("README.md");
  for (const char* line : {"license: \"mit\"", "| architecture | llama |", "| bits per weight | 32.00 |",
                           "| perplexity (stories) | 4.305 |", "ruvllm chat me/stories", "| F32 |"})
    CHECK_MESSAGE(card.find(line) != std::string::npos, card);
  fixture.hub.forget_requests();
  CHECK(fixture.run("push", arguments).exit_code == 0);
  CHECK(fixture.bytes_at_storage() == 0);
}

TEST_CASE("what can't be uploaded is said before anything is sent") {
  PushFixture fixture;
  CHECK(fixture.run("push", {(fixture.folder / "nothing").string(), "me/x"}).exit_code == 3);
  CHECK(fixture.run("push", {(fixture.folder / "model").string(), "me/x:Q8_0"}).exit_code == 2);
  CHECK(fixture.run("push", {(fixture.folder / "model").string()}).exit_code == 2);
  CHECK(fixture.push({"--evaluation", "novalue"}).exit_code == 2);
  const ProgramResult planned = fixture.push({"--dry-run", "--json"});
  CHECK(planned.exit_code == 0);
  CHECK(Json::parse(planned.output).at("files").size() == 3);
  CHECK(fixture.hub.requests().empty());
}
