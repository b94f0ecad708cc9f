// HTTP requests over libcurl's multi interface: many at once from one thread, keep-alive, HTTP/2 for small
// answers, proxies and CA bundle from the environment.
//
// The client does exactly what it is told: it follows no redirect, adds no credentials and retries nothing,
// because who may be asked, and with which token, is decided above it (hub/hub_client.h). Failures of the
// transport are values here, not exceptions, since the caller retries most of them. Not thread-safe: one
// thread owns a client. Tested by tests/net/ and through tests/hub/.
#pragma once

#include "base/limits.h"
#include "net/url.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::net {

/// Header fields in the order they came; names are compared without case.
class Headers {
 public:
  void add(std::string_view name, std::string_view value);
  void clear() { fields_.clear(); }
  /// The value of the last field of that name, or nothing.
  std::optional<std::string_view> find(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

struct HttpResponse {
  int status = 0;
  Headers headers;
  std::string body;  ///< empty where the request had an on_body
};

/// Why a request ended without a whole answer.
enum class Failure { none, resolve, connect, tls, proxy, timeout, dropped, too_large, stopped };

struct HttpResult {
  HttpResponse response;
  Failure failure = Failure::none;
  std::string reason;  ///< one line for people; empty where there is no failure

  bool ok() const { return failure == Failure::none; }
};

/// A part of an open file to be sent as a body.
struct FileSlice {
  int descriptor = -1;
  uint64_t offset = 0;
  uint64_t n_bytes = 0;
};

struct HttpRequest {
  std::string method = "GET";
  Url url;
  Headers headers;
  std::string body;
  std::optional<FileSlice> file;  ///< the body instead of `body`
  uint64_t max_body_bytes = limits::kHubJsonBytes;
  /// Several of these to one host use a TCP connection each (HTTP/1.1): one stream seldom fills a fast link.
  bool own_connection = false;
  /// Called once the final header block is complete; false stops the request (Failure::stopped).
  std::function<bool(const HttpResponse&)> on_head;
  /// Takes the body piece by piece; false stops the request. What it throws is thrown from step().
  std::function<bool(std::span<const std::byte>)> on_body;
  /// Told how many bytes of the request's body have been sent.
  std::function<void(uint64_t)> on_sent;
};

struct HttpSettings {
  std::string user_agent;
  std::string ca_file;  ///< empty: the system's
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::seconds stall_timeout{30};  ///< less than 1 KiB/s for so long is Failure::timeout
  const std::atomic<bool>* interrupted = nullptr;
  /// Takes request and response lines; credentials and signatures are taken out before.
  std::function<void(const std::string&)> log;
};

class HttpClient {
 public:
  using Done = std::function<void(HttpResult)>;

  explicit HttpClient(HttpSettings settings);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// Begins a request; `done` is called from a later step(). Returns a number for cancel().
  uint64_t start(HttpRequest request, Done done);
  /// Drops a request; its `done` is not called.
  void cancel(uint64_t id);
  void cancel_all();
  size_t n_running() const;

  /// Moves every request on, waiting at most `longest` for something to happen. Throws what callbacks threw,
  /// and Errc::interrupted when the flag is up.
  void step(std::chrono::milliseconds longest);

  /// One request from beginning to end.
  HttpResult send(HttpRequest request);

  /// Sleeps, but for an interrupt, which it throws.
  void sleep(std::chrono::milliseconds time);

 private:
  struct Transfer;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ruvllm::net
