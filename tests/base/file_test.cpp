#include "base/file.h"

#include "base/error.h"
#include "base/mapped_file.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

using namespace ruvllm;

namespace {

size_t n_entries(const std::filesystem::path& folder) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

Errc code_of(const auto& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  FAIL("nothing was thrown");
  return Errc::failed;
}

}  // namespace

TEST_CASE("a whole file is read up to a limit") {
  const test::TemporaryFolder folder;
  const std::string text(200'000, 'x');
  write_file_atomically(folder / "a", text);
  CHECK(read_file(folder / "a", text.size()) == text);
  CHECK(code_of([&] { read_file(folder / "a", text.size() - 1); }) == Errc::corrupt_file);
  CHECK(code_of([&] { read_file(folder / "absent", 1); }) == Errc::not_found);
  CHECK(code_of([&] { read_file(folder.path(), 1); }) == Errc::failed);
}

TEST_CASE("a file appears only when it is committed") {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  {
    AtomicFile file(folder / "a");
    file.write("new and never committed");
    CHECK(read_file(folder / "a", 100) == "old");
  }
  CHECK(read_file(folder / "a", 100) == "old");
  CHECK(n_entries(folder.path()) == 1);
  AtomicFile file(folder / "a");
  file.write("new");
  file.write_at(5, std::as_bytes(std::span("!", 1)));
  file.write("er");
  CHECK(file.bytes_written() == 5);
  file.commit();
  CHECK(read_file(folder / "a", 100) == "newer!");
  CHECK(n_entries(folder.path()) == 1);
}

TEST_CASE("a write that fails leaves the old file and nothing beside it") {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 4096;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  CHECK(code_of([&] { write_file_atomically(folder / "a", std::string(10'000, 'x')); }) == Errc::no_resources);
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK(read_file(folder / "a", 100) == "old");
  CHECK(n_entries(folder.path()) == 1);
}

TEST_CASE("what is no regular file is never replaced") {
  const test::TemporaryFolder folder;
  CHECK(code_of([] { AtomicFile file("/dev/null"); }) == Errc::failed);
  CHECK(code_of([&] { AtomicFile file(folder.path()); }) == Errc::failed);
  CHECK(code_of([&] { AtomicFile file(folder / "no/such/folder"); }) == Errc::not_found);
  CHECK(std::filesystem::is_character_file("/dev/null"));
}

TEST_CASE("new files have the permissions that the mask leaves") {
  const test::TemporaryFolder folder;
  const mode_t before = ::umask(027);
  write_file_atomically(folder / "a", "x");
  ::umask(before);
  struct stat status {};
  REQUIRE(::stat((folder / "a").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
}

TEST_CASE("a lock is held by one at a time") {
  const test::TemporaryFolder folder;
  FileDescriptor first = lock_file(folder / "lock", false);
  CHECK(first);
  CHECK_FALSE(lock_file(folder / "lock", true));
  first.close();
  CHECK(lock_file(folder / "lock", true));
}

TEST_CASE("a descriptor moves and closes once") {
  FileDescriptor first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = first.get();
  FileDescriptor second = std::move(first);
  CHECK_FALSE(first);
  CHECK(second.get() == number);
  second = FileDescriptor();
  CHECK(::fcntl(number, F_GETFD) == -1);
}

TEST_CASE("a mapped file shows its bytes, also after a move and after giving pages back") {
  const test::TemporaryFolder folder;
  const std::string text(1 << 16, 'm');
  write_file_atomically(folder / "a", text);
  MappedFile first(folder / "a");
  MappedFile file = std::move(first);
  CHECK(first.bytes().empty());
  file.will_need(file.bytes());
  file.give_back(file.bytes().subspan(1));
  REQUIRE(file.bytes().size() == text.size());
  CHECK(std::string_view(reinterpret_cast<const char*>(file.bytes().data()), text.size()) == text);
  write_file_atomically(folder / "empty", "");
  CHECK(MappedFile(folder / "empty").bytes().empty());
}

TEST_CASE("a mapped file that is cut short ends the program in order, not with a signal") {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "a", std::string(1 << 16, 'm'));
  const MappedFile file(folder / "a");
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(STDERR_FILENO);
    end_on_cut_files();
    if (::truncate((folder / "a").c_str(), 1) != 0) ::_exit(1);
    ::_exit(static_cast<int>(*const_cast<const volatile std::byte*>(&file.bytes().back())));
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == error_kind(Errc::corrupt_file).exit_code);
}

TEST_CASE("memory that is not of the file is never given back") {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "a", "x");
  const std::vector<std::byte> other(1 << 20, std::byte{7});
  MappedFile(folder / "a").give_back(other);
  CHECK(std::ranges::count(other, std::byte{7}) == 1 << 20);
}

TEST_CASE("only regular files are mapped") {
  const test::TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(code_of([&] { MappedFile file(folder / "pipe"); }) == Errc::failed);
  CHECK(code_of([&] { MappedFile file(folder.path()); }) == Errc::failed);
  CHECK(code_of([&] { MappedFile file(folder / "absent"); }) == Errc::not_found);
}
