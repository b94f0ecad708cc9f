#include "hub/download.h"

#include "base/error.h"
#include "base/limits.h"
#include "base/strings.h"
#include "hub/partial_file.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <list>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace ruvllm::hub {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr uint64_t kMinPartBytes = 1ull << 20;
constexpr uint64_t kMaxPartBytes = 32ull << 20;
constexpr uint64_t kProgressBytes = 64ull << 10;  // a try that brought less counts as failed
constexpr uint64_t kMaxErrorBody = 1ull << 20;
constexpr size_t kHashReadBytes = 1ull << 20;
constexpr milliseconds kStep{100};
constexpr std::chrono::seconds kWaitingNote{10};

// Hashes the content from its beginning as far as it is there, and on as it comes. Nothing where it was
// stopped.
std::optional<Digest> hash_as_it_comes(PartialFile& partial, DigestKind kind) {
  ContentHasher hasher(kind, partial.n_bytes());
  std::vector<std::byte> buffer(kHashReadBytes);
  for (uint64_t offset = 0; offset < partial.n_bytes();) {
    const uint64_t end = partial.wait_beyond(offset);
    if (end == offset) return std::nullopt;
    while (offset < end) {
      const ssize_t n_read =
          ::pread(partial.descriptor(), buffer.data(), std::min<uint64_t>(buffer.size(), end - offset),
                  static_cast<off_t>(offset));
      if (n_read < 0 && errno == EINTR) continue;
      if (n_read <= 0) throw system_error(n_read < 0 ? errno : EIO, "reading the download back");
      hasher.update(std::span(buffer).first(static_cast<size_t>(n_read)));
      offset += static_cast<uint64_t>(n_read);
    }
  }
  return hasher.finish();
}

// The two helpers of a download. Its destructor stops them, and leaves a journal that is up to date.
class Helpers {
 public:
  Helpers(PartialFile& partial, DigestKind kind) : partial_(partial) {
    partial.resume();
    keeper_ = std::thread([&partial] {
      try {
        while (partial.wait_for_checkpoint()) partial.checkpoint();
      } catch (...) {
        partial.stop(std::current_exception());
      }
    });
    digest_ = std::async(std::launch::async, [&partial, kind] { return hash_as_it_comes(partial, kind); });
  }
  ~Helpers() {
    partial_.stop();
    keeper_.join();
    if (digest_.valid()) digest_.wait();
  }
  Helpers(const Helpers&) = delete;
  Helpers& operator=(const Helpers&) = delete;

  bool hashed_within(milliseconds time) const { return digest_.wait_for(time) == std::future_status::ready; }
  std::optional<Digest> digest() { return digest_.get(); }

 private:
  PartialFile& partial_;
  std::thread keeper_;
  std::future<std::optional<Digest>> digest_;
};

// One request for a range that is under way.
struct Part {
  enum class Answer { pending, data, redirect, whole, wrong_range, refused };

  explicit Part(net::Url from) : url(std::move(from)) {}

  net::Url url;
  ByteRange range;
  uint64_t wanted_end = 0;  // of the range that was asked for; the hub may give less
  uint64_t at = 0;          // where the next byte goes
  uint64_t n_before = 0;    // `at` when progress was last counted
  uint64_t n_ignored = 0;
  bool asked_whole = false;  // without a Range: the answer is 200 and begins at 0
  Answer answer = Answer::pending;
  uint64_t id = 0;
  std::optional<net::HttpResult> result;
};

std::string kept(const PartialFile& partial) {
  return fmt::format("{} of {} are kept, the same command goes on from there",
                     format_bytes(partial.ranges().covered()), format_bytes(partial.n_bytes()));
}

class Download {
 public:
  Download(HubClient& client, const RepoId& repo, const Commit& commit, const HubFile& file,
           PartialFile& partial, const std::function<void(uint64_t)>& on_progress)
      : client_(client),
        repo_(repo),
        commit_(commit),
        file_(file),
        partial_(partial),
        on_progress_(on_progress),
        subject_{repo.text(), commit.hex(), file.path.text()},
        backoff_(client.settings(), static_cast<uint64_t>(::getpid()) ^ file.n_bytes) {}
  ~Download() {
    for (const auto& part : parts_) client_.http().cancel(part->id);
  }
  Download(const Download&) = delete;
  Download& operator=(const Download&) = delete;

  /// Fetches all that is missing.
  void run();

 private:
  void locate();
  void start_parts();
  void start(ByteRange range, bool whole);
  bool head(Part& part, const net::HttpResponse& response) const;
  bool body(Part& part, std::span<const std::byte> bytes);
  void count_progress(Part& part);
  void handle(Part& part);
  void fall_back_to_one();
  void try_again(const net::HttpResult& result);
  [[noreturn]] void give_up(const net::HttpResult& result) const;

  HubClient& client_;
  const RepoId& repo_;
  const Commit& commit_;
  const HubFile& file_;
  PartialFile& partial_;
  const std::function<void(uint64_t)>& on_progress_;
  const Subject subject_;
  Backoff backoff_;
  std::optional<FileLocation> location_;
  std::list<std::unique_ptr<Part>> parts_;
  bool ranges_work_ = true;
  bool located_freshly_ = false;  // no byte has come since the last locate()
  uint64_t best_whole_ = 0;       // how far an attempt without ranges came
  int n_redirects_ = 0;
  Clock::time_point not_before_ = Clock::now();
};

void Download::locate() {
  location_ = client_.locate(repo_, commit_, file_.path);
  located_freshly_ = true;
  backoff_.reached();
  if (location_->digest && location_->digest != file_.digest)
    throw Error(Errc::corrupt_file, "{}: the hub names two digests, {} and {}", subject_.text(),
                file_.digest->hex(), location_->digest->hex());
  if (location_->n_bytes && location_->n_bytes != file_.n_bytes)
    throw Error(Errc::corrupt_file, "{}: the hub names two sizes, {} and {} bytes", subject_.text(),
                file_.n_bytes, *location_->n_bytes);
}

void Download::run() {
  if (file_.n_bytes == 0 || partial_.ranges().covered() == file_.n_bytes) return;
  locate();
  auto last_told = Clock::now() - std::chrono::hours(1);
  for (;;) {
    const bool may_start = Clock::now() >= not_before_;
    if (may_start) start_parts();
    if (may_start && parts_.empty()) return;
    if (parts_.empty())
      client_.http().sleep(
          std::clamp(std::chrono::ceil<milliseconds>(not_before_ - Clock::now()), milliseconds(0), kStep));
    else
      client_.http().step(kStep);
    // Handling one may cancel the others, so each is taken out before it is looked at.
    for (;;) {
      const auto done = std::find_if(parts_.begin(), parts_.end(),
                                     [](const auto& part) { return part->result.has_value(); });
      if (done == parts_.end()) break;
      const std::unique_ptr<Part> part = std::move(*done);
      parts_.erase(done);
      handle(*part);
    }
    if (Clock::now() - last_told >= kStep) {
      on_progress_(partial_.ranges().covered());
      last_told = Clock::now();
    }
  }
}

void Download::start_parts() {
  const size_t wanted = ranges_work_ ? static_cast<size_t>(std::clamp(client_.settings().n_parts, 1, 8)) : 1;
  while (parts_.size() < wanted) {
    RangeSet taken = partial_.ranges();
    for (const auto& part : parts_) taken.add(part->range);
    std::optional<ByteRange> gap = taken.first_gap({0, file_.n_bytes});
    if (!gap) return;
    // Several rounds of parts, so that a slow connection's last part doesn't keep the others waiting.
    const uint64_t part_bytes = std::clamp(file_.n_bytes / (2 * wanted), kMinPartBytes, kMaxPartBytes);
    gap->end = std::min(gap->end, gap->begin + part_bytes);
    const bool all_of_it = gap->begin == 0 && gap->end == file_.n_bytes;
    if (!ranges_work_) gap = ByteRange{0, file_.n_bytes};
    start(*gap, all_of_it || !ranges_work_);
  }
}

void Download::start(ByteRange range, bool whole) {
  auto part = std::make_unique<Part>(location_->url);
  Part& self = *part;
  self.range = range;
  self.wanted_end = range.end;
  self.at = self.n_before = range.begin;
  self.asked_whole = whole;
  net::HttpRequest request;
  request.url = self.url;
  request.own_connection = true;
  request.max_body_bytes = UINT64_MAX;  // body() bounds it by the range
  request.headers.add("Accept-Encoding", "identity");
  if (!whole) request.headers.add("Range", fmt::format("bytes={}-{}", range.begin, range.end - 1));
  client_.authorize(request);
  request.on_head = [this, &self](const net::HttpResponse& response) { return head(self, response); };
  request.on_body = [this, &self](std::span<const std::byte> bytes) { return body(self, bytes); };
  self.id = client_.http().start(std::move(request),
                                 [&self](net::HttpResult result) { self.result = std::move(result); });
  parts_.push_back(std::move(part));
}

// Says what an answer is; false ends the request, because its body would be of no use.
bool Download::head(Part& part, const net::HttpResponse& response) const {
  using Answer = Part::Answer;
  if (is_redirect(response.status)) {
    part.answer = Answer::redirect;
    return true;
  }
  if (response.status != 200 && response.status != 206) {
    part.answer = Answer::refused;
    return true;
  }
  const auto encoding = response.headers.find("content-encoding");
  const bool as_it_is = !encoding || to_lower(*encoding) == "identity";
  const auto length = response.headers.find("content-length");
  const std::optional<int64_t> n_bytes = length ? parse_integer(trim(*length)) : std::nullopt;
  if (response.status == 200) {
    const bool fits = !n_bytes || static_cast<uint64_t>(*n_bytes) == file_.n_bytes;
    part.answer = !as_it_is || !fits ? Answer::wrong_range : part.asked_whole ? Answer::data : Answer::whole;
    return part.answer == Answer::data;
  }
  const auto header = response.headers.find("content-range");
  const auto range = header ? parse_content_range(*header) : std::nullopt;
  const bool right = as_it_is && range && !part.asked_whole && range->begin == part.range.begin &&
                     range->end <= part.range.end && range->total.value_or(file_.n_bytes) == file_.n_bytes;
  part.answer = right ? Answer::data : Answer::wrong_range;
  if (right) part.range.end = range->end;  // a server may give less than asked for
  return right;
}

bool Download::body(Part& part, std::span<const std::byte> bytes) {
  if (part.answer != Part::Answer::data) {
    part.n_ignored += bytes.size();
    return part.n_ignored <= kMaxErrorBody;
  }
  if (bytes.size() > part.range.end - part.at) {
    part.answer = Part::Answer::wrong_range;
    return false;
  }
  partial_.write(part.at, bytes);
  part.at += bytes.size();
  count_progress(part);
  return true;
}

// A whole file that begins again and again makes progress only where it comes further than before.
void Download::count_progress(Part& part) {
  const bool enough = part.at - part.n_before >= kProgressBytes || part.at == part.wanted_end;
  const bool further = ranges_work_ || part.at > best_whole_;
  if (!ranges_work_) best_whole_ = std::max(best_whole_, part.at);
  if (!enough || !further) return;
  part.n_before = part.at;
  located_freshly_ = false;
  n_redirects_ = 0;
  backoff_.progressed();
}

void Download::handle(Part& part) {
  net::HttpResult& result = *part.result;
  const net::HttpResponse& response = result.response;
  switch (part.answer) {
    case Part::Answer::data:
      // A hub that gives a few bytes at a time would have to be asked for ever.
      if (part.at == part.range.end && (part.at == part.wanted_end || part.n_before > part.range.begin))
        return;
      if (result.ok()) result = {response, net::Failure::dropped, "the answer ended early"};
      return try_again(result);
    case Part::Answer::redirect:
      if (part.url.text() != location_->url.text()) return;  // another part was told before
      if (++n_redirects_ > limits::kHubRedirects)
        throw Error(Errc::network, "{}: more than {} redirects", subject_.text(), limits::kHubRedirects);
      location_->url = client_.follow(part.url, response);
      return;
    case Part::Answer::whole:
      return fall_back_to_one();
    case Part::Answer::wrong_range:
      result = {response, net::Failure::dropped, "the hub sends other bytes than asked for"};
      fall_back_to_one();
      return try_again(result);
    case Part::Answer::refused: {
      // A signed address runs out; another is to be had from the hub, once.
      const bool expired = response.status == 401 || response.status == 403 || response.status == 404 ||
                           response.status == 410;
      const bool elsewhere = !net::same_origin(location_->url, client_.settings().endpoint);
      if ((expired && elsewhere && !located_freshly_) || (response.status == 416 && ranges_work_)) {
        if (response.status == 416) fall_back_to_one();
        return locate();
      }
      return try_again({response, net::Failure::none, {}});
    }
    case Part::Answer::pending:
      return try_again(result);
  }
}

void Download::fall_back_to_one() {
  ranges_work_ = false;
  for (const auto& part : parts_) client_.http().cancel(part->id);
  parts_.clear();
}

void Download::try_again(const net::HttpResult& result) {
  const auto delay = backoff_.next(result);
  if (!delay) give_up(result);
  client_.note_wait(*delay, result, file_.path.text());
  not_before_ = std::max(not_before_, Clock::now() + *delay);
}

void Download::give_up(const net::HttpResult& result) const {
  const Error error = client_.error_for(result, subject_);
  const uint64_t n_kept = partial_.ranges().covered();
  if (n_kept == 0 || !ranges_work_ || !may_pass(result)) throw error;
  throw Error(Errc::resumable, "{}; {}", error.what(), kept(partial_));
}

FileDescriptor wait_for_lock(HubClient& client, ModelStore& store, const RepoId& repo, const HubFile& file) {
  auto next_note = Clock::now();
  return store.lock(repo, *file.digest, [&] {
    if (client.settings().interrupted && client.settings().interrupted->load())
      throw Error(Errc::interrupted, "interrupted");
    if (Clock::now() < next_note || !client.settings().note) return;
    client.settings().note(fmt::format("{}: another process is fetching it, waiting", file.path.text()));
    next_note = Clock::now() + kWaitingNote;
  });
}

// Fetches what is missing and hashes all; the digest of what now lies on the disk.
Digest fetch_and_hash(HubClient& client, const RepoId& repo, const Commit& commit, const HubFile& file,
                      PartialFile& partial, const std::function<void(uint64_t)>& on_progress) {
  std::optional<Digest> digest;
  try {
    Helpers helpers(partial, file.digest->kind());
    Download(client, repo, commit, file, partial, on_progress).run();
    while (!helpers.hashed_within(kStep))
      if (client.settings().interrupted && client.settings().interrupted->load())
        throw Error(Errc::interrupted, "interrupted");
    digest = helpers.digest();
    partial.throw_failure();  // a journal that can't be synced speaks of a disk that can't either
  } catch (...) {
    partial.checkpoint();  // the helpers have stopped; what has come is not lost
    if (partial.ranges().covered() == 0) partial.remove();
    const bool interrupted = client.settings().interrupted && client.settings().interrupted->load();
    if (interrupted && client.settings().note) client.settings().note("interrupted; " + kept(partial));
    throw;
  }
  RUVLLM_ASSERT(digest.has_value());
  return *digest;
}

void fetch_blob(HubClient& client, ModelStore& store, const RepoId& repo, const Commit& commit,
                const HubFile& file, const std::function<void(uint64_t)>& on_progress) {
  PartialFile partial(store.blobs(repo), *file.digest, file.n_bytes);
  Digest found = fetch_and_hash(client, repo, commit, file, partial, on_progress);
  if (found != *file.digest) {
    if (client.settings().note)
      client.settings().note(
          fmt::format("{}: the content is wrong ({} instead of {}); once more from the beginning",
                      file.path.text(), found.hex(), file.digest->hex()));
    partial.restart();
    found = fetch_and_hash(client, repo, commit, file, partial, on_progress);
  }
  if (found != *file.digest) {
    partial.remove();
    throw Error(Errc::corrupt_file, "{}/{}: the content is wrong twice: its digest is {}, the hub names {}",
                repo.text(), file.path.text(), found.hex(), file.digest->hex());
  }
  partial.publish(store.blob(repo, *file.digest));
  on_progress(file.n_bytes);
}

}  // namespace

void download_blob(HubClient& client, ModelStore& store, const RepoId& repo, const Commit& commit,
                   const HubFile& file, const std::function<void(uint64_t)>& on_progress) {
  RUVLLM_ASSERT(file.digest.has_value());
  // Held until the link is made, so that an `rm` beside this never takes the blob for one that nobody needs.
  const FileDescriptor lock = wait_for_lock(client, store, repo, file);
  if (!store.has_blob(repo, *file.digest, file.n_bytes))
    fetch_blob(client, store, repo, commit, file, on_progress);
  store.link(repo, commit, file.path, *file.digest);
}

}  // namespace ruvllm::hub
