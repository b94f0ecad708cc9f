// The Hugging Face hub's web interface as far as pulling and pushing need it.
//
// Here alone is decided who gets the token (the endpoint's own origin, never a redirect's), which redirects
// are followed (at most 10, never from https to http, never to another protocol), and which failures are
// tried again. Everything throws Error: not_found, network with 401/403 named, corrupt answers as network. No
// socket is opened before the first request, and none at all offline. Tested by tests/hub/ against a hub on
// loopback.
#pragma once

#include "hub/hub_answers.h"
#include "hub/repo_ref.h"
#include "hub/retry.h"
#include "hub/settings.h"
#include "net/http_client.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace ruvllm::hub {

/// Where the bytes of one file at one commit can be had, as the hub said at one moment.
struct FileLocation {
  net::Url url;
  std::optional<Digest> digest;
  std::optional<uint64_t> n_bytes;
};

class HubClient {
 public:
  explicit HubClient(HubSettings settings);

  const HubSettings& settings() const { return settings_; }
  /// The transport; throws Errc::network when offline.
  net::HttpClient& http();
  /// Where people see a repository.
  std::string page_of(const RepoId& repo) const { return address(repo.text()).text(); }

  Commit resolve(const RepoId& repo, const Revision& revision);
  Listing list(const RepoId& repo, const Commit& commit);
  /// Asks where a file lies. The answer's address is on a storage host, or on the hub itself.
  FileLocation locate(const RepoId& repo, const Commit& commit, const SafePath& file);

  /// One request with token, redirects and retries, for the interface's small answers. The answer is 2xx or
  /// has `expected_status`; any other is thrown as error_of() says.
  net::HttpResponse ask(net::HttpRequest request, const Subject& subject, int expected_status = 200);

  /// An address below the endpoint; `path` is percent-encoded already.
  net::Url address(const std::string& path) const;
  /// Adds the token where the request goes to the endpoint's origin.
  void authorize(net::HttpRequest& request) const;
  /// The address that a redirect from `from` leads to. Throws Errc::network where it is not to be followed.
  net::Url follow(const net::Url& from, const net::HttpResponse& redirect) const;
  Error error_for(const net::HttpResult& result, const Subject& subject) const;
  /// Tells people why the next try is so long in coming, where it is; `file` stands in front, if any.
  void note_wait(std::chrono::milliseconds time, const net::HttpResult& why,
                 std::string_view file = {}) const;

 private:
  /// ask() without redirects: those are answers here.
  net::HttpResponse answer_to(const net::HttpRequest& request, const Subject& subject, int expected_status);
  /// Mirrors answer with the addresses of the hub that they mirror.
  std::string at_endpoint(std::string_view url) const;

  HubSettings settings_;
  std::unique_ptr<net::HttpClient> http_;
  bool reached_ = false;
  uint64_t n_requests_ = 0;
};

bool is_redirect(int status);

}  // namespace ruvllm::hub
