// A parsed http or https address, and the question that keeps tokens where they belong: do two addresses have
// the same origin (scheme, host and port)? Parsing and resolving is libcurl's, so that what is checked here
// is what is asked there. Tested by tests/net/url_test.cpp.
#pragma once

#include <string>
#include <string_view>

namespace ruvllm::net {

class Url {
 public:
  /// An absolute http(s) address without user or password in it. Throws Errc::network naming what is wrong.
  static Url parse(std::string_view text);

  /// Where a `Location` or `Link` relative to this address points. Throws as parse().
  Url resolve(std::string_view location) const;

  const std::string& text() const { return text_; }
  const std::string& scheme() const { return scheme_; }
  /// "https://host:port", the port always named.
  const std::string& origin() const { return origin_; }
  const std::string& host() const { return host_; }
  /// The address without its query, which may be a signature: for messages and logs.
  std::string without_query() const;

 private:
  std::string text_;
  std::string scheme_;
  std::string host_;
  std::string origin_;
};

bool same_origin(const Url& a, const Url& b);

/// Percent-encodes everything but unreserved characters (RFC 3986), and `/` where `keep_slashes`.
std::string percent_encode(std::string_view text, bool keep_slashes);

}  // namespace ruvllm::net
