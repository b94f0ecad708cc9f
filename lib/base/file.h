// Files: reading whole ones, replacing one atomically, and locks.
//
// Every output of the suite is written through AtomicFile: beside its place, fsynced, renamed, the folder
// fsynced. A killed program leaves the old file or the new one, never a half. Tested by
// tests/base/file_test.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace ruvllm {

/// An open file descriptor that closes itself.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  ~FileDescriptor();
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;

  int get() const { return descriptor_; }
  explicit operator bool() const { return descriptor_ >= 0; }
  void close();

 private:
  int descriptor_ = -1;
};

/// A whole file as text. Throws not_found, or corrupt_file where it is larger than `max_bytes`.
std::string read_file(const std::filesystem::path& path, uint64_t max_bytes);

/// Everything on standard input, up to `max_bytes`.
std::string read_stdin(uint64_t max_bytes);

/// A file that appears at `path` only when commit() returns: until then its bytes lie in a temporary file in
/// the same folder, which the destructor removes.
class AtomicFile {
 public:
  /// Throws not_found where the folder is absent, failed where `path` is there and no regular file.
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// Writes at an offset (holes read as zero); does not move the place that write() appends at.
  void write_at(uint64_t offset, std::span<const std::byte> bytes);
  uint64_t bytes_written() const { return offset_; }

  /// fsync, rename into place, fsync the folder. Where the file itself can't be synced or renamed, throws and
  /// leaves the old one.
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  FileDescriptor file_;
  uint64_t offset_ = 0;
};

/// AtomicFile in one call.
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

/// fsync of a folder, so that renames and links in it last.
void sync_folder(const std::filesystem::path& folder);

/// An exclusive advisory lock (flock) on a file that is created where absent. Blocks unless `try_only`; then
/// an empty FileDescriptor means that another process holds it.
FileDescriptor lock_file(const std::filesystem::path& path, bool try_only);

}  // namespace ruvllm
