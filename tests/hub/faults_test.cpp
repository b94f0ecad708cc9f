// A hub that goes wrong in every way: each kind of fault, for one file and for twelve, ends in the right file
// or in the right error, the cache never holds a wrong blob, and once the hub behaves again the same command
// completes.
#include "hub/hub_fixture.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>

using namespace ruvllm::test;
namespace fs = std::filesystem;

namespace {

constexpr size_t kFileBytes = 3 << 20;
constexpr size_t kShards = 12;

struct FaultKind {
  std::string name;
  std::function<FakeHub::Script(HubFixture&)> script;
  std::vector<int> exit_codes;  ///< any of these is right
  const char* message = "";     ///< stderr holds it
  std::vector<std::string> arguments = {};
};

bool is_api(const HubRequest& request) { return request.target.starts_with("/api/"); }
bool is_tree(const HubRequest& request) { return request.target.find("/tree/") != std::string::npos; }
bool is_head(const HubRequest& request) { return request.method == "HEAD"; }

HubReply status_reply(int status, std::vector<std::pair<std::string, std::string>> headers = {},
                      std::string body = "") {
  HubReply reply;
  reply.status = status;
  reply.headers = std::move(headers);
  reply.body = std::move(body);
  return reply;
}

using Damage = std::function<void(const HubRequest&, HubReply&)>;

/// Damages every answer with a file's content.
FakeHub::Script files(Damage damage) {
  return [damage](const HubRequest& request, HubReply reply) {
    if (request.is_file() && request.at_storage) damage(request, reply);
    return reply;
  };
}

/// Damages the first `n` of them.
FakeHub::Script first_files(int n, Damage damage) {
  auto left = std::make_shared<std::atomic<int>>(n);
  return files([=](const HubRequest& request, HubReply& reply) {
    if (left->fetch_sub(1) > 0) damage(request, reply);
  });
}

/// Answers the first `n` requests, whatever they are, with this.
FakeHub::Script first_answers(int n, HubReply wrong) {
  auto left = std::make_shared<std::atomic<int>>(n);
  return [=](const HubRequest&, HubReply reply) { return left->fetch_sub(1) > 0 ? wrong : reply; };
}

/// Answers every request of a kind with this.
FakeHub::Script always(bool (*kind)(const HubRequest&), HubReply wrong) {
  return [=](const HubRequest& request, HubReply reply) { return kind(request) ? wrong : reply; };
}

FakeHub::Script heads(Damage damage) {
  return [damage](const HubRequest& request, HubReply reply) {
    if (is_head(request)) damage(request, reply);
    return reply;
  };
}

FakeHub::Script trees(Damage damage) {
  return [damage](const HubRequest& request, HubReply reply) {
    if (is_tree(request)) damage(request, reply);
    return reply;
  };
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

std::string http_date(std::time_t time) {
  char text[64];
  std::tm parts{};
  gmtime_r(&time, &parts);
  std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return text;
}

const std::vector<FaultKind>& kinds() {
  const auto any = [](const HubRequest&) { return true; };
  static const std::vector<FaultKind> all = {
      {"401", [=](HubFixture&) { return always(any, status_reply(401)); }, {4}, "401 unauthorized"},
      {"401 for one file",
       [=](HubFixture&) { return always(is_head, status_reply(401)); },
       {4},
       "401 unauthorized"},
      {"403 gated",
       [=](HubFixture&) {
         return always(is_head, status_reply(403, {{"X-Error-Code", "GatedRepo"}}));
       },
       {4},
       "accept its licence at http"},
      {"403 disabled",
       [=](HubFixture&) {
         return always(any, status_reply(403, {{"X-Error-Message", "Access to this resource is disabled."}}));
       },
       {4},
       "disabled"},
      {"404 repository",
       [=](HubFixture&) {
         return always(any, status_reply(404, {{"X-Error-Code", "RepoNotFound"}}));
       },
       {3},
       "no repository"},
      {"404 revision",
       [=](HubFixture&) {
         return always(any, status_reply(404, {{"X-Error-Code", "RevisionNotFound"}}));
       },
       {3},
       "no revision"},
      {"404 file",
       [=](HubFixture&) {
         return always(is_head, status_reply(404, {{"X-Error-Code", "EntryNotFound"}}));
       },
       {3},
       "no file"},
      {"408 for ever", [=](HubFixture&) { return always(any, status_reply(408)); }, {4}, "408"},
      {"416 once",
       [=](HubFixture&) {
         return first_files(1, [](const HubRequest&, HubReply& reply) { reply = status_reply(416); });
       },
       {0}},
      {"416 for ever",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) { reply = status_reply(416); });
       },
       {4},
       "416"},
      {"429 with RateLimit",
       [=](HubFixture&) {
         return first_answers(2, status_reply(429, {{"RateLimit", "\"api\";r=0;t=0"}}));
       },
       {0}},
      {"429 with Retry-After",
       [=](HubFixture&) {
         return first_answers(1, status_reply(429, {{"Retry-After", "1"}}));
       },
       {0}},
      {"429 with a date",
       [=](HubFixture&) {
         return first_answers(1, status_reply(429, {{"Retry-After", http_date(std::time(nullptr) + 1)}}));
       },
       {0}},
      {"429 asking for a day",
       [=](HubFixture&) {
         return first_answers(1, status_reply(429, {{"Retry-After", "86400"}}));
       },
       {0},
       "it asks for 86400 s",
       {"--max-wait", "2"}},
      {"429 with garbage",
       [=](HubFixture&) {
         return first_answers(1, status_reply(429, {{"Retry-After", "soon"}}));
       },
       {0}},
      {"429 for ever",
       [=](HubFixture&) { return always(any, status_reply(429)); },
       {4},
       "429: too many requests"},
      {"500 for ever",
       [=](HubFixture&) {
         return always(any, status_reply(500, {{"X-Request-Id", "abc123"}}));
       },
       {4},
       "abc123"},
      {"500 for the file",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) { reply = status_reply(500); });
       },
       {4},
       "500"},
      {"502 once",
       [=](HubFixture&) { return first_answers(1, status_reply(502, {}, "<html>bad gateway</html>")); },
       {0}},
      {"503 with Retry-After",
       [=](HubFixture&) {
         return first_answers(2, status_reply(503, {{"Retry-After", "0"}}));
       },
       {0}},
      {"504 for two files",
       [=](HubFixture&) {
         return first_files(2, [](const HubRequest&, HubReply& reply) { reply = status_reply(504); });
       },
       {0}},
      {"a web page instead of JSON",
       [=](HubFixture&) {
         return always(is_api, status_reply(200, {{"Content-Type", "text/html"}}, "<html>Login</html>"));
       },
       {4},
       "web page"},
      {"a web page instead of the file",
       [=](HubFixture&) {
         return files(
             [](const HubRequest&, HubReply& reply) { reply = status_reply(200, {}, "<html>Login</html>"); });
       },
       {4},
       "other bytes"},
      {"redirect on the same host",
       [=](HubFixture&) {
         return [](const HubRequest& request, HubReply reply) {
           return is_api(request) && request.target.find("moved=1") == std::string::npos
                      ? status_reply(302, {{"Location",
                                            request.target +
                                                (request.target.find('?') == std::string::npos ? "?" : "&") +
                                                "moved=1"}})
                      : reply;
         };
       },
       {0}},
      {"redirect of the storage host",
       [=](HubFixture&) {
         return files([](const HubRequest& request, HubReply& reply) {
           if (request.target.find("again=1") == std::string::npos)
             reply = status_reply(302, {{"Location", request.path() + "?again=1&Signature=CANARY"}});
         });
       },
       {0}},
      {"redirect loop",
       [=](HubFixture&) {
         return [](const HubRequest& request, HubReply) {
           return status_reply(302, {{"Location", request.target}});
         };
       },
       {4},
       "redirects"},
      {"redirect loop of the storage host",
       [=](HubFixture&) {
         return files([](const HubRequest& request, HubReply& reply) {
           reply = status_reply(302, {{"Location", request.target + "x"}});
         });
       },
       {4},
       "redirects"},
      {"redirect without Location",
       [=](HubFixture&) { return always(any, status_reply(302)); },
       {4},
       "without saying where"},
      {"redirect to a file",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) {
           reply = status_reply(302, {{"Location", "file:///etc/passwd"}});
         });
       },
       {4},
       "address"},
      {"redirect with a password",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) {
           reply = status_reply(302, {{"Location", "http://u:p@127.0.0.1/x"}});
         });
       },
       {4},
       "address"},
      {"missing ETag",
       [=](HubFixture&) {
         return heads([](const HubRequest&, HubReply& reply) {
           reply.erase("X-Linked-Etag");
           reply.erase("ETag");
         });
       },
       {0}},
      {"weak ETag",
       [=](HubFixture&) {
         return heads([](const HubRequest&, HubReply& reply) {
           for (auto& [name, value] : reply.headers)
             if (name == "X-Linked-Etag") value = "W/" + value;
         });
       },
       {0}},
      {"evil ETag",
       [=](HubFixture&) {
         return heads(
             [](const HubRequest&, HubReply& reply) { reply.set("X-Linked-Etag", "\"../../../x\""); });
       },
       {4},
       "malformed ETag"},
      {"another ETag",
       [=](HubFixture&) {
         return heads([](const HubRequest&, HubReply& reply) {
           reply.set("X-Linked-Etag", "\"" + std::string(64, 'a') + "\"");
         });
       },
       {5},
       "two digests"},
      {"evil digest in the listing",
       [=](HubFixture&) {
         return trees([](const HubRequest&, HubReply& reply) {
           replace_all(reply.body, "\"lfs\":{\"oid\":\"", "\"lfs\":{\"oid\":\"../");
         });
       },
       {4},
       "malformed digest"},
      {"missing size",
       [=](HubFixture&) {
         return heads([](const HubRequest&, HubReply& reply) { reply.erase("X-Linked-Size"); });
       },
       {0}},
      {"no size in the listing",
       [=](HubFixture&) {
         return trees(
             [](const HubRequest&, HubReply& reply) { replace_all(reply.body, "\"size\"", "\"sighs\""); });
       },
       {4},
       "no valid size"},
      {"a listing that lies about the size",
       [=](HubFixture&) {
         return trees(
             [](const HubRequest&, HubReply& reply) { replace_all(reply.body, "\"size\":", "\"size\":1"); });
       },
       {5},
       "two sizes"},
      {"X-Linked-Size too small by one",
       [=](HubFixture&) {
         return heads([](const HubRequest&, HubReply& reply) {
           for (auto& [name, value] : reply.headers)
             if (name == "X-Linked-Size") value = std::to_string(std::stoull(value) - 1);
         });
       },
       {5},
       "two sizes"},
      {"Content-Length too large by one",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) { reply.content_length = reply.n_bytes() + 1; });
       },
       {0, 4, 8}},
      {"Content-Length too small by one",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) { reply.content_length = reply.n_bytes() - 1; });
       },
       {0, 4, 8}},
      {"gzip body",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) { reply.set("Content-Encoding", "gzip"); });
       },
       {4},
       "other bytes"},
      {"chunked without length",
       [=](HubFixture&) { return files([](const HubRequest&, HubReply& reply) { reply.chunked = true; }); },
       {0}},
      {"200 for a Range",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) {
           if (reply.status == 206) {
             reply.status = 200;
             reply.erase("Content-Range");
             reply.begin = 0;
             reply.end = reply.content->size();
           }
         });
       },
       {0}},
      {"206 that starts elsewhere",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) {
           if (reply.status == 206) {
             reply.begin = 0;
             reply.end = 1000;
             reply.set("Content-Range", "bytes 0-999/" + std::to_string(reply.content->size()));
           }
         });
       },
       {0, 4}},
      {"206 with less than asked for",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) {
           if (reply.status == 206 && reply.end - reply.begin > 100'000) {
             reply.end = reply.begin + 100'000;
             reply.set("Content-Range", "bytes " + std::to_string(reply.begin) + "-" +
                                            std::to_string(reply.end - 1) + "/" +
                                            std::to_string(reply.content->size()));
           }
         });
       },
       {0}},
      {"206 without Content-Range",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) { reply.erase("Content-Range"); });
       },
       {0, 4}},
      {"connection dropped after 100 bytes, always",
       [=](HubFixture&) { return files([](const HubRequest&, HubReply& reply) { reply.drop_after = 100; }); },
       {4, 8}},
      {"connection dropped every 300 kB",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) { reply.drop_after = 300'000; });
       },
       {0}},
      {"no answer at all, three times",
       [=](HubFixture&) {
         auto left = std::make_shared<std::atomic<int>>(3);
         return [=](const HubRequest&, HubReply reply) {
           reply.no_answer = left->fetch_sub(1) > 0;
           return reply;
         };
       },
       {0}},
      {"stall, once",
       [=](HubFixture&) {
         return first_files(1, [](const HubRequest&, HubReply& reply) { reply.stall_after = 1000; });
       },
       {0},
       "",
       {"--stall-timeout", "1"}},
      {"one byte a second",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) { reply.bytes_per_second = 1; });
       },
       {4, 8},
       "",
       {"--stall-timeout", "1", "--retries", "1"}},
      {"a bit flipped, once",
       [=](HubFixture&) {
         return first_files(1, [](const HubRequest&, HubReply& reply) { reply.flip_bit_at = 4711; });
       },
       {0},
       "the content is wrong"},
      {"a bit flipped, always",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) { reply.flip_bit_at = 4711; });
       },
       {5},
       "the content is wrong twice"},
      {"file replaced by another of its size",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) {
           reply.content = std::make_shared<const std::string>(reply.content->size(), 'x');
         });
       },
       {5},
       "the content is wrong twice"},
      {"evil name of a model file",
       [=](HubFixture&) {
         return trees([](const HubRequest&, HubReply& reply) {
           replace_all(reply.body, "\"path\":\"", "\"path\":\"../../");
         });
       },
       {5},
       "refused"},
      {"10^5 files",
       [=](HubFixture&) {
         return trees([](const HubRequest&, HubReply& reply) {
           std::string more;
           for (int i = 0; i < 100'000; ++i)
             more += ",{\"type\":\"file\",\"path\":\"f/" + std::to_string(i) +
                     ".txt\",\"size\":1,\"oid\":\"" + std::string(40, 'b') + "\"}";
           reply.body.insert(reply.body.size() - 1, more);
         });
       },
       {0}},
      {"a listing larger than the limit",
       [=](HubFixture&) {
         return trees(
             [](const HubRequest&, HubReply& reply) { reply.body.insert(1, std::string(65 << 20, ' ')); });
       },
       {4},
       "larger than"},
      {"a JSON bomb",
       [=](HubFixture&) {
         return trees([](const HubRequest&, HubReply& reply) { reply.body = std::string(1'000'000, '['); });
       },
       {4},
       "not JSON"},
      {"pages that run in a circle",
       [=](HubFixture&) {
         return trees([](const HubRequest& request, HubReply& reply) {
           reply.set("Link", "<" + request.target + ">; rel=\"next\"");
         });
       },
       {4},
       "circle"},
      {"a next page at another host",
       [=](HubFixture& fixture) {
         return trees([at = fixture.hub.storage()](const HubRequest&, HubReply& reply) {
           reply.set("Link", "<" + at + "/api/x>; rel=\"next\"");
         });
       },
       {4},
       "another host"},
      {"a header of a megabyte",
       [=](HubFixture&) {
         return always(is_api, status_reply(200, {{"X-Bomb", std::string(1 << 20, 'x')}}));
       },
       {4}},
      {"files that vanish from storage after a while",
       [=](HubFixture&) {
         auto n = std::make_shared<std::atomic<int>>(0);
         return files([=](const HubRequest&, HubReply& reply) {
           if (++*n % 4 == 2) reply = status_reply(403);
         });
       },
       {0, 4, 8}},
  };
  return all;
}

void add_model(HubFixture& fixture, bool many) {
  if (!many) return fixture.hub.add("org/model", "m-Q8_0.gguf", random_bytes(kFileBytes, 5), true);
  fixture.hub.add("org/model", "config.json", "{}", false);
  for (size_t i = 1; i <= kShards; ++i) {
    char name[64];
    std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", i, kShards);
    fixture.hub.add("org/model", name, random_bytes(400'000 + i, i), true);
  }
}

/// No blob whose content is not what its name says, and nothing in a snapshot that is not a file of the
/// repository.
void check_cache(const HubFixture& fixture) {
  for (const std::string& name : tree_of(fixture.repo() / "blobs")) {
    if (name.size() != 64 && name.size() != 40) continue;
    const std::string content = contents_of(fixture.repo() / "blobs" / name);
    CHECK((name.size() == 64 ? sha256_hex(content) : git_blob_hex(content)) == name);
  }
  const auto files = fixture.hub.files("org/model");
  for (const std::string& name : tree_of(fixture.snapshot()))
    CHECK(contents_of(fixture.snapshot() / name) == files.at(name));
}

void try_kind(const FaultKind& kind, bool many) {
  CAPTURE(kind.name);
  CAPTURE(many);
  HubFixture fixture;
  add_model(fixture, many);
  fixture.hub.set_script(kind.script(fixture));
  std::vector<std::string> arguments = {"org/model"};
  arguments.insert(arguments.end(), kind.arguments.begin(), kind.arguments.end());
  const ProgramResult result = fixture.run("pull", arguments, std::chrono::seconds(20));
  CAPTURE(result.errors);
  CAPTURE(result.exit_code);
  CHECK(std::find(kind.exit_codes.begin(), kind.exit_codes.end(), result.exit_code) != kind.exit_codes.end());
  CHECK(result.errors.find(kind.message) != std::string::npos);
  CHECK(result.errors.find("CANARY") == std::string::npos);
  if (result.exit_code != 0) {  // one line says why, and the last
    const size_t error = result.errors.rfind("ruvllm pull: error: ");
    CHECK(error != std::string::npos);
    CHECK(result.errors.find('\n', error) == result.errors.size() - 1);
  }
  check_cache(fixture);
  fixture.hub.set_script(nullptr);
  CHECK(fixture.run("pull", {"org/model"}).exit_code == 0);
  check_cache(fixture);
  CHECK(tree_of(fixture.snapshot()).size() == fixture.hub.files("org/model").size());
  for (const std::string& name : tree_of(fixture.repo() / "blobs"))
    CHECK((name.size() == 64 || name.size() == 40));
}

bool make_certificate(const fs::path& folder, const std::string& name, const std::string& host,
                      const std::string& days) {
  return Program({"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
                  (folder / (name + ".key")).string(), "-out", (folder / (name + ".pem")).string(), "-days",
                  days, "-subj", "/CN=" + host, "-addext", "subjectAltName=" + host},
                 {{"HOME", folder.string()}}, folder)
             .wait()
             .exit_code == 0;
}

}  // namespace

TEST_CASE("there are at least forty kinds of fault") { CHECK(kinds().size() >= 40); }

TEST_CASE("every kind of fault ends in the right file or the right error, for one file") {
  for (const FaultKind& kind : kinds()) try_kind(kind, false);
}

TEST_CASE("every kind of fault ends in the right file or the right error, for twelve files") {
  for (const FaultKind& kind : kinds()) try_kind(kind, true);
}

TEST_CASE("a hub that can't be reached is told quickly") {
  HubFixture fixture;
  for (const char* endpoint : {"http://127.0.0.1:9", "http://no-such-host.invalid"}) {
    fixture.environment["HF_ENDPOINT"] = endpoint;
    const ProgramResult result = fixture.run("pull", {"org/model"});
    CHECK(result.exit_code == 4);
    CHECK(result.errors.find("cannot be reached") != std::string::npos);
    CHECK(result.seconds < 20);
  }
  for (const char* endpoint : {"ftp://x", "huggingface.co", "https://u:p@x", "file:///etc"}) {
    fixture.environment["HF_ENDPOINT"] = endpoint;
    CHECK(fixture.run("pull", {"org/model"}).exit_code != 0);
  }
}

TEST_CASE("a proxy that refuses is named") {
  HubFixture fixture;
  FakeHub proxy;
  proxy.set_script([](const HubRequest&, HubReply) { return status_reply(407); });
  fixture.environment["HF_ENDPOINT"] = "http://hub.invalid";
  fixture.environment["http_proxy"] = proxy.endpoint();
  const ProgramResult result = fixture.run("pull", {"org/model"});
  CHECK(result.exit_code == 4);
  CHECK(result.errors.find("proxy") != std::string::npos);
  fixture.environment["HF_ENDPOINT"] = "https://hub.invalid";
  fixture.environment["https_proxy"] = proxy.endpoint();
  const ProgramResult tunnel = fixture.run("pull", {"org/model"});
  CHECK(tunnel.exit_code == 4);
  CHECK(tunnel.errors.find("proxy") != std::string::npos);
}

TEST_CASE("a connection that is not secure is refused, a downgrade too, and a good one works") {
  TemporaryFolder folder;
  if (!make_certificate(folder.path(), "good", "DNS:localhost,IP:127.0.0.1", "2") ||
      !make_certificate(folder.path(), "other", "DNS:other.invalid", "2")) {
    MESSAGE("skipped: the openssl program makes no certificates here");
    return;
  }
  const bool expired = make_certificate(folder.path(), "expired", "DNS:localhost,IP:127.0.0.1", "-1");
  const auto pull_with = [&](const std::string& certificate, const std::string& trusted,
                             FakeHub::Script script = nullptr) {
    HubFixture fixture(
        FakeHub::Tls{(folder / (certificate + ".pem")).string(), (folder / (certificate + ".key")).string()});
    add_model(fixture, false);
    fixture.hub.set_script(std::move(script));
    if (!trusted.empty()) fixture.environment["SSL_CERT_FILE"] = (folder / (trusted + ".pem")).string();
    return fixture.run("pull", {"org/model"});
  };
  const ProgramResult good = pull_with("good", "good");
  CHECK_MESSAGE(good.exit_code == 0, good.errors);
  for (const auto& [certificate, trusted] : std::vector<std::pair<std::string, std::string>>{
           {"good", ""}, {"other", "other"}, {"good", "other"}}) {
    const ProgramResult result = pull_with(certificate, trusted);
    CHECK(result.exit_code == 4);
    CHECK(result.errors.find("not secure") != std::string::npos);
  }
  if (expired) CHECK(pull_with("expired", "expired").exit_code == 4);
  const ProgramResult downgrade =
      pull_with("good", "good", files([](const HubRequest&, HubReply& reply) {
                  reply = status_reply(302, {{"Location", "http://127.0.0.1:1/x"}});
                }));
  CHECK(downgrade.exit_code == 4);
  CHECK(downgrade.errors.find("not encrypted") != std::string::npos);
}
