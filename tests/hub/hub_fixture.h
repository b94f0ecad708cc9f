// A hub, an empty cache, and the programs run against them.
#pragma once

#include "hub/fake_hub.h"
#include "hub/owner.h"
#include "hub/program.h"
#include "test_support.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace ruvllm::test {

inline std::string random_bytes(size_t n_bytes, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(n_bytes, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

inline std::string contents_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Every entry below a folder that is no folder, relative to it.
inline std::vector<std::string> tree_of(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  if (!std::filesystem::exists(folder)) return names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_symlink() || !entry.is_directory())
      names.push_back(entry.path().lexically_relative(folder).string());
  std::sort(names.begin(), names.end());
  return names;
}

/// The tag of a process on this host that is gone.
inline std::string gone_owner() {
  std::string tag = hub::owner_tag();
  const size_t first = tag.find('-');
  return tag.substr(0, first) + "-999999999" + tag.substr(tag.find('-', first + 1));
}

struct HubFixture {
  static constexpr const char* kRepo = "org/model";

  TemporaryFolder folder;
  FakeHub hub;
  std::map<std::string, std::string> environment;

  explicit HubFixture(std::optional<FakeHub::Tls> tls = std::nullopt) : hub(std::move(tls)) {
    environment = {{"HF_ENDPOINT", hub.endpoint()},
                   {"HF_HUB_CACHE", cache().string()},
                   {"HOME", folder.path().string()},
                   {"RUVLLM_RETRY_DELAY", "0.01"}};
  }

  std::filesystem::path cache() const { return folder / "cache"; }
  std::filesystem::path repo() const { return cache() / "models--org--model"; }
  std::filesystem::path snapshot() const { return repo() / "snapshots" / hub.commit(kRepo); }

  std::vector<std::string> words(const std::string& verb, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), suite_program(verb));
    return arguments;
  }
  ProgramResult run(const std::string& verb, std::vector<std::string> arguments,
                    std::chrono::seconds longest = std::chrono::seconds(60)) {
    return Program(words(verb, std::move(arguments)), environment, folder.path()).wait(longest);
  }
  std::unique_ptr<Program> start(const std::string& verb, std::vector<std::string> arguments) {
    return std::make_unique<Program>(words(verb, std::move(arguments)), environment, folder.path());
  }
};

}  // namespace ruvllm::test
