// A file mapped read-only into memory: how model weights are read. Tested by tests/base/file_test.cpp.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace ruvllm {

class MappedFile {
 public:
  MappedFile() = default;
  /// Maps a whole regular file. Throws not_found, or failed where it is not a regular file. An empty file
  /// maps to an empty span.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return bytes_; }
  const std::filesystem::path& path() const { return path_; }

  /// Tells the kernel that a part will be read soon, from front to back.
  void will_need(std::span<const std::byte> part) const;
  /// Gives the pages wholly inside a part back: they leave this process' resident memory and are read again
  /// from the page cache if touched. A part that does not lie in this file is left alone.
  void give_back(std::span<const std::byte> part) const;

 private:
  bool holds(std::span<const std::byte> part) const;

  std::filesystem::path path_;
  std::span<const std::byte> bytes_;
};

/// From here on, touching a mapped file that another program has cut short ends this one with a line on
/// standard error and the exit code of a corrupt file, instead of SIGBUS and a core dump. Called once, by a
/// program's main function.
void end_on_cut_files();

}  // namespace ruvllm
