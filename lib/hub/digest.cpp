#include "hub/digest.h"

#include "base/error.h"
#include "base/strings.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace ruvllm::hub {
namespace {

constexpr size_t kSha256Digits = 64;
constexpr size_t kSha1Digits = 40;
constexpr size_t kReadBytes = 1 << 20;

bool is_lower_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

std::optional<Digest> Digest::parse(std::string_view hex) {
  if ((hex.size() != kSha256Digits && hex.size() != kSha1Digits) || !is_lower_hex(hex)) return std::nullopt;
  return Digest(hex);
}

std::optional<Digest> Digest::from_etag(std::string_view etag) {
  etag = trim(etag);
  if (etag.substr(0, 2) == "W/") etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return parse(etag);
}

std::optional<Commit> Commit::parse(std::string_view hex) {
  if (hex.size() != kSha1Digits || !is_lower_hex(hex)) return std::nullopt;
  return Commit(hex);
}

struct ContentHasher::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

ContentHasher::ContentHasher(DigestKind kind, uint64_t n_bytes) : state_(std::make_unique<State>()) {
  const EVP_MD* algorithm = kind == DigestKind::sha256 ? EVP_sha256() : EVP_sha1();
  if (!state_->context || EVP_DigestInit_ex(state_->context.get(), algorithm, nullptr) != 1)
    throw Error(Errc::failed, "the OpenSSL library offers no {}",
                kind == DigestKind::sha256 ? "SHA-256" : "SHA-1");
  if (kind == DigestKind::git_sha1) {
    std::string prefix = fmt::format("blob {}", n_bytes);
    prefix += '\0';
    update(std::as_bytes(std::span(prefix)));
  }
}

ContentHasher::~ContentHasher() = default;
ContentHasher::ContentHasher(ContentHasher&&) noexcept = default;

void ContentHasher::update(std::span<const std::byte> bytes) {
  RUVLLM_ASSERT(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
}

Digest ContentHasher::finish() {
  unsigned char raw[EVP_MAX_MD_SIZE];
  unsigned n_raw = 0;
  RUVLLM_ASSERT(EVP_DigestFinal_ex(state_->context.get(), raw, &n_raw) == 1);
  std::string hex;
  for (unsigned i = 0; i < n_raw; ++i) hex += fmt::format("{:02x}", raw[i]);
  const std::optional<Digest> digest = Digest::parse(hex);
  RUVLLM_ASSERT(digest.has_value());
  return *digest;
}

Digest hash_file(int descriptor, uint64_t n_bytes, DigestKind kind,
                 const std::function<void(uint64_t)>& on_bytes) {
  ContentHasher hasher(kind, n_bytes);
  std::vector<std::byte> buffer(kReadBytes);
  for (uint64_t offset = 0; offset < n_bytes;) {
    const ssize_t n_read =
        ::pread(descriptor, buffer.data(), std::min<uint64_t>(kReadBytes, n_bytes - offset),
                static_cast<off_t>(offset));
    if (n_read < 0 && errno == EINTR) continue;
    if (n_read < 0) throw system_error(errno, "reading a file to hash it");
    if (n_read == 0)
      throw Error(Errc::corrupt_file, "the file ends at byte {}, expected {} bytes", offset, n_bytes);
    hasher.update(std::span(buffer).first(static_cast<size_t>(n_read)));
    offset += static_cast<uint64_t>(n_read);
    if (on_bytes) on_bytes(static_cast<uint64_t>(n_read));
  }
  return hasher.finish();
}

}  // namespace ruvllm::hub
