// Content digests as a hub names them, and the only way from outside text to one: a Digest is 64 (SHA-256,
// large files) or 40 (git blob SHA-1, small files) lower-case hex digits or it does not exist. Blob file
// names are made from Digests and from nothing else, so no answer of a hub can name another path. Tested by
// tests/hub/names_test.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ruvllm::hub {

enum class DigestKind { sha256, git_sha1 };

class Digest {
 public:
  static std::optional<Digest> parse(std::string_view hex);
  /// From an ETag header: `W/` and quotes are taken off first.
  static std::optional<Digest> from_etag(std::string_view etag);

  DigestKind kind() const { return hex_.size() == 64 ? DigestKind::sha256 : DigestKind::git_sha1; }
  const std::string& hex() const { return hex_; }
  bool operator==(const Digest&) const = default;
  auto operator<=>(const Digest&) const = default;

 private:
  explicit Digest(std::string_view hex) : hex_(hex) {}
  std::string hex_;
};

/// A commit of a repository: 40 lower-case hex digits.
class Commit {
 public:
  static std::optional<Commit> parse(std::string_view hex);
  const std::string& hex() const { return hex_; }
  bool operator==(const Commit&) const = default;
  auto operator<=>(const Commit&) const = default;

 private:
  explicit Commit(std::string_view hex) : hex_(hex) {}
  std::string hex_;
};

/// Hashes content that comes piece by piece. A git blob's hash begins with its length, so the size is told
/// first.
class ContentHasher {
 public:
  ContentHasher(DigestKind kind, uint64_t n_bytes);
  ~ContentHasher();
  ContentHasher(ContentHasher&&) noexcept;

  void update(std::span<const std::byte> bytes);
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The digest of an open file's first `n_bytes`; `on_bytes`, if set, is told of each step. Throws where the
/// file is shorter.
Digest hash_file(int descriptor, uint64_t n_bytes, DigestKind kind,
                 const std::function<void(uint64_t)>& on_bytes = {});

}  // namespace ruvllm::hub
