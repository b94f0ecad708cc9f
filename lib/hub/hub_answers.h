// What a hub may answer, parsed as pure functions of text: listings, page links, ranges, waits, error codes.
// Nothing here asks the network, so all of it is fuzzed (tests/fuzz/hub_answers_fuzz.cpp) and tested by
// tests/hub/answers_test.cpp.
#pragma once

#include "base/error.h"
#include "hub/digest.h"
#include "hub/repo_ref.h"
#include "hub/safe_path.h"
#include "net/http_client.h"

#include <chrono>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::hub {

/// A file of a repository.
struct HubFile {
  SafePath path;
  uint64_t n_bytes = 0;
  std::optional<Digest> digest;  ///< SHA-256 where it is a large file, else the git hash
};

struct Listing {
  std::vector<HubFile> files;
  std::vector<std::string> refused;  ///< names that are no SafePath, made printable
};

/// Appends a page of `GET /api/models/.../tree/...`. Throws Errc::network where it is not such a page, and
/// where the listing grows past limits::kHubListing.
void parse_tree_page(std::string_view json, Listing& listing);

/// The commit in `GET /api/models/.../revision/...`. Throws Errc::network where there is none.
Commit parse_revision(std::string_view json);

/// The address with rel="next" in a Link header.
std::optional<std::string> next_link(std::string_view link_header);

/// "bytes BEGIN-LAST/TOTAL", with `end` one past the last byte.
struct ContentRange {
  uint64_t begin = 0;
  uint64_t end = 0;
  std::optional<uint64_t> total;
};
std::optional<ContentRange> parse_content_range(std::string_view header);

/// How long an answer asks to wait: RateLimit's t, else Retry-After in seconds or as a date; nothing where
/// neither can be understood.
std::optional<std::chrono::seconds> wait_asked(const net::Headers& headers, std::time_t now);

/// What was asked for, as messages name it.
struct Subject {
  std::string repo;      ///< "ORG/NAME"
  std::string revision;  ///< may be empty
  std::string file;      ///< may be empty
  std::string text() const;
};

/// The error that an unsuccessful answer means: not_found, network (401 and 403 named, with what to do), with
/// the hub's request id. `page` is where a person sees the repository; `has_token` chooses the advice.
Error error_of(const net::HttpResponse& response, const Subject& subject, const std::string& page,
               bool has_token);

}  // namespace ruvllm::hub
