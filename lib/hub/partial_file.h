// A file that is being fetched, and its journal, in one: so that one rename moves both, and a kill between
// any two steps leaves a state that the next run understands.
//
//   0            n_bytes   T = n_bytes rounded up to 4096        T + 8192
//   | content ...........| zero |  journal slot 0  |  journal slot 1  |
//
// A slot says which ranges of the content are on the disk (they were synced before the slot was written); the
// two slots are written in turn, each with a sequence number and a hash, so that a torn one leaves the other.
// The file is named BLOB.OWNER.partial; a run that finds one whose owner is gone adopts it by renaming it to
// its own name, which succeeds for exactly one process. When all is there and verified, the journal is cut
// off, and the file renamed to BLOB: a partial file without a journal is a complete one. What a journal
// claims is never trusted for the result: the content is hashed as it lies on the disk. Tested by
// tests/hub/partial_test.cpp and the kill tests.
#pragma once

#include "base/file.h"
#include "hub/digest.h"
#include "hub/range_set.h"

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace ruvllm::hub {

inline constexpr std::string_view kPartialSuffix = ".partial";

class PartialFile {
 public:
  /// Adopts the fullest abandoned partial file of this blob in `folder`, removing lesser ones, or makes a new
  /// one with its disk space reserved. Throws no_resources where the disk is too full.
  PartialFile(const std::filesystem::path& folder, const Digest& digest, uint64_t n_bytes);

  uint64_t n_bytes() const { return n_bytes_; }
  int descriptor() const { return file_.get(); }
  /// A copy of what is there.
  RangeSet ranges() const;

  /// Puts bytes where they belong. Waits when too much would be lost if the process were killed now: more
  /// than an eighth of the file, but 1 MiB in any case and never 12 MiB, which is no more than a part
  /// (download.cpp).
  void write(uint64_t offset, std::span<const std::byte> bytes);

  /// For the thread that keeps the journal: waits until there is enough to be written down or stop(); false
  /// then.
  bool wait_for_checkpoint();
  /// Syncs the content, then writes down what is there.
  void checkpoint();
  /// For the thread that hashes: waits until the content is there a good piece beyond `offset`, or to its
  /// end, without a gap, and returns how far; `offset` itself after stop().
  uint64_t wait_beyond(uint64_t offset);
  /// Wakes the waiting threads; they end. A failed journal keeper says so here, and write() throws it.
  void stop(std::exception_ptr failure = nullptr);
  /// Throws what stop() was told.
  void throw_failure() const;
  /// Undoes stop().
  void resume();

  /// Forgets everything: the content has proved wrong.
  void restart();
  /// Deletes it.
  void remove();
  /// Makes it the blob: journal off, synced, renamed, folder synced.
  void publish(const std::filesystem::path& blob);

 private:
  struct Adopted {
    RangeSet ranges;
    uint64_t sequence = 0;
    bool complete = false;
  };

  void adopt_or_create(const std::filesystem::path& folder, const Digest& digest);
  std::optional<Adopted> read_journal() const;
  void reserve();
  void write_slot(const RangeSet& ranges, uint64_t sequence);
  uint64_t journal_offset() const;

  std::string digest_;
  uint64_t n_bytes_;
  uint64_t checkpoint_bytes_;  // when so much has come it is written down; three times as much waits for it
  std::filesystem::path path_;
  FileDescriptor file_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  RangeSet ranges_;              // guarded by mutex_
  uint64_t n_unjournaled_ = 0;   // guarded by mutex_
  uint64_t awaited_prefix_ = 0;  // by the thread that hashes; guarded by mutex_
  bool stopped_ = false;         // guarded by mutex_
  std::exception_ptr failure_;   // guarded by mutex_
  uint64_t sequence_ = 0;        // of the thread that keeps the journal
};

/// A partial file found in a folder of blobs, as `list` shows it.
struct FoundPartial {
  std::filesystem::path path;
  uint64_t n_bytes = 0;  ///< that it takes on the disk
  bool in_use = false;
};
std::vector<FoundPartial> find_partials(const std::filesystem::path& folder);

}  // namespace ruvllm::hub
