#include "net/url.h"
#include "base/error.h"

#include <doctest/doctest.h>

using namespace ruvllm;
using namespace ruvllm::net;

TEST_CASE("origins are scheme, host and port") {
  CHECK(Url::parse("https://h/x").origin() == "https://h:443");
  CHECK(Url::parse("HTTP://H:8080/x").origin() == "http://h:8080");
  CHECK(same_origin(Url::parse("https://h/x"), Url::parse("https://H:443/y?z")));
  for (const char* other : {"http://h/x", "https://h:444/x", "https://g/x", "https://h.g/x", "https://xh/x"})
    CHECK(!same_origin(Url::parse("https://h/x"), Url::parse(other)));
}

TEST_CASE("locations resolve as a browser resolves them") {
  const Url base = Url::parse("https://h/a/b?c=d");
  CHECK(base.resolve("/x?y=z").text() == "https://h/x?y=z");
  CHECK(base.resolve("x").text() == "https://h/a/x");
  CHECK(base.resolve("?q").text() == "https://h/a/b?q");
  CHECK(base.resolve("//g/x").origin() == "https://g:443");
  CHECK(base.resolve("http://g:1/x").origin() == "http://g:1");
  CHECK(base.resolve("/x?Signature=s").without_query() == "https://h/x");
}

TEST_CASE("addresses that are none, or go elsewhere, are refused") {
  for (const char* wrong : {"", "h", "/x", "ftp://h/x", "file:///etc/passwd", "gopher://h", "javascript:x",
                            "https://u:p@h/x", "https://u@h/", "https://h/x y", "https://h/\r\nX: y",
                            "https://h\\@g/", "https://", "https://h:99999/", "https://[::1/x"})
    CHECK_THROWS_AS(Url::parse(wrong), Error);
  const Url base = Url::parse("https://h/a");
  for (const char* wrong : {"file:///etc/passwd", "ftp://h/x", "\r\n", "https://u:p@g/"})
    CHECK_THROWS_AS(base.resolve(wrong), Error);
}

TEST_CASE("percent encoding leaves only what needs no encoding") {
  CHECK(percent_encode("a b/c?d#e%\xc3\xa9", true) == "a%20b/c%3Fd%23e%25%C3%A9");
  CHECK(percent_encode("refs/pr/1", false) == "refs%2Fpr%2F1");
}
