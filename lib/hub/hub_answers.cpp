#include "hub/hub_answers.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/strings.h"
#include "base/utf8.h"

#include <algorithm>
#include <ctime>

namespace ruvllm::hub {
namespace {

Json parse_answer(std::string_view text, std::string_view what) {
  try {
    return parse_json(text, what);
  } catch (const Error& error) {
    const bool html = text.substr(0, 512).find('<') != std::string_view::npos;
    throw Error(Errc::network, "the hub's {} is not JSON ({}){}", what, error.what(),
                html ? "; it looks like a web page: is a proxy or a login in between?" : "");
  }
}

// A member's text, or nothing where it is absent or of another type.
std::optional<std::string> text_member(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

std::optional<uint64_t> size_member(const Json& object) {
  const auto found = object.find("size");
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<uint64_t>();
}

void add_entry(const Json& entry, Listing& listing) {
  if (!entry.is_object()) throw Error(Errc::network, "the hub's listing has an entry that is no object");
  if (text_member(entry, "type") != "file") return;
  const std::optional<std::string> name = text_member(entry, "path");
  if (!name) throw Error(Errc::network, "the hub's listing has a file without a path");
  std::string why;
  const std::optional<SafePath> path = SafePath::parse(*name, &why);
  if (!path) {
    listing.refused.push_back(fmt::format("'{}' {}", printable(*name, 80), why));
    return;
  }
  HubFile file{*path, 0, std::nullopt};
  const auto lfs = entry.find("lfs");
  const bool is_large = lfs != entry.end() && lfs->is_object();
  const std::optional<std::string> oid = text_member(is_large ? *lfs : entry, "oid");
  file.digest = oid ? Digest::parse(*oid) : std::nullopt;
  if (oid && !file.digest)
    throw Error(Errc::network, "the hub names {} with the malformed digest '{}'", path->text(),
                printable(*oid, 80));
  const std::optional<uint64_t> size = size_member(is_large && size_member(*lfs) ? *lfs : entry);
  if (!size || *size > static_cast<uint64_t>(INT64_MAX) / 2)
    throw Error(Errc::network, "the hub gives no valid size for {}", path->text());
  file.n_bytes = *size;
  listing.files.push_back(std::move(file));
}

std::optional<uint64_t> number_of(std::string_view text) {
  const std::optional<int64_t> value = parse_integer(text);
  if (!value || *value < 0) return std::nullopt;
  return static_cast<uint64_t>(*value);
}

// `"api";r=0;t=55`: the seconds until the window of requests begins again.
std::optional<uint64_t> rate_limit_seconds(std::string_view header) {
  for (const std::string_view part : split(header, ';'))
    if (trim(part).starts_with("t=")) return number_of(trim(part).substr(2));
  return std::nullopt;
}

std::string lower_text(std::optional<std::string_view> header) {
  return header ? to_lower(*header) : std::string();
}

std::string request_id(const net::HttpResponse& response) {
  for (const char* name : {"x-request-id", "x-amzn-trace-id", "x-amz-cf-id"})
    if (const auto id = response.headers.find(name); id && !id->empty())
      return fmt::format(" (request {})", printable(*id, 80));
  return {};
}

std::string not_found_text(const std::string& code, const Subject& subject) {
  if (code == "revisionnotfound")
    return fmt::format("{} has no revision '{}'", subject.repo, subject.revision);
  if (code == "entrynotfound" || (code.empty() && !subject.file.empty()))
    return fmt::format("{} has no file '{}' at revision {}", subject.repo, subject.file, subject.revision);
  return fmt::format(
      "there is no repository {} on the hub, or it is private: check the spelling, or set HF_TOKEN",
      subject.repo);
}

std::string unauthorized_text(const Subject& subject, const std::string& said, bool has_token) {
  if (has_token && said.find("invalid") != std::string::npos)
    return "401 unauthorized: the hub does not know this token; check HF_TOKEN";
  if (has_token)
    return fmt::format("401 unauthorized: this token may not read {}, or there is no such repository",
                       subject.repo);
  return fmt::format("401 unauthorized: {} is private or does not exist; set HF_TOKEN if you have access",
                     subject.repo);
}

std::string forbidden_text(int status, const Subject& subject, const std::string& code,
                           const std::string& said, const std::string& page, bool has_token) {
  const std::string refused = status == 401 ? "401 unauthorized" : "403 forbidden";
  if (code == "gatedrepo" || said.find("gated") != std::string::npos ||
      said.find("restricted") != std::string::npos)
    return fmt::format("{}: {} is gated; accept its licence at {}{}", refused, subject.repo, page,
                       has_token ? "" : " and set HF_TOKEN");
  if (said.find("disabled") != std::string::npos)
    return fmt::format("{}: the hub has disabled access to {}", refused, subject.repo);
  return fmt::format("{}: no access to {}{}", refused, subject.text(),
                     has_token ? "" : "; set HF_TOKEN if you have access");
}

std::string status_text(int status) {
  switch (status) {
    case 400:
      return "400: the hub refuses the request as malformed";
    case 407:
      return "407: the proxy wants credentials; set https_proxy=http://USER:PASSWORD@HOST:PORT";
    case 408:
      return "408: the hub gave up waiting";
    case 409:
      return "409: the repository changed meanwhile";
    case 413:
      return "413: the hub says that this is too large";
    case 416:
      return "416: the hub has no such range of the file";
    case 429:
      return "429: too many requests; wait some minutes, or set HF_TOKEN for a higher limit";
    default:
      break;
  }
  if (status >= 500) return fmt::format("{}: the hub has an error of its own; try again later", status);
  return fmt::format("unexpected status {}", status);
}

}  // namespace

void parse_tree_page(std::string_view json, Listing& listing) {
  const Json page = parse_answer(json, "listing");
  if (!page.is_array()) throw Error(Errc::network, "the hub's listing is not an array");
  if (page.size() + listing.files.size() + listing.refused.size() > limits::kHubListing)
    throw Error(Errc::network, "the hub lists more than {} files", limits::kHubListing);
  for (const Json& entry : page) add_entry(entry, listing);
}

Commit parse_revision(std::string_view json) {
  const Json answer = parse_answer(json, "answer");
  const std::optional<std::string> sha = answer.is_object() ? text_member(answer, "sha") : std::nullopt;
  const std::optional<Commit> commit = sha ? Commit::parse(*sha) : std::nullopt;
  if (!commit) throw Error(Errc::network, "the hub does not name the revision's commit");
  return *commit;
}

std::optional<std::string> next_link(std::string_view link_header) {
  for (const std::string_view link : split(link_header, ',')) {
    const size_t open = link.find('<');
    const size_t close = link.find('>');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open) continue;
    const std::string_view relation = link.substr(close);
    if (relation.find("rel=\"next\"") != std::string_view::npos ||
        relation.find("rel=next") != std::string_view::npos)
      return std::string(link.substr(open + 1, close - open - 1));
  }
  return std::nullopt;
}

std::optional<ContentRange> parse_content_range(std::string_view header) {
  header = trim(header);
  if (to_lower(header.substr(0, 6)) != "bytes ") return std::nullopt;
  header = trim(header.substr(6));
  const size_t dash = header.find('-');
  const size_t slash = header.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) return std::nullopt;
  const std::optional<uint64_t> begin = number_of(header.substr(0, dash));
  const std::optional<uint64_t> last = number_of(header.substr(dash + 1, slash - dash - 1));
  if (!begin || !last || *last < *begin || *last == static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
  ContentRange range{*begin, *last + 1, number_of(header.substr(slash + 1))};
  if (!range.total && header.substr(slash + 1) != "*") return std::nullopt;
  if (range.total && range.end > *range.total) return std::nullopt;
  return range;
}

std::optional<std::chrono::seconds> wait_asked(const net::Headers& headers, std::time_t now) {
  constexpr uint64_t kForever = 365 * 86'400;
  if (const auto limit = headers.find("ratelimit"))
    if (const auto seconds = rate_limit_seconds(*limit))
      return std::chrono::seconds(std::min(*seconds, kForever) + 1);
  const auto after = headers.find("retry-after");
  if (!after) return std::nullopt;
  if (const auto seconds = number_of(trim(*after))) return std::chrono::seconds(std::min(*seconds, kForever));
  std::tm date{};
  if (!strptime(std::string(trim(*after)).c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date)) return std::nullopt;
  return std::chrono::seconds(std::clamp<int64_t>(timegm(&date) - now, 0, kForever));
}

std::string Subject::text() const { return file.empty() ? repo : repo + "/" + file; }

Error error_of(const net::HttpResponse& response, const Subject& subject, const std::string& page,
               bool has_token) {
  const std::string code = lower_text(response.headers.find("x-error-code"));
  const std::string said = lower_text(response.headers.find("x-error-message"));
  const std::string id = request_id(response);
  if (response.status == 404 || (response.status == 401 && code == "reponotfound"))
    return Error(Errc::not_found, "{}{}", not_found_text(code, subject), id);
  if (code == "gatedrepo" || response.status == 403)
    return Error(Errc::network, "{}{}", forbidden_text(response.status, subject, code, said, page, has_token),
                 id);
  if (response.status == 401)
    return Error(Errc::network, "{}{}", unauthorized_text(subject, said, has_token), id);
  return Error(Errc::network, "{}: {}{}", subject.text(), status_text(response.status), id);
}

}  // namespace ruvllm::hub
