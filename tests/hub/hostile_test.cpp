// A hub that means harm: names that lead out of the cache, digests that confuse, answers that are too large,
// redirects to where nobody should go. Each is refused by the program, and leaves nothing anywhere but in the
// cache, and there nothing but what it should be.
#include "hub/hub_fixture.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

using namespace ruvllm::test;
namespace fs = std::filesystem;

namespace {

constexpr const char* kFile = "m-Q8_0.gguf";

struct Hostile {
  std::string name;
  FakeHub::Script script;
  std::vector<int> exit_codes = {4};
};

bool is_tree(const HubRequest& request) { return request.target.find("/tree/") != std::string::npos; }
bool is_revision(const HubRequest& request) { return request.target.find("/revision/") != std::string::npos; }
bool is_head(const HubRequest& request) { return request.method == "HEAD"; }
bool is_stored(const HubRequest& request) { return request.at_storage; }

/// Answers of a kind, changed.
FakeHub::Script change(bool (*kind)(const HubRequest&), std::function<void(HubReply&)> how) {
  return [=](const HubRequest& request, HubReply reply) {
    if (kind(request)) how(reply);
    return reply;
  };
}

FakeHub::Script replace(bool (*kind)(const HubRequest&), const std::string& from, const std::string& to) {
  return change(kind, [=](HubReply& reply) {
    for (size_t at = reply.body.find(from); at != std::string::npos;
         at = reply.body.find(from, at + to.size()))
      reply.body.replace(at, from.size(), to);
  });
}

FakeHub::Script header(bool (*kind)(const HubRequest&), const std::string& name, const std::string& value) {
  return change(kind, [=](HubReply& reply) { reply.set(name, value); });
}

FakeHub::Script redirect(bool (*kind)(const HubRequest&), const std::string& target) {
  return change(kind, [=](HubReply& reply) {
    reply = HubReply();
    reply.status = 302;
    reply.set("Location", target);
  });
}

FakeHub::Script body(bool (*kind)(const HubRequest&), const std::string& text) {
  return change(kind, [=](HubReply& reply) { reply.body = text; });
}

/// The model's name in the listing, as JSON writes it.
std::vector<Hostile> names() {
  std::vector<Hostile> all;
  for (const char* name : {"../x.gguf",
                           "../../x.gguf",
                           "../../../../../../etc/x.gguf",
                           "/etc/x.gguf",
                           "//host/x.gguf",
                           "a/../../x.gguf",
                           "./x.gguf",
                           "a//x.gguf",
                           "a/./x.gguf",
                           "a\\\\..\\\\x.gguf",
                           "C:\\\\x.gguf",
                           "C:x.gguf",
                           "..\\\\x.gguf",
                           "x\\u0000.gguf",
                           "x\\n.gguf",
                           "x\\u001b]0;title\\u0007.gguf",
                           "x\\u007f.gguf",
                           "CON.gguf",
                           "a/nul.gguf",
                           ".git/hooks/x.gguf",
                           "a:b.gguf",
                           "a|b.gguf",
                           "a*b.gguf",
                           "a /x.gguf"})
    all.push_back({std::string("name ") + name, replace(is_tree, kFile, name), {5}});
  all.push_back({"name of 300 bytes", replace(is_tree, kFile, std::string(300, 'a') + ".gguf"), {3, 5}});
  all.push_back({"name that is no Unicode", replace(is_tree, kFile, "\xff\xfe.gguf"), {4, 5}});
  all.push_back({"half of a surrogate pair", replace(is_tree, kFile, "\\ud800.gguf"), {4, 5}});
  return all;
}

std::vector<Hostile> answers(const std::string& digest) {
  const std::string lfs = "\"lfs\":{\"oid\":\"" + digest;
  const auto oid = [&](const std::string& other) {
    return replace(is_tree, lfs, "\"lfs\":{\"oid\":\"" + other);
  };
  const auto size = [&](const std::string& other) {
    return replace(is_tree, ",\"size\":100000", ",\"size\":" + other);
  };
  std::string upper = digest;
  std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
  return {
      {"digest that is a path", oid("../../../x")},
      {"digest in capitals", oid(upper)},
      {"digest of 63 digits", oid(digest.substr(1))},
      {"digest of 65 digits", oid(digest + "0")},
      {"digest with a line end", oid(digest + "\\n")},
      {"digest of another kind", oid(std::string(40, 'a')), {5}},
      {"digest of another file", oid(std::string(64, 'a')), {5}},
      {"ETag that is a path", header(is_head, "X-Linked-Etag", "\"../../x\"")},
      {"ETag of another file", header(is_head, "X-Linked-Etag", "\"" + std::string(64, 'b') + "\""), {5}},
      {"negative X-Linked-Size", header(is_head, "X-Linked-Size", "-1")},
      {"X-Linked-Size that is no number", header(is_head, "X-Linked-Size", "99999999999999999999999")},
      {"negative size", size("-1")},
      {"size of 2^64 - 1", size("18446744073709551615")},
      {"size of 2^63", size("9223372036854775808")},
      {"size with a fraction", size("1.5")},
      {"size as text", size("\"100000\"")},
      {"size of an exbibyte", size("1152921504606846976"), {5, 6}},
      {"commit that is a path", body(is_revision, R"({"sha":"../../../x"})")},
      {"commit of 39 digits", body(is_revision, "{\"sha\":\"" + std::string(39, 'a') + "\"}")},
      {"commit that is a list", body(is_revision, R"({"sha":["x"]})")},
      {"JSON of a million brackets", body(is_tree, std::string(1'000'000, '['))},
      {"JSON of 65 MiB",
       change(is_tree, [](HubReply& reply) { reply.body.insert(1, std::string(65 << 20, ' ')); })},
      {"a file listed twice", change(is_tree,
                                     [](HubReply& reply) {
                                       reply.body.insert(1,
                                                         reply.body.substr(1, reply.body.size() - 2) + ",");
                                     })},
      {"pages without end",
       [n = std::make_shared<std::atomic<int>>(0)](const HubRequest& request, HubReply reply) {
         if (!is_tree(request)) return reply;
         reply.set("Link", "<" + request.path() + "?cursor=" + std::to_string(++*n) + ">; rel=\"next\"");
         reply.body = "[]";
         return reply;
       }},
      {"next page in a file", header(is_tree, "Link", "<file:///etc/passwd>; rel=\"next\"")},
      {"next page at another host", header(is_tree, "Link", "<http://localhost:1/x>; rel=\"next\"")},
      {"redirect to a file", redirect(is_stored, "file:///etc/passwd")},
      {"redirect to ftp", redirect(is_head, "ftp://127.0.0.1/x")},
      {"redirect to gopher", redirect(is_revision, "gopher://127.0.0.1:25/x")},
      {"redirect with a password", redirect(is_head, "http://user:password@127.0.0.1/x")},
      {"redirect with a backslash", redirect(is_head, "http:\\\\127.0.0.1\\x")},
      {"redirect of 20000 bytes", redirect(is_head, "http://127.0.0.1/" + std::string(20'000, 'x'))},
      {"a header of a megabyte", header(is_revision, "X-Bomb", std::string(1 << 20, 'x'))},
      {"fifty thousand headers", change(is_revision,
                                        [](HubReply& reply) {
                                          for (int i = 0; i < 50'000; ++i)
                                            reply.headers.emplace_back("X-" + std::to_string(i), "x");
                                        })},
      {"content that is longer than said",
       change(is_stored,
              [](HubReply& reply) {
                reply.body = std::string(200'000, 'x');
                reply.content = nullptr;
                reply.chunked = true;
              }),
       {4, 5, 8}},
      {"other content of the same length",
       change(is_stored,
              [](HubReply& reply) {
                reply.body = std::string(100'000, 'x');
                reply.content = nullptr;
              }),
       {5}},
  };
}

void refuse(const Hostile& hostile) {
  CAPTURE(hostile.name);
  HubFixture fixture;
  fixture.hub.add("org/model", kFile, random_bytes(100'000, 3), true);
  fixture.environment["HF_TOKEN"] = "hf_CANARYTOKEN";
  fixture.hub.set_script(hostile.script);
  const ProgramResult result = fixture.run("pull", {"org/model"});
  CAPTURE(result.errors);
  CAPTURE(result.exit_code);
  CHECK(std::count(hostile.exit_codes.begin(), hostile.exit_codes.end(), result.exit_code) == 1);
  CHECK(result.errors.find("ruvllm pull: error: ") != std::string::npos);
  CHECK(result.errors.find("CANARY") == std::string::npos);
  CHECK(std::none_of(result.errors.begin(), result.errors.end(),
                     [](char c) { return c == '\x1b' || c == '\x07'; }));
  CHECK(result.peak_kib <= 256 * 1024);
  for (const std::string& name : tree_of(fixture.folder.path()))
    CHECK_MESSAGE(name.starts_with("cache/"), name);
  CHECK(tree_of(fixture.snapshot()).empty());
  for (const std::string& name : tree_of(fixture.repo() / "blobs"))
    CHECK(name.find(".partial") != std::string::npos);
  fixture.hub.set_script(nullptr);
  CHECK(fixture.run("pull", {"org/model"}).exit_code == 0);
  CHECK(tree_of(fixture.repo() / "blobs").size() == 1);
}

}  // namespace

TEST_CASE("more than forty malicious names and answers are refused, and leave nothing behind") {
  HubFixture fixture;
  fixture.hub.add("org/model", kFile, random_bytes(100'000, 3), true);
  const std::vector<Hostile> evil_names = names();
  const std::vector<Hostile> evil_answers = answers(fixture.hub.digest("org/model", kFile));
  CHECK(evil_names.size() + evil_answers.size() >= 40);
  for (const Hostile& hostile : evil_names) refuse(hostile);
  for (const Hostile& hostile : evil_answers) refuse(hostile);
}

TEST_CASE("evil names beside a good model are left out, and said to be") {
  HubFixture fixture;
  fixture.hub.add("org/model", kFile, random_bytes(100'000, 3), true);
  fixture.hub.add("org/model", "README.md", "# model\n", false);
  fixture.hub.set_script(replace(is_tree, "README.md", "../../README.md"));
  const ProgramResult result = fixture.run("pull", {"org/model"});
  CHECK(result.exit_code == 0);
  CHECK(result.errors.find("a file is left out") != std::string::npos);
  CHECK(tree_of(fixture.snapshot()) == std::vector<std::string>{kFile});
}
