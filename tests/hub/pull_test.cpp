#include "hub/hub_fixture.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <fstream>

using namespace ruvllm::test;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

void add_gguf_repo(FakeHub& hub, size_t n_bytes = 3 << 20) {
  hub.add("org/model", "README.md", "# a model\n", false);
  hub.add("org/model", "model-Q4_K_M.gguf", random_bytes(n_bytes, 1), true);
  hub.add("org/model", "model-Q8_0.gguf", random_bytes(n_bytes + 17, 2), true);
  hub.add("org/model", "mmproj-model-f16.gguf", random_bytes(1000, 3), true);
}

}  // namespace

TEST_CASE("a pulled model lies in the cache exactly as Hugging Face's tools lay it out") {
  HubFixture fixture;
  add_gguf_repo(fixture.hub);
  fixture.hub.add("org/model", "sub/deep/model-Q2_K.gguf", random_bytes(5000, 4), true);
  const ProgramResult result = fixture.run("pull", {"org/model:q4_k_m"});
  INFO(result.errors);
  REQUIRE(result.exit_code == 0);
  const std::string commit = fixture.hub.commit("org/model");
  const std::string digest = fixture.hub.digest("org/model", "model-Q4_K_M.gguf");
  CHECK(result.output == (fixture.snapshot() / "model-Q4_K_M.gguf").string() + "\n");
  CHECK(contents_of(fixture.repo() / "refs/main") == commit);
  CHECK(fs::read_symlink(fixture.snapshot() / "model-Q4_K_M.gguf") == "../../blobs/" + digest);
  CHECK(sha256_hex(contents_of(fixture.repo() / "blobs" / digest)) == digest);
  CHECK(tree_of(fixture.repo()) == std::vector<std::string>{"blobs/" + digest, "refs/main",
                                                            "snapshots/" + commit + "/model-Q4_K_M.gguf"});
  CHECK(contents_of(fixture.cache() / "CACHEDIR.TAG")
            .starts_with("Signature: 8a477f597d28d172789f06886806bc55"));
  REQUIRE(fixture.run("pull", {"org/model:Q2_K"}).exit_code == 0);
  CHECK(fs::read_symlink(fixture.snapshot() / "sub/deep/model-Q2_K.gguf") ==
        "../../../../blobs/" + fixture.hub.digest("org/model", "sub/deep/model-Q2_K.gguf"));
}

TEST_CASE("what is cached is not fetched again, and offline no request is made") {
  HubFixture fixture;
  add_gguf_repo(fixture.hub);
  REQUIRE(fixture.run("pull", {"org/model:Q4_K_M"}).exit_code == 0);
  fixture.hub.reset_content_bytes();
  REQUIRE(fixture.run("pull", {"org/model:Q4_K_M"}).exit_code == 0);
  CHECK(fixture.hub.content_bytes() == 0);
  fixture.hub.forget_requests();
  CHECK(fixture.run("pull", {"org/model:Q4_K_M", "--offline"}).exit_code == 0);
  CHECK(fixture.run("pull", {"org/model@" + fixture.hub.commit("org/model") + ":Q4_K_M"}).exit_code == 0);
  CHECK(fixture.hub.requests().empty());
  const ProgramResult missing = fixture.run("pull", {"org/model:Q8_0", "--offline"});
  CHECK(missing.exit_code == 3);
  CHECK(missing.errors.find("org/model:Q8_0 is not in the cache") != std::string::npos);
}

TEST_CASE("offline, or with a commit named that is cached, no socket is opened") {
  HubFixture fixture;
  add_gguf_repo(fixture.hub);
  REQUIRE(fixture.run("pull", {"org/model:Q4_K_M"}).exit_code == 0);
  fixture.environment["LD_PRELOAD"] = HUB_TEST_PRELOAD;
  fixture.environment["ASAN_OPTIONS"] = "verify_asan_link_order=0";
  fixture.environment["HUB_TEST_NO_SOCKETS"] = "1";
  constexpr int kCantFilter = 77;
  const ProgramResult asking = fixture.run("pull", {"org/model:Q4_K_M"});
  if (asking.exit_code == kCantFilter) {
    MESSAGE("skipped: the kernel takes no filter of system calls here");
    return;
  }
  CHECK(asking.exit_code == 128 + SIGSYS);  // a socket would have been seen
  const std::string pinned = "org/model@" + fixture.hub.commit("org/model") + ":Q4_K_M";
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"pull", "org/model:Q4_K_M", "--offline"},
                                             {"pull", "org/model:Q4_K_M", "--offline", "--verify"},
                                             {"pull", "org/model:Q4_K_M", "--offline", "--dry-run"},
                                             {"pull", pinned},
                                             {"list"},
                                             {"rm", "org/model", "--dry-run"}}) {
    const ProgramResult result = fixture.run(words[0], {words.begin() + 1, words.end()});
    CHECK_MESSAGE(result.exit_code == 0, result.errors);
  }
  for (const char* variable : {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "RUVLLM_OFFLINE"}) {
    fixture.environment[variable] = "1";
    CHECK(fixture.run("pull", {"org/model:Q4_K_M"}).exit_code == 0);
    CHECK(fixture.run("pull", {"org/model:Q8_0"}).exit_code == 3);
    fixture.environment.erase(variable);
  }
}

TEST_CASE("what a commit was found to lack is not asked for again") {
  HubFixture fixture;
  add_gguf_repo(fixture.hub);
  REQUIRE(fixture.run("pull", {"org/model:Q4_K_M"}).exit_code == 0);
  const std::string commit = fixture.hub.commit("org/model");
  const std::string absent = "org/model@" + commit + "/x-F16.gguf";
  CHECK(fixture.run("pull", {absent}).exit_code == 3);
  fixture.hub.forget_requests();
  const ProgramResult again = fixture.run("pull", {absent});
  CHECK(again.exit_code == 3);
  CHECK(again.errors ==
        "ruvllm pull: error: org/model has no file 'x-F16.gguf' at revision " + commit + "\n");
  CHECK(fixture.hub.requests().empty());
  CHECK(fixture.run("pull", {"org/model/x-F16.gguf", "--offline"}).errors == again.errors);
}

TEST_CASE("several models are a question, not a guess") {
  HubFixture fixture;
  add_gguf_repo(fixture.hub);
  const ProgramResult result = fixture.run("pull", {"org/model"});
  CHECK(result.exit_code == 2);
  CHECK(result.errors.find("Q4_K_M (3.00 MiB), Q8_0 (3.00 MiB)") != std::string::npos);
  CHECK(fixture.hub.content_bytes() == 0);
  CHECK(fixture.run("pull", {"org/model:Q3_K_S"}).exit_code == 3);
  CHECK(fixture.run("pull", {"org/model/no-such-file.gguf"}).exit_code == 3);
  CHECK(fixture.run("pull", {"org/missing"}).exit_code == 3);
  CHECK(fixture.run("pull", {"org/model@nowhere:Q8_0"}).exit_code == 3);
  CHECK(fixture.run("pull", {"org/../x"}).exit_code == 2);
}

TEST_CASE("a safetensors repository comes as a folder, without what is no part of it") {
  HubFixture fixture;
  const std::vector<std::pair<std::string, bool>> wanted = {
      {"config.json", false}, {"tokenizer.json", false}, {"model.safetensors", true}};
  for (const auto& [name, large] : wanted)
    fixture.hub.add("org/model", name, name + random_bytes(5000, 7), large);
  for (const char* name :
       {"pytorch_model.bin", "onnx/model.onnx", "consolidated.safetensors", "flax.msgpack"})
    fixture.hub.add("org/model", name, random_bytes(5000, 8), true);
  const ProgramResult result = fixture.run("pull", {"org/model", "--json"});
  REQUIRE(result.exit_code == 0);
  const Json document = Json::parse(result.output);
  CHECK(document.at("path") == fixture.snapshot().string());
  CHECK(tree_of(fixture.snapshot()) ==
        std::vector<std::string>{"config.json", "model.safetensors", "tokenizer.json"});
  CHECK(contents_of(fixture.snapshot() / "config.json") == fixture.hub.files("org/model").at("config.json"));
  CHECK(document.at("files").size() == 3);
  CHECK(document.at("bytes_fetched") == document.at("bytes"));
}

TEST_CASE("shards come as a whole set, first shard first, and a missing one is said") {
  HubFixture fixture;
  for (int i = 1; i <= 3; ++i)
    fixture.hub.add("org/model", "big-Q4_K_M-0000" + std::to_string(i) + "-of-00003.gguf",
                    random_bytes(70'000, 20 + i), true);
  const ProgramResult result = fixture.run("pull", {"org/model/big-Q4_K_M-00002-of-00003.gguf"});
  REQUIRE(result.exit_code == 0);
  CHECK(result.output.ends_with("big-Q4_K_M-00001-of-00003.gguf\n"));
  CHECK(tree_of(fixture.snapshot()).size() == 3);
  fixture.hub.add("org/model", "other-Q8_0-00001-of-00002.gguf", random_bytes(100, 30), true);
  const ProgramResult incomplete = fixture.run("pull", {"org/model:Q8_0"});
  CHECK(incomplete.exit_code == 3);
  CHECK(incomplete.errors.find("1 of the 2 shards") != std::string::npos);
}

TEST_CASE("--dry-run says sizes and memory, and fetches nothing") {
  HubFixture fixture;
  add_gguf_repo(fixture.hub);
  const ProgramResult result = fixture.run("pull", {"org/model:Q8_0", "--dry-run", "--json"});
  REQUIRE(result.exit_code == 0);
  const Json document = Json::parse(result.output);
  CHECK(document.at("bytes_to_fetch") == (3 << 20) + 17);
  CHECK(document.at("memory").at("needed_bytes") >= (3 << 20) + 17);
  CHECK(document.at("memory").at("fits") == true);
  CHECK(fixture.hub.content_bytes() <= 256 << 10);
  CHECK(tree_of(fixture.cache()).empty());
}

TEST_CASE("--verify finds a damaged file, and the pull replaces it") {
  HubFixture fixture;
  add_gguf_repo(fixture.hub);
  REQUIRE(fixture.run("pull", {"org/model:Q4_K_M"}).exit_code == 0);
  const std::string digest = fixture.hub.digest("org/model", "model-Q4_K_M.gguf");
  const fs::path blob = fixture.repo() / "blobs" / digest;
  {
    std::fstream file(blob, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(12345);
    file.put('!');
  }
  CHECK(fixture.run("pull", {"org/model:Q4_K_M"}).exit_code == 0);
  CHECK(sha256_hex(contents_of(blob)) != digest);
  const ProgramResult result = fixture.run("pull", {"org/model:Q4_K_M", "--verify"});
  CHECK(result.exit_code == 0);
  CHECK(result.errors.find("was corrupt") != std::string::npos);
  CHECK(sha256_hex(contents_of(blob)) == digest);
}

TEST_CASE("when the hub can't answer, what is cached is used, and said to be") {
  HubFixture fixture;
  add_gguf_repo(fixture.hub);
  REQUIRE(fixture.run("pull", {"org/model:Q4_K_M"}).exit_code == 0);
  for (const int status : {401, 429, 500, 503}) {
    fixture.hub.set_script([&](const HubRequest&, HubReply reply) {
      reply = HubReply();
      reply.status = status;
      return reply;
    });
    const ProgramResult result = fixture.run("pull", {"org/model:Q4_K_M"});
    CHECK(result.exit_code == 0);
    CHECK(result.errors.find("using what is cached") != std::string::npos);
  }
  fixture.environment["HF_ENDPOINT"] = "http://127.0.0.1:9";
  CHECK(fixture.run("pull", {"org/model:Q4_K_M"}).exit_code == 0);
}

TEST_CASE("the token goes to the hub and nowhere else, and no secret is ever printed") {
  HubFixture fixture;
  add_gguf_repo(fixture.hub);
  fixture.environment["HF_TOKEN"] = "hf_CANARYTOKEN";
  const ProgramResult result = fixture.run("pull", {"org/model:Q4_K_M", "-vvv"});
  REQUIRE(result.exit_code == 0);
  bool at_hub = false;
  for (const HubRequest& request : fixture.hub.requests()) {
    CHECK((request.header("authorization") == "Bearer hf_CANARYTOKEN") == !request.at_storage);
    at_hub = at_hub || !request.at_storage;
    for (const auto& [name, value] : request.headers)
      if (request.at_storage) CHECK(value.find("CANARY") == std::string::npos);
  }
  CHECK(at_hub);
  CHECK(result.errors.find("> GET") != std::string::npos);
  for (const std::string& text : {result.output, result.errors})
    CHECK(text.find("CANARY") == std::string::npos);
}

TEST_CASE("a repository that was renamed is found, and keeps the token on the same host") {
  HubFixture fixture;
  add_gguf_repo(fixture.hub);
  fixture.environment["HF_TOKEN"] = "hf_x";
  fixture.hub.set_script([&](const HubRequest& request, HubReply reply) {
    if (request.target.find("old/name") == std::string::npos) return reply;
    HubReply moved;
    moved.status = 307;
    std::string target = request.target;
    moved.set("Location", target.replace(target.find("old/name"), 8, "org/model"));
    return moved;
  });
  CHECK(fixture.run("pull", {"old/name:Q4_K_M"}).exit_code == 0);
}

TEST_CASE("two processes that pull the same file share the work") {
  HubFixture fixture;
  add_gguf_repo(fixture.hub, 24 << 20);
  fixture.hub.set_script([](const HubRequest& request, HubReply reply) {
    if (request.at_storage) reply.bytes_per_second = 40 << 20;
    return reply;
  });
  auto first = fixture.start("pull", {"org/model:Q4_K_M"});
  auto second = fixture.start("pull", {"org/model:Q4_K_M"});
  CHECK(first->wait().exit_code == 0);
  CHECK(second->wait().exit_code == 0);
  CHECK(fixture.hub.content_bytes() == 24 << 20);
  CHECK(tree_of(fixture.repo() / "blobs").size() == 1);
}

TEST_CASE("links put in the way by others are refused") {
  for (const char* victim : {"blobs", "refs", "snapshots"}) {
    HubFixture fixture;
    add_gguf_repo(fixture.hub, 1000);
    fs::create_directories(fixture.folder / "elsewhere");
    fs::create_directories(fixture.repo());
    fs::create_directory_symlink(fixture.folder / "elsewhere", fixture.repo() / victim);
    const ProgramResult result = fixture.run("pull", {"org/model:Q4_K_M"});
    CHECK(result.exit_code == 1);
    CHECK(result.errors.find("refused") != std::string::npos);
    CHECK(tree_of(fixture.folder / "elsewhere").empty());
  }
  HubFixture fixture;
  add_gguf_repo(fixture.hub, 1000);
  fs::create_directories(fixture.repo() / "blobs");
  fs::create_symlink("/etc/passwd",
                     fixture.repo() / "blobs" / fixture.hub.digest("org/model", "model-Q4_K_M.gguf"));
  CHECK(fixture.run("pull", {"org/model:Q4_K_M"}).exit_code == 1);
}

TEST_CASE("aliases of the config file and of the suite name models") {
  HubFixture fixture;
  add_gguf_repo(fixture.hub);
  std::ofstream(fixture.folder / "config.toml") << "[aliases]\nmine = \"org/model:Q8_0\"\n";
  CHECK(fixture.run("pull", {"mine", "--config", (fixture.folder / "config.toml").string()}).exit_code == 0);
  const Json listed = Json::parse(
      fixture.run("list", {"--aliases", "--json", "--config", (fixture.folder / "config.toml").string()})
          .output);
  std::map<std::string, std::string> aliases;
  for (const Json& row : listed.at("aliases")) aliases[row.at("alias")] = row.at("reference");
  CHECK(aliases.at("mine") == "org/model:Q8_0");
  CHECK(aliases.count("qwen") == 1);
  CHECK(fixture.run("pull", {"nothing-like-it"}).exit_code == 2);
}

TEST_CASE("without symbolic links the files themselves lie in the snapshot") {
  HubFixture fixture;
  add_gguf_repo(fixture.hub);
  fixture.environment["HF_HUB_DISABLE_SYMLINKS"] = "1";
  REQUIRE(fixture.run("pull", {"org/model:Q4_K_M"}).exit_code == 0);
  CHECK(fs::is_regular_file(fs::symlink_status(fixture.snapshot() / "model-Q4_K_M.gguf")));
  fixture.hub.reset_content_bytes();
  CHECK(fixture.run("pull", {"org/model:Q4_K_M"}).exit_code == 0);
  CHECK(fixture.hub.content_bytes() == 0);
}
