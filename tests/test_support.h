// What tests share: the reference data (skipped where absent), temporary folders, the seed of random tests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace ruvllm::test {

/// The path of a file in the reference data (`$RUVLLM_TESTDATA`, else ../shared/data beside the checkout), or
/// nothing, with a message, where it is absent: then the test returns.
std::optional<std::filesystem::path> test_data(const std::string& relative);

/// The seed for random tests: `$RUVLLM_TEST_SEED` or a fixed one; printed when first asked for.
uint64_t test_seed();

/// Sanitizers take memory of their own, and time.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
/// How many times as long a test waits for something that takes a known time.
inline constexpr int kPatience = kSanitized ? 20 : 1;

/// A folder that is removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace ruvllm::test
