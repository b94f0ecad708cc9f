// What a hub may answer. The first byte chooses who reads the rest; whatever it is, the answer is a value
// that keeps its promises or an Error of the right kind.
#include "fuzz.h"

#include "base/error.h"
#include "base/limits.h"
#include "hub/file_choice.h"
#include "hub/hub_answers.h"
#include "hub/model_needs.h"
#include "hub/repo_ref.h"
#include "net/url.h"

#include <algorithm>
#include <span>
#include <string_view>

using namespace ruvllm;
using namespace ruvllm::hub;

namespace {

void check_path(const SafePath& path) {
  FUZZ_CHECK(!path.text().empty() && path.text().front() != '/' &&
             path.text().find('\\') == std::string::npos);
  FUZZ_CHECK(("/" + path.text() + "/").find("/../") == std::string::npos);
  FUZZ_CHECK(std::none_of(path.text().begin(), path.text().end(), [](unsigned char c) { return c < 0x20; }));
}

void read_listing(std::string_view text) {
  Listing listing;
  try {
    parse_tree_page(text, listing);
  } catch (const Error& error) {
    FUZZ_CHECK(error.code() == Errc::network);
  }
  for (const HubFile& file : listing.files) check_path(file.path);
  for (const char* reference : {"a/b", "a/b:Q4_K_M", "a/b/x.gguf"}) {
    try {
      FUZZ_CHECK(!choose_files(listing, parse_repo_ref(reference)).files.empty());
    } catch (const Error& error) {
      FUZZ_CHECK(error.code() == Errc::not_found || error.code() == Errc::usage ||
                 error.code() == Errc::corrupt_file);
    }
  }
}

void read_headers(std::string_view text) {
  if (const auto range = parse_content_range(text)) {
    FUZZ_CHECK(range->begin < range->end);
    FUZZ_CHECK(!range->total || range->end <= *range->total);
  }
  if (const auto digest = Digest::from_etag(text))
    FUZZ_CHECK(digest->hex().size() == 64 || digest->hex().size() == 40);
  next_link(text);
  net::Headers headers;
  headers.add("Retry-After", text);
  if (const auto wait = wait_asked(headers, 1'700'000'000))
    FUZZ_CHECK(wait->count() >= 0 && wait->count() <= 366 * 86'400);
  headers.add("RateLimit", text);
  if (const auto wait = wait_asked(headers, 1'700'000'000))
    FUZZ_CHECK(wait->count() >= 0 && wait->count() <= 366 * 86'400);
}

void read_reference(std::string_view text) {
  try {
    const RepoRef ref = parse_repo_ref(text);
    FUZZ_CHECK(ref.repo.folder().find('/') == std::string::npos &&
               ref.repo.folder().find("..") == std::string::npos);
    FUZZ_CHECK(("/" + ref.revision.text() + "/").find("/../") == std::string::npos &&
               ref.revision.text().front() != '/');
    if (ref.file) check_path(*ref.file);
  } catch (const Error& error) {
    FUZZ_CHECK(error.code() == Errc::usage);
  }
}

void read_address(std::string_view text) {
  try {
    const net::Url url = net::Url::parse("https://hub.example/a/b?c").resolve(text);
    FUZZ_CHECK(url.scheme() == "https" || url.scheme() == "http");
    FUZZ_CHECK(!url.host().empty());
  } catch (const Error& error) {
    FUZZ_CHECK(error.code() == Errc::network);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 6) {
    case 0:
      read_listing(text);
      break;
    case 1:
      read_headers(text);
      break;
    case 2:
      read_reference(text);
      break;
    case 3:
      read_address(text);
      break;
    case 4:
      kv_shape_of_gguf(std::as_bytes(std::span(text)));
      break;
    default:
      kv_shape_of_config(text);
      try {
        parse_revision(text);
      } catch (const Error& error) {
        FUZZ_CHECK(error.code() == Errc::network);
      }
  }
  return 0;
}
