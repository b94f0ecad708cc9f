#include "hub/fake_hub.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace ruvllm::test {
namespace {

using Json = nlohmann::json;

constexpr size_t kSendBytes = 256 << 10;

std::string hex_digest(const EVP_MD* algorithm, std::string_view text) {
  unsigned char raw[EVP_MAX_MD_SIZE];
  unsigned n_raw = 0;
  EVP_Digest(text.data(), text.size(), raw, &n_raw, algorithm, nullptr);
  std::string hex;
  for (unsigned i = 0; i < n_raw; ++i) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", raw[i]);
    hex += two;
  }
  return hex;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string decoded(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      plain += static_cast<char>(std::strtol(text.substr(i + 1, 2).c_str(), nullptr, 16));
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::string from_base64(const std::string& text) {
  std::string plain(text.size(), '\0');
  const int n =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(plain.data()),
                      reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  const auto padding = static_cast<int>(std::count(text.begin(), text.end(), '='));
  plain.resize(n < padding ? 0 : static_cast<size_t>(n - padding));
  return plain;
}

int listen_on_loopback(int& port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(descriptor, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(descriptor, 128) != 0 ||
      ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("no port on loopback");
  port = ntohs(address.sin_port);
  return descriptor;
}

HubReply json_reply(const Json& body) {
  HubReply reply;
  reply.set("Content-Type", "application/json");
  reply.body = body.dump();
  return reply;
}

HubReply error_reply(int status, const std::string& code) {
  HubReply reply;
  reply.status = status;
  if (!code.empty()) reply.set("X-Error-Code", code);
  reply.set("X-Request-Id", "Root=1-test");
  reply.body = "{\"error\":\"" + code + "\"}";
  return reply;
}

}  // namespace

std::string sha256_hex(std::string_view text) { return hex_digest(EVP_sha256(), text); }

std::string git_blob_hex(std::string_view text) {
  std::string whole = "blob " + std::to_string(text.size());
  whole += '\0';
  whole += text;
  return hex_digest(EVP_sha1(), whole);
}

void HubReply::set(const std::string& name, const std::string& value) {
  erase(name);
  headers.emplace_back(name, value);
}

void HubReply::erase(const std::string& name) {
  std::erase_if(headers, [&](const auto& field) { return lower(field.first) == lower(name); });
}

// A socket, plain or encrypted, with a buffer for what was read too far.
class FakeHub::Connection {
 public:
  Connection(int descriptor, SSL_CTX* context) : descriptor_(descriptor) {
    const int on = 1;
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!context) return;
    ssl_ = SSL_new(context);
    SSL_set_fd(ssl_, descriptor);
    good_ = SSL_accept(ssl_) == 1;
  }
  ~Connection() {
    if (ssl_) {
      SSL_shutdown(ssl_);
      SSL_free(ssl_);
    }
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool good() const { return good_; }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ssl_ ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                          : ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

  bool receive() {
    char buffer[64 << 10];
    const auto n =
        ssl_ ? SSL_read(ssl_, buffer, sizeof buffer) : ::recv(descriptor_, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    buffer_.append(buffer, static_cast<size_t>(n));
    return true;
  }

  // Whether the other side has gone away meanwhile.
  bool gone() const {
    char byte;
    return ::recv(descriptor_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
  }

  std::optional<HubRequest> read_request() {
    size_t end;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
      if (!receive()) return std::nullopt;
    HubRequest request;
    std::string head = buffer_.substr(0, end + 2);
    buffer_.erase(0, end + 4);
    size_t line_end = head.find("\r\n");
    const std::string first = head.substr(0, line_end);
    request.method = first.substr(0, first.find(' '));
    request.target = first.substr(first.find(' ') + 1);
    request.target = request.target.substr(0, request.target.find(' '));
    for (size_t at = line_end + 2; at < head.size(); at = line_end + 2) {
      line_end = head.find("\r\n", at);
      const std::string line = head.substr(at, line_end - at);
      const size_t colon = line.find(':');
      if (colon != std::string::npos)
        request.headers[lower(line.substr(0, colon))] = line.substr(line.find_first_not_of(' ', colon + 1));
    }
    const size_t length = std::strtoull(request.header("content-length").c_str(), nullptr, 10);
    while (buffer_.size() < length)
      if (!receive()) return std::nullopt;
    request.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    return request;
  }

 private:
  int descriptor_;
  SSL* ssl_ = nullptr;
  bool good_ = true;
  std::string buffer_;
};

FakeHub::FakeHub(std::optional<Tls> tls) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  if (tls) use_certificate(*tls);
  hub_socket_ = listen_on_loopback(hub_port_);
  storage_socket_ = listen_on_loopback(storage_port_);
  listeners_.emplace_back([this] { listen(hub_socket_, false); });
  listeners_.emplace_back([this] { listen(storage_socket_, true); });
}

void FakeHub::use_certificate(const Tls& tls) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate_chain_file(context, tls.certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, tls.key.c_str(), SSL_FILETYPE_PEM) != 1)
    throw std::runtime_error("the test's certificate can't be used");
  const std::lock_guard lock(mutex_);
  tls_contexts_.push_back(context);
}

FakeHub::~FakeHub() {
  stopping_ = true;
  ::shutdown(hub_socket_, SHUT_RDWR);
  ::shutdown(storage_socket_, SHUT_RDWR);
  for (std::thread& listener : listeners_) listener.join();
  {
    const std::lock_guard lock(mutex_);
    for (const int descriptor : open_) ::shutdown(descriptor, SHUT_RDWR);
  }
  for (std::thread& server : servers_) server.join();
  for (const int descriptor : open_) ::close(descriptor);
  ::close(hub_socket_);
  ::close(storage_socket_);
  for (void* context : tls_contexts_) SSL_CTX_free(static_cast<SSL_CTX*>(context));
}

std::string FakeHub::endpoint(const std::string& host) const {
  return (tls_contexts_.empty() ? "http://" : "https://") + host + ":" + std::to_string(hub_port_);
}
std::string FakeHub::storage() const {
  return std::string(tls_contexts_.empty() ? "http" : "https") +
         "://127.0.0.1:" + std::to_string(storage_port_);
}

void FakeHub::listen(int descriptor, bool at_storage) {
  while (!stopping_) {
    const int accepted = ::accept4(descriptor, nullptr, nullptr, SOCK_CLOEXEC);
    if (accepted < 0) continue;
    const std::lock_guard lock(mutex_);
    open_.push_back(accepted);
    servers_.emplace_back([this, accepted, at_storage] { serve(accepted, at_storage); });
  }
}

void FakeHub::serve(int descriptor, bool at_storage) {
  {
    SSL_CTX* context = nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (!tls_contexts_.empty()) context = static_cast<SSL_CTX*>(tls_contexts_.back());
    }
    Connection connection(descriptor, context);
    while (connection.good() && !stopping_) {
      std::optional<HubRequest> request = connection.read_request();
      if (!request) break;
      request->at_storage = at_storage;
      if (!answer(connection, *request)) break;
    }
  }
  ::shutdown(descriptor, SHUT_RDWR);
}

// Sends an answer with its faults; false where the connection is to be closed.
bool FakeHub::answer(Connection& connection, const HubRequest& request) {
  Script script;
  Arrival arrival;
  {
    const std::lock_guard lock(mutex_);
    script = script_;
    arrival = arrival_;
  }
  if (arrival && !arrival(request)) return false;
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }
  HubReply reply = reply_to(request);
  if (script) reply = script(request, std::move(reply));
  if (reply.no_answer) return false;
  std::string head = "HTTP/1.1 " + std::to_string(reply.status) + " Test\r\n";
  for (const auto& [name, value] : reply.headers) head += name + ": " + value + "\r\n";
  if (reply.chunked)
    head += "Transfer-Encoding: chunked\r\n";
  else
    head += "Content-Length: " + std::to_string(reply.content_length.value_or(reply.n_bytes())) + "\r\n";
  if (!connection.send(head + "\r\n")) return false;
  if (request.method == "HEAD") return true;
  const std::string_view body =
      reply.content ? std::string_view(*reply.content).substr(reply.begin, reply.end - reply.begin)
                    : std::string_view(reply.body);
  size_t piece_bytes = kSendBytes;
  if (reply.bytes_per_second) piece_bytes = std::max<uint64_t>(1, reply.bytes_per_second / 10);
  for (size_t at = 0; at < body.size();) {
    size_t n = std::min(piece_bytes, body.size() - at);
    if (reply.drop_after) n = std::min<uint64_t>(n, *reply.drop_after - at);
    if (reply.stall_after) n = std::min<uint64_t>(n, *reply.stall_after - at);
    std::string piece(body.substr(at, n));
    if (reply.flip_bit_at && *reply.flip_bit_at >= at && *reply.flip_bit_at < at + n)
      piece[*reply.flip_bit_at - at] ^= 1;
    if (reply.chunked) {
      char size[32];
      std::snprintf(size, sizeof size, "%zx\r\n", n);
      piece = size + piece + "\r\n";
    }
    if (n > 0 && !connection.send(piece)) return false;
    if (reply.content) content_bytes_ += n;
    at += n;
    if (reply.drop_after && at >= *reply.drop_after) return false;
    while (reply.stall_after && at >= *reply.stall_after && !stopping_ && !connection.gone())
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (reply.stall_after && at >= *reply.stall_after) return false;
    if (reply.bytes_per_second)
      std::this_thread::sleep_for(std::chrono::milliseconds(1000 * n / reply.bytes_per_second));
  }
  if (reply.chunked && !connection.send("0\r\n\r\n")) return false;
  return !reply.content_length || *reply.content_length == body.size();
}

void FakeHub::touch(const std::string& repo) {
  std::string all;
  for (const auto& [path, file] : repos_[repo]) all += path + file.digest;
  commits_[repo] = hex_digest(EVP_sha1(), all);
}

void FakeHub::add(const std::string& repo, const std::string& path, std::string content, bool large) {
  const std::string digest = large ? sha256_hex(content) : git_blob_hex(content);
  const std::lock_guard lock(mutex_);
  repos_[repo][path] = {std::make_shared<const std::string>(std::move(content)), digest, large};
  touch(repo);
}

std::string FakeHub::commit(const std::string& repo) const {
  const std::lock_guard lock(mutex_);
  return commits_.at(repo);
}
std::string FakeHub::digest(const std::string& repo, const std::string& path) const {
  const std::lock_guard lock(mutex_);
  return repos_.at(repo).at(path).digest;
}
std::map<std::string, std::string> FakeHub::files(const std::string& repo) const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::string> all;
  for (const auto& [path, file] : repos_.at(repo)) all[path] = *file.content;
  return all;
}
void FakeHub::set_script(Script script) {
  const std::lock_guard lock(mutex_);
  script_ = std::move(script);
}
void FakeHub::set_arrival(Arrival arrival) {
  const std::lock_guard lock(mutex_);
  arrival_ = std::move(arrival);
}
std::vector<HubRequest> FakeHub::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}
void FakeHub::forget_requests() {
  const std::lock_guard lock(mutex_);
  requests_.clear();
}
void FakeHub::set_upload_part_bytes(uint64_t n_bytes) {
  const std::lock_guard lock(mutex_);
  part_bytes_ = n_bytes;
}

HubReply FakeHub::reply_to(const HubRequest& request) {
  const std::lock_guard lock(mutex_);
  if (request.at_storage)
    return request.method == "PUT" || request.method == "POST" ? upload(request) : stored(request);
  if (request.path().find("/resolve/") != std::string::npos) return resolve(request);
  return api(request);
}

HubReply FakeHub::content_reply(const HubRequest& request, const File& file) const {
  HubReply reply;
  reply.content = file.content;
  reply.begin = 0;
  reply.end = file.content->size();
  reply.set("ETag", "\"" + file.digest + "\"");
  reply.set("Accept-Ranges", "bytes");
  unsigned long long first = 0, last = 0;
  if (std::sscanf(request.header("range").c_str(), "bytes=%llu-%llu", &first, &last) == 2) {
    if (first >= file.content->size()) return error_reply(416, "");
    reply.status = 206;
    reply.begin = first;
    reply.end = std::min<uint64_t>(last + 1, file.content->size());
    reply.set("Content-Range", "bytes " + std::to_string(reply.begin) + "-" + std::to_string(reply.end - 1) +
                                   "/" + std::to_string(file.content->size()));
  }
  return reply;
}

// "/ORG/NAME/resolve/COMMIT/PATH": small files at once, large ones at the storage host with a signature.
HubReply FakeHub::resolve(const HubRequest& request) {
  const std::string path = request.path();
  const size_t at = path.find("/resolve/");
  const std::string repo = path.substr(1, at - 1);
  const std::string rest = path.substr(at + 9);
  const std::string revision = rest.substr(0, rest.find('/'));
  const auto files = repos_.find(repo);
  if (files == repos_.end()) return error_reply(404, "RepoNotFound");
  if (revision != "main" && revision != commits_[repo]) return error_reply(404, "RevisionNotFound");
  const auto file = files->second.find(decoded(rest.substr(rest.find('/') + 1)));
  if (file == files->second.end()) return error_reply(404, "EntryNotFound");
  HubReply reply;
  if (file->second.large) {
    reply.status = 302;
    reply.set("Location", storage() + "/object/" + file->second.digest + "?Signature=CANARYSIGNATURE");
    reply.set("X-Linked-Etag", "\"" + file->second.digest + "\"");
    reply.set("X-Linked-Size", std::to_string(file->second.content->size()));
  } else {
    reply = content_reply(request, file->second);
  }
  reply.set("X-Repo-Commit", commits_[repo]);
  return reply;
}

HubReply FakeHub::stored(const HubRequest& request) {
  const std::string digest = request.path().substr(request.path().rfind('/') + 1);
  for (const auto& [repo, files] : repos_)
    for (const auto& [path, file] : files)
      if (file.digest == digest) return content_reply(request, file);
  return error_reply(404, "");
}

HubReply FakeHub::tree(const std::string& repo) {
  Json entries = Json::array();
  for (const auto& [path, file] : repos_[repo]) {
    Json entry = {{"type", "file"},
                  {"path", path},
                  {"size", file.content->size()},
                  {"oid", git_blob_hex(*file.content)}};
    if (file.large) {
      entry["oid"] = std::string(40, 'a');
      entry["lfs"] = {{"oid", file.digest}, {"size", file.content->size()}, {"pointerSize", 134}};
    }
    entries.push_back(entry);
  }
  return json_reply(entries);
}

HubReply FakeHub::api(const HubRequest& request) {
  const std::string path = request.path();
  if (path == "/api/repos/create" && request.method == "POST") {
    const Json body = Json::parse(request.body);
    const std::string repo = body.value("organization", "user") + "/" + body.value("name", "");
    if (repos_.count(repo)) return error_reply(409, "");
    repos_[repo] = {};
    touch(repo);
    return json_reply({{"url", endpoint() + "/" + repo}});
  }
  if (const size_t lfs = path.find(".git/info/lfs/objects/batch"); lfs != std::string::npos)
    return batch(request, path.substr(1, lfs - 1));
  if (path.find("/verify") != std::string::npos) return json_reply(Json::object());
  constexpr std::string_view kModels = "/api/models/";
  if (!path.starts_with(kModels)) return error_reply(404, "");
  const std::string rest = path.substr(kModels.size());
  const size_t second = rest.find('/', rest.find('/') + 1);
  const std::string repo = rest.substr(0, second);
  const std::string action =
      second == std::string::npos ? "" : rest.substr(second + 1, rest.find('/', second + 1) - second - 1);
  const std::string revision = decoded(rest.substr(rest.rfind('/') + 1));
  if (!repos_.count(repo))
    return error_reply(request.header("authorization").empty() ? 401 : 404, "RepoNotFound");
  if (revision != "main" && revision != commits_[repo]) return error_reply(404, "RevisionNotFound");
  if (action == "revision")
    return json_reply({{"id", repo}, {"sha", commits_[repo]}, {"siblings", Json::array()}});
  if (action == "tree") return tree(repo);
  if (action == "commit") return commit_push(request, repo);
  if (action == "preupload") {
    Json files = Json::array();
    const Json asked = Json::parse(request.body);
    for (const Json& file : asked.at("files")) {
      const std::string name = file.at("path");
      const bool large = name.ends_with(".gguf") || name.ends_with(".safetensors") || name.ends_with(".bin");
      files.push_back({{"path", name}, {"uploadMode", large ? "lfs" : "regular"}, {"shouldIgnore", false}});
    }
    return json_reply({{"files", files}});
  }
  return error_reply(404, "");
}

HubReply FakeHub::batch(const HubRequest& request, const std::string& repo) {
  Json objects = Json::array();
  const Json asked = Json::parse(request.body);
  for (const Json& object : asked.at("objects")) {
    const std::string oid = object.at("oid");
    const uint64_t size = object.at("size");
    Json answer = {{"oid", oid}, {"size", size}};
    if (!objects_.count(oid)) {
      const std::string address = storage() + "/upload/" + oid;
      Json upload = {{"href", address + "?Signature=CANARYSIGNATURE"}};
      if (part_bytes_ > 0 && size > part_bytes_) {
        Json parts = {{"chunk_size", std::to_string(part_bytes_)}};
        for (uint64_t i = 0; i * part_bytes_ < size; ++i)
          parts[std::to_string(i + 1)] = address + "/" + std::to_string(i + 1) + "?Signature=CANARYSIGNATURE";
        upload["header"] = parts;
      }
      answer["actions"] = {{"upload", upload}, {"verify", {{"href", endpoint() + "/" + repo + "/verify"}}}};
    }
    objects.push_back(answer);
  }
  return json_reply({{"transfer", part_bytes_ > 0 ? "multipart" : "basic"}, {"objects", objects}});
}

// "/upload/OID" the whole, "/upload/OID/N" a part, POST "/upload/OID" the end of a multipart upload.
HubReply FakeHub::upload(const HubRequest& request) {
  const std::string rest = request.path().substr(std::strlen("/upload/"));
  const std::string oid = rest.substr(0, rest.find('/'));
  HubReply reply;
  if (request.method == "PUT" && rest.find('/') != std::string::npos) {
    const int number = std::atoi(rest.substr(rest.find('/') + 1).c_str());
    parts_[oid][number] = request.body;
    reply.set("ETag", "\"" + sha256_hex(request.body).substr(0, 32) + "\"");
    return reply;
  }
  std::string whole = request.body;
  if (request.method == "POST") {
    whole.clear();
    const Json sent = Json::parse(request.body);
    for (const Json& part : sent.at("parts")) {
      const std::string& piece = parts_[oid][part.at("partNumber").get<int>()];
      if (part.at("etag") != "\"" + sha256_hex(piece).substr(0, 32) + "\"") return error_reply(400, "");
      whole += piece;
    }
  }
  if (sha256_hex(whole) != oid) return error_reply(400, "");
  objects_[oid] = std::make_shared<const std::string>(std::move(whole));
  return reply;
}

HubReply FakeHub::commit_push(const HubRequest& request, const std::string& repo) {
  size_t at = 0;
  while (at < request.body.size()) {
    const size_t end = std::min(request.body.find('\n', at), request.body.size());
    const Json line = Json::parse(request.body.substr(at, end - at));
    at = end + 1;
    const Json& value = line.at("value");
    if (line.at("key") == "file") {
      std::string content = from_base64(value.at("content"));
      const std::string digest = git_blob_hex(content);
      repos_[repo][value.at("path")] = {std::make_shared<const std::string>(std::move(content)), digest,
                                        false};
    } else if (line.at("key") == "lfsFile") {
      const std::string oid = value.at("oid");
      if (!objects_.count(oid)) return error_reply(400, "");
      repos_[repo][value.at("path")] = {objects_[oid], oid, true};
    }
  }
  touch(repo);
  return json_reply({{"success", true},
                     {"commitOid", commits_[repo]},
                     {"commitUrl", endpoint() + "/" + repo + "/commit/" + commits_[repo]}});
}

}  // namespace ruvllm::test
