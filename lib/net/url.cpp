#include "net/url.h"

#include "base/error.h"
#include "base/strings.h"
#include "base/utf8.h"

#include <curl/curl.h>

#include <algorithm>
#include <memory>

namespace ruvllm::net {
namespace {

using Handle = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

constexpr size_t kMaxUrlBytes = 16'384;

std::string part(CURLU* handle, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(handle, which, &text, flags) != CURLUE_OK) return {};
  const std::unique_ptr<char, decltype(&curl_free)> owned(text, &curl_free);
  return text;
}

void set(CURLU* handle, std::string_view text) {
  const bool printable_only = std::none_of(
      text.begin(), text.end(), [](unsigned char c) { return c <= 0x20 || c == 0x7f || c == '\\'; });
  if (text.empty() || text.size() > kMaxUrlBytes || !printable_only)
    throw Error(Errc::network, "malformed address '{}'", printable(text, 100));
  const CURLUcode code =
      curl_url_set(handle, CURLUPART_URL, std::string(text).c_str(), CURLU_DISALLOW_USER | CURLU_URLENCODE);
  if (code != CURLUE_OK)
    throw Error(Errc::network, "malformed address '{}': {}", printable(text, 100), curl_url_strerror(code));
}

}  // namespace

Url Url::parse(std::string_view text) {
  const Handle handle(curl_url(), &curl_url_cleanup);
  set(handle.get(), text);
  Url url;
  url.text_ = part(handle.get(), CURLUPART_URL);
  url.scheme_ = to_lower(part(handle.get(), CURLUPART_SCHEME));
  url.host_ = to_lower(part(handle.get(), CURLUPART_HOST));
  if (url.scheme_ != "https" && url.scheme_ != "http")
    throw Error(Errc::network, "'{}' is not an http or https address", printable(text, 100));
  url.origin_ = fmt::format("{}://{}:{}", url.scheme_, url.host_,
                            part(handle.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT));
  return url;
}

Url Url::resolve(std::string_view location) const {
  const Handle handle(curl_url(), &curl_url_cleanup);
  set(handle.get(), text_);
  set(handle.get(), location);
  return parse(part(handle.get(), CURLUPART_URL));
}

std::string Url::without_query() const { return text_.substr(0, text_.find_first_of("?#")); }

bool same_origin(const Url& a, const Url& b) { return a.origin() == b.origin(); }

std::string percent_encode(std::string_view text, bool keep_slashes) {
  std::string encoded;
  for (const unsigned char c : text) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                            std::string_view("-._~").find(static_cast<char>(c)) != std::string_view::npos;
    if (unreserved || (c == '/' && keep_slashes))
      encoded += static_cast<char>(c);
    else
      encoded += fmt::format("%{:02X}", c);
  }
  return encoded;
}

}  // namespace ruvllm::net
