// What a hub answers, as text: listings, links, ranges, waits, errors, retries.
#include "base/error.h"
#include "hub/hub_answers.h"
#include "hub/retry.h"

#include <doctest/doctest.h>

#include <ctime>

using namespace ruvllm;
using namespace ruvllm::hub;

namespace {

net::Headers headers(std::initializer_list<std::pair<const char*, const char*>> fields) {
  net::Headers made;
  for (const auto& [name, value] : fields) made.add(name, value);
  return made;
}

net::HttpResult answer(int status, net::Headers fields = {}) {
  net::HttpResult result;
  result.response.status = status;
  result.response.headers = std::move(fields);
  return result;
}

Error error_for(int status, std::initializer_list<std::pair<const char*, const char*>> fields,
                bool has_token = false, const char* file = "") {
  return error_of(answer(status, headers(fields)).response, {"org/model", "main", file},
                  "https://hub/org/model", has_token);
}

}  // namespace

TEST_CASE("a listing gives files with size and digest, large ones by their own") {
  Listing listing;
  parse_tree_page(
      R"([{"type":"file","path":"a.json","size":12,"oid":"0123456789012345678901234567890123456789"},
    {"type":"directory","path":"sub"},
    {"type":"file","path":"sub/b.gguf","size":134,"oid":"ffffffffffffffffffffffffffffffffffffffff",
     "lfs":{"oid":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","size":99,"pointerSize":134}},
    {"type":"file","path":"../evil","size":1,"oid":"ffffffffffffffffffffffffffffffffffffffff"}])",
      listing);
  REQUIRE(listing.files.size() == 2);
  CHECK(listing.files[0].n_bytes == 12);
  CHECK(listing.files[0].digest->kind() == DigestKind::git_sha1);
  CHECK(listing.files[1].n_bytes == 99);
  CHECK(listing.files[1].digest->kind() == DigestKind::sha256);
  CHECK(listing.refused.size() == 1);
}

TEST_CASE("every type in every field of a listing is a listing or an error, never more") {
  const std::vector<std::string> values = {
      "null", "true",  "0",           "-1", "1.5",  "1e400", "18446744073709551615", "9223372036854775807",
      "\"\"", "\"x\"", "\"\\u0000\"", "[]", "[[]]", "{}",    "{\"oid\":1}",          "\"../../x\""};
  int n_refused = 0;
  for (const char* field : {"type", "path", "size", "oid", "lfs"})
    for (const std::string& value : values) {
      std::string entry =
          R"({"type":"file","path":"a.gguf","size":5,"oid":"0123456789012345678901234567890123456789",")";
      entry += std::string(field) + "\":" + value + "}";
      try {
        Listing listing;
        parse_tree_page("[" + entry + "]", listing);
        CHECK(listing.files.size() + listing.refused.size() <= 1);
      } catch (const Error& error) {
        CHECK(error.code() == Errc::network);
        ++n_refused;
      }
    }
  CHECK(n_refused > 20);
  for (const char* wrong : {"", "{}", "null", "<html>", "[1]", "[null]", "[[]]", "[{\"type\":\"file\"}]"}) {
    Listing listing;
    CHECK_THROWS_AS(parse_tree_page(wrong, listing), Error);
  }
}

TEST_CASE("an answer that is a web page is told as one") {
  Listing listing;
  CHECK_THROWS_WITH_AS(parse_tree_page("<!doctype html><title>Login</title>", listing),
                       doctest::Contains("web page"), Error);
}

TEST_CASE("the commit of a revision is forty digits or an error") {
  CHECK(parse_revision(R"({"sha":"0123456789012345678901234567890123456789"})").hex().size() == 40);
  for (const char* wrong :
       {"[]", "{}", R"({"sha":null})", R"({"sha":"../../x"})", R"({"sha":"0123"})", R"({"sha":{}})"})
    CHECK_THROWS_AS(parse_revision(wrong), Error);
}

TEST_CASE("page links, ranges and waits are read as the standards write them") {
  CHECK(next_link("<https://h/x?cursor=a>; rel=\"next\"") == "https://h/x?cursor=a");
  CHECK(next_link("<https://h/p>; rel=\"prev\", <https://h/n>; rel=\"next\"") == "https://h/n");
  for (const char* none : {"", "<x>", "x; rel=\"next\"", "><; rel=\"next\"", "<x; rel=\"next\""})
    CHECK(!next_link(none));

  CHECK(parse_content_range("bytes 0-9/10")->end == 10);
  CHECK(parse_content_range("bytes 5-9/*")->begin == 5);
  for (const char* none :
       {"", "bytes */10", "bytes 9-5/10", "bytes 0-10/10", "0-9/10", "bytes 0-9", "bytes -1-9/10",
        "bytes 0-99999999999999999999/*", "bytes 0-9223372036854775807/*", "bytes a-b/c", "bytes 0-9/x"})
    CHECK_MESSAGE(!parse_content_range(none), none);

  const std::time_t now = 1'000'000'000;  // Sun, 09 Sep 2001 01:46:40 GMT
  CHECK(wait_asked(headers({{"Retry-After", "7"}}), now)->count() == 7);
  CHECK(wait_asked(headers({{"retry-after", "Sun, 09 Sep 2001 01:47:10 GMT"}}), now)->count() == 30);
  CHECK(wait_asked(headers({{"Retry-After", "Sun, 09 Sep 2001 01:00:00 GMT"}}), now)->count() == 0);
  CHECK(wait_asked(headers({{"RateLimit", "\"api\";r=0;t=55"}, {"Retry-After", "7"}}), now)->count() == 56);
  for (const char* garbage : {"", "soon", "-5", "1e9", "99999999999999999999"})
    CHECK(!wait_asked(headers({{"Retry-After", garbage}}), now));
  CHECK(wait_asked(headers({{"Retry-After", "999999999999"}}), now)->count() <= 365 * 86'400);
}

TEST_CASE("each refusal has its own message and kind") {
  CHECK(error_for(404, {{"X-Error-Code", "RevisionNotFound"}}).code() == Errc::not_found);
  CHECK(std::string(error_for(404, {{"X-Error-Code", "EntryNotFound"}}, false, "x.gguf").what())
            .find("no file 'x.gguf'") != std::string::npos);
  CHECK(error_for(401, {{"X-Error-Code", "RepoNotFound"}}).code() == Errc::not_found);
  const std::string unauthorized = error_for(401, {}).what();
  CHECK(unauthorized.find("401") != std::string::npos);
  CHECK(unauthorized.find("HF_TOKEN") != std::string::npos);
  CHECK(error_for(401, {}).code() == Errc::network);
  const std::string gated = error_for(403, {{"X-Error-Code", "GatedRepo"}}).what();
  CHECK(gated.find("accept its licence at https://hub/org/model") != std::string::npos);
  CHECK(std::string(error_for(403, {{"X-Error-Message", "Access to this resource is disabled."}}).what())
            .find("disabled") != std::string::npos);
  CHECK(std::string(
            error_for(401, {{"X-Error-Message", "Invalid credentials in Authorization header"}}, true).what())
            .find("does not know this token") != std::string::npos);
  for (const int status : {400, 407, 408, 416, 429, 500, 503}) {
    CHECK(error_for(status, {}).code() == Errc::network);
    CHECK(std::string(error_for(status, {}).what()).find(std::to_string(status)) != std::string::npos);
  }
  CHECK(std::string(error_for(500, {{"x-request-id", "abc\x1b[2J"}}).what()).find('\x1b') ==
        std::string::npos);
}

TEST_CASE("retries end, wait no longer than allowed, and begin anew after progress") {
  HubSettings settings;
  settings.n_retries = 5;
  settings.max_wait = std::chrono::seconds(9);
  Backoff backoff(settings, 1);
  for (int i = 0; i < 5; ++i) {
    const auto wait = backoff.next(answer(503));
    REQUIRE(wait.has_value());
    CHECK(wait->count() <= 1000 << i);
  }
  CHECK(!backoff.next(answer(503)).has_value());
  backoff.progressed();
  CHECK(backoff.next(answer(503)).has_value());
  CHECK(backoff.next(answer(429, headers({{"Retry-After", "100000"}}))) == std::chrono::seconds(9));
  CHECK(backoff.next(answer(429, headers({{"Retry-After", "4"}}))) == std::chrono::seconds(4));
  for (const int status : {400, 401, 403, 404, 409, 416}) CHECK(!may_pass(answer(status)));
  for (const int status : {408, 429, 500, 502, 503, 504}) CHECK(may_pass(answer(status)));
  net::HttpResult refused;
  refused.failure = net::Failure::connect;
  Backoff unreached(settings, 2);
  CHECK(unreached.next(refused));
  CHECK(unreached.next(refused));
  CHECK(!unreached.next(refused));
  refused.failure = net::Failure::tls;
  CHECK(!may_pass(refused));
}
