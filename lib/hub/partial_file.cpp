#include "hub/partial_file.h"

#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "hub/owner.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace ruvllm::hub {
namespace {

constexpr uint64_t kSlotBytes = 4096;
constexpr uint64_t kLeastUnjournaled = 1ull << 20;
constexpr uint64_t kMostUnjournaled = 12ull << 20;
constexpr uint64_t kCheckpointsOfAFile = 24;
constexpr uint64_t kAwaitedBytes = 1ull << 20;  // waking for less costs more than the hashing
constexpr size_t kMaxJournalRanges = 64;        // fits a slot with room to spare; more are fetched again

void write_fully(int descriptor, uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n_written = ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n_written < 0 && errno == EINTR) continue;
    if (n_written < 0) throw system_error(errno, "writing the download");
    bytes = bytes.subspan(static_cast<size_t>(n_written));
    offset += static_cast<uint64_t>(n_written);
  }
}

std::string checksum(std::string_view text) {
  ContentHasher hasher(DigestKind::sha256, text.size());
  hasher.update(std::as_bytes(std::span(text)));
  return hasher.finish().hex();
}

struct Slot {
  uint64_t sequence = 0;
  RangeSet ranges;
};

// "CHECKSUM\n{...}\n" and zeros. Anything else, a torn write too, is no slot.
std::optional<Slot> parse_slot(std::string_view text, const std::string& digest, uint64_t n_bytes) try {
  const std::vector<std::string_view> lines = split(text.substr(0, text.find('\0')), '\n');
  if (lines.size() < 2 || checksum(lines[1]) != lines[0]) return std::nullopt;
  const Json journal = parse_json(lines[1], "journal");
  if (journal.at("etag") != digest || journal.at("bytes") != n_bytes) return std::nullopt;
  Slot slot;
  slot.sequence = journal.at("sequence").get<uint64_t>();
  for (const Json& range : journal.at("ranges")) {
    const ByteRange read{range.at(0).get<uint64_t>(), range.at(1).get<uint64_t>()};
    if (read.begin > read.end || read.end > n_bytes) return std::nullopt;
    slot.ranges.add(read);
  }
  return slot;
} catch (const std::exception&) {
  return std::nullopt;  // not written by this program
}

}  // namespace

PartialFile::PartialFile(const std::filesystem::path& folder, const Digest& digest, uint64_t n_bytes)
    : digest_(digest.hex()),
      n_bytes_(n_bytes),
      checkpoint_bytes_(
          std::clamp(n_bytes / kCheckpointsOfAFile, kLeastUnjournaled / 3, kMostUnjournaled / 3)) {
  adopt_or_create(folder, digest);
}

uint64_t PartialFile::journal_offset() const {
  return checked_round_up(n_bytes_, kSlotBytes, "size of a file");
}

void PartialFile::adopt_or_create(const std::filesystem::path& folder, const Digest& digest) {
  std::optional<Adopted> best;
  for (const FoundPartial& found : find_partials(folder)) {
    if (found.in_use || !found.path.filename().string().starts_with(digest.hex() + ".")) continue;
    const std::filesystem::path own =
        folder / fmt::format("{}.{}{}", digest.hex(), owner_tag(), kPartialSuffix);
    if (::rename(found.path.c_str(), own.c_str()) != 0) continue;  // another process was faster
    FileDescriptor file(::open(own.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    std::swap(file_, file);
    std::optional<Adopted> adopted = file_ ? read_journal() : std::nullopt;
    if (adopted && (!best || adopted->ranges.covered() > best->ranges.covered())) {
      if (best) ::unlink(path_.c_str());
      best = std::move(adopted);
      path_ = own;
    } else {
      ::unlink(own.c_str());
      std::swap(file_, file);
    }
  }
  if (best) {
    ranges_ = best->ranges;
    sequence_ = best->sequence;
    if (best->complete)
      return;  // its journal is cut off, and must not come back before the content is known to be wrong
  } else {
    path_ = folder / fmt::format("{}.{}{}", digest.hex(), owner_tag(), kPartialSuffix);
    file_ = FileDescriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (!file_) throw system_error(errno, path_.string());
  }
  try {
    reserve();
  } catch (const Error&) {
    if (!best) ::unlink(path_.c_str());
    throw;
  }
}

std::optional<PartialFile::Adopted> PartialFile::read_journal() const {
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  Adopted adopted;
  if (static_cast<uint64_t>(status.st_size) == n_bytes_ && n_bytes_ > 0) {
    adopted.complete = true;
    adopted.ranges.add({0, n_bytes_});
    return adopted;
  }
  if (static_cast<uint64_t>(status.st_size) != journal_offset() + 2 * kSlotBytes) return std::nullopt;
  bool found = false;
  for (uint64_t i = 0; i < 2; ++i) {
    std::string text(kSlotBytes, '\0');
    if (::pread(file_.get(), text.data(), kSlotBytes,
                static_cast<off_t>(journal_offset() + i * kSlotBytes)) != static_cast<ssize_t>(kSlotBytes))
      continue;
    const std::optional<Slot> slot = parse_slot(text, digest_, n_bytes_);
    if (!slot || (found && slot->sequence <= adopted.sequence)) continue;
    found = true;
    adopted.ranges = slot->ranges;
    adopted.sequence = slot->sequence;
  }
  return found ? std::optional(adopted) : std::nullopt;
}

void PartialFile::reserve() {
  const auto whole = static_cast<off_t>(journal_offset() + 2 * kSlotBytes);
  int failed = 0;
  do failed = ::fallocate(file_.get(), 0, 0, whole) == 0 ? 0 : errno;
  while (failed == EINTR);
  if (failed == EOPNOTSUPP || failed == ENOSYS) failed = ::ftruncate(file_.get(), whole) == 0 ? 0 : errno;
  if (failed == ENOSPC || failed == EDQUOT || failed == EFBIG)
    throw Error(Errc::no_resources, "the disk has no room for a file of {} in {}", format_bytes(n_bytes_),
                path_.parent_path().string());
  if (failed) throw system_error(failed, path_.string());
}

RangeSet PartialFile::ranges() const {
  const std::lock_guard lock(mutex_);
  return ranges_;
}

void PartialFile::write(uint64_t offset, std::span<const std::byte> bytes) {
  RUVLLM_ASSERT(offset <= n_bytes_ && bytes.size() <= n_bytes_ - offset);
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      return stopped_ || n_unjournaled_ == 0 || n_unjournaled_ + bytes.size() <= 3 * checkpoint_bytes_;
    });
    if (failure_) std::rethrow_exception(failure_);
  }
  write_fully(file_.get(), offset, bytes);
  {
    const std::lock_guard lock(mutex_);
    ranges_.add({offset, offset + bytes.size()});
    n_unjournaled_ += bytes.size();
    if (n_unjournaled_ < checkpoint_bytes_ && ranges_.prefix_end() < awaited_prefix_) return;
  }
  changed_.notify_all();
}

bool PartialFile::wait_for_checkpoint() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopped_ || n_unjournaled_ >= checkpoint_bytes_; });
  return !stopped_;
}

void PartialFile::checkpoint() {
  RangeSet ranges;
  uint64_t n_bytes = 0;
  {
    const std::lock_guard lock(mutex_);
    ranges = ranges_;
    n_bytes = n_unjournaled_;
  }
  if (n_bytes == 0) return;
  if (::fdatasync(file_.get()) != 0) throw system_error(errno, path_.string());
  write_slot(ranges, ++sequence_);
  {
    const std::lock_guard lock(mutex_);
    n_unjournaled_ -= n_bytes;
  }
  changed_.notify_all();
}

void PartialFile::write_slot(const RangeSet& ranges, uint64_t sequence) {
  Json list = Json::array();
  for (const ByteRange& range : ranges.ranges())
    if (list.size() < kMaxJournalRanges) list.push_back({range.begin, range.end});
  const std::string text = dump_json(
      Json{{"version", 1}, {"sequence", sequence}, {"etag", digest_}, {"bytes", n_bytes_}, {"ranges", list}});
  std::string slot = checksum(text) + "\n" + text + "\n";
  RUVLLM_ASSERT(slot.size() <= kSlotBytes);
  slot.resize(kSlotBytes, '\0');
  write_fully(file_.get(), journal_offset() + sequence % 2 * kSlotBytes, std::as_bytes(std::span(slot)));
}

uint64_t PartialFile::wait_beyond(uint64_t offset) {
  std::unique_lock lock(mutex_);
  awaited_prefix_ = std::min(offset + kAwaitedBytes, n_bytes_);
  changed_.wait(lock, [&] { return stopped_ || ranges_.prefix_end() >= awaited_prefix_; });
  return stopped_ ? offset : ranges_.prefix_end();
}

void PartialFile::stop(std::exception_ptr failure) {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    if (failure && !failure_) failure_ = std::move(failure);
  }
  changed_.notify_all();
}

void PartialFile::throw_failure() const {
  const std::lock_guard lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
}

void PartialFile::resume() {
  const std::lock_guard lock(mutex_);
  stopped_ = false;
  failure_ = nullptr;
}

void PartialFile::restart() {
  {
    const std::lock_guard lock(mutex_);
    ranges_.clear();
    n_unjournaled_ = 0;
  }
  reserve();
  write_slot(RangeSet(), ++sequence_);
}

void PartialFile::remove() { ::unlink(path_.c_str()); }

void PartialFile::publish(const std::filesystem::path& blob) {
  if (::ftruncate(file_.get(), static_cast<off_t>(n_bytes_)) != 0) throw system_error(errno, path_.string());
  if (::fsync(file_.get()) != 0) throw system_error(errno, path_.string());
  if (::rename(path_.c_str(), blob.c_str()) != 0) throw system_error(errno, blob.string());
  sync_folder(blob.parent_path());
}

std::vector<FoundPartial> find_partials(const std::filesystem::path& folder) {
  std::vector<FoundPartial> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::optional<std::string> tag = tag_of(entry.path().filename().string(), kPartialSuffix);
    if (!tag) continue;
    struct stat status {};
    if (::lstat(entry.path().c_str(), &status) != 0) continue;
    constexpr uint64_t kStatBlockBytes = 512;
    found.push_back({entry.path(), static_cast<uint64_t>(status.st_blocks) * kStatBlockBytes,
                     owner_is_alive(*tag, entry.path())});
  }
  return found;
}

}  // namespace ruvllm::hub
