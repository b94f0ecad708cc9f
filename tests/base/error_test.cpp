#include "base/error.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <set>

using namespace ruvllm;

TEST_CASE("every kind of error has its own exit code and name") {
  std::set<int> exit_codes;
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(Errc::interrupted); ++code) {
    const ErrorKind& kind = error_kind(static_cast<Errc>(code));
    CHECK(kind.code == static_cast<Errc>(code));
    CHECK(exit_codes.insert(kind.exit_code).second);
    CHECK(names.insert(kind.name).second);
    CHECK(kind.exit_code != 0);
  }
  CHECK(error_kind(Errc::corrupt_file).exit_code == 5);
  CHECK(error_kind(Errc::interrupted).exit_code == 130);
}

TEST_CASE("errors carry their message, and context in front of it") {
  const Error error(Errc::corrupt_file, "tensor {} is {} bytes short", "a", 3);
  CHECK(std::string(error.what()) == "tensor a is 3 bytes short");
  CHECK(std::string(with_context(error, "model.gguf").what()) == "model.gguf: tensor a is 3 bytes short");
  CHECK(with_context(error, "x").code() == Errc::corrupt_file);
}

TEST_CASE("errno becomes the kind that its exit code tells") {
  CHECK(system_error(ENOENT, "f").code() == Errc::not_found);
  CHECK(system_error(ENOSPC, "f").code() == Errc::no_resources);
  CHECK(system_error(EACCES, "f").code() == Errc::failed);
}
