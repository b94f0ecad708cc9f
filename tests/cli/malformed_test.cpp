// Hostile model files through a real program: refused in one line, at once, without memory; never a crash.
#include <doctest/doctest.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/malformed.h"
#include "cli/process.h"
#include "test_support.h"

#include <string>

using ruvllm::test::Finished;
using ruvllm::test::run;

TEST_CASE(
    "every malformed file of the reference data is refused with exit 5 and one line, quickly and in little "
    "memory") {
  if (!ruvllm::test::test_data("malformed/cases.json")) return;
  const ruvllm::test::TemporaryFolder folder;
  int n_refused = 0;
  ruvllm::test::for_each_malformed_case([&](const ruvllm::test::MalformedCase& c) {
    CAPTURE(c.id);
    const std::string path = folder / "model.gguf";
    ruvllm::write_file_atomically(path, c.bytes);
    const Finished finished = run({"chat", path, "-p", "a", "--raw", "-n", "1", "--temp", "0"});
    CHECK(!finished.timed_out);
    if (c.expect == "accept")
      CHECK(finished.exit_code == 0);
    else if (c.expect == "either")
      CHECK((finished.exit_code == 0 || finished.exit_code == 5));
    else
      CHECK(finished.exit_code == 5);
    if (finished.exit_code == 0) return;
    ++n_refused;
    CHECK(finished.out == "");
    CHECK(finished.err.starts_with("ruvllm chat: error: "));
    CHECK(finished.err.find('\n') == finished.err.size() - 1);
    CHECK(finished.seconds < 5 * ruvllm::test::kPatience);  // one second on a quiet machine
    if (!ruvllm::test::kSanitized) CHECK(finished.peak_bytes <= 64u << 20);
  });
  CHECK(n_refused >= 245);  // rows that only pad the embedding are no fault
}
