#include "base/error.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace ruvllm {
namespace {

constexpr std::array<ErrorKind, 9> kKinds = {{
    {Errc::failed, "failed", 1, 500},
    {Errc::usage, "usage", 2, 400},
    {Errc::not_found, "not_found", 3, 404},
    {Errc::network, "network", 4, 502},
    {Errc::corrupt_file, "corrupt_file", 5, 500},
    {Errc::no_resources, "no_resources", 6, 503},
    {Errc::gate_missed, "gate_missed", 7, 500},
    {Errc::resumable, "resumable", 8, 500},
    {Errc::interrupted, "interrupted", 130, 499},
}};

}  // namespace

const ErrorKind& error_kind(Errc code) {
  for (const ErrorKind& kind : kKinds)
    if (kind.code == code) return kind;
  return kKinds[0];
}

Error with_context(const Error& error, std::string_view where) {
  return Error(error.code(), "{}: {}", where, error.what());
}

Error system_error(int error_number, std::string_view what) {
  Errc code = Errc::failed;
  if (error_number == ENOENT || error_number == ENOTDIR) code = Errc::not_found;
  if (error_number == ENOSPC || error_number == EDQUOT || error_number == ENOMEM || error_number == EFBIG)
    code = Errc::no_resources;
  return Error(code, "{}: {}", what, std::strerror(error_number));
}

void assertion_failed(const char* promise, const char* file, int line) {
  std::fprintf(stderr, "ruvllm: internal error: broken promise '%s' (%s:%d); please report it\n", promise,
               file, line);
  std::abort();
}

}  // namespace ruvllm
