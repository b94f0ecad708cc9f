// A Hugging Face hub on loopback, in the test's own process: repositories in memory, the same answers,
// addresses and headers as the real one, a storage host on a second port, uploads. A test can replace or
// damage any answer: it sets `script`, which gets each request with the answer that would be given, and
// returns the one to give.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace ruvllm::test {

struct HubRequest {
  std::string method;
  std::string target;                          ///< path and query
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
  bool at_storage = false;  ///< came to the second port

  std::string path() const { return target.substr(0, target.find('?')); }
  bool is_file() const {
    return (at_storage || path().find("/resolve/") != std::string::npos) && method == "GET";
  }
  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
  }
};

/// An answer, and how it goes wrong on the way.
struct HubReply {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;                            ///< small bodies
  std::shared_ptr<const std::string> content;  ///< or a part of this one
  uint64_t begin = 0;
  uint64_t end = 0;

  std::optional<uint64_t> drop_after;      ///< close the connection after so many bytes of the body
  std::optional<uint64_t> stall_after;     ///< say nothing more after so many, but stay
  uint64_t bytes_per_second = 0;           ///< 0: as fast as it goes
  std::optional<uint64_t> flip_bit_at;     ///< damage the byte at this place of the body
  bool chunked = false;                    ///< Transfer-Encoding: chunked instead of Content-Length
  std::optional<uint64_t> content_length;  ///< say this length instead of the true one
  bool no_answer = false;                  ///< close at once

  uint64_t n_bytes() const { return content ? end - begin : body.size(); }
  void set(const std::string& name, const std::string& value);
  void erase(const std::string& name);
};

class FakeHub {
 public:
  struct Tls {
    std::string certificate;  ///< PEM files
    std::string key;
  };

  explicit FakeHub(std::optional<Tls> tls = std::nullopt);
  ~FakeHub();
  FakeHub(const FakeHub&) = delete;
  FakeHub& operator=(const FakeHub&) = delete;

  std::string endpoint(const std::string& host = "127.0.0.1") const;
  std::string storage() const;
  int port() const { return hub_port_; }
  /// Connections made from now on see this one. Only of a hub that was made with one.
  void use_certificate(const Tls& tls);

  /// Adds or replaces a file; `large` files get a SHA-256 and lie at the storage host. The repository's
  /// commit changes.
  void add(const std::string& repo, const std::string& path, std::string content, bool large);
  std::string commit(const std::string& repo) const;
  std::string digest(const std::string& repo, const std::string& path) const;
  /// The files of a repository after what was pushed to it.
  std::map<std::string, std::string> files(const std::string& repo) const;

  using Script = std::function<HubReply(const HubRequest&, HubReply)>;
  void set_script(Script script);
  /// Called before a request is dealt with; where it says false the request is dropped: nothing happens, and
  /// it gets no answer.
  using Arrival = std::function<bool(const HubRequest&)>;
  void set_arrival(Arrival arrival);
  std::vector<HubRequest> requests() const;
  void forget_requests();
  /// Bytes of file contents that were sent.
  uint64_t content_bytes() const { return content_bytes_; }
  void reset_content_bytes() { content_bytes_ = 0; }

  /// Multipart uploads: the size of a part, 0 for single uploads.
  void set_upload_part_bytes(uint64_t n_bytes);

 private:
  struct File {
    std::shared_ptr<const std::string> content;
    std::string digest;
    bool large = false;
  };
  using Files = std::map<std::string, File>;
  class Connection;

  void listen(int descriptor, bool at_storage);
  void serve(int descriptor, bool at_storage);
  bool answer(Connection& connection, const HubRequest& request);
  HubReply reply_to(const HubRequest& request);
  HubReply api(const HubRequest& request);
  HubReply resolve(const HubRequest& request);
  HubReply tree(const std::string& repo);
  HubReply stored(const HubRequest& request);
  HubReply batch(const HubRequest& request, const std::string& repo);
  HubReply upload(const HubRequest& request);
  HubReply commit_push(const HubRequest& request, const std::string& repo);
  void touch(const std::string& repo);
  HubReply content_reply(const HubRequest& request, const File& file) const;

  mutable std::mutex mutex_;
  std::map<std::string, Files> repos_;
  std::map<std::string, std::string> commits_;
  std::map<std::string, std::shared_ptr<const std::string>> objects_;  // uploaded, by SHA-256
  std::map<std::string, std::map<int, std::string>> parts_;            // of multipart uploads
  uint64_t part_bytes_ = 0;
  Script script_;
  Arrival arrival_;
  std::vector<HubRequest> requests_;
  std::atomic<uint64_t> content_bytes_{0};
  std::atomic<bool> stopping_{false};
  int hub_socket_ = -1;
  int storage_socket_ = -1;
  int hub_port_ = 0;
  int storage_port_ = 0;
  std::vector<void*> tls_contexts_;  // the last one is in use
  std::vector<std::thread> listeners_;
  std::vector<std::thread> servers_;
  std::vector<int> open_;
};

/// Lower-case hex SHA-256, and git's SHA-1 of a blob: written here on their own, since the code under test
/// has its own.
std::string sha256_hex(std::string_view text);
std::string git_blob_hex(std::string_view text);

}  // namespace ruvllm::test
