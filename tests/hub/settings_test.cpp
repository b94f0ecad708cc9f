#include "hub/settings.h"
#include "base/error.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <fstream>
#include <map>

using namespace ruvllm;
using namespace ruvllm::hub;

namespace {

HubSettings with(std::map<std::string, std::string> values) {
  if (!values.count("HOME")) values["HOME"] = "/home/x";
  return settings_from_environment([&](const char* name) -> const char* {
    const auto found = values.find(name);
    return found == values.end() ? nullptr : found->second.c_str();
  });
}

}  // namespace

TEST_CASE("the cache lies where Hugging Face's tools have it") {
  CHECK(with({}).cache_root == "/home/x/.cache/huggingface/hub");
  CHECK(with({{"XDG_CACHE_HOME", "/c"}}).cache_root == "/c/huggingface/hub");
  CHECK(with({{"HF_HOME", "/h"}, {"XDG_CACHE_HOME", "/c"}}).cache_root == "/h/hub");
  CHECK(with({{"HF_HOME", "~/h"}}).cache_root == "/home/x/h/hub");
  CHECK(with({{"HF_HOME", "$HOME/${Y}z"}, {"Y", "y"}}).cache_root == "/home/x/yz/hub");
  CHECK(with({{"HF_HUB_CACHE", "/hc"}, {"HUGGINGFACE_HUB_CACHE", "/old"}, {"HF_HOME", "/h"}}).cache_root ==
        "/hc");
  CHECK(with({{"HUGGINGFACE_HUB_CACHE", "/old"}}).cache_root == "/old");
  CHECK(with({{"HF_HUB_CACHE", "/a$UNSET/$"}}).cache_root == "/a$UNSET/$");
}

TEST_CASE("the token comes from the environment first, then from its file, without blanks") {
  test::TemporaryFolder folder;
  std::ofstream(folder / "token") << "hf_file\r\n";
  CHECK(with({{"HF_HOME", folder.path().string()}}).token == "hf_file");
  CHECK(with({{"HF_TOKEN_PATH", (folder / "token").string()}}).token == "hf_file");
  CHECK(with({{"HF_TOKEN", " hf_env\n"}, {"HF_HOME", folder.path().string()}}).token == "hf_env");
  CHECK(with({{"HUGGING_FACE_HUB_TOKEN", "hf_old"}}).token == "hf_old");
  CHECK(with({{"HF_HOME", folder.path().string()}, {"HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"}}).token.empty());
  CHECK_THROWS_AS(with({{"HF_TOKEN", "hf_a\r\nX-Evil: 1"}}), Error);
}

TEST_CASE("switches and times are read as documented") {
  for (const char* yes : {"1", "ON", "yes", "True"}) CHECK(with({{"HF_HUB_OFFLINE", yes}}).offline);
  for (const char* no : {"0", "", "off", "2"}) CHECK(!with({{"HF_HUB_OFFLINE", no}}).offline);
  CHECK(with({{"TRANSFORMERS_OFFLINE", "1"}}).offline);
  CHECK(!with({{"HF_HUB_DISABLE_SYMLINKS", "1"}}).symlinks);
  CHECK(with({}).progress_bars);
  CHECK(!with({{"HF_HUB_DISABLE_PROGRESS_BARS", "1"}}).progress_bars);
  CHECK(with({{"HF_HUB_DOWNLOAD_TIMEOUT", "45"}}).stall_timeout.count() == 45);
  CHECK_THROWS_AS(with({{"HF_HUB_DOWNLOAD_TIMEOUT", "soon"}}), Error);
  CHECK(with({{"HF_ENDPOINT", "https://mirror.example/hf///"}}).endpoint.text() ==
        "https://mirror.example/hf");
  CHECK_THROWS_AS(with({{"HF_ENDPOINT", "ftp://x"}}), Error);
}
