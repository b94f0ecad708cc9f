// A hub that goes wrong in every way: each kind of fault, for one file and for twelve, ends in the right file
// or in the right error, the cache never holds a wrong blob, and once the hub behaves again the same command
// completes.
#include "hub/certificate.h"
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

/// The kinds that have to be here, each at least once.
constexpr const char* kKinds[] = {"401",
                                  "403 gated",
                                  "403 disabled",
                                  "404 repository, revision, file",
                                  "408",
                                  "416",
                                  "429 with RateLimit, Retry-After in seconds, as a date, huge, garbage",
                                  "500",
                                  "502",
                                  "503 with Retry-After",
                                  "504",
                                  "HTML error page",
                                  "redirect on the same host",
                                  "redirect to another host",
                                  "redirect to another port",
                                  "http downgrade",
                                  "redirect loop",
                                  "eleven hops",
                                  "redirect without Location",
                                  "relative redirect with a query",
                                  "missing ETag",
                                  "weak ETag",
                                  "evil ETag",
                                  "missing size",
                                  "size that lies by one",
                                  "X-Linked-Size that lies",
                                  "gzip body",
                                  "chunked without length",
                                  "200 for a Range",
                                  "206 that starts elsewhere",
                                  "206 that is short",
                                  "connection dropped after some bytes",
                                  "connection dropped every MiB",
                                  "stall",
                                  "one byte a second",
                                  "bit flip",
                                  "file replaced midway",
                                  "evil file name",
                                  "10^5 files",
                                  "pagination loop",
                                  "TLS: expired, wrong host, self-signed",
                                  "DNS failure",
                                  "connection refused",
                                  "proxy 407"};

struct FaultKind {
  int number;  ///< in kKinds, from 1; 0: one more
  std::string name;
  std::function<FakeHub::Script(HubFixture&)> script;
  std::vector<int> exit_codes;  ///< any of these is right
  const char* message = "";     ///< stderr holds it
  std::vector<std::string> arguments = {};
  /// Over TLS: the hub's certificate is "good", "expired", another host's ("other"), or not trusted
  /// ("untrusted").
  std::string certificate = {};
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

bool is_stored_file(const HubRequest& request) { return request.is_file() && request.at_storage; }

/// Leads requests of a kind through so many redirects.
FakeHub::Script hops(bool (*kind)(const HubRequest&), int n_hops) {
  return [=](const HubRequest& request, HubReply reply) {
    if (!kind(request)) return reply;
    const size_t at = request.target.find("hop=");
    const int hop = at == std::string::npos ? 0 : std::atoi(request.target.c_str() + at + 4);
    if (hop == n_hops) return reply;
    return status_reply(307, {{"Location", request.path() + "?hop=" + std::to_string(hop + 1)}});
  };
}

/// A proxy that refuses everything stands before the hub. It lives as long as the script.
FakeHub::Script at_proxy(HubFixture& fixture, const std::string& variable) {
  const auto proxy = std::make_shared<FakeHub>();
  proxy->set_script([](const HubRequest&, HubReply) { return status_reply(407); });
  fixture.environment[variable] = proxy->endpoint();
  return [proxy](const HubRequest&, HubReply reply) { return reply; };
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

/// Makes every size in a listing larger by so much.
void add_to_sizes(std::string& json, int more) {
  const std::string key = "\"size\":";
  for (size_t at = json.find(key); at != std::string::npos; at = json.find(key, at + 1)) {
    const size_t begin = at + key.size();
    const size_t end = json.find_first_not_of("0123456789", begin);
    const auto size = std::stoll(json.substr(begin, end - begin));
    json.replace(begin, end - begin, std::to_string(size + more));
  }
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
      {1, "401", [=](HubFixture&) { return always(any, status_reply(401)); }, {4}, "401 unauthorized"},
      {1,
       "401 for one file",
       [=](HubFixture&) { return always(is_head, status_reply(401)); },
       {4},
       "401 unauthorized"},
      {2,
       "403 gated",
       [=](HubFixture&) {
         return always(is_head, status_reply(403, {{"X-Error-Code", "GatedRepo"}}));
       },
       {4},
       "accept its licence at http"},
      {3,
       "403 disabled",
       [=](HubFixture&) {
         return always(any, status_reply(403, {{"X-Error-Message", "Access to this resource is disabled."}}));
       },
       {4},
       "disabled"},
      {4,
       "404 repository",
       [=](HubFixture&) {
         return always(any, status_reply(404, {{"X-Error-Code", "RepoNotFound"}}));
       },
       {3},
       "no repository"},
      {4,
       "404 revision",
       [=](HubFixture&) {
         return always(any, status_reply(404, {{"X-Error-Code", "RevisionNotFound"}}));
       },
       {3},
       "no revision"},
      {4,
       "404 file",
       [=](HubFixture&) {
         return always(is_head, status_reply(404, {{"X-Error-Code", "EntryNotFound"}}));
       },
       {3},
       "no file"},
      {5, "408 for ever", [=](HubFixture&) { return always(any, status_reply(408)); }, {4}, "408"},
      {6,
       "416 once",
       [=](HubFixture&) {
         return first_files(1, [](const HubRequest&, HubReply& reply) { reply = status_reply(416); });
       },
       {0}},
      {6,
       "416 for ever",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) { reply = status_reply(416); });
       },
       {4},
       "416"},
      {7,
       "429 with RateLimit",
       [=](HubFixture&) {
         return first_answers(2, status_reply(429, {{"RateLimit", "\"api\";r=0;t=0"}}));
       },
       {0}},
      {7,
       "429 with Retry-After",
       [=](HubFixture&) {
         return first_answers(1, status_reply(429, {{"Retry-After", "1"}}));
       },
       {0}},
      {7,
       "429 with a date",
       [=](HubFixture&) {
         return first_answers(1, status_reply(429, {{"Retry-After", http_date(std::time(nullptr) + 1)}}));
       },
       {0}},
      {7,
       "429 asking for a day",
       [=](HubFixture&) {
         return first_answers(1, status_reply(429, {{"Retry-After", "86400"}}));
       },
       {0},
       "it asks for 86400 s",
       {"--max-wait", "2"}},
      {7,
       "429 with garbage",
       [=](HubFixture&) {
         return first_answers(1, status_reply(429, {{"Retry-After", "soon"}}));
       },
       {0}},
      {7,
       "429 for ever",
       [=](HubFixture&) { return always(any, status_reply(429)); },
       {4},
       "429: too many requests"},
      {8,
       "500 for ever",
       [=](HubFixture&) {
         return always(any, status_reply(500, {{"X-Request-Id", "abc123"}}));
       },
       {4},
       "abc123"},
      {8,
       "500 for the file",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) { reply = status_reply(500); });
       },
       {4},
       "500"},
      {9,
       "502 once",
       [=](HubFixture&) { return first_answers(1, status_reply(502, {}, "<html>bad gateway</html>")); },
       {0}},
      {10,
       "503 with Retry-After",
       [=](HubFixture&) {
         return first_answers(2, status_reply(503, {{"Retry-After", "0"}}));
       },
       {0}},
      {11,
       "504 for two files",
       [=](HubFixture&) {
         return first_files(2, [](const HubRequest&, HubReply& reply) { reply = status_reply(504); });
       },
       {0}},
      {12,
       "a web page instead of JSON",
       [=](HubFixture&) {
         return always(is_api, status_reply(200, {{"Content-Type", "text/html"}}, "<html>Login</html>"));
       },
       {4},
       "web page"},
      {12,
       "a web page instead of the file",
       [=](HubFixture&) {
         return files(
             [](const HubRequest&, HubReply& reply) { reply = status_reply(200, {}, "<html>Login</html>"); });
       },
       {4},
       "other bytes"},
      {13,
       "redirect on the same host",
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
      {13,
       "redirect of the storage host",
       [=](HubFixture&) {
         return files([](const HubRequest& request, HubReply& reply) {
           if (request.target.find("again=1") == std::string::npos)
             reply = status_reply(302, {{"Location", request.path() + "?again=1&Signature=CANARY"}});
         });
       },
       {0}},
      {17,
       "redirect loop",
       [=](HubFixture&) {
         return [](const HubRequest& request, HubReply) {
           return status_reply(302, {{"Location", request.target}});
         };
       },
       {4},
       "redirects"},
      {17,
       "redirect loop of the storage host",
       [=](HubFixture&) {
         return files([](const HubRequest& request, HubReply& reply) {
           reply = status_reply(302, {{"Location", request.target + "x"}});
         });
       },
       {4},
       "redirects"},
      {19,
       "redirect without Location",
       [=](HubFixture&) { return always(any, status_reply(302)); },
       {4},
       "without saying where"},
      {0,
       "redirect to a file",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) {
           reply = status_reply(302, {{"Location", "file:///etc/passwd"}});
         });
       },
       {4},
       "address"},
      {0,
       "redirect with a password",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) {
           reply = status_reply(302, {{"Location", "http://u:p@127.0.0.1/x"}});
         });
       },
       {4},
       "address"},
      {21,
       "missing ETag",
       [=](HubFixture&) {
         return heads([](const HubRequest&, HubReply& reply) {
           reply.erase("X-Linked-Etag");
           reply.erase("ETag");
         });
       },
       {0}},
      {22,
       "weak ETag",
       [=](HubFixture&) {
         return heads([](const HubRequest&, HubReply& reply) {
           for (auto& [name, value] : reply.headers)
             if (name == "X-Linked-Etag") value = "W/" + value;
         });
       },
       {0}},
      {23,
       "evil ETag",
       [=](HubFixture&) {
         return heads(
             [](const HubRequest&, HubReply& reply) { reply.set("X-Linked-Etag", "\"../../../x\""); });
       },
       {4},
       "malformed ETag"},
      {23,
       "another ETag",
       [=](HubFixture&) {
         return heads([](const HubRequest&, HubReply& reply) {
           reply.set("X-Linked-Etag", "\"" + std::string(64, 'a') + "\"");
         });
       },
       {5},
       "two digests"},
      {23,
       "evil digest in the listing",
       [=](HubFixture&) {
         return trees([](const HubRequest&, HubReply& reply) {
           replace_all(reply.body, "\"lfs\":{\"oid\":\"", "\"lfs\":{\"oid\":\"../");
         });
       },
       {4},
       "malformed digest"},
      {24,
       "missing size",
       [=](HubFixture&) {
         return heads([](const HubRequest&, HubReply& reply) { reply.erase("X-Linked-Size"); });
       },
       {0}},
      {24,
       "no size in the listing",
       [=](HubFixture&) {
         return trees(
             [](const HubRequest&, HubReply& reply) { replace_all(reply.body, "\"size\"", "\"sighs\""); });
       },
       {4},
       "no valid size"},
      {25,
       "a listing that lies about the size",
       [=](HubFixture&) {
         return trees(
             [](const HubRequest&, HubReply& reply) { replace_all(reply.body, "\"size\":", "\"size\":1"); });
       },
       {5},
       "two sizes"},
      {26,
       "X-Linked-Size too small by one",
       [=](HubFixture&) {
         return heads([](const HubRequest&, HubReply& reply) {
           for (auto& [name, value] : reply.headers)
             if (name == "X-Linked-Size") value = std::to_string(std::stoull(value) - 1);
         });
       },
       {5},
       "two sizes"},
      {25,
       "Content-Length too large by one",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) { reply.content_length = reply.n_bytes() + 1; });
       },
       {0, 4, 8}},
      {25,
       "Content-Length too small by one",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) { reply.content_length = reply.n_bytes() - 1; });
       },
       {0, 4, 8}},
      {27,
       "gzip body",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) { reply.set("Content-Encoding", "gzip"); });
       },
       {4},
       "other bytes"},
      {27,
       "gzip length of a small file before it is sent as it is",
       [=](HubFixture&) {
         return [](const HubRequest& request, HubReply reply) {
           if (request.method != "HEAD" || reply.status != 200) return reply;
           reply.set("Content-Encoding", "gzip");
           reply.content_length = reply.n_bytes() + 20;
           return reply;
         };
       },
       {0}},
      {28,
       "chunked without length",
       [=](HubFixture&) { return files([](const HubRequest&, HubReply& reply) { reply.chunked = true; }); },
       {0}},
      {29,
       "200 for a Range",
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
      {30,
       "206 that starts elsewhere",
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
      {31,
       "206 with less than asked for",
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
      {30,
       "206 without Content-Range",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) { reply.erase("Content-Range"); });
       },
       {0, 4}},
      {32,
       "connection dropped after 100 bytes, always",
       [=](HubFixture&) { return files([](const HubRequest&, HubReply& reply) { reply.drop_after = 100; }); },
       {4, 8}},
      {33,
       "connection dropped every 300 kB",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) { reply.drop_after = 300'000; });
       },
       {0}},
      {32,
       "no answer at all, three times",
       [=](HubFixture&) {
         auto left = std::make_shared<std::atomic<int>>(3);
         return [=](const HubRequest&, HubReply reply) {
           reply.no_answer = left->fetch_sub(1) > 0;
           return reply;
         };
       },
       {0}},
      {34,
       "stall, once",
       [=](HubFixture&) {
         return first_files(1, [](const HubRequest&, HubReply& reply) { reply.stall_after = 1000; });
       },
       {0},
       "",
       {"--stall-timeout", "1"}},
      {35,
       "one byte a second",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) { reply.bytes_per_second = 1; });
       },
       {4, 8},
       "",
       {"--stall-timeout", "1", "--retries", "1"}},
      {36,
       "a bit flipped, once",
       [=](HubFixture&) {
         return first_files(1, [](const HubRequest&, HubReply& reply) { reply.flip_bit_at = 4711; });
       },
       {0},
       "the content is wrong"},
      {36,
       "a bit flipped, always",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) { reply.flip_bit_at = 4711; });
       },
       {5},
       "the content is wrong twice"},
      {37,
       "file replaced by another of its size",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) {
           reply.content = std::make_shared<const std::string>(reply.content->size(), 'x');
         });
       },
       {5},
       "the content is wrong twice"},
      {38,
       "evil name of a model file",
       [=](HubFixture&) {
         return trees([](const HubRequest&, HubReply& reply) {
           replace_all(reply.body, "\"path\":\"", "\"path\":\"../../");
         });
       },
       {5},
       "refused"},
      {39,
       "10^5 files",
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
      {0,
       "a listing larger than the limit",
       [=](HubFixture&) {
         return trees(
             [](const HubRequest&, HubReply& reply) { reply.body.insert(1, std::string(65 << 20, ' ')); });
       },
       {4},
       "larger than"},
      {0,
       "a JSON bomb",
       [=](HubFixture&) {
         return trees([](const HubRequest&, HubReply& reply) { reply.body = std::string(1'000'000, '['); });
       },
       {4},
       "not JSON"},
      {40,
       "pages that run in a circle",
       [=](HubFixture&) {
         return trees([](const HubRequest& request, HubReply& reply) {
           reply.set("Link", "<" + request.target + ">; rel=\"next\"");
         });
       },
       {4},
       "circle"},
      {0,
       "a next page at another host",
       [=](HubFixture& fixture) {
         return trees([at = fixture.hub.storage()](const HubRequest&, HubReply& reply) {
           reply.set("Link", "<" + at + "/api/x>; rel=\"next\"");
         });
       },
       {4},
       "another host"},
      {0,
       "a header of a megabyte",
       [=](HubFixture&) {
         return always(is_api, status_reply(200, {{"X-Bomb", std::string(1 << 20, 'x')}}));
       },
       {4}},
      {0,
       "files that vanish from storage after a while",
       [=](HubFixture&) {
         auto n = std::make_shared<std::atomic<int>>(0);
         return files([=](const HubRequest&, HubReply& reply) {
           if (++*n % 4 == 2) reply = status_reply(403);
         });
       },
       {0, 4, 8}},
      {14,
       "file at another host",
       [=](HubFixture&) {
         return heads([](const HubRequest&, HubReply& reply) {
           for (auto& [name, value] : reply.headers) replace_all(value, "127.0.0.1", "localhost");
         });
       },
       {0}},
      {14,
       "answers at another host",
       [=](HubFixture& fixture) {
         return [at = fixture.hub.endpoint("localhost"), here = fixture.hub.endpoint().substr(7)](
                    const HubRequest& request, HubReply reply) {
           return is_api(request) && request.header("host") == here
                      ? status_reply(307, {{"Location", at + request.target}})
                      : reply;
         };
       },
       {0}},
      {15,
       "file at another port",
       [=](HubFixture&) { return files([](const HubRequest&, HubReply&) {}); },
       {0}},
      {16,
       "http downgrade of the file",
       [=](HubFixture&) {
         return heads([](const HubRequest&, HubReply& reply) {
           for (auto& [name, value] : reply.headers) replace_all(value, "https://", "http://");
         });
       },
       {4},
       "not encrypted",
       {},
       "good"},
      {16,
       "http downgrade of the storage host",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) {
           reply = status_reply(302, {{"Location", "http://127.0.0.1:1/x"}});
         });
       },
       {4},
       "not encrypted",
       {},
       "good"},
      {16,
       "http downgrade of the answers",
       [=](HubFixture&) {
         return always(is_api, status_reply(301, {{"Location", "http://127.0.0.1:1/api"}}));
       },
       {4},
       "not encrypted",
       {},
       "good"},
      {18, "ten hops", [=](HubFixture&) { return hops(is_api, 10); }, {0}},
      {18, "eleven hops", [=](HubFixture&) { return hops(is_api, 11); }, {4}, "more than 10 redirects"},
      {18, "ten hops of the file", [=](HubFixture&) { return hops(is_stored_file, 10); }, {0}},
      {18,
       "eleven hops of the file",
       [=](HubFixture&) { return hops(is_stored_file, 11); },
       {4},
       "more than 10 redirects"},
      {20,
       "relative redirect with a query",
       [=](HubFixture&) {
         return [](const HubRequest& request, HubReply reply) {
           return is_api(request) && request.target.find("moved=1") == std::string::npos
                      ? status_reply(302, {{"Location", "?moved=1"}})
                      : reply;
         };
       },
       {0}},
      {25,
       "a listing whose size is too large by one",
       [=](HubFixture&) {
         return trees([](const HubRequest&, HubReply& reply) { add_to_sizes(reply.body, 1); });
       },
       {5},
       "two sizes"},
      {25,
       "a listing whose size is too small by one",
       [=](HubFixture&) {
         return trees([](const HubRequest&, HubReply& reply) { add_to_sizes(reply.body, -1); });
       },
       {5},
       "two sizes"},
      {26,
       "X-Linked-Size too large by one",
       [=](HubFixture&) {
         return heads([](const HubRequest&, HubReply& reply) {
           for (auto& [name, value] : reply.headers)
             if (name == "X-Linked-Size") value = std::to_string(std::stoull(value) + 1);
         });
       },
       {5},
       "two sizes"},
      {31,
       "206 with a hundred bytes at a time",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) {
           if (!reply.content) return;
           reply.status = 206;
           reply.end = reply.begin + 100;
           reply.set("Content-Range", "bytes " + std::to_string(reply.begin) + "-" +
                                          std::to_string(reply.end - 1) + "/" +
                                          std::to_string(reply.content->size()));
         });
       },
       {4, 8}},
      {33,
       "connection dropped every MiB",
       [=](HubFixture&) {
         return files([](const HubRequest&, HubReply& reply) { reply.drop_after = 1 << 20; });
       },
       {0}},
      {37,
       "file replaced midway",
       [=](HubFixture&) {
         auto n = std::make_shared<std::atomic<int>>(0);
         return files([=](const HubRequest&, HubReply& reply) {
           if (reply.content && ++*n > 2)
             reply.content = std::make_shared<const std::string>(reply.content->size(), 'x');
         });
       },
       {5},
       "the content is wrong twice"},
      {41,
       "TLS: certificate expired",
       [=](HubFixture&) { return nullptr; },
       {4},
       "not secure",
       {},
       "expired"},
      {41,
       "TLS: certificate of another host",
       [=](HubFixture&) { return nullptr; },
       {4},
       "not secure",
       {},
       "other"},
      {41, "TLS: self-signed", [=](HubFixture&) { return nullptr; }, {4}, "not secure", {}, "untrusted"},
      {42,
       "DNS failure",
       [=](HubFixture& fixture) {
         fixture.environment["HF_ENDPOINT"] = "http://no-such-host.invalid";
         return nullptr;
       },
       {4},
       "cannot be reached"},
      {43,
       "connection refused",
       [=](HubFixture& fixture) {
         fixture.environment["HF_ENDPOINT"] = "http://127.0.0.1:9";
         return nullptr;
       },
       {4},
       "cannot be reached"},
      {44,
       "proxy wants credentials",
       [=](HubFixture& fixture) {
         fixture.environment["HF_ENDPOINT"] = "http://hub.invalid";
         return at_proxy(fixture, "http_proxy");
       },
       {4},
       "proxy"},
      {44,
       "proxy wants credentials for a tunnel",
       [=](HubFixture& fixture) {
         fixture.environment["HF_ENDPOINT"] = "https://hub.invalid";
         return at_proxy(fixture, "https_proxy");
       },
       {4},
       "proxy"},
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

constexpr const char* kLoopback = "DNS:localhost,IP:127.0.0.1";

/// Certificates of all sorts, made once.
const TemporaryFolder& certificates() {
  static const TemporaryFolder folder;
  static const bool made = [] {
    make_certificate(folder.path(), "good", kLoopback, 2);
    make_certificate(folder.path(), "expired", kLoopback, -1);
    make_certificate(folder.path(), "other", "DNS:other.invalid", 2);
    return true;
  }();
  (void)made;
  return folder;
}

FakeHub::Tls certificate(const std::string& name) {
  return {(certificates() / (name + ".pem")).string(), (certificates() / (name + ".key")).string()};
}

/// What is trusted where the hub has the certificate of this name.
std::string trusted_with(const std::string& name) {
  return (certificates() / ((name == "untrusted" ? "other" : name) + ".pem")).string();
}

/// The token went to the hub itself and to nobody else.
void check_token(const HubFixture& fixture) {
  const std::string endpoint = fixture.hub.endpoint();
  const std::string hub = endpoint.substr(endpoint.find("//") + 2);
  for (const HubRequest& request : fixture.hub.requests())
    if (!request.header("authorization").empty()) CHECK(request.header("host") == hub);
}

void try_kind(const FaultKind& kind, bool many) {
  CAPTURE(kind.name);
  CAPTURE(many);
  const bool tls = !kind.certificate.empty();
  HubFixture fixture(
      tls ? std::optional(certificate(kind.certificate == "untrusted" ? "good" : kind.certificate))
          : std::nullopt);
  add_model(fixture, many);
  fixture.environment["HF_TOKEN"] = "hf_CANARYTOKEN";
  if (tls) fixture.environment["SSL_CERT_FILE"] = trusted_with("good");
  const auto behaves = fixture.environment;
  if (tls) fixture.environment["SSL_CERT_FILE"] = trusted_with(kind.certificate);
  fixture.hub.set_script(kind.script(fixture));
  std::vector<std::string> arguments = {"org/model"};
  arguments.insert(arguments.end(), kind.arguments.begin(), kind.arguments.end());
  const ProgramResult result = fixture.run("pull", arguments);
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
  check_token(fixture);
  check_cache(fixture);
  fixture.hub.set_script(nullptr);
  fixture.environment = behaves;
  if (tls) fixture.hub.use_certificate(certificate("good"));
  const ProgramResult again = fixture.run("pull", {"org/model"});
  CAPTURE(again.errors);
  CHECK(again.exit_code == 0);
  check_cache(fixture);
  CHECK(tree_of(fixture.snapshot()).size() == fixture.hub.files("org/model").size());
  for (const std::string& name : tree_of(fixture.repo() / "blobs"))
    CHECK((name.size() == 64 || name.size() == 40));
}

}  // namespace

TEST_CASE("every kind of fault that has to be here is here") {
  for (int number = 1; number <= static_cast<int>(std::size(kKinds)); ++number) {
    CAPTURE(kKinds[number - 1]);
    CHECK(std::any_of(kinds().begin(), kinds().end(),
                      [&](const FaultKind& kind) { return kind.number == number; }));
  }
}

TEST_CASE("every kind of fault ends in the right file or the right error, for one file") {
  for (const FaultKind& kind : kinds()) try_kind(kind, false);
}

TEST_CASE("every kind of fault ends in the right file or the right error, for twelve files") {
  for (const FaultKind& kind : kinds()) try_kind(kind, true);
}

TEST_CASE("a hub that can't be reached is told without a long wait, and an address that is none at once") {
  HubFixture fixture;
  fixture.environment["HF_ENDPOINT"] = "http://127.0.0.1:9";
  const ProgramResult result = fixture.run("pull", {"org/model"});
  CHECK(result.exit_code == 4);
  CHECK(result.seconds < 20 * ruvllm::test::kPatience);
  for (const char* endpoint : {"ftp://x", "huggingface.co", "https://u:p@x", "file:///etc"}) {
    fixture.environment["HF_ENDPOINT"] = endpoint;
    CHECK(fixture.run("pull", {"org/model"}).exit_code != 0);
  }
}
