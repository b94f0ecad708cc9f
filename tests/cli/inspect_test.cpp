#include <doctest/doctest.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/process.h"
#include "test_support.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

using ruvllm::Json;
using ruvllm::parse_json;
using ruvllm::read_file;
using ruvllm::test::Finished;
using ruvllm::test::Launch;
using ruvllm::test::run;
using ruvllm::test::run_as;
using ruvllm::test::test_data;

namespace {

std::vector<float> floats_in(const std::string& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

}  // namespace

TEST_CASE("tokens of a text from --text, a file or standard input, as JSON, and back") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const std::string text = "Once upon a time, there was a café";
  const auto ids = [&](const Finished& finished) {
    std::string list;
    const Json document = parse_json(finished.out, "stdout");
    for (const Json& token : document.at("tokens"))
      list += (list.empty() ? "" : ",") + std::to_string(token.at("id").get<int>());
    return list;
  };
  const std::string expected = ids(run({"inspect", "tokens", *model, "--text", text, "--json"}));
  CHECK(expected.starts_with("1,403,407,261,378,432"));
  Launch launch;
  launch.arguments = {"inspect", "tokens", *model, "-", "--json"};
  launch.input = text;
  CHECK(ids(run_as(launch)) == expected);
  launch.arguments = {"inspect", "tokens", *model, "--json"};
  CHECK(ids(run_as(launch)) == expected);
  const ruvllm::test::TemporaryFolder folder;
  ruvllm::write_file_atomically(folder / "text", text);
  CHECK(ids(run({"inspect", "tokens", *model, "--file", folder / "text", "--json"})) == expected);
  CHECK("1," + ids(run({"inspect", "tokens", *model, "--text", text, "--no-bos", "--json"})) == expected);
  CHECK(run({"inspect", "tokens", *model, "--decode", expected, "--no-special"}).out == text + "\n");
  CHECK(ids(run({"inspect", "tokens", *model, "--text", "<s>", "--no-bos", "--json"})) == "1");
  CHECK(ids(run({"inspect", "tokens", *model, "--text", "<s>", "--no-bos", "--no-special", "--json"})) !=
        "1");
}

TEST_CASE("logits equal the reference's within 1e-4, whatever the chunk") {
  const auto model = test_data("stories260K/stories260K.gguf");
  const auto reference = test_data("stories260K/ref/logits.json");
  if (!model || !reference) return;
  const ruvllm::test::TemporaryFolder folder;
  const Json cases = parse_json(read_file(*reference, 1 << 26), "logits.json").at("cases");
  for (const Json& c : cases) {
    std::string tokens;
    for (const Json& token : c.at("tokens"))
      tokens += (tokens.empty() ? "" : ",") + std::to_string(token.get<int>());
    const auto logits = [&](const char* chunk) {
      const Finished finished = run({"inspect", "logits", *model, "--tokens", tokens, "--kv-type", "f32",
                                     "--chunk", chunk, "--out", folder / "logits.f32"});
      CHECK(finished.exit_code == 0);
      CHECK(finished.out == "");
      return read_file(folder / "logits.f32", 1 << 26);
    };
    const std::string bytes = logits("512");
    CHECK(logits("1") == bytes);
    CHECK(run({"inspect", "logits", *model, "--tokens", tokens, "--kv-type", "f32"}).out == bytes);
    const std::vector<float> values = floats_in(bytes);
    const size_t n_vocabulary = values.size() / c.at("tokens").size();
    double worst = 0;
    for (size_t i = 0; i < c.at("positions").size(); ++i)
      for (size_t id = 0; id < n_vocabulary; ++id)
        worst = std::max(worst, std::abs(values[c.at("positions")[i].get<size_t>() * n_vocabulary + id] -
                                         c.at("logits")[i][id].get<double>()));
    CHECK(worst <= 1e-4);
  }
}

TEST_CASE("the likeliest tokens come with probabilities") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const Finished top = run({"inspect", "logits", *model, "--tokens", "1,403,407", "--top", "3", "--json"});
  const Json positions = parse_json(top.out, "stdout").at("positions");
  REQUIRE(positions.size() == 3);
  CHECK(positions[1].at("token") == 403);
  REQUIRE(positions[1].at("top").size() == 3);
  CHECK(positions[1].at("top")[0].at("id") == 407);
  CHECK(positions[1].at("top")[0].at("probability").get<double>() > 0.9);
  CHECK(run({"inspect", "logits", *model, "--tokens", "1,512"}).exit_code == 2);
  CHECK(run({"inspect", "logits", *model, "--tokens", "1,x"}).exit_code == 2);
}

TEST_CASE("tensors: names, statistics, and one taken out, as it is or as f32") {
  const auto model = test_data("stories260K/stories260K.gguf");
  const auto quantised = test_data("tiny/quantised/llama-Q4_0.gguf");
  if (!model || !quantised) return;
  const Json tensors =
      parse_json(run({"inspect", "tensors", *model, "--stats", "--json"}).out, "stdout").at("tensors");
  CHECK(tensors.size() == 47);
  for (const Json& tensor : tensors) {
    CHECK(tensor.at("min").get<double>() <= tensor.at("mean").get<double>());
    CHECK(tensor.at("mean").get<double>() <= tensor.at("max").get<double>());
    CHECK(tensor.at("not_finite") == 0);
  }
  const ruvllm::test::TemporaryFolder folder;
  const std::string out = folder / "tensor";
  const Json& first = tensors.at(0);
  CHECK(run({"inspect", "tensors", *model, "--extract", first.at("name"), "--out", out}).exit_code == 0);
  const std::string file = read_file(*model, 1 << 24);
  CHECK(read_file(out, 1 << 24) ==
        file.substr(first.at("offset").get<size_t>(), first.at("bytes").get<size_t>()));
  CHECK(
      run({"inspect", "tensors", *quantised, "--extract", "blk.0.ffn_up.weight", "--as", "f32", "--out", out})
          .exit_code == 0);
  CHECK(read_file(out, 1 << 26).size() % (256 * 4) == 0);

  const Finished wrong =
      run({"inspect", "tensors", *model, "--extract", "token_embed.weight", "--out", out + "2"});
  CHECK(wrong.exit_code == 3);
  CHECK(wrong.err.find("did you mean token_embd.weight?") != std::string::npos);
  CHECK(!std::filesystem::exists(out + "2"));
}

TEST_CASE("tensors of a safetensors file that lies alone, of types that can be decoded and others") {
  const ruvllm::test::TemporaryFolder folder;
  const std::string header = R"({"lora_A.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                             R"("packed":{"dtype":"F4","shape":[2,4],"data_offsets":[24,28]}})";
  std::string bytes(8, '\0');
  const uint64_t n_bytes = header.size();
  std::memcpy(bytes.data(), &n_bytes, 8);
  const std::vector<float> values = {1, 2, 3, 4, 5, -6};
  bytes += header + std::string(reinterpret_cast<const char*>(values.data()), 24) + "\x12\x34\x56\x78";
  const std::string path = folder / "adapter.safetensors";
  ruvllm::write_file_atomically(path, bytes);

  const Finished listed = run({"inspect", "tensors", path, "--stats", "--json"});
  REQUIRE(listed.exit_code == 0);
  const Json tensors = parse_json(listed.out, "stdout").at("tensors");
  REQUIRE(tensors.size() == 2);
  CHECK(tensors[0].at("name") == "lora_A.weight");
  CHECK(tensors[0].at("shape") == Json::array({2, 3}));
  CHECK(tensors[0].at("min") == -6.0);
  CHECK(tensors[1].at("type") == "F4");
  CHECK(tensors[1].at("bytes") == 4);
  CHECK(tensors[1].at("min").is_null());
  CHECK(run({"inspect", "tensors", path, "--stats"}).out.find("lora_A.weight") != std::string::npos);

  const std::string out = folder / "out";
  const auto extract = [&](const char* name, bool as_f32) {
    std::vector<std::string> arguments = {"inspect", "tensors", path, "--extract", name, "--out", out};
    if (as_f32) arguments.insert(arguments.end(), {"--as", "f32"});
    return run(arguments).exit_code;
  };
  CHECK(extract("lora_A.weight", true) == 0);
  CHECK(floats_in(read_file(out, 100)) == values);
  CHECK(extract("packed", false) == 0);
  CHECK(read_file(out, 100) == "\x12\x34\x56\x78");
  CHECK(extract("packed", true) == 2);
  CHECK(extract("absent", false) == 3);
}

TEST_CASE("what to inspect has to be said, and is guessed when it is misspelt") {
  CHECK(run({"inspect"}).exit_code == 2);
  CHECK(run({"inspect", "token"}).err.find("did you mean tokens?") != std::string::npos);
  CHECK(run({"inspect", "tokens", "--help"}).out.find("usage: ruvllm inspect tokens MODEL") !=
        std::string::npos);
  CHECK(run({"inspect", "tokens", "--txt"}).err.find("did you mean --text?") != std::string::npos);
}

TEST_CASE("texts become vectors, pooled as the model says or as asked for") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  using Words = std::vector<std::string>;
  const auto embed = [&](const Words& more) {
    Words words = {"inspect", "embed", *model, "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Finished finished = run(words);
    CAPTURE(finished.err);
    REQUIRE(finished.exit_code == 0);
    return parse_json(finished.out, "stdout").at("embeddings");
  };
  const auto vector_of = [](const Json& entry) { return entry.at("embedding").get<std::vector<double>>(); };
  const auto length = [](const std::vector<double>& v) {
    double squares = 0;
    for (const double x : v) squares += x * x;
    return std::sqrt(squares);
  };
  const Json both = embed({"--text", "Once upon a time", "--text", "Lily"});
  REQUIRE(both.size() == 2);
  CHECK(both[0].at("tokens") == 5);
  CHECK(vector_of(both[0]).size() == 64);
  CHECK(length(vector_of(both[0])) == doctest::Approx(1));
  CHECK(both[1] == embed({"--text", "Lily"})[0]);                                   // whoever is in the batch
  CHECK(both[0] == embed({"--text", "Once upon a time", "--pooling", "last"})[0]);  // what decoders do
  const auto mean = vector_of(embed({"--text", "Once upon a time", "--pooling", "mean", "--raw"})[0]);
  const auto first = vector_of(embed({"--text", "Once upon a time", "--pooling", "cls", "--raw"})[0]);
  CHECK(mean != first);
  CHECK(length(mean) != doctest::Approx(1));
  // BOS sees itself alone, whatever follows.
  const auto other = vector_of(embed({"--text", "Lily", "--pooling", "cls", "--raw"})[0]);
  for (size_t i = 0; i < first.size(); ++i) CHECK(first[i] == doctest::Approx(other[i]));
  const Finished people = run({"inspect", "embed", *model, "--text", "Lily"});
  CHECK(std::ranges::count(people.out, ' ') == 63);
  CHECK(run({"inspect", "embed", *model}).exit_code == 2);
  CHECK(run({"inspect", "embed", *model, "--text", "x", "--pooling", "max"}).exit_code == 2);
}

TEST_CASE(
    "LongRoPE's long factors turn positions where more room is asked for than the model was trained with") {
  const auto model = test_data("tiny/phi3.gguf"), reference = test_data("tiny/ref/phi3.json");
  if (!model || !reference) return;
  const ruvllm::test::TemporaryFolder folder;
  for (const Json& wanted : parse_json(read_file(*reference, 1 << 20), "phi3.json").at("cases")) {
    std::string tokens;
    for (const Json& token : wanted.at("tokens"))
      tokens += (tokens.empty() ? "" : ",") + std::to_string(token.get<int>());
    const int n_context = wanted.at("n_ctx");
    CAPTURE(n_context);
    CHECK(run({"inspect", "logits", *model, "--tokens", tokens, "--kv-type", "f32", "-c",
               std::to_string(n_context), "--out", folder / "rows"})
              .exit_code == 0);
    const std::vector<float> rows = floats_in(read_file(folder / "rows", 1 << 20));
    for (size_t i = 0; i < wanted.at("positions").size(); ++i) {
      const auto logits = wanted.at("logits")[i].get<std::vector<float>>();
      const size_t first = wanted.at("positions")[i].get<size_t>() * logits.size();
      double largest = 0;
      for (size_t k = 0; k < logits.size(); ++k)
        largest = std::max(largest, std::abs(double{rows.at(first + k)} - logits[k]));
      CHECK(largest <= 1e-3);
    }
  }
}

TEST_CASE("what a model can't be loaded for is named") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const std::string bytes = read_file(*model, 1 << 24);
  const ruvllm::test::TemporaryFolder folder;
  const auto refusal = [&](const std::string& from, const std::string& to) {
    std::string changed = bytes;
    REQUIRE(from.size() == to.size());
    REQUIRE(changed.find(from) != std::string::npos);
    changed.replace(changed.find(from), from.size(), to);
    ruvllm::write_file_atomically(folder / "changed.gguf", changed);
    const Finished finished =
        run({"inspect", "logits", folder / "changed.gguf", "--tokens", "1", "--out", "/dev/null"});
    CHECK(finished.exit_code == 5);
    CHECK(std::ranges::count(finished.err, '\n') == 1);
    return finished.err;
  };
  const auto names = [](const std::string& message, std::string_view what) {
    CAPTURE(message);
    return message.find(what) != std::string::npos;
  };
  CHECK(names(refusal("blk.2.ffn_up.weight", "blk.2.ffn_xx.weight"), "blk.2.ffn_up.weight"));  // missing
  const std::string arch = std::string("general.architecture\x08\0\0\0\x05\0\0\0\0\0\0\0", 32);
  const std::string unknown = refusal(arch + "llama", arch + "lambo");
  CHECK(names(unknown, "\"lambo\""));
  for (const char* known :
       {"llama", "qwen2", "qwen3moe", "gemma3", "phi3", "olmo2", "granite", "stablelm", "bert"})
    CHECK(names(unknown, known));
  CHECK(names(refusal(std::string("blk.1.attn_k.weight\x02\0\0\0\x40", 24),
                      std::string("blk.1.attn_k.weight\x02\0\0\0\x20", 24)),
              "blk.1.attn_k.weight"));  // another shape
  const Finished beyond = run({"inspect", "logits", *model, "--tokens", "1,512", "--out", "/dev/null"});
  CHECK(beyond.exit_code == 2);
  CHECK(names(beyond.err, "512"));
}
