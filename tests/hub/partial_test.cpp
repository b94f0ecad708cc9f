// Range sets, the owners of temporary files, and the partial file with its journal.
#include "base/error.h"
#include "hub/fake_hub.h"
#include "hub/hub_fixture.h"
#include "hub/owner.h"
#include "hub/partial_file.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

using namespace ruvllm;
using namespace ruvllm::hub;
namespace fs = std::filesystem;

namespace {

const Digest kDigest = *Digest::parse(std::string(64, 'a'));

void write(PartialFile& file, uint64_t offset, const std::string& text) {
  file.write(offset, std::as_bytes(std::span(text)));
}

/// The one partial file of a folder.
fs::path partial_in(const fs::path& folder) {
  const auto found = find_partials(folder);
  REQUIRE(found.size() == 1);
  return found[0].path;
}

}  // namespace

TEST_CASE("a range set says what a bitmap says") {
  std::mt19937_64 random(test::test_seed());
  for (int round = 0; round < 200; ++round) {
    RangeSet set;
    std::vector<bool> bitmap(60);
    for (int i = 0; i < 12; ++i) {
      const uint64_t begin = random() % 60, end = begin + random() % (61 - begin);
      set.add({begin, end});
      std::fill(bitmap.begin() + static_cast<long>(begin), bitmap.begin() + static_cast<long>(end), true);
      CHECK(set.covered() == static_cast<uint64_t>(std::count(bitmap.begin(), bitmap.end(), true)));
      CHECK(set.prefix_end() ==
            static_cast<uint64_t>(std::find(bitmap.begin(), bitmap.end(), false) - bitmap.begin()));
      for (size_t k = 1; k < set.ranges().size(); ++k) CHECK(set.ranges()[k - 1].end < set.ranges()[k].begin);
      const uint64_t from = random() % 60;
      const auto gap = set.first_gap({from, 60});
      const auto first = std::find(bitmap.begin() + static_cast<long>(from), bitmap.end(), false);
      CHECK(gap.has_value() == (first != bitmap.end()));
      if (!gap) continue;
      CHECK(gap->begin == static_cast<uint64_t>(first - bitmap.begin()));
      CHECK(gap->end == static_cast<uint64_t>(std::find(first, bitmap.end(), true) - bitmap.begin()));
    }
  }
}

TEST_CASE("an owner's tag can be read back from a name, and tells living processes from gone ones") {
  const std::string tag = owner_tag();
  CHECK(tag != owner_tag());
  CHECK(tag_of("abc." + tag + ".partial", ".partial") == tag);
  CHECK(!tag_of("abc", ".partial"));
  CHECK(!tag_of("partial", ".partial"));
  test::TemporaryFolder folder;
  for (const char* gone : {"", "a", "a-b-c-d", "host-999999999-1-x", "x-0-0-0", "x--1-0-0"})
    CHECK(!owner_is_alive(gone, folder / "nothing"));
  test::Program sleeper({"sleep", "30"}, {}, folder.path());
  const size_t first = tag.find('-');
  const std::string alive = tag.substr(0, first + 1) + std::to_string(sleeper.pid()) + "-1-x";
  CHECK(!owner_is_alive(alive, folder / "nothing"));  // that number, but started at another time
}

TEST_CASE("what a checkpoint wrote down is there after a crash, and what it did not is not claimed") {
  test::TemporaryFolder folder;
  {
    PartialFile file(folder.path(), kDigest, 10'000);
    write(file, 0, std::string(100, 'x'));
    write(file, 5000, std::string(50, 'y'));
    file.checkpoint();
    write(file, 100, std::string(100, 'z'));
  }  // as if killed: nothing is tidied up
  PartialFile file(folder.path(), kDigest, 10'000);
  CHECK(file.ranges().ranges() == std::vector<ByteRange>{{0, 100}, {5000, 5050}});
  CHECK(find_partials(folder.path()).size() == 1);
}

TEST_CASE("a torn or damaged journal slot leaves the one before it") {
  test::TemporaryFolder folder;
  {
    PartialFile file(folder.path(), kDigest, 10'000);
    for (int i = 0; i < 3; ++i) {
      write(file, static_cast<uint64_t>(i) * 100, std::string(100, 'x'));
      file.checkpoint();
    }
  }
  const fs::path path = partial_in(folder.path());
  std::string bytes = test::contents_of(path);
  REQUIRE(bytes.size() == 12'288 + 8192);
  bytes[12'288 + 4096 + 80] ^= 1;  // the third checkpoint is in slot 1, and now wrong
  std::ofstream(path, std::ios::binary) << bytes;
  PartialFile file(folder.path(), kDigest, 10'000);
  CHECK(file.ranges().ranges() == std::vector<ByteRange>{{0, 200}});
}

TEST_CASE("a partial file of another size, cut off or full of rubbish is not adopted, and goes away") {
  for (const size_t n_bytes : {0, 1, 5000, 20'480, 30'000}) {
    test::TemporaryFolder folder;
    const std::string name = kDigest.hex() + "." + test::gone_owner() + ".partial";
    std::ofstream(folder / name, std::ios::binary) << test::random_bytes(n_bytes, 1);
    PartialFile file(folder.path(), kDigest, 10'000);
    CHECK(file.ranges().covered() == 0);
    CHECK(find_partials(folder.path()).size() == 1);
    CHECK(!fs::exists(folder / name));
  }
}

TEST_CASE("a partial file without a journal is a complete one") {
  test::TemporaryFolder folder;
  const std::string content = test::random_bytes(10'000, 2);
  std::ofstream(folder / (kDigest.hex() + "." + test::gone_owner() + ".partial"), std::ios::binary)
      << content;
  PartialFile file(folder.path(), kDigest, content.size());
  CHECK(file.ranges().covered() == content.size());
  file.publish(folder / "blob");
  CHECK(test::contents_of(folder / "blob") == content);
  CHECK(find_partials(folder.path()).empty());
}

TEST_CASE("publishing leaves exactly the content; restarting forgets all of it") {
  test::TemporaryFolder folder;
  PartialFile file(folder.path(), kDigest, 5);
  write(file, 0, "wrong");
  file.checkpoint();
  file.restart();
  CHECK(file.ranges().covered() == 0);
  write(file, 0, "right");
  file.publish(folder / "blob");
  CHECK(test::contents_of(folder / "blob") == "right");
}

TEST_CASE("the fullest of several abandoned files is taken, the others go") {
  test::TemporaryFolder folder;
  for (const int n_bytes : {10, 300, 20}) {
    test::TemporaryFolder elsewhere;
    PartialFile file(elsewhere.path(), kDigest, 1000);
    write(file, 0, std::string(static_cast<size_t>(n_bytes), 'x'));
    file.checkpoint();
    const fs::path made = partial_in(elsewhere.path());
    fs::copy_file(made, folder.path() / made.filename());
  }
  PartialFile file(folder.path(), kDigest, 1000);
  CHECK(file.ranges().covered() == 300);
  CHECK(find_partials(folder.path()).size() == 1);
}
