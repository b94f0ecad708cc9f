// A model whose logits are no numbers, through the programs: none of them makes a figure or an answer of it.
#include <doctest/doctest.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/process.h"
#include "test_support.h"

#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

using ruvllm::Json;
using ruvllm::parse_json;
using ruvllm::read_file;
using ruvllm::test::Finished;
using ruvllm::test::run;
using ruvllm::test::TemporaryFolder;

namespace {

/// The built-in model with a norm made NaN, so that all that follows is.
void write_broken_model(const std::string& path, const std::string& norm = "output_norm.weight") {
  const std::string tiny = std::filesystem::path(RUVLLM_SOURCE_DIR) / "models/tiny.gguf";
  std::string bytes = read_file(tiny, 1 << 24);
  bool is_broken = false;
  const Json listing = parse_json(run({"inspect", "tensors", tiny, "--json"}).out, "tensors");
  for (const Json& tensor : listing.at("tensors")) {
    if (tensor["name"] != norm) continue;
    REQUIRE(tensor["type"] == "F32");
    const std::vector<float> nans(tensor["shape"][0].get<size_t>(), std::numeric_limits<float>::quiet_NaN());
    std::memcpy(&bytes[tensor["offset"].get<size_t>()], nans.data(), nans.size() * sizeof(float));
    is_broken = true;
  }
  REQUIRE(is_broken);
  ruvllm::write_file_atomically(path, bytes);
}

struct Fixture {
  TemporaryFolder folder;
  std::string model = folder / "broken.gguf", text = folder / "text";
  Fixture() {
    write_broken_model(model);
    ruvllm::write_file_atomically(text, "The quick brown fox jumps over the lazy dog. ");
  }
};

}  // namespace

TEST_CASE("perplexity and divergence of logits that are no numbers are errors, and miss every gate") {
  const Fixture with;
  struct Case {
    std::vector<std::string> arguments;
    int exit_code;
    std::string finding;
  };
  const std::vector<Case> cases = {
      {{with.model, "--perplexity", with.text}, 5, "the model is broken: after 1 tokens"},
      {{with.model, "--perplexity", with.text, "--max-perplexity", "1e300"}, 7, "the model is broken"},
      {{with.model, "--perplexity", with.text, "--kl-against", "tiny"}, 5, "the model is broken"},
      {{with.model, "--perplexity", with.text, "--kl-against", "tiny", "--max-kl", "1e300"},
       7,
       "the model is"},
      {{"tiny", "--perplexity", with.text, "--kl-against", with.model, "--max-kl", "1e300"},
       7,
       "the reference is"},
  };
  for (const auto& [arguments, exit_code, finding] : cases) {
    std::vector<std::string> words = {"bench"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    const Finished plain = run(words);
    CAPTURE(plain.err);
    CHECK(plain.exit_code == exit_code);
    CHECK(plain.out.empty());
    CHECK(plain.err.find(finding) != std::string::npos);
    CHECK(plain.err.find("is NaN") != std::string::npos);
    words.push_back("--json");
    const Finished json = run(words);
    CHECK(json.exit_code == exit_code);
    CHECK(parse_json(json.out, "stdout")["error"]["message"].get<std::string>().find(finding) !=
          std::string::npos);
  }
}

TEST_CASE("chat answers nothing with logits that are no numbers, and says why") {
  const Fixture with;
  for (const char* temperature : {"0", "0.7"}) {
    const Finished finished = run({"chat", with.model, "-p", "Hello", "--temp", temperature, "--json"});
    CHECK(finished.exit_code == 5);
    CHECK(parse_json(finished.out, "stdout")["error"]["message"].get<std::string>().find("is NaN") !=
          std::string::npos);
  }
}

TEST_CASE("a conversation goes on after an answer that could not be made") {
  if (!ruvllm::test::has_terminal()) return;
  const Fixture with;
  ruvllm::test::Launch launch;
  launch.arguments = {"chat", with.model};
  launch.environment = {{"HOME", with.folder.path()}, {"NO_COLOR", "1"}};
  ruvllm::test::Running chat(launch, true);
  REQUIRE(chat.wait_for("> "));
  for (int i = 0; i < 2; ++i) {
    chat.type("Hello\r");
    CHECK(chat.wait_for("error: the model is broken"));
  }
  chat.type("/help\r");
  CHECK(chat.wait_for("/clear"));
  chat.type("/exit\r");
  CHECK(chat.wait_exit() == 0);
}

TEST_CASE(
    "what is inspected, embedded or calibrated of a broken model is refused; raw rows come with a warning") {
  const Fixture with;
  const auto refuses = [](const std::vector<std::string>& arguments, const std::string& finding) {
    const Finished finished = run(arguments);
    CAPTURE(finished.err);
    CHECK(finished.exit_code == 5);
    CHECK(finished.out.empty());
    CHECK(finished.err.find(finding) != std::string::npos);
  };
  refuses({"inspect", "logits", with.model, "--tokens", "1,2", "--top", "3"}, "is NaN");
  refuses({"inspect", "embed", with.model, "--text", "fox"}, "the embedding of a text");
  const Finished raw = run({"inspect", "logits", with.model, "--tokens", "1,2"});
  CHECK(raw.exit_code == 0);
  CHECK(!raw.out.empty());
  CHECK(raw.err.find("is NaN") != std::string::npos);
  CHECK(raw.err.find('\n') == raw.err.size() - 1);
  write_broken_model(with.model, "blk.0.attn_norm.weight");
  refuses({"quantize", with.model, with.folder / "out.gguf", "--type", "Q4_0", "--allow-requantize",
           "--calibrate", with.text},
          "NaN");
  CHECK(!std::filesystem::exists(with.folder / "out.gguf"));
}
