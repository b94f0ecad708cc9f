// The good model cut after every byte of its header, and with every byte of it flipped, through a real
// program.
#include <doctest/doctest.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/malformed.h"
#include "cli/process.h"
#include "test_support.h"

#include <algorithm>
#include <string>

using ruvllm::test::Finished;
using ruvllm::test::run;
using ruvllm::test::test_data;

namespace {

// Where the bytes of tensors begin.
size_t header_bytes(const std::string& model) {
  const auto finished = run({"inspect", "tensors", model, "--json"});
  size_t first = SIZE_MAX;
  const auto document = ruvllm::parse_json(finished.out, "stdout");
  for (const auto& tensor : document.at("tensors"))
    first = std::min(first, tensor.at("offset").get<size_t>());
  return first;
}

void check_tidy(const Finished& finished) {
  CHECK(!finished.timed_out);
  CHECK((finished.exit_code == 0 || finished.exit_code == 5));
  CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') <= 1);
  if (!ruvllm::test::kSanitized) CHECK(finished.peak_bytes <= 64u << 20);
}

}  // namespace

TEST_CASE("a model cut after any byte of its header is refused") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const ruvllm::test::TemporaryFolder folder;
  const std::string good = ruvllm::read_file(*model, 1 << 24), path = folder / "cut.gguf";
  const size_t n_header = header_bytes(*model);
  REQUIRE(n_header > 10'000);
  for (size_t n_bytes = 0; n_bytes <= n_header; ++n_bytes) {
    CAPTURE(n_bytes);
    ruvllm::write_file_atomically(path, std::string_view(good).substr(0, n_bytes));
    const Finished finished = run({"chat", path, "-p", "a", "--raw", "-n", "1", "--temp", "0"});
    CHECK(finished.exit_code == 5);
    check_tidy(finished);
  }
}

TEST_CASE("a model with any byte of its header flipped is refused or read, in order") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const ruvllm::test::TemporaryFolder folder;
  const std::string good = ruvllm::read_file(*model, 1 << 24), path = folder / "flipped.gguf";
  const size_t n_header = header_bytes(*model);
  for (size_t at = 0; at < n_header; ++at) {
    CAPTURE(at);
    std::string bytes = good;
    bytes[at] = static_cast<char>(~bytes[at]);
    ruvllm::write_file_atomically(path, bytes);
    check_tidy(run({"chat", path, "-p", "a", "--raw", "-n", "1", "--temp", "0"}));
  }
}
