#include "net/http_client.h"

#include "base/error.h"
#include "base/strings.h"
#include "base/utf8.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace ruvllm::net {
namespace {

constexpr long kStallBytesPerSecond = 1024;
constexpr long kReceiveBufferBytes = 512 << 10;
constexpr uint64_t kMaxHeaderBytes = 256 << 10;
constexpr std::chrono::milliseconds kInterruptLatency{100};

Failure failure_of(CURLcode code) {
  switch (code) {
    case CURLE_OK:
      return Failure::none;
    case CURLE_COULDNT_RESOLVE_HOST:
      return Failure::resolve;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
      return Failure::proxy;
    case CURLE_COULDNT_CONNECT:
      return Failure::connect;
    case CURLE_OPERATION_TIMEDOUT:
      return Failure::timeout;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return Failure::tls;
    default:
      return Failure::dropped;
  }
}

// What of a header may be shown: never a credential, never a signed address.
std::string shown(const std::string& name, const std::string& value) {
  const std::string lower = to_lower(name);
  if (lower == "authorization" || lower == "proxy-authorization" || lower == "cookie" ||
      lower == "set-cookie" || lower.find("token") != std::string::npos)
    return "<hidden>";
  if (const size_t query = value.find('?'); query != std::string::npos)
    return printable(value.substr(0, query)) + "?...";
  return printable(value);
}

}  // namespace

void Headers::add(std::string_view name, std::string_view value) {
  fields_.emplace_back(std::string(name), std::string(value));
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
  const std::string wanted = to_lower(name);
  for (auto field = fields_.rbegin(); field != fields_.rend(); ++field)
    if (to_lower(field->first) == wanted) return field->second;
  return std::nullopt;
}

struct HttpClient::Transfer {
  HttpRequest request;
  Done done;
  HttpResult result;
  std::function<void(const std::string&)> log;
  CURL* easy = nullptr;
  curl_slist* fields = nullptr;
  char reason[CURL_ERROR_SIZE] = {};
  uint64_t n_header_bytes = 0;
  uint64_t n_received = 0;
  uint64_t n_sent = 0;
  bool head_told = false;
  std::exception_ptr thrown;

  Transfer() = default;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() {
    if (easy) curl_easy_cleanup(easy);
    curl_slist_free_all(fields);
  }

  bool stop(Failure failure, std::string why) {
    result.failure = failure;
    result.reason = std::move(why);
    return false;
  }

  // Callbacks run inside libcurl, which an exception must not cross: it waits in `thrown`.
  template <typename Function>
  bool guarded(Function&& function) {
    try {
      return function();
    } catch (...) {
      thrown = std::current_exception();
      return false;
    }
  }

  bool header_line(std::string_view line) {
    n_header_bytes += line.size();
    if (n_header_bytes > kMaxHeaderBytes) return stop(Failure::too_large, "the answer's header is too large");
    line = trim(line);
    if (line.substr(0, 5) == "HTTP/") {
      result.response.headers.clear();
      return true;
    }
    if (line.empty()) return end_of_header();
    if (const size_t colon = line.find(':'); colon != std::string_view::npos)
      result.response.headers.add(trim(line.substr(0, colon)), trim(line.substr(colon + 1)));
    return true;
  }

  // Interim answers (100, a proxy's 200 to CONNECT) end with an empty line too.
  bool end_of_header() {
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200) return true;
    result.response.status = static_cast<int>(status);
    if (log) {
      log(fmt::format("< {} {}", status, request.url.without_query()));
      for (const auto& [name, value] : result.response.headers.fields())
        log(fmt::format("<   {}: {}", printable(name), shown(name, value)));
    }
    if (!request.on_head || head_told) return true;
    head_told = true;
    return request.on_head(result.response) || stop(Failure::stopped, "stopped");
  }

  bool body_piece(std::span<const std::byte> bytes) {
    n_received += bytes.size();
    if (n_received > request.max_body_bytes)
      return stop(Failure::too_large,
                  fmt::format("the answer is larger than {} bytes", request.max_body_bytes));
    if (request.on_body) return request.on_body(bytes) || stop(Failure::stopped, "stopped");
    result.response.body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return true;
  }

  size_t read_file_slice(char* buffer, size_t n_wanted) {
    const uint64_t left = request.file->n_bytes - n_sent;
    const ssize_t n_read = ::pread(request.file->descriptor, buffer, std::min<uint64_t>(n_wanted, left),
                                   static_cast<off_t>(request.file->offset + n_sent));
    if (n_read < 0) throw system_error(errno, "the file to upload");
    if (n_read == 0 && left > 0)
      throw Error(Errc::failed, "the file to upload became shorter while it was read");
    n_sent += static_cast<uint64_t>(n_read);
    if (request.on_sent) request.on_sent(n_sent);
    return static_cast<size_t>(n_read);
  }
};

namespace {

template <typename T>
size_t on_header(char* data, size_t size, size_t count, void* transfer) {
  T& self = *static_cast<T*>(transfer);
  return self.guarded([&] { return self.header_line({data, size * count}); }) ? size * count : 0;
}

template <typename T>
size_t on_body(char* data, size_t size, size_t count, void* transfer) {
  T& self = *static_cast<T*>(transfer);
  const std::span bytes(data, size * count);
  return self.guarded([&] { return self.body_piece(std::as_bytes(bytes)); }) ? size * count : 0;
}

template <typename T>
size_t on_read(char* buffer, size_t size, size_t count, void* transfer) {
  T& self = *static_cast<T*>(transfer);
  size_t n_read = 0;
  const bool fine = self.guarded([&] {
    n_read = self.read_file_slice(buffer, size * count);
    return true;
  });
  return fine ? n_read : CURL_READFUNC_ABORT;
}

// libcurl rewinds a body when it has to send it again on a fresh connection.
template <typename T>
int on_seek(void* transfer, curl_off_t offset, int origin) {
  if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_CANTSEEK;
  static_cast<T*>(transfer)->n_sent = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

}  // namespace

struct HttpClient::Impl {
  HttpSettings settings;
  CURLM* multi = nullptr;
  std::map<uint64_t, std::unique_ptr<Transfer>> running;
  uint64_t next_id = 1;

  explicit Impl(HttpSettings given) : settings(std::move(given)) {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    multi = curl_multi_init();
    if (!multi) throw Error(Errc::failed, "libcurl could not be started");
  }
  ~Impl() {
    for (auto& [id, transfer] : running) curl_multi_remove_handle(multi, transfer->easy);
    running.clear();
    curl_multi_cleanup(multi);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void check_interrupt() const {
    if (settings.interrupted && settings.interrupted->load()) throw Error(Errc::interrupted, "interrupted");
  }

  void set_up(Transfer& transfer);
  void set_body(Transfer& transfer);
  void finish(CURL* easy, CURLcode code);
};

void HttpClient::Impl::set_body(Transfer& transfer) {
  CURL* easy = transfer.easy;
  const HttpRequest& request = transfer.request;
  if (request.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (request.file) {
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.file->n_bytes));
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, &on_read<Transfer>);
    curl_easy_setopt(easy, CURLOPT_READDATA, &transfer);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, &on_seek<Transfer>);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, &transfer);
  } else if (request.method == "POST" || request.method == "PUT") {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  if (request.method != "GET" && request.method != "HEAD")
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

void HttpClient::Impl::set_up(Transfer& transfer) {
  CURL* easy = transfer.easy;
  const HttpRequest& request = transfer.request;
  curl_easy_setopt(easy, CURLOPT_URL, request.url.text().c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(
      easy, CURLOPT_HTTP_VERSION,
      static_cast<long>(request.own_connection ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
  curl_easy_setopt(easy, CURLOPT_USERAGENT, settings.user_agent.c_str());
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
  curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, kReceiveBufferBytes);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings.connect_timeout.count()));
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, kStallBytesPerSecond);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, static_cast<long>(settings.stall_timeout.count()));
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer.reason);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &on_header<Transfer>);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &on_body<Transfer>);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  if (!settings.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, settings.ca_file.c_str());
  set_body(transfer);
  for (const auto& [name, value] : request.headers.fields())
    transfer.fields = curl_slist_append(transfer.fields, fmt::format("{}: {}", name, value).c_str());
  transfer.fields = curl_slist_append(transfer.fields, "Expect:");  // no pause for "100 Continue"
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer.fields);
}

void HttpClient::Impl::finish(CURL* easy, CURLcode code) {
  const auto found =
      std::find_if(running.begin(), running.end(), [&](auto& one) { return one.second->easy == easy; });
  RUVLLM_ASSERT(found != running.end());
  const std::unique_ptr<Transfer> transfer = std::move(found->second);
  running.erase(found);
  curl_multi_remove_handle(multi, easy);
  if (transfer->thrown) std::rethrow_exception(transfer->thrown);
  HttpResult& result = transfer->result;
  if (result.failure == Failure::none && code != CURLE_OK) {
    result.failure = failure_of(code);
    result.reason = transfer->reason[0] ? printable(transfer->reason) : curl_easy_strerror(code);
    long proxy_status = 0;
    curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    if (proxy_status >= 400) result.failure = Failure::proxy;
    if (settings.log) settings.log(fmt::format("< failed: {}", result.reason));
  }
  if (result.failure == Failure::none && result.response.status == 0) {
    result.failure = Failure::dropped;
    result.reason = "the connection closed without an answer";
  }
  transfer->done(std::move(result));
}

HttpClient::HttpClient(HttpSettings settings) : impl_(std::make_unique<Impl>(std::move(settings))) {}
HttpClient::~HttpClient() = default;

uint64_t HttpClient::start(HttpRequest request, Done done) {
  auto transfer = std::make_unique<Transfer>();
  transfer->request = std::move(request);
  transfer->done = std::move(done);
  transfer->log = impl_->settings.log;
  transfer->easy = curl_easy_init();
  if (!transfer->easy) throw Error(Errc::failed, "libcurl could not start a request");
  impl_->set_up(*transfer);
  if (transfer->log) {
    transfer->log(fmt::format("> {} {}", transfer->request.method, transfer->request.url.without_query()));
    for (const auto& [name, value] : transfer->request.headers.fields())
      transfer->log(fmt::format(">   {}: {}", name, shown(name, value)));
  }
  if (curl_multi_add_handle(impl_->multi, transfer->easy) != CURLM_OK)
    throw Error(Errc::failed, "libcurl could not start a request");
  const uint64_t id = impl_->next_id++;
  impl_->running.emplace(id, std::move(transfer));
  return id;
}

void HttpClient::cancel(uint64_t id) {
  const auto found = impl_->running.find(id);
  if (found == impl_->running.end()) return;
  curl_multi_remove_handle(impl_->multi, found->second->easy);
  impl_->running.erase(found);
}

void HttpClient::cancel_all() {
  while (!impl_->running.empty()) cancel(impl_->running.begin()->first);
}

size_t HttpClient::n_running() const { return impl_->running.size(); }

void HttpClient::step(std::chrono::milliseconds longest) {
  impl_->check_interrupt();
  int n_still_running = 0;
  if (const CURLMcode code = curl_multi_perform(impl_->multi, &n_still_running); code != CURLM_OK)
    throw Error(Errc::failed, "libcurl: {}", curl_multi_strerror(code));
  int n_messages = 0;
  bool finished_any = false;
  while (const CURLMsg* message = curl_multi_info_read(impl_->multi, &n_messages)) {
    if (message->msg != CURLMSG_DONE) continue;
    finished_any = true;
    impl_->finish(message->easy_handle, message->data.result);
  }
  if (finished_any || impl_->running.empty()) return;
  curl_multi_poll(impl_->multi, nullptr, 0, static_cast<int>(std::min(longest, kInterruptLatency).count()),
                  nullptr);
}

HttpResult HttpClient::send(HttpRequest request) {
  std::optional<HttpResult> result;
  const uint64_t id = start(std::move(request), [&](HttpResult got) { result = std::move(got); });
  try {
    while (!result) step(kInterruptLatency);
  } catch (...) {
    cancel(id);  // its `done` refers to this frame
    throw;
  }
  return std::move(*result);
}

void HttpClient::sleep(std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  for (;;) {
    impl_->check_interrupt();
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return;
    std::this_thread::sleep_for(std::min(left, kInterruptLatency));
  }
}

}  // namespace ruvllm::net
