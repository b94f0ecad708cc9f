// The cache: what another tool laid out is found, listed and removed; content stays while anything needs it.
#include "base/error.h"
#include "hub/hub_fixture.h"
#include "hub/inventory.h"
#include "hub/model_store.h"
#include "hub/pull.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <fstream>

using namespace ruvllm;
using namespace ruvllm::hub;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

const std::string kCommitA(40, 'a');
const std::string kCommitB(40, 'b');

/// Writes a repository the way Hugging Face's Python library does.
class HandMadeCache {
 public:
  explicit HandMadeCache(fs::path root) : repo_(root / "models--org--model") {
    fs::create_directories(repo_ / "blobs");
  }

  void file(const std::string& commit, const std::string& path, const std::string& content) {
    const std::string digest = test::sha256_hex(content);
    std::ofstream(repo_ / "blobs" / digest, std::ios::binary) << content;
    const fs::path place = repo_ / "snapshots" / commit / path;
    fs::create_directories(place.parent_path());
    fs::create_symlink(fs::relative(repo_ / "blobs" / digest, place.parent_path()), place);
  }
  void ref(const std::string& name, const std::string& commit) {
    fs::create_directories((repo_ / "refs" / name).parent_path());
    std::ofstream(repo_ / "refs" / name) << commit;
  }
  const fs::path& repo() const { return repo_; }

 private:
  fs::path repo_;
};

struct TwoRevisions {
  test::TemporaryFolder folder;
  HandMadeCache cache{folder.path()};
  ModelStore store{folder.path()};

  TwoRevisions() {
    cache.file(kCommitA, "m-Q4_K_M.gguf", "four bits");
    cache.file(kCommitA, "m-Q8_0.gguf", "eight bits");
    cache.file(kCommitB, "m-Q4_K_M.gguf", "four better bits");
    cache.file(kCommitB, "m-Q8_0.gguf", "eight bits");
    cache.ref("main", kCommitB);
    cache.ref("refs/pr/1", kCommitA);
  }
};

std::string path_of(const ModelStore& store, const char* reference) {
  const auto plan = plan_from_cache(store, parse_repo_ref(reference));
  return plan ? model_path(store, *plan).string() : std::string();
}

}  // namespace

TEST_CASE("what another tool downloaded is found, by branch, pull request and commit") {
  TwoRevisions made;
  const fs::path snapshots = made.cache.repo() / "snapshots";
  CHECK(path_of(made.store, "org/model:q8_0") == snapshots / kCommitB / "m-Q8_0.gguf");
  CHECK(path_of(made.store, "org/model@refs/pr/1:Q4_K_M") == snapshots / kCommitA / "m-Q4_K_M.gguf");
  CHECK(path_of(made.store, ("org/model@" + kCommitA + "/m-Q8_0.gguf").c_str()) ==
        snapshots / kCommitA / "m-Q8_0.gguf");
  CHECK(path_of(made.store, "org/model@v2:Q8_0").empty());
  CHECK(path_of(made.store, "org/other:Q8_0").empty());
  CHECK_THROWS_AS(plan_from_cache(made.store, parse_repo_ref("org/model")), Error);  // two models: which?
}

TEST_CASE("a safetensors folder counts as cached only when every shard of its index is there") {
  test::TemporaryFolder folder;
  HandMadeCache cache(folder.path());
  cache.ref("main", kCommitA);
  cache.file(kCommitA, "config.json", "{}");
  cache.file(kCommitA, "model-00001-of-00002.safetensors", "1");
  cache.file(
      kCommitA, "model.safetensors.index.json",
      R"({"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}})");
  const ModelStore store(folder.path());
  CHECK(path_of(store, "org/model").empty());
  cache.file(kCommitA, "model-00002-of-00002.safetensors", "2");
  CHECK(path_of(store, "org/model") == cache.repo() / "snapshots" / kCommitA);
}

TEST_CASE("links that lead nowhere or out of the blobs are no files") {
  TwoRevisions made;
  const fs::path snapshot = made.cache.repo() / "snapshots" / kCommitB;
  fs::create_symlink("/etc/passwd", snapshot / "x-Q2_K.gguf");
  fs::create_symlink("../../blobs/" + std::string(64, '0'), snapshot / "y-Q3_K.gguf");
  fs::create_symlink("../../../models--other--model/blobs/x", snapshot / "z-Q6_K.gguf");
  CHECK(made.store.files(*RepoId::parse("org/model"), *Commit::parse(kCommitB)).size() == 2);
}

TEST_CASE("a ref with a newline, or without a commit, is read with care") {
  TwoRevisions made;
  made.cache.ref("main", kCommitA + "\n");
  CHECK(made.store.read_ref(*RepoId::parse("org/model"), Revision::main())->hex() == kCommitA);
  made.cache.ref("main", "../../x");
  CHECK(!made.store.read_ref(*RepoId::parse("org/model"), Revision::main()).has_value());
}

TEST_CASE("the inventory counts each blob once and knows the names of a commit") {
  TwoRevisions made;
  const Inventory inventory = take_inventory(made.store);
  CHECK(inventory.models.size() == 4);
  CHECK(inventory.n_bytes == std::string("four bits"
                                         "eight bits"
                                         "four better bits")
                                 .size());
  int n_main = 0;
  for (const ListedModel& model : inventory.models)
    n_main += model.reference() == "org/model:Q8_0" || model.reference() == "org/model:Q4_K_M";
  CHECK(n_main == 2);
}

TEST_CASE("removing one type keeps what others need, removing all leaves nothing") {
  TwoRevisions made;
  const std::string shared = test::sha256_hex("eight bits");
  Removal removal = plan_removal(made.store, parse_repo_ref("org/model@refs/pr/1"));
  CHECK(removal.n_bytes == std::string("four bits").size());
  CHECK(remove(made.store, removal) == std::string("four bits").size());
  CHECK(fs::exists(made.cache.repo() / "blobs" / shared));
  CHECK(!fs::exists(made.cache.repo() / "snapshots" / kCommitA));
  CHECK(!fs::exists(made.cache.repo() / "refs/refs"));
  CHECK(path_of(made.store, "org/model:Q8_0") != "");
  CHECK(remove(made.store, plan_removal(made.store, parse_repo_ref("org/model:q8_0"))) ==
        std::string("eight bits").size());
  CHECK(!fs::exists(made.cache.repo() / "blobs" / shared));
  CHECK_THROWS_AS(plan_removal(made.store, parse_repo_ref("org/model:Q8_0")), Error);
  remove(made.store, plan_removal(made.store, parse_repo_ref("org/model")));
  CHECK(!fs::exists(made.cache.repo()));
}

TEST_CASE("an interrupted removal is finished by the next; a blob whose lock is held stays") {
  TwoRevisions made;
  const RepoId repo = *RepoId::parse("org/model");
  fs::remove_all(made.cache.repo() / "snapshots" / kCommitA);  // as if killed before the blobs went
  {
    const FileDescriptor held = made.store.try_lock(repo, test::sha256_hex("four bits"));
    remove(made.store, plan_removal(made.store, parse_repo_ref("org/model:Q8_0")));
    CHECK(fs::exists(made.cache.repo() / "blobs" / test::sha256_hex("four bits")));
  }
  remove(made.store, plan_removal(made.store, parse_repo_ref("org/model:Q4_K_M")));
  CHECK(test::tree_of(made.cache.repo() / "blobs").empty());
}

TEST_CASE("list and rm tell all this as JSON, and --dry-run changes nothing") {
  TwoRevisions made;
  std::map<std::string, std::string> environment = {{"HF_HUB_CACHE", made.folder.path().string()},
                                                    {"HOME", made.folder.path().string()}};
  const auto run = [&](std::vector<std::string> words) {
    words[0] = test::suite_program(words[0]);
    return test::Program(words, environment, fs::temp_directory_path()).wait();
  };
  const std::vector<std::string> before = test::tree_of(made.cache.repo());
  const Json planned = Json::parse(run({"rm", "org/model", "--dry-run", "--json"}).output);
  CHECK(planned.at("bytes_freed") == std::string("four bits"
                                                 "eight bits"
                                                 "four better bits")
                                         .size());
  CHECK(test::tree_of(made.cache.repo()) == before);
  CHECK(Json::parse(run({"list", "--json"}).output).at("models").size() == 4);
  CHECK(run({"list"}).output.find("org/model:Q4_K_M") != std::string::npos);
  CHECK(run({"rm", "org/model"}).exit_code == 0);
  CHECK(Json::parse(run({"list", "--json"}).output).at("models").empty());
  CHECK(run({"rm", "org/model"}).exit_code == 3);
  CHECK(run({"rm"}).exit_code == 2);
}

TEST_CASE("stale partial files are pruned, fresh ones are not") {
  TwoRevisions made;
  const std::string present = test::sha256_hex("eight bits");
  const fs::path blobs = made.cache.repo() / "blobs";
  const fs::path superseded = blobs / (present + "." + test::gone_owner() + ".partial");
  const fs::path fresh = blobs / (std::string(64, 'c') + "." + test::gone_owner() + ".partial");
  const fs::path old = blobs / (std::string(64, 'd') + "." + test::gone_owner() + ".partial");
  const fs::path foreign =
      blobs / (present + ".elsewhere-1-1-a.partial");  // written to a moment ago: in use there
  for (const fs::path& path : {superseded, fresh, old, foreign}) std::ofstream(path) << "x";
  fs::last_write_time(old, fs::file_time_type::clock::now() - std::chrono::hours(31 * 24));
  std::map<std::string, std::string> environment = {{"HF_HUB_CACHE", made.folder.path().string()},
                                                    {"HOME", made.folder.path().string()}};
  const auto result = test::Program({test::suite_program("list"), "--prune", "--json"}, environment,
                                    fs::temp_directory_path())
                          .wait();
  CHECK(result.exit_code == 0);
  CHECK(Json::parse(result.output).at("partials").size() == 2);
  for (const fs::path& path : {superseded, old}) CHECK(!fs::exists(path));
  for (const fs::path& path : {fresh, foreign}) CHECK(fs::exists(path));
}

TEST_CASE("a cache that may not be written to can still be read") {
  TwoRevisions made;
  fs::permissions(made.cache.repo(), fs::perms::owner_read | fs::perms::owner_exec);
  std::map<std::string, std::string> environment = {{"HF_HUB_CACHE", made.folder.path().string()},
                                                    {"HOME", made.folder.path().string()}};
  const auto result = test::Program({test::suite_program("pull"), "org/model:Q8_0", "--offline"}, environment,
                                    fs::temp_directory_path())
                          .wait();
  CHECK(result.exit_code == 0);
  fs::permissions(made.cache.repo(), fs::perms::owner_all);
}
