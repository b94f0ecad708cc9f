#include "hub/push.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/strings.h"
#include "base/utf8.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <utility>

namespace ruvllm::hub {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSampleBytes = 512;               // the hub judges by it whether a file is text
constexpr uint64_t kMaxInlineBytes = 32ull << 20;  // of a small file, which goes into the commit itself
constexpr const char* kLfsType = "application/vnd.git-lfs+json";

// A file that is to go up.
struct Upload {
  const PushFile* file = nullptr;
  FileDescriptor descriptor;
  uint64_t n_bytes = 0;
  std::optional<Digest> sha256;
  bool large = false;
};

std::string base64(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int n =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(n));
  return text;
}

std::string read_part(const Upload& upload, uint64_t n_bytes) {
  std::string text(std::min(n_bytes, upload.n_bytes), '\0');
  const ssize_t n_read = ::pread(upload.descriptor.get(), text.data(), text.size(), 0);
  if (n_read < 0 || static_cast<size_t>(n_read) != text.size())
    throw system_error(n_read < 0 ? errno : EIO, upload.file->local.string());
  return text;
}

Upload open_upload(const PushFile& file) {
  Upload upload;
  upload.file = &file;
  upload.descriptor = FileDescriptor(::open(file.local.c_str(), O_RDONLY | O_CLOEXEC));
  if (!upload.descriptor) throw system_error(errno, file.local.string());
  struct stat status {};
  if (::fstat(upload.descriptor.get(), &status) != 0) throw system_error(errno, file.local.string());
  if (!S_ISREG(status.st_mode)) throw Error(Errc::usage, "{} is not a plain file", file.local.string());
  upload.n_bytes = static_cast<uint64_t>(status.st_size);
  return upload;
}

net::HttpRequest post(net::Url url, std::string body, const char* type = "application/json") {
  net::HttpRequest request;
  request.method = "POST";
  request.url = std::move(url);
  request.body = std::move(body);
  request.headers.add("Content-Type", type);
  request.headers.add("Accept", type == std::string_view(kLfsType) ? kLfsType : "application/json");
  return request;
}

Json answer_json(const net::HttpResponse& response, std::string_view what) {
  try {
    Json json = parse_json(response.body, what);
    if (json.is_object()) return json;
  } catch (const Error&) {
  }
  throw Error(Errc::network, "the hub's {} is not what the protocol says", what);
}

// A member's text or nothing; the hub writes some numbers as text.
std::optional<std::string> text_of(const Json& object, const std::string& key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || found == object.end()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (found->is_number_unsigned()) return fmt::format("{}", found->get<uint64_t>());
  return std::nullopt;
}

// What is known of a multipart upload: where its parts go, and which have arrived.
struct Multipart {
  std::string href;
  uint64_t part_bytes = 0;
  std::map<uint64_t, std::string> urls;   // by part number, from 1
  std::map<uint64_t, std::string> etags;  // of parts that have arrived
};

std::optional<Multipart> parse_multipart(const Json& upload) {
  const auto header = upload.find("header");
  const auto href = text_of(upload, "href");
  if (!href || header == upload.end() || !header->is_object()) return std::nullopt;
  const auto size = text_of(*header, "chunk_size");
  const auto part_bytes = size ? parse_integer(*size) : std::nullopt;
  if (!part_bytes || *part_bytes <= 0) return std::nullopt;
  Multipart parts{*href, static_cast<uint64_t>(*part_bytes), {}, {}};
  for (const auto& [key, value] : header->items())
    if (const auto number = parse_integer(key); number && *number > 0 && value.is_string())
      parts.urls[static_cast<uint64_t>(*number)] = value.get<std::string>();
  return parts;
}

// Without actions the hub has the object already.
const Json* actions_of(const Json& object) {
  const auto actions = object.find("actions");
  return actions != object.end() && actions->is_object() ? &*actions : nullptr;
}

class Pusher {
 public:
  Pusher(HubClient& client, const PushRequest& request, PushObserver& observer)
      : client_(client),
        request_(request),
        observer_(observer),
        subject_{request.repo.text(), request.revision.text(), {}} {}

  PushResult run();

 private:
  void create_repository();
  void drop_unchanged(std::vector<Upload>& uploads);
  std::vector<Digest> hash_all(const std::vector<std::pair<const Upload*, DigestKind>>& files);
  void ask_modes(std::vector<Upload>& uploads);
  void send_large(std::vector<Upload>& uploads);
  void send_object(const Upload& upload, const Json& actions);
  void send_whole(const Upload& upload, const std::string& href);
  void send_parts(const Upload& upload, Multipart parts, bool fresh);
  Json batch(const std::vector<const Upload*>& uploads);
  void commit(const std::vector<Upload>& uploads);
  net::HttpResponse put(const Upload& upload, const std::string& href, uint64_t offset, uint64_t n_bytes);

  fs::path state_path(const Upload& upload) const;
  std::optional<Multipart> read_state(const Upload& upload) const;
  void write_state(const Upload& upload, const Multipart& parts) const;
  void forget_state(const Upload& upload) const;
  std::string api(std::string_view action) const {
    return fmt::format("api/models/{}/{}/{}", request_.repo.text(), action,
                       net::percent_encode(request_.revision.text(), false));
  }

  HubClient& client_;
  const PushRequest& request_;
  PushObserver& observer_;
  Subject subject_;
  PushResult result_;
};

void Pusher::create_repository() {
  const Json body = {{"type", "model"},
                     {"organization", request_.repo.organisation()},
                     {"name", request_.repo.name()},
                     {"private", request_.is_private}};
  constexpr int kExists = 409;
  client_.ask(post(client_.address("api/repos/create"), dump_json(body)), subject_, kExists);
}

// Leaves out what the hub lists with the same content.
void Pusher::drop_unchanged(std::vector<Upload>& uploads) {
  std::map<std::string, Digest> there;
  try {
    const Commit head = client_.resolve(request_.repo, request_.revision);
    for (const HubFile& file : client_.list(request_.repo, head).files)
      if (file.digest) there.emplace(file.path.text(), *file.digest);
  } catch (const Error& error) {
    if (error.code() != Errc::not_found) throw;  // a repository without a commit yet
  }
  std::vector<std::pair<const Upload*, DigestKind>> known;
  for (const Upload& upload : uploads)
    if (const auto found = there.find(upload.file->path.text()); found != there.end())
      known.emplace_back(&upload, found->second.kind());
  const std::vector<Digest> digests = hash_all(known);
  std::set<const Upload*> unchanged;
  for (size_t i = 0; i < known.size(); ++i)
    if (there.at(known[i].first->file->path.text()) == digests[i]) unchanged.insert(known[i].first);
  result_.n_unchanged = unchanged.size();
  std::vector<Upload> changed;
  for (Upload& upload : uploads)
    if (!unchanged.count(&upload)) changed.push_back(std::move(upload));
  uploads = std::move(changed);
}

std::vector<Digest> Pusher::hash_all(const std::vector<std::pair<const Upload*, DigestKind>>& files) {
  uint64_t n_bytes = 0;
  for (const auto& [upload, kind] : files) n_bytes += upload->n_bytes;
  observer_.begins(PushObserver::Doing::hashing, files.size(), n_bytes);
  std::vector<Digest> digests;
  for (const auto& [upload, kind] : files) {
    observer_.file_begins(upload->file->path, upload->n_bytes);
    uint64_t n_hashed = 0;
    digests.push_back(hash_file(upload->descriptor.get(), upload->n_bytes, kind, [&](uint64_t n) {
      observer_.file_advances(n_hashed += n);
      if (client_.settings().interrupted && client_.settings().interrupted->load())
        throw Error(Errc::interrupted, "interrupted");
    }));
    observer_.file_ends();
  }
  return digests;
}

void Pusher::ask_modes(std::vector<Upload>& uploads) {
  Json files = Json::array();
  for (const Upload& upload : uploads)
    files.push_back({{"path", upload.file->path.text()},
                     {"size", upload.n_bytes},
                     {"sample", base64(read_part(upload, kSampleBytes))}});
  const Json answer = answer_json(
      client_.ask(post(client_.address(api("preupload")), dump_json(Json{{"files", files}})), subject_),
      "answer to preupload");
  std::map<std::string, std::string> modes;
  if (const auto list = answer.find("files"); list != answer.end() && list->is_array())
    for (const Json& file : *list)
      modes[text_of(file, "path").value_or("")] = text_of(file, "uploadMode").value_or("");
  for (Upload& upload : uploads) {
    const std::string& mode = modes[upload.file->path.text()];
    if (mode != "lfs" && mode != "regular")
      throw Error(Errc::network, "the hub doesn't say how to upload {}", upload.file->path.text());
    upload.large = mode == "lfs";
    if (!upload.large && upload.n_bytes > kMaxInlineBytes)
      throw Error(Errc::network, "the hub wants {} ({}) inside the commit, which is too large for that",
                  upload.file->path.text(), format_bytes(upload.n_bytes));
  }
}

Json Pusher::batch(const std::vector<const Upload*>& uploads) {
  Json objects = Json::array();
  for (const Upload* upload : uploads)
    objects.push_back({{"oid", upload->sha256->hex()}, {"size", upload->n_bytes}});
  const Json body = {{"operation", "upload"},
                     {"transfers", {"basic", "multipart"}},
                     {"objects", objects},
                     {"hash_algo", "sha256"},
                     {"ref", {{"name", request_.revision.text()}}}};
  const net::Url url = client_.address(fmt::format("{}.git/info/lfs/objects/batch", request_.repo.text()));
  const Json answer =
      answer_json(client_.ask(post(url, dump_json(body), kLfsType), subject_), "answer to an upload");
  const auto list = answer.find("objects");
  if (list == answer.end() || !list->is_array())
    throw Error(Errc::network, "the hub's answer to an upload names no objects");
  return *list;
}

void Pusher::send_large(std::vector<Upload>& uploads) {
  std::vector<std::pair<const Upload*, DigestKind>> unhashed;
  for (const Upload& upload : uploads)
    if (upload.large) unhashed.emplace_back(&upload, DigestKind::sha256);
  if (unhashed.empty()) return;
  const std::vector<Digest> digests = hash_all(unhashed);
  std::vector<const Upload*> large;
  for (Upload& upload : uploads) {
    if (!upload.large) continue;
    upload.sha256 = digests[large.size()];
    large.push_back(&upload);
  }
  const Json objects = batch(large);
  std::vector<std::pair<const Upload*, const Json*>> lacking;
  uint64_t n_bytes = 0;
  for (const Upload* upload : large) {
    const auto object = std::find_if(objects.begin(), objects.end(), [&](const Json& one) {
      return text_of(one, "oid") == upload->sha256->hex();
    });
    if (object == objects.end())
      throw Error(Errc::network, "the hub's answer to an upload forgets {}", upload->file->path.text());
    if (const auto error = object->find("error"); error != object->end())
      throw Error(Errc::network, "{}: the hub refuses it: {}", upload->file->path.text(),
                  printable(text_of(*error, "message").value_or("no reason given")));
    const Json* actions = actions_of(*object);
    if (!actions) {
      forget_state(*upload);  // the end of its upload was reached, but not heard of
      continue;
    }
    lacking.emplace_back(upload, actions);
    n_bytes += upload->n_bytes;
  }
  observer_.begins(PushObserver::Doing::sending, lacking.size(), n_bytes);
  for (const auto& [upload, actions] : lacking) {
    observer_.file_begins(upload->file->path, upload->n_bytes);
    send_object(*upload, *actions);
    observer_.file_ends();
  }
}

void Pusher::send_object(const Upload& upload, const Json& actions) {
  const auto action = actions.find("upload");
  if (action != actions.end()) {
    if (std::optional<Multipart> known = read_state(upload)) {
      send_parts(upload, std::move(*known), false);
    } else if (std::optional<Multipart> parts = parse_multipart(*action)) {
      send_parts(upload, std::move(*parts), true);
    } else {
      const auto href = text_of(*action, "href");
      if (!href)
        throw Error(Errc::network, "the hub doesn't say where to upload {}", upload.file->path.text());
      send_whole(upload, *href);
    }
  }
  if (const auto verify = actions.find("verify"); verify != actions.end())
    if (const auto href = text_of(*verify, "href"))
      client_.ask(post(client_.address("").resolve(*href),
                       dump_json(Json{{"oid", upload.sha256->hex()}, {"size", upload.n_bytes}}), kLfsType),
                  subject_);
}

net::HttpResponse Pusher::put(const Upload& upload, const std::string& href, uint64_t offset,
                              uint64_t n_bytes) {
  net::HttpRequest request;
  request.method = "PUT";
  request.url = client_.address("").resolve(href);
  if (request.url.scheme() == "http" && client_.settings().endpoint.scheme() != "http")
    throw Error(Errc::network, "the hub wants {} at an address that is not encrypted: refused",
                upload.file->path.text());
  request.file = net::FileSlice{upload.descriptor.get(), offset, n_bytes};
  request.on_sent = [&, offset](uint64_t n_sent) { observer_.file_advances(offset + n_sent); };
  net::HttpResponse response =
      client_.ask(std::move(request), {request_.repo.text(), {}, upload.file->path.text()});
  result_.n_bytes_sent += n_bytes;
  return response;
}

void Pusher::send_whole(const Upload& upload, const std::string& href) {
  put(upload, href, 0, upload.n_bytes);
}

// `fresh` is false for addresses that an earlier run was given; when they have run out, new ones are asked
// for.
void Pusher::send_parts(const Upload& upload, Multipart parts, bool fresh) {
  const uint64_t n_parts = (upload.n_bytes + parts.part_bytes - 1) / parts.part_bytes;
  try {
    for (uint64_t number = 1; number <= n_parts; ++number) {
      if (parts.etags.count(number)) continue;
      const auto url = parts.urls.find(number);
      if (url == parts.urls.end())
        throw Error(Errc::network, "the hub gives no address for part {} of {}", number,
                    upload.file->path.text());
      const uint64_t offset = (number - 1) * parts.part_bytes;
      const net::HttpResponse response =
          put(upload, url->second, offset, std::min(parts.part_bytes, upload.n_bytes - offset));
      parts.etags[number] = response.headers.find("etag").value_or("");
      write_state(upload, parts);
    }
    Json list = Json::array();
    for (const auto& [number, etag] : parts.etags) list.push_back({{"partNumber", number}, {"etag", etag}});
    client_.ask(post(client_.address("").resolve(parts.href),
                     dump_json(Json{{"oid", upload.sha256->hex()}, {"parts", list}}), kLfsType),
                {request_.repo.text(), {}, upload.file->path.text()});
  } catch (const Error& error) {
    if (fresh || (error.code() != Errc::network && error.code() != Errc::not_found)) throw;
    forget_state(upload);
    const Json objects = batch({&upload});
    if (objects.empty()) return;
    if (const Json* actions = actions_of(objects[0])) send_object(upload, *actions);
    return;
  }
  forget_state(upload);
}

fs::path Pusher::state_path(const Upload& upload) const {
  const std::string where =
      request_.repo.text() + " " + client_.settings().endpoint.text() + " " + upload.sha256->hex();
  ContentHasher hasher(DigestKind::sha256, where.size());
  hasher.update(std::as_bytes(std::span(where)));
  return request_.state_folder / (hasher.finish().hex() + ".json");
}

std::optional<Multipart> Pusher::read_state(const Upload& upload) const {
  std::error_code ignored;
  if (!fs::exists(state_path(upload), ignored)) return std::nullopt;
  try {
    const Json state = parse_json(read_file(state_path(upload), limits::kHubJsonBytes), "state of an upload");
    Multipart parts{state.at("href"), state.at("part_bytes"), {}, {}};
    for (const auto& [number, url] : state.at("urls").items()) parts.urls[std::stoull(number)] = url;
    for (const auto& [number, etag] : state.at("etags").items()) parts.etags[std::stoull(number)] = etag;
    if (parts.part_bytes > 0) return parts;
  } catch (const std::exception&) {
    // Not written by this program, or cut off: as if it were not there.
  }
  return std::nullopt;
}

// Holds signed addresses, so the folder is the user's own.
void Pusher::write_state(const Upload& upload, const Multipart& parts) const {
  fs::create_directories(request_.state_folder);
  fs::permissions(request_.state_folder, fs::perms::owner_all);
  Json urls = Json::object();
  for (const auto& [number, url] : parts.urls) urls[fmt::format("{}", number)] = url;
  Json etags = Json::object();
  for (const auto& [number, etag] : parts.etags) etags[fmt::format("{}", number)] = etag;
  write_file_atomically(
      state_path(upload),
      dump_json(
          Json{{"href", parts.href}, {"part_bytes", parts.part_bytes}, {"urls", urls}, {"etags", etags}}));
}

// With what a kill may have left of writing it.
void Pusher::forget_state(const Upload& upload) const {
  const fs::path state = state_path(upload);
  std::error_code ignored;
  std::vector<fs::path> written;
  for (const auto& entry : fs::directory_iterator(request_.state_folder, ignored))
    if (entry.path().filename().string().find(state.filename().string()) != std::string::npos)
      written.push_back(entry.path());
  for (const fs::path& path : written) fs::remove(path, ignored);
}

void Pusher::commit(const std::vector<Upload>& uploads) {
  std::string body =
      dump_json(Json{{"key", "header"}, {"value", {{"summary", request_.message}, {"description", ""}}}}) +
      "\n";
  for (const Upload& upload : uploads) {
    const std::string& path = upload.file->path.text();
    const Json value = upload.large ? Json{{"path", path},
                                           {"algo", "sha256"},
                                           {"oid", upload.sha256->hex()},
                                           {"size", upload.n_bytes}}
                                    : Json{{"path", path},
                                           {"encoding", "base64"},
                                           {"content", base64(read_part(upload, upload.n_bytes))}};
    body += dump_json(Json{{"key", upload.large ? "lfsFile" : "file"}, {"value", value}}) + "\n";
  }
  const Json answer = answer_json(
      client_.ask(post(client_.address(api("commit")), std::move(body), "application/x-ndjson"), subject_),
      "answer to a commit");
  result_.commit_url = printable(text_of(answer, "commitUrl").value_or(client_.page_of(request_.repo)));
}

PushResult Pusher::run() {
  std::vector<Upload> uploads;
  for (const PushFile& file : request_.files) uploads.push_back(open_upload(file));
  create_repository();
  drop_unchanged(uploads);
  if (uploads.empty()) return result_;
  ask_modes(uploads);
  try {
    send_large(uploads);
    commit(uploads);
  } catch (const Error& error) {
    if (result_.n_bytes_sent == 0 || error.code() != Errc::network) throw;
    throw Error(Errc::resumable, "{}; {} are uploaded, the same command goes on from there", error.what(),
                format_bytes(result_.n_bytes_sent));
  }
  return result_;
}

}  // namespace

PushResult push(HubClient& client, const PushRequest& request, PushObserver& observer) {
  if (client.settings().token.empty())
    throw Error(Errc::usage, "uploading needs a token; set HF_TOKEN (make one at {})",
                client.address("settings/tokens").text());
  return Pusher(client, request, observer).run();
}

}  // namespace ruvllm::hub
