#include "base/mapped_file.h"

#include "base/error.h"
#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <utility>

namespace ruvllm {

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  // O_NONBLOCK: a pipe is refused below instead of waited for.
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) throw system_error(errno, path.string());
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw system_error(errno, path.string());
  if (!S_ISREG(status.st_mode)) throw Error(Errc::failed, "{}: not a regular file", path.string());
  const auto n_bytes = static_cast<size_t>(status.st_size);
  if (n_bytes == 0) return;
  void* address = ::mmap(nullptr, n_bytes, PROT_READ, MAP_SHARED, file.get(), 0);
  if (address == MAP_FAILED) throw system_error(errno, path.string());
  bytes_ = {static_cast<const std::byte*>(address), n_bytes};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

namespace {

// The whole pages inside a part, as madvise wants them: rounded inwards or outwards.
void advise(std::span<const std::byte> part, int advice, bool inwards) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  auto first = reinterpret_cast<uintptr_t>(part.data());
  auto last = first + part.size();
  first = (inwards ? first + page - 1 : first) / page * page;
  if (inwards) last = last / page * page;
  if (first < last)
    ::madvise(reinterpret_cast<void*>(first), last - first, advice);  // advice: failing is harmless
}

}  // namespace

bool MappedFile::holds(std::span<const std::byte> part) const {
  return !part.empty() && part.data() >= bytes_.data() &&
         part.data() + part.size() <= bytes_.data() + bytes_.size();
}

namespace {

// Runs in a signal handler: nothing that allocates or locks.
extern "C" void on_bus_error(int) {
  constexpr char kMessage[] =
      "ruvllm: a model file was cut short while it was being read; is it being written to?\n";
  // With nobody to read it, the message is lost: the exit code remains.
  [[maybe_unused]] const ssize_t n_written = ::write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
  ::_exit(error_kind(Errc::corrupt_file).exit_code);
}

}  // namespace

void end_on_cut_files() {
  struct sigaction action {};
  action.sa_handler = on_bus_error;
  ::sigemptyset(&action.sa_mask);
  if (::sigaction(SIGBUS, &action, nullptr) != 0) throw system_error(errno, "SIGBUS handler");
}

void MappedFile::will_need(std::span<const std::byte> part) const {
  if (holds(part)) advise(part, MADV_WILLNEED, false);
}

// Only what is mapped can be read again: giving other memory back would lose it.
void MappedFile::give_back(std::span<const std::byte> part) const {
  if (holds(part)) advise(part, MADV_DONTNEED, true);
}

}  // namespace ruvllm
