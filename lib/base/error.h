// The one exception type of the project, and the one table that maps kinds of failure to exit codes and HTTP
// statuses (the command line contract's exit codes).
//
// An Error is thrown where the fault is seen and caught where it can be told: cli/main_app.cpp prints one
// line and exits, serve/status_map.cpp answers a status. Bad input is an Error; a broken promise inside the
// program is a RUVLLM_ASSERT. Tested by tests/base/error_test.cpp.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace ruvllm {

enum class Errc {
  failed,        ///< anything that has no kind of its own
  usage,         ///< the command line or a request is wrong
  not_found,     ///< a file, model, revision or session does not exist
  network,       ///< the network or the hub failed, or refused
  corrupt_file,  ///< input is malformed or fails its checksum
  no_resources,  ///< not enough memory or disk
  gate_missed,   ///< a bench gate was missed
  resumable,     ///< an interrupted job can be resumed; the message says how
  interrupted,   ///< the user pressed Ctrl-C
};

/// One row of the error table.
struct ErrorKind {
  Errc code;
  std::string_view name;  ///< as it stands in `{"error":{"kind":...}}`
  int exit_code;
  int http_status;
};

/// The row of a code; every code has one.
const ErrorKind& error_kind(Errc code);

/// What is thrown. The message is one line: it names the thing, the finding and the wish, and carries no
/// prefix.
class Error : public std::runtime_error {
 public:
  template <typename... Args>
  Error(Errc code, fmt::format_string<Args...> format, Args&&... args)
      : std::runtime_error(fmt::format(format, std::forward<Args>(args)...)), code_(code) {}

  Errc code() const { return code_; }

 private:
  Errc code_;
};

/// The same error with "where: " before its message: context added as it rises.
Error with_context(const Error& error, std::string_view where);

/// An Error from errno: ENOENT is not_found, ENOSPC/EDQUOT/ENOMEM are no_resources, else failed.
Error system_error(int error_number, std::string_view what);

[[noreturn]] void assertion_failed(const char* promise, const char* file, int line);

}  // namespace ruvllm

/// States a promise that the program itself keeps; breaking it is a bug, never a user's mistake.
#define RUVLLM_ASSERT(promise) \
  ((promise) ? static_cast<void>(0) : ::ruvllm::assertion_failed(#promise, __FILE__, __LINE__))
