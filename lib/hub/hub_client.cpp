#include "hub/hub_client.h"

#include "base/error.h"
#include "base/limits.h"
#include "base/strings.h"
#include "base/utf8.h"

#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

namespace ruvllm::hub {
namespace {

constexpr std::string_view kHomeOfTheHub = "https://huggingface.co";
constexpr std::chrono::seconds kWaitWorthANote{2};

net::HttpRequest get(net::Url url) {
  net::HttpRequest request;
  request.url = std::move(url);
  return request;
}

// ETag and Content-Length speak of the file only where the answer is not a redirect.
FileLocation location_of(const net::HttpResponse& answer, const net::Url& url, const Subject& subject) {
  FileLocation location{url, std::nullopt, std::nullopt};
  const bool redirected = is_redirect(answer.status);
  auto etag = answer.headers.find("x-linked-etag");
  if (!etag && !redirected) etag = answer.headers.find("etag");
  if (etag) {
    location.digest = Digest::from_etag(*etag);
    if (!location.digest)
      throw Error(Errc::network, "{}: the hub sends the malformed ETag '{}'", subject.text(),
                  printable(*etag, 80));
  }
  auto size = answer.headers.find("x-linked-size");
  const bool as_it_is = to_lower(answer.headers.find("content-encoding").value_or("identity")) == "identity";
  if (!size && !redirected && as_it_is) size = answer.headers.find("content-length");
  if (size) {
    const std::optional<int64_t> n_bytes = parse_integer(trim(*size));
    if (!n_bytes || *n_bytes < 0)
      throw Error(Errc::network, "{}: the hub sends the malformed size '{}'", subject.text(),
                  printable(*size, 80));
    location.n_bytes = static_cast<uint64_t>(*n_bytes);
  }
  return location;
}

}  // namespace

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

HubClient::HubClient(HubSettings settings) : settings_(std::move(settings)) {}

net::HttpClient& HubClient::http() {
  if (settings_.offline) throw Error(Errc::network, "offline: the hub is not asked");
  if (!http_) {
    net::HttpSettings transport;
    transport.user_agent = "ruvllm/" RUVLLM_VERSION;
    transport.ca_file = settings_.ca_file;
    transport.connect_timeout = settings_.connect_timeout;
    transport.stall_timeout = settings_.stall_timeout;
    transport.interrupted = settings_.interrupted;
    transport.log = settings_.log;
    http_ = std::make_unique<net::HttpClient>(std::move(transport));
  }
  return *http_;
}

net::Url HubClient::address(const std::string& path) const {
  std::string base = settings_.endpoint.text();
  while (base.ends_with('/')) base.pop_back();
  return net::Url::parse(base + "/" + path);
}

std::string HubClient::at_endpoint(std::string_view url) const {
  std::string base = settings_.endpoint.text();
  while (base.ends_with('/')) base.pop_back();
  if (url.starts_with(kHomeOfTheHub) && base != kHomeOfTheHub &&
      (url.size() == kHomeOfTheHub.size() || url[kHomeOfTheHub.size()] == '/'))
    return base + std::string(url.substr(kHomeOfTheHub.size()));
  return std::string(url);
}

void HubClient::authorize(net::HttpRequest& request) const {
  if (!settings_.token.empty() && net::same_origin(request.url, settings_.endpoint))
    request.headers.add("Authorization", "Bearer " + settings_.token);
}

net::Url HubClient::follow(const net::Url& from, const net::HttpResponse& redirect) const {
  const auto location = redirect.headers.find("location");
  if (!location || location->empty())
    throw Error(Errc::network, "{} answers {} without saying where to go", from.without_query(),
                redirect.status);
  const net::Url target = from.resolve(at_endpoint(*location));
  if (target.scheme() == "http" && settings_.endpoint.scheme() != "http")
    throw Error(Errc::network, "{} redirects to {}, which is not encrypted: refused", from.without_query(),
                target.without_query());
  return target;
}

Error HubClient::error_for(const net::HttpResult& result, const Subject& subject) const {
  if (result.ok())
    return error_of(result.response, subject, address(subject.repo).text(), !settings_.token.empty());
  const std::string& host = settings_.endpoint.host();
  switch (result.failure) {
    case net::Failure::tls:
      return Error(Errc::network, "{}: the connection is not secure: {}", subject.text(), result.reason);
    case net::Failure::proxy:
      return Error(Errc::network, "{}: the proxy refuses: {}; check https_proxy", subject.text(),
                   result.reason);
    case net::Failure::timeout:
      return Error(Errc::network, "{}: no answer in time: {}", subject.text(), result.reason);
    case net::Failure::resolve:
    case net::Failure::connect:
      return Error(Errc::network, "{} cannot be reached: {}; --offline uses what is cached", host,
                   result.reason);
    default:
      return Error(Errc::network, "{}: {}", subject.text(), result.reason);
  }
}

void HubClient::note_wait(std::chrono::milliseconds time, const net::HttpResult& why,
                          std::string_view file) const {
  if (!settings_.note || time < kWaitWorthANote) return;
  const auto asked = wait_asked(why.response.headers, std::time(nullptr));
  const std::string reason = why.ok() ? fmt::format("the hub answers {}", why.response.status) : why.reason;
  const bool capped = asked && *asked > settings_.max_wait;
  settings_.note(fmt::format("{}{}{}; next try in {} s{}", file, file.empty() ? "" : ": ", reason,
                             (time.count() + 999) / 1000,
                             capped ? fmt::format(" (it asks for {} s)", asked->count()) : ""));
}

net::HttpResponse HubClient::answer_to(const net::HttpRequest& request, const Subject& subject,
                                       int expected_status) {
  Backoff backoff(settings_, static_cast<uint64_t>(::getpid()) * 1'000'003 + ++n_requests_);
  if (reached_) backoff.reached();
  for (;;) {
    net::HttpRequest attempt = request;
    authorize(attempt);
    net::HttpResult result = http().send(std::move(attempt));
    if (result.ok()) reached_ = true;
    const int status = result.response.status;
    const bool success = (status >= 200 && status < 300) || status == expected_status || is_redirect(status);
    if (result.ok() && success) return std::move(result.response);
    const auto delay = backoff.next(result);
    if (!delay) throw error_for(result, subject);
    note_wait(*delay, result);
    http().sleep(*delay);
  }
}

net::HttpResponse HubClient::ask(net::HttpRequest request, const Subject& subject, int expected_status) {
  for (int n_redirects = 0; n_redirects <= limits::kHubRedirects; ++n_redirects) {
    net::HttpResponse answer = answer_to(request, subject, expected_status);
    if (!is_redirect(answer.status)) return answer;
    const net::Url target = follow(request.url, answer);
    if (request.method != "GET" && request.method != "HEAD" && !net::same_origin(target, request.url))
      throw Error(Errc::network, "{}: the hub redirects what is sent to another host, {}: refused",
                  subject.text(), target.host());
    request.url = target;
  }
  throw Error(Errc::network, "{}: more than {} redirects", subject.text(), limits::kHubRedirects);
}

Commit HubClient::resolve(const RepoId& repo, const Revision& revision) {
  const std::string path =
      fmt::format("api/models/{}/revision/{}", repo.text(), net::percent_encode(revision.text(), false));
  return parse_revision(ask(get(address(path)), {repo.text(), revision.text(), {}}).body);
}

Listing HubClient::list(const RepoId& repo, const Commit& commit) {
  Listing listing;
  std::set<std::string> seen;
  net::Url url =
      address(fmt::format("api/models/{}/tree/{}?recursive=true&expand=false", repo.text(), commit.hex()));
  for (;;) {
    if (!seen.insert(url.text()).second)
      throw Error(Errc::network, "the hub's listing of {} runs in a circle", repo.text());
    const net::HttpResponse page = ask(get(url), {repo.text(), commit.hex(), {}});
    parse_tree_page(page.body, listing);
    const auto link = page.headers.find("link");
    const std::optional<std::string> next = link ? next_link(*link) : std::nullopt;
    if (!next) break;
    if (seen.size() == limits::kHubListingPages)
      throw Error(Errc::network, "the hub's listing of {} has more than {} pages", repo.text(), seen.size());
    url = url.resolve(at_endpoint(*next));
    if (!net::same_origin(url, settings_.endpoint))
      throw Error(Errc::network, "the hub's listing of {} goes on at another host, {}: refused", repo.text(),
                  url.host());
  }
  std::set<std::string_view> names;  // a second entry could smuggle in another content under a name
  for (const HubFile& file : listing.files)
    if (!names.insert(file.path.text()).second)
      throw Error(Errc::network, "the hub's listing of {} names {} twice", repo.text(), file.path.text());
  return listing;
}

FileLocation HubClient::locate(const RepoId& repo, const Commit& commit, const SafePath& file) {
  net::HttpRequest request = get(address(
      fmt::format("{}/resolve/{}/{}", repo.text(), commit.hex(), net::percent_encode(file.text(), true))));
  request.method = "HEAD";
  request.headers.add("Accept-Encoding", "identity");
  const Subject subject{repo.text(), commit.hex(), file.text()};
  for (int n_redirects = 0; n_redirects <= limits::kHubRedirects; ++n_redirects) {
    const net::HttpResponse answer = answer_to(request, subject, 200);
    const net::Url target = is_redirect(answer.status) ? follow(request.url, answer) : request.url;
    // A renamed repository redirects within the hub without speaking of the file. A storage host is not asked
    // for more than the bytes, because signed addresses are often good for GET alone.
    const bool speaks_of_file = answer.headers.find("x-linked-etag") || !is_redirect(answer.status);
    if (speaks_of_file || !net::same_origin(target, settings_.endpoint))
      return location_of(answer, target, subject);
    request.url = target;
  }
  throw Error(Errc::network, "{}: more than {} redirects", subject.text(), limits::kHubRedirects);
}

}  // namespace ruvllm::hub
