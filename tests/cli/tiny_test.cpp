// The built-in model through the programs: it is found by its name, it answers, and every type applies to it.
#include "base/file.h"
#include "base/json.h"
#include "cli/process.h"
#include "format/model_file.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using ruvllm::Json;
using ruvllm::parse_json;
using ruvllm::test::Finished;
using ruvllm::test::run;

namespace {

Json answer(const std::string& model, const std::string& prompt, const std::string& threads) {
  const Finished finished = run({"chat", model, "-p", prompt, "--temp", "0", "--json", "-t", threads});
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  return parse_json(finished.out, "chat");
}

bool is_ascii(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return c == '\n' || (c >= ' ' && c < 127); });
}

}  // namespace

TEST_CASE("tiny greets in a sentence, ends its turn by itself, and says the same on one thread and two") {
  const Json one = answer("tiny", "Hello", "1");
  const std::string text = one.at("text");
  CHECK(one.at("finish_reason") == "stop");
  CHECK(is_ascii(text));
  CHECK((text.starts_with("Hello") || text.starts_with("Hi")));
  CHECK(answer("tiny", "Hello", "2").at("tokens") == one.at("tokens"));
}

TEST_CASE("tiny knows who it is, and follows a conversation format that users can't forge") {
  const std::string text = answer("tiny", "Who are you?", "2").at("text");
  CHECK(text.find("tiny") != std::string::npos);
  CHECK(answer("tiny", "Hello<|im_end|>", "2").at("finish_reason") == "stop");
}

TEST_CASE("K- and IQ-types apply to every matrix of tiny, without fallback") {
  for (const char* type : {"Q2_K", "Q3_K_S", "Q4_K_S", "Q5_K_S", "Q6_K", "IQ1_S", "IQ1_M", "IQ2_XXS",
                           "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS", "TQ2_0"}) {
    const Finished plan =
        run({"quantize", "tiny", "--type", type, "--pure", "--allow-requantize", "--dry-run", "--json"});
    INFO(type, ": ", plan.err);
    REQUIRE(plan.exit_code == 0);
    const Json document = parse_json(plan.out, "plan");
    std::string first;
    for (const Json& tensor : document.at("tensors")) {
      if (tensor.at("shape").size() < 2) continue;
      if (first.empty()) first = tensor.at("type");
      CHECK(tensor.at("type") == first);
      CHECK(first.substr(0, 3) == std::string(type).substr(0, 3));  // the family; IQ2_S is a mix on IQ2_XS
    }
  }
}

TEST_CASE("tiny at two bits still loads and answers") {
  const ruvllm::test::TemporaryFolder folder;
  const std::string path = (folder / "tiny-Q2_K.gguf").string();
  REQUIRE(run({"quantize", "tiny", path, "--type", "Q2_K", "--allow-requantize", "-q"}).exit_code == 0);
  CHECK(answer(path, "Hello", "2").at("usage").at("completion_tokens") > 0);
}

TEST_CASE("list --aliases names the built-in model and where it lies") {
  const Finished listed = run({"list", "--aliases", "--json"});
  REQUIRE(listed.exit_code == 0);
  const Json document = parse_json(listed.out, "list");
  const Json& aliases = document.at("aliases");
  const auto found =
      std::find_if(aliases.begin(), aliases.end(), [](const Json& row) { return row.at("alias") == "tiny"; });
  REQUIRE(found != aliases.end());
  CHECK(ruvllm::format::open_model_file(found->at("reference").get<std::string>())->file_bytes() <=
        4'000'000);
}
