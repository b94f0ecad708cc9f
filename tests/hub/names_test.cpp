// Digests, safe paths, repository references, aliases: the gates that outside text has to pass.
#include "base/error.h"
#include "hub/digest.h"
#include "hub/fake_hub.h"
#include "hub/known_models.h"
#include "hub/repo_ref.h"
#include "hub/safe_path.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace ruvllm;
using namespace ruvllm::hub;

TEST_CASE("an ETag is a digest or nothing") {
  const std::string sha256(64, 'a');
  const std::string sha1(40, '0');
  CHECK(Digest::from_etag("\"" + sha256 + "\"")->kind() == DigestKind::sha256);
  CHECK(Digest::from_etag("W/\"" + sha1 + "\"")->hex() == sha1);
  CHECK(Digest::from_etag(sha256)->hex() == sha256);
  for (const std::string& evil :
       {std::string(), std::string("\"\""), std::string("../../x"), std::string("a/b"), std::string(300, 'a'),
        std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'A'), std::string(64, 'g'),
        std::string(40, '/'), sha256 + "\r\nX: y", std::string(63, 'a') + '\0', "\"" + sha256,
        "W/W/\"" + sha256 + "\"", std::string("W/\"..\""), std::string("sha256:") + std::string(57, 'a')})
    CHECK_MESSAGE(!Digest::from_etag(evil).has_value(), evil);
  CHECK(Digest::from_etag(sha256 + "\r\n")->hex() ==
        sha256);  // blanks around a header's value are no part of it
}

TEST_CASE("contents hash as OpenSSL and git hash them") {
  for (const size_t n_bytes : {0, 1, 55, 56, 64, 1000, 100'000}) {
    std::string text(n_bytes, 'x');
    ContentHasher whole(DigestKind::sha256, n_bytes);
    whole.update(std::as_bytes(std::span(text)));
    CHECK(whole.finish().hex() == test::sha256_hex(text));
    ContentHasher pieces(DigestKind::git_sha1, n_bytes);
    for (size_t i = 0; i < n_bytes; i += 7)
      pieces.update(std::as_bytes(std::span(text).subspan(i, std::min<size_t>(7, n_bytes - i))));
    CHECK(pieces.finish().hex() == test::git_blob_hex(text));
  }
  CHECK(test::git_blob_hex("hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a");  // git hash-object
}

TEST_CASE("sixty evil file names are refused on every system") {
  using namespace std::string_literals;
  const std::vector<std::string> evil = {"",
                                         ".",
                                         "..",
                                         "/",
                                         "//",
                                         "/etc/x",
                                         "../x",
                                         "a/../x",
                                         "a/../../x",
                                         "a/..",
                                         "../../../../etc/passwd",
                                         "./x",
                                         "a/./x",
                                         "a//x",
                                         "a/",
                                         "//host/share",
                                         "\\\\host\\share",
                                         "C:\\x",
                                         "C:x",
                                         "c:/x",
                                         "a\\..\\..\\b",
                                         "a\\b",
                                         "\\x",
                                         "..\\x",
                                         "x\0y"s,
                                         "\0"s,
                                         "x\ny",
                                         "x\ry",
                                         "x\ty",
                                         "\x1b]52;c;x\x07",
                                         "\x7f",
                                         "x.",
                                         "x ",
                                         " x",
                                         "a /x",
                                         "a./x",
                                         "...",
                                         "CON",
                                         "con.txt",
                                         "a/NUL",
                                         "nul.gguf",
                                         "PRN",
                                         "AUX.json",
                                         "COM1",
                                         "lpt9.txt",
                                         ".git/hooks/x",
                                         ".GIT/config",
                                         "a/.git",
                                         "git~1/x",
                                         std::string(241, 'a'),
                                         std::string(5000, 'a'),
                                         std::string(1025, 'b') + "/c",
                                         "x:y",
                                         "file::$DATA",
                                         "a|b",
                                         "a?b",
                                         "a*b",
                                         "a<b",
                                         "a>b",
                                         "a\"b",
                                         "\xc0\xaf",
                                         "\xff\xfe",
                                         "\xed\xa0\x80",
                                         "a/\xe2\x28\xa1"};
  CHECK(evil.size() >= 60);
  for (const std::string& name : evil) {
    std::string why;
    CHECK_MESSAGE(!SafePath::parse(name, &why).has_value(), name);
    CHECK(!why.empty());
  }
  for (const char* good :
       {"x", "model.gguf", "sub/deep/model.gguf", ".gitattributes", "a.b.c", "..x", "x..y", "конфиг.json",
        "console.txt", "com10", "-x", "a b", "@x", "COM", "tokenizer_config.json", "nullable"})
    CHECK_MESSAGE(SafePath::parse(good).has_value(), good);
}

TEST_CASE("references come apart as they are written") {
  struct Row {
    const char* text;
    const char* repo;
    const char* revision;
    const char* quant;
    const char* file;
  };
  const std::vector<Row> rows = {
      {"Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M", "Qwen/Qwen2.5-0.5B-Instruct-GGUF", "main", "Q4_K_M", ""},
      {"a/b", "a/b", "main", "", ""},
      {"a/b@v1.0", "a/b", "v1.0", "", ""},
      {"a/b@refs/pr/12", "a/b", "refs/pr/12", "", ""},
      {"a/b@refs/pr/12:q8_0", "a/b", "refs/pr/12", "q8_0", ""},
      {"a/b@refs/pr/12/x/y.gguf", "a/b", "refs/pr/12", "", "x/y.gguf"},
      {"a/b@feature%2Fx/y.gguf", "a/b", "feature/x", "", "y.gguf"},
      {"a/b/c.gguf", "a/b", "main", "", "c.gguf"},
      {"a/b@0123456789abcdef0123456789abcdef01234567:F16", "a/b", "0123456789abcdef0123456789abcdef01234567",
       "F16", ""},
  };
  for (const Row& row : rows) {
    const RepoRef ref = parse_repo_ref(row.text);
    CHECK(ref.repo.text() == row.repo);
    CHECK(ref.revision.text() == row.revision);
    CHECK(ref.quant == row.quant);
    CHECK((ref.file ? ref.file->text() : "") == row.file);
  }
  CHECK(parse_repo_ref("a/b@refs/pr/1:Q8_0").text() == "a/b@refs/pr/1:Q8_0");
}

TEST_CASE("what can be no repository, revision, type or file is a usage error that names it") {
  for (const char* wrong :
       {"a",       "a/",       "/b",          "a/b/",       "a/b:",   "a/b@",      "a/b@:Q8_0", "a/b@../../x",
        "a/b@-x",  "a/b@x..y", "a/b@.hidden", "a/b@x.lock", "a--b/c", "a/b--c",    "a/..b",     "a/b..c",
        "a/b.git", "-a/b",     "a-/b",        "a/.b",       "a/b.",   "a b/c",     "a/b c",     "a/b;ls",
        "a/$(x)",  "a/`x`",    "a/b:Q4;rm",   "a/b/../c",   "a/b//c", "a/b/C:\\x", "\xff/b"})
    CHECK_THROWS_AS(parse_repo_ref(wrong), Error);
  CHECK_THROWS_AS(parse_repo_ref("a/" + std::string(95, 'b')), Error);
  CHECK_NOTHROW(parse_repo_ref("a/" + std::string(94, 'b')));
  CHECK(!RepoId::from_folder("models--a--b--c").has_value());
  CHECK(!RepoId::from_folder("models--..--b").has_value());
  CHECK(!RepoId::from_folder("datasets--a--b").has_value());
  CHECK(RepoId::from_folder("models--a--b")->text() == "a/b");
}

TEST_CASE("a path that looks like one is not taken for a reference") {
  for (const char* path : {"./a/b", "/a/b", "../a", "x.gguf", "folder/x.gguf", "tiny", "", "folder/"})
    CHECK(!looks_like_repo_ref(path));
  for (const char* reference : {"a/b", "a/b:Q8_0", "a/b/x.gguf", "a/b@main"})
    CHECK(looks_like_repo_ref(reference));
}

TEST_CASE("every known model has a reference that parses, and is found by its alias") {
  for (const KnownModel& model : known_models()) {
    const RepoRef ref = parse_repo_ref(model.reference);
    CHECK((!ref.quant.empty() || ref.file.has_value()));  // never a question
    CHECK(find_known_model(model.alias) == &model);
    CHECK(model.memory_bytes(4096) > model.file_bytes);
  }
  CHECK(find_known_model("no such model") == nullptr);
}
