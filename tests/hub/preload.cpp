// Preloaded into a program under test (LD_PRELOAD), it watches the system calls that change what lies on the
// disk, and makes one of them end badly: the program dies before it or in the midst of it, or it fails. The
// environment says which:
//
//   HUB_TEST_CALL     "rename": calls of this name are counted, from 1, over all threads
//   HUB_TEST_AT       the number of the call that it happens at; "7+": at it and every later one
//   HUB_TEST_ACTION   "kill", "tear" (a write of half the bytes, then kill), "succeed" (do nothing, and say
//                     that it worked), or an errno as a number
//   HUB_TEST_LOG      a file that gets a line "CALL OFFSET BYTES" before every call that is watched
//   HUB_TEST_NO_SOCKETS  any socket() ends the program with SIGSYS, by a filter in the kernel
//
// Calls made inside the C library itself pass it by; the ones under test are the programs' own.
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

std::atomic<long> n_calls{0};

struct Orders {
  const char* call = std::getenv("HUB_TEST_CALL");
  const char* action = std::getenv("HUB_TEST_ACTION");
  long at = 0;
  bool and_later = false;
  int log = -1;

  Orders() {
    if (const char* text = std::getenv("HUB_TEST_AT")) {
      char* end = nullptr;
      at = std::strtol(text, &end, 10);
      and_later = *end == '+';
    }
    if (const char* path = std::getenv("HUB_TEST_LOG"))
      log = static_cast<int>(
          syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  }
};

const Orders& orders() {
  static const Orders read;
  return read;
}

enum class Fate { as_usual, tear, succeed, fail };

[[noreturn]] void die() {
  for (;;) kill(getpid(), SIGKILL);
}

// What is to become of a call; errno is set where it is to fail.
Fate fate_of(const char* call, long long offset = 0, size_t n_bytes = 0) {
  const Orders& given = orders();
  if (given.log >= 0) {
    char line[96];
    const int n = std::snprintf(line, sizeof line, "%s %lld %zu\n", call, offset, n_bytes);
    syscall(SYS_write, given.log, line, static_cast<size_t>(n));
  }
  if (!given.call || !given.action || std::strcmp(call, given.call) != 0) return Fate::as_usual;
  const long number = ++n_calls;
  if (given.and_later ? number < given.at : number != given.at) return Fate::as_usual;
  if (std::strcmp(given.action, "kill") == 0) die();
  if (std::strcmp(given.action, "tear") == 0) return Fate::tear;
  if (std::strcmp(given.action, "succeed") == 0) return Fate::succeed;
  errno = std::atoi(given.action);
  return Fate::fail;
}

// A call without a middle: it is made, or not.
template <typename Result, typename... Arguments>
Result make(Fate fate, const char* name, Arguments... arguments) {
  if (fate == Fate::tear) die();
  if (fate == Fate::fail) return -1;
  if (fate == Fate::succeed) return 0;
  using Function = Result (*)(Arguments...);
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name))(arguments...);
}

ssize_t write_at(int descriptor, const void* bytes, size_t n_bytes, off_t offset) {
  const Fate fate = fate_of("pwrite", offset, n_bytes);
  if (fate == Fate::tear) {
    syscall(SYS_pwrite64, descriptor, bytes, n_bytes / 2, offset);
    die();
  }
  if (fate == Fate::fail) return -1;
  if (fate == Fate::succeed) return static_cast<ssize_t>(n_bytes);
  return syscall(SYS_pwrite64, descriptor, bytes, n_bytes, offset);
}

bool has_mode(int flags) { return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE; }

int open_file(const char* path, int flags, mode_t mode) {
  return make<int>(fate_of("open"), "open", path, flags, mode);
}

// SIGSYS at socket(), whoever makes it and however.
__attribute__((constructor)) void forbid_sockets() {
  if (!std::getenv("HUB_TEST_NO_SOCKETS")) return;
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {sizeof rules / sizeof rules[0], rules};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    _exit(77);  // the test can't be made here
}

}  // namespace

extern "C" {

ssize_t pwrite(int descriptor, const void* bytes, size_t n_bytes, off_t offset) {
  return write_at(descriptor, bytes, n_bytes, offset);
}
ssize_t pwrite64(int descriptor, const void* bytes, size_t n_bytes, off64_t offset) {
  return write_at(descriptor, bytes, n_bytes, offset);
}
ssize_t write(int descriptor, const void* bytes, size_t n_bytes) {
  // Standard output and error are no files of the cache; nor are pipes and sockets.
  struct stat status {};
  const bool to_file = descriptor > 2 && fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  const Fate fate = to_file ? fate_of("write", 0, n_bytes) : Fate::as_usual;
  if (fate == Fate::tear) {
    syscall(SYS_write, descriptor, bytes, n_bytes / 2);
    die();
  }
  if (fate == Fate::succeed) return static_cast<ssize_t>(n_bytes);
  return make<ssize_t>(fate, "write", descriptor, bytes, n_bytes);
}

int fsync(int descriptor) { return make<int>(fate_of("fsync"), "fsync", descriptor); }
int fdatasync(int descriptor) { return make<int>(fate_of("fdatasync"), "fdatasync", descriptor); }
int rename(const char* from, const char* to) noexcept {
  return make<int>(fate_of("rename"), "rename", from, to);
}
int symlink(const char* target, const char* path) noexcept {
  return make<int>(fate_of("symlink"), "symlink", target, path);
}
int unlink(const char* path) noexcept { return make<int>(fate_of("unlink"), "unlink", path); }
int mkdir(const char* path, mode_t mode) noexcept { return make<int>(fate_of("mkdir"), "mkdir", path, mode); }
int ftruncate(int descriptor, off_t n_bytes) noexcept {
  return make<int>(fate_of("ftruncate"), "ftruncate", descriptor, n_bytes);
}
int ftruncate64(int descriptor, off64_t n_bytes) noexcept {
  return make<int>(fate_of("ftruncate"), "ftruncate", descriptor, n_bytes);
}
int fallocate(int descriptor, int mode, off_t offset, off_t n_bytes) {
  return make<int>(fate_of("fallocate"), "fallocate", descriptor, mode, offset, n_bytes);
}
int fallocate64(int descriptor, int mode, off64_t offset, off64_t n_bytes) {
  return make<int>(fate_of("fallocate"), "fallocate", descriptor, mode, offset, n_bytes);
}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"  // there is a struct of this name, too
int flock(int descriptor, int operation) noexcept {
  return make<int>(fate_of("flock"), "flock", descriptor, operation);
}
#pragma GCC diagnostic pop
int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = has_mode(flags) ? va_arg(more, mode_t) : 0;
  va_end(more);
  return open_file(path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = has_mode(flags) ? va_arg(more, mode_t) : 0;
  va_end(more);
  return open_file(path, flags, mode);
}

}  // extern "C"
