#include "quant/partial_file.h"

#include "base/error.h"
#include "base/utf8.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace ruvllm::quant {
namespace {

constexpr uint64_t kMaxLogBytes = 64ull << 20;

FileDescriptor open_for_writing(const std::filesystem::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | flags, 0666);
  if (descriptor < 0) throw system_error(errno, printable(path.string()));
  return FileDescriptor(descriptor);
}

void write_all(int descriptor, std::span<const std::byte> bytes, std::optional<uint64_t> offset,
               const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written =
        offset ? ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(*offset))
               : ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw system_error(errno, printable(path.string()));
    bytes = bytes.subspan(static_cast<size_t>(written));
    if (offset) *offset += static_cast<uint64_t>(written);
  }
}

}  // namespace

uint64_t checksum(std::span<const std::byte> bytes, uint64_t seed) {
  // Multiply and rotate, word by word: this guards against lost pages, not against malice.
  uint64_t sum = seed ^ (bytes.size() * 0x9e3779b97f4a7c15ull);
  while (!bytes.empty()) {
    uint64_t word = 0;
    const size_t n = std::min(sizeof(word), bytes.size());
    std::memcpy(&word, bytes.data(), n);
    sum = std::rotl((sum ^ word) * 0xff51afd7ed558ccdull, 29);
    bytes = bytes.subspan(n);
  }
  return sum;
}

PartialFile::PartialFile(std::filesystem::path path, std::string_view job, std::vector<FilePart> items,
                         uint64_t file_bytes, bool resume)
    : path_(std::move(path)),
      partial_(path_.string() + ".partial"),
      log_path_(path_.string() + ".partial.log"),
      items_(std::move(items)),
      finished_(items_.size(), false) {
  std::error_code ignored;
  if (std::filesystem::exists(path_, ignored) && !std::filesystem::is_regular_file(path_, ignored))
    throw Error(Errc::failed, "{} is there and is no regular file", printable(path_.string()));
  lock_ = lock_file(log_path_, true);
  if (!lock_) throw Error(Errc::failed, "{}: another process is writing it", printable(path_.string()));
  file_ = open_for_writing(partial_, 0);
  log_ = open_for_writing(log_path_, O_APPEND);
  if (resume) read_log(job);
  if (n_finished() > 0) return;
  try {
    if (::ftruncate(log_.get(), 0) != 0) throw system_error(errno, printable(log_path_.string()));
    if (::ftruncate(file_.get(), 0) != 0) throw system_error(errno, printable(partial_.string()));
    // The room is taken now, where the file system can, so that a full disk is known before the work.
    const int error = ::posix_fallocate(file_.get(), 0, static_cast<off_t>(file_bytes));
    if (error == ENOSPC || error == EFBIG || error == EDQUOT)
      throw system_error(error, printable(partial_.string()));
    if (::ftruncate(file_.get(), static_cast<off_t>(file_bytes)) != 0)
      throw system_error(errno, printable(partial_.string()));
    const std::string first_line = std::string(job) + "\n";
    write_all(log_.get(), std::as_bytes(std::span(first_line)), std::nullopt, log_path_);
  } catch (const Error&) {
    std::filesystem::remove(partial_, ignored);
    std::filesystem::remove(log_path_, ignored);
    throw;
  }
}

PartialFile::~PartialFile() {
  if (committed_ || keep_) return;
  std::error_code ignored;
  std::filesystem::remove(partial_, ignored);
  std::filesystem::remove(log_path_, ignored);
}

void PartialFile::read_log(std::string_view job) {
  const std::string log = read_file(log_path_, kMaxLogBytes);
  std::string_view rest = log;
  bool is_first = true;
  for (size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (is_first) {
      if (line != job) return;  // another job: from the start
      is_first = false;
      continue;
    }
    size_t item = 0;
    uint64_t sum = 0;
    const auto number = std::from_chars(line.data(), line.data() + line.size(), item);
    if (number.ec != std::errc() || number.ptr == line.data() + line.size()) continue;
    if (std::from_chars(number.ptr + 1, line.data() + line.size(), sum, 16).ec != std::errc()) continue;
    if (item < items_.size() && checksum_of(item) == sum) finished_[item] = true;
  }
}

uint64_t PartialFile::checksum_of(size_t item) const {
  std::vector<std::byte> buffer(1 << 20);
  uint64_t sum = 0, done = 0;
  while (done < items_[item].n_bytes) {
    const size_t n = static_cast<size_t>(std::min<uint64_t>(buffer.size(), items_[item].n_bytes - done));
    size_t have = 0;
    while (have < n) {
      const ssize_t got = ::pread(file_.get(), buffer.data() + have, n - have,
                                  static_cast<off_t>(items_[item].offset + done + have));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw system_error(errno, printable(partial_.string()));
      if (got == 0) return 0;  // shorter than it was
      have += static_cast<size_t>(got);
    }
    sum = checksum(std::span(buffer).first(n), sum);
    done += n;
  }
  return sum;
}

size_t PartialFile::n_finished() const { return static_cast<size_t>(std::ranges::count(finished_, true)); }

void PartialFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  write_all(file_.get(), bytes, offset, partial_);
}

void PartialFile::finish(size_t item) {
  const std::string line = fmt::format("{} {:x}\n", item, checksum_of(item));
  write_all(log_.get(), std::as_bytes(std::span(line)), std::nullopt, log_path_);
  finished_[item] = true;
}

void PartialFile::commit() {
  RUVLLM_ASSERT(n_finished() == items_.size());
  if (::fsync(file_.get()) != 0) throw system_error(errno, printable(partial_.string()));
  if (::rename(partial_.c_str(), path_.c_str()) != 0) throw system_error(errno, printable(path_.string()));
  committed_ = true;
  std::error_code ignored;
  std::filesystem::remove(log_path_, ignored);
  sync_folder(path_.parent_path().empty() ? "." : path_.parent_path());
}

}  // namespace ruvllm::quant
