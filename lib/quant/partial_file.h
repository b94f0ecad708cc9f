// A large output that survives being killed: what is finished of it is known, and a later run goes on from
// there.
//
// Beside PATH lie PATH.partial, as large as the whole, and PATH.partial.log: a first line that says which job
// this is, then a line "ITEM CHECKSUM" for each finished item. PATH itself appears, complete and synced, in
// commit(). Tested by tests/quant/partial_file_test.cpp.
#pragma once

#include "base/file.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::quant {

/// A part of a file, as a job's item.
struct FilePart {
  uint64_t offset;
  uint64_t n_bytes;
};

/// Of a run of bytes, 64 bits; checksums of consecutive runs combine in order.
uint64_t checksum(std::span<const std::byte> bytes, uint64_t seed = 0);

class PartialFile {
 public:
  /// Starts `job` (one line of text), or goes on with it where `resume` is set and PATH.partial is of the
  /// same job: then items whose bytes still have their checksum are finished already. `items` cover what the
  /// caller writes by item. Throws where the folder is missing or read-only, or another process is at it.
  PartialFile(std::filesystem::path path, std::string_view job, std::vector<FilePart> items,
              uint64_t file_bytes, bool resume);
  /// Removes what is not committed, unless keep() was called.
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  bool is_finished(size_t item) const { return finished_[item]; }
  size_t n_finished() const;
  /// Any thread. Throws no_resources where the disk is full.
  void write_at(uint64_t offset, std::span<const std::byte> bytes);
  /// All bytes of an item are written.
  void finish(size_t item);
  /// Interrupted on purpose: leaves both files for a later run.
  void keep() { keep_ = true; }
  /// Every item is finished: the file appears at its path.
  void commit();

 private:
  void read_log(std::string_view job);
  uint64_t checksum_of(size_t item) const;

  std::filesystem::path path_, partial_, log_path_;
  std::vector<FilePart> items_;
  std::vector<bool> finished_;
  FileDescriptor lock_, file_, log_;
  bool keep_ = false;
  bool committed_ = false;
};

}  // namespace ruvllm::quant
