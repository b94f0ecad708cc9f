#include "quant/partial_file.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "test_support.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

namespace ruvllm::quant {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

const std::vector<FilePart> kItems = {{0, 4}, {4, 4}, {8, 8}};

void write_item(PartialFile& file, size_t item, char fill) {
  file.write_at(kItems[item].offset, bytes_of(std::string(kItems[item].n_bytes, fill)));
  file.finish(item);
}

}  // namespace

TEST_CASE("a file appears when it is committed, and not before") {
  const test::TemporaryFolder folder;
  const auto path = folder / "out";
  {
    PartialFile file(path, "job", kItems, 16, false);
    write_item(file, 0, 'a');
    CHECK_FALSE(std::filesystem::exists(path));
    write_item(file, 1, 'b');
    write_item(file, 2, 'c');
    file.commit();
  }
  CHECK(read_file(path, 100) == "aaaabbbbcccccccc");
  CHECK_FALSE(std::filesystem::exists(path.string() + ".partial"));
  CHECK_FALSE(std::filesystem::exists(path.string() + ".partial.log"));
}

TEST_CASE("a file that is given up leaves nothing, and the old one in its place") {
  const test::TemporaryFolder folder;
  const auto path = folder / "out";
  write_file_atomically(path, "old");
  {
    PartialFile file(path, "job", kItems, 16, false);
    write_item(file, 0, 'a');
  }
  CHECK(read_file(path, 100) == "old");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("a killed process's finished items are there for the next") {
  const test::TemporaryFolder folder;
  const auto path = folder / "out";
  const pid_t child = ::fork();
  if (child == 0) {
    PartialFile file(path, "job", kItems, 16, false);
    write_item(file, 0, 'a');
    write_item(file, 2, 'c');
    file.write_at(4, bytes_of("b?"));  // not finished
    ::raise(SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK_FALSE(std::filesystem::exists(path));
  PartialFile file(path, "job", kItems, 16, true);
  CHECK(file.is_finished(0));
  CHECK_FALSE(file.is_finished(1));
  CHECK(file.is_finished(2));
  write_item(file, 1, 'b');
  file.commit();
  CHECK(read_file(path, 100) == "aaaabbbbcccccccc");
}

TEST_CASE("another job, or no wish to resume, starts from nothing; damage is noticed") {
  const test::TemporaryFolder folder;
  const auto path = folder / "out";
  const auto interrupted = [&] {
    PartialFile file(path, "job", kItems, 16, false);
    write_item(file, 0, 'a');
    write_item(file, 1, 'b');
    file.keep();
  };
  interrupted();
  CHECK(PartialFile(path, "another job", kItems, 16, true).n_finished() == 0);
  interrupted();
  CHECK(PartialFile(path, "job", kItems, 16, false).n_finished() == 0);
  interrupted();
  {
    const std::string damaged = "aaaaXbbb";
    const auto partial = path.string() + ".partial";
    std::string bytes = read_file(partial, 100);
    bytes.replace(0, damaged.size(), damaged);
    write_file_atomically(partial, bytes);
    PartialFile file(path, "job", kItems, 16, true);
    CHECK(file.is_finished(0));
    CHECK_FALSE(file.is_finished(1));
  }
}

TEST_CASE("two writers of one file are one too many; folders that are missing are named") {
  const test::TemporaryFolder folder;
  const PartialFile file(folder / "out", "job", kItems, 16, false);
  CHECK_THROWS_AS(PartialFile(folder / "out", "job", kItems, 16, false), Error);
  try {
    PartialFile(folder / "absent/out", "job", kItems, 16, false);
    CHECK(false);
  } catch (const Error& error) {
    CHECK(error.code() == Errc::not_found);
  }
}

TEST_CASE("checksums tell order and length apart") {
  CHECK(checksum(bytes_of("abcdefgh")) != checksum(bytes_of("abcdefg")));
  CHECK(checksum(bytes_of("abcdefgh")) != checksum(bytes_of("hgfedcba")));
  CHECK(checksum(bytes_of(std::string(8, '\0'))) != checksum(bytes_of(std::string(16, '\0'))));
}

}  // namespace ruvllm::quant
