#include "format/imatrix_file.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/file.h"
#include "test_support.h"

#include <string>

namespace ruvllm::format {
namespace {

ImatrixFile make_file() {
  ImatrixFile file;
  file.entries["blk.0.attn_q.weight"] = {{2.0f, 4.0f, 6.0f}, {2}};
  file.entries["blk.0.ffn_down_exps.weight"] = {{1.0f, 3.0f, 0.0f, 0.0f}, {1, 0}};
  file.dataset = "some text";
  file.n_chunks = 7;
  return file;
}

}  // namespace

TEST_CASE("an importance matrix comes back from both formats") {
  const test::TemporaryFolder folder;
  const ImatrixFile file = make_file();
  for (const char* name : {"a.gguf", "a.dat"}) {
    CAPTURE(std::string(name));
    write_imatrix(folder / name, file);
    const ImatrixFile read = read_imatrix(folder / name);
    REQUIRE(read.entries.size() == file.entries.size());
    CHECK(read.dataset == file.dataset);
    CHECK(read.n_chunks == 7);
    for (const auto& [matrix, entry] : file.entries) CHECK(read.entries.at(matrix).means() == entry.means());
  }
}

TEST_CASE("an expert that was never asked has means of zero") {
  CHECK(make_file().entries["blk.0.ffn_down_exps.weight"].means() ==
        std::vector<float>{1.0f, 3.0f, 0.0f, 0.0f});
}

TEST_CASE("a file cut at any byte, or of another kind, is refused and named") {
  const test::TemporaryFolder folder;
  for (const char* name : {"a.gguf", "a.dat"}) {
    write_imatrix(folder / name, make_file());
    const std::string whole = read_file(folder / name, 1 << 20);
    size_t n_accepted = 0;
    for (size_t n = 0; n < whole.size(); ++n) {
      write_file_atomically(folder / "cut", whole.substr(0, n));
      try {
        read_imatrix(folder / "cut");
        ++n_accepted;
      } catch (const Error& error) {
        CHECK(error.code() == Errc::corrupt_file);
      }
    }
    // A .dat may end before its chunks and before its data set; padding may be cut off a GGUF file.
    CHECK(n_accepted <= (std::string(name) == "a.dat" ? 2 : 31));
  }
  if (const auto model = test::test_data("stories260K/stories260K.gguf"))
    CHECK_THROWS_AS(read_imatrix(*model), Error);
  CHECK_THROWS_AS(read_imatrix(folder / "absent"), Error);
}

}  // namespace ruvllm::format
