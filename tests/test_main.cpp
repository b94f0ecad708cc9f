// The main function of every doctest executable, and where tests find data: see test_support.h.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "test_support.h"

#include <cstdlib>
#include <filesystem>

namespace ruvllm::test {

std::optional<std::filesystem::path> test_data(const std::string& relative) {
  const char* from_environment = std::getenv("RUVLLM_TESTDATA");
  const std::filesystem::path root =
      from_environment ? from_environment : std::filesystem::path(RUVLLM_SOURCE_DIR) / "../shared/data";
  std::filesystem::path found = root / relative;
  if (std::filesystem::exists(found)) return found;
  MESSAGE("skipped: no test data at " << found.string());
  return std::nullopt;
}

uint64_t test_seed() {
  static const uint64_t seed = [] {
    const char* given = std::getenv("RUVLLM_TEST_SEED");
    const uint64_t chosen = given ? std::strtoull(given, nullptr, 10) : uint64_t{20260101};
    MESSAGE("seed " << chosen << " (set RUVLLM_TEST_SEED to change)");
    return chosen;
  }();
  return seed;
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "ruvllm-test-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp failed");
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace ruvllm::test
