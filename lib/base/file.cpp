#include "base/file.h"

#include "base/error.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <random>
#include <system_error>
#include <utility>

namespace ruvllm {
namespace {

void write_all(int descriptor, std::span<const std::byte> bytes, uint64_t offset, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t n_written = ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n_written < 0 && errno == EINTR) continue;
    if (n_written < 0) throw system_error(errno, name);
    bytes = bytes.subspan(static_cast<size_t>(n_written));
    offset += static_cast<uint64_t>(n_written);
  }
}

std::string read_descriptor(int descriptor, uint64_t max_bytes, const std::string& name) {
  std::string text;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n_read = ::read(descriptor, buffer, sizeof buffer);
    if (n_read < 0 && errno == EINTR) continue;
    if (n_read < 0) throw system_error(errno, name);
    if (n_read == 0) return text;
    if (text.size() + static_cast<size_t>(n_read) > max_bytes)
      throw Error(Errc::corrupt_file, "{}: larger than the limit of {} bytes", name, max_bytes);
    text.append(buffer, static_cast<size_t>(n_read));
  }
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

}  // namespace

FileDescriptor::~FileDescriptor() { close(); }

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    close();
    descriptor_ = std::exchange(other.descriptor_, -1);
  }
  return *this;
}

void FileDescriptor::close() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

std::string read_file(const std::filesystem::path& path, uint64_t max_bytes) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw system_error(errno, path.string());
  return read_descriptor(file.get(), max_bytes, path.string());
}

std::string read_stdin(uint64_t max_bytes) {
  return read_descriptor(STDIN_FILENO, max_bytes, "standard input");
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  // Renaming over a device or a pipe would replace it.
  std::error_code ignored;
  const auto status = std::filesystem::status(path_, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    throw Error(Errc::failed, "{}: not a regular file, so it can't be replaced", path_.string());
  std::random_device entropy;
  do {
    const std::string name = fmt::format(".{}.{:08x}", path_.filename().string(), entropy());
    temporary_ = folder_of(path_) / name;
    file_ = FileDescriptor(::open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  } while (!file_ && errno == EEXIST);
  if (!file_) {
    temporary_.clear();
    throw system_error(errno, path_.string());
  }
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  write_all(file_.get(), bytes, offset_, path_.string());
  offset_ += bytes.size();
}

void AtomicFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  write_all(file_.get(), bytes, offset, path_.string());
}

void AtomicFile::commit() {
  if (::fsync(file_.get()) != 0) throw system_error(errno, path_.string());
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw system_error(errno, path_.string());
  temporary_.clear();
  file_.close();
  sync_folder(folder_of(path_));
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void sync_folder(const std::filesystem::path& folder) {
  const FileDescriptor handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!handle) throw system_error(errno, folder.string());
  // Some file systems refuse fsync on a folder (EINVAL); there a rename is as lasting as it gets.
  if (::fsync(handle.get()) != 0 && errno != EINVAL) throw system_error(errno, folder.string());
}

FileDescriptor lock_file(const std::filesystem::path& path, bool try_only) {
  FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0664));
  if (!file) throw system_error(errno, path.string());
  while (::flock(file.get(), LOCK_EX | (try_only ? LOCK_NB : 0)) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return FileDescriptor();
    throw system_error(errno, path.string());
  }
  return file;
}

}  // namespace ruvllm
