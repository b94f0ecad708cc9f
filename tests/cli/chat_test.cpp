// One-shot answers of the reference model, held to the reference's texts.
#include <doctest/doctest.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/process.h"
#include "cli/stories_folder.h"
#include "format/gguf.h"
#include "test_support.h"

#include <chrono>
#include <string>
#include <string_view>
#include <thread>

using ruvllm::Json;
using ruvllm::parse_json;
using ruvllm::read_file;
using ruvllm::test::Finished;
using ruvllm::test::Launch;
using ruvllm::test::run;
using ruvllm::test::run_as;
using ruvllm::test::Running;
using ruvllm::test::test_data;

namespace {

using Words = std::vector<std::string>;

Words chat(const std::string& model, const Words& more) {
  Words words = {"chat", model, "--raw", "--temp", "0", "--repeat-penalty", "1", "--kv-type", "f32"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Finished run_with_input(const Words& arguments, const std::string& input) {
  Launch launch;
  launch.arguments = arguments;
  launch.input = input;
  return run_as(launch);
}

// The model with a chat template of its own.
void write_with_template(const std::string& model, const std::string& path, std::string_view chat_template) {
  const auto file = ruvllm::format::read_gguf(model);
  ruvllm::format::Metadata metadata;
  for (const auto& entry : file->metadata.entries()) metadata.add(entry.key, entry.value);
  metadata.set("tokenizer.chat_template", chat_template);
  std::vector<ruvllm::format::TensorPlan> plans;
  for (const auto& tensor : file->tensors) plans.push_back({tensor.name, tensor.format, tensor.dimensions});
  ruvllm::format::GgufWriter writer(path, metadata, plans);
  for (size_t i = 0; i < file->tensors.size(); ++i) writer.write_tensor(i, file->tensors[i].bytes);
  writer.commit();
}

}  // namespace

TEST_CASE("greedy continuations are the reference's, token by token") {
  const auto model = test_data("stories260K/stories260K.gguf");
  const auto reference = test_data("stories260K/ref/greedy.json");
  if (!model || !reference) return;
  const Json cases = parse_json(read_file(*reference, 1 << 24), "greedy.json").at("cases");
  CHECK(cases.size() == 8);
  for (const Json& c : cases) {
    const std::string count = std::to_string(c.at("tokens").size());
    const Finished answer = run(chat(*model, {"-p", c.at("prompt"), "-n", count, "--ignore-eos", "--json"}));
    REQUIRE(answer.exit_code == 0);
    const Json document = parse_json(answer.out, "stdout");
    CHECK(document.at("tokens") == c.at("tokens"));
    CHECK(document.at("finish_reason") == "length");
    CHECK(document.at("usage").at("completion_tokens") == c.at("tokens").size());
    for (const char* figure : {"load_ms", "ttft_ms", "prompt_tps", "decode_tps"})
      CHECK(document.at("timings").at(figure).get<double>() >= 0);
    CHECK(answer.err == "");
  }
}

TEST_CASE("threads, chunks and instruction sets change no byte of a greedy answer") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const std::string prompt = "One day, Tim and his dog went to the park. The dog saw a big red ball";
  const Words base = chat(*model, {"-p", prompt, "-n", "64", "--ignore-eos"});
  const std::string expected = run(base).out;
  CHECK(expected.size() > 100);
  const auto with = [&](const Words& more) {
    Words words = base;
    words.insert(words.end(), more.begin(), more.end());
    return run(words).out;
  };
  for (const char* threads : {"1", "2", "3"}) CHECK(with({"-t", threads}) == expected);
  for (const char* chunk : {"1", "7", "64"}) CHECK(with({"--chunk", chunk}) == expected);
  for (const char* isa : {"scalar", "avx2", "avx512", "neon", "dotprod", "i8mm"}) {
    Launch launch;
    launch.arguments = base;
    launch.environment = {{"RUVLLM_ISA", isa}};
    const Finished answer = run_as(launch);
    if (answer.exit_code == 2) continue;  // not on this machine
    CHECK(answer.out == expected);
  }
}

TEST_CASE("a prompt comes from -p, from a file, or from standard input, and reads the same") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const ruvllm::test::TemporaryFolder folder;
  ruvllm::write_file_atomically(folder / "prompt.txt", "Once upon a time");
  const std::string expected = run(chat(*model, {"-n", "12", "-p", "Once upon a time"})).out;
  CHECK(expected.starts_with(", there was"));
  CHECK(expected.ends_with("\n"));
  CHECK(run(chat(*model, {"-n", "12", "-f", folder / "prompt.txt"})).out == expected);
  CHECK(run_with_input(chat(*model, {"-n", "12"}), "Once upon a time").out == expected);
  CHECK(run_with_input(chat(*model, {"-n", "12", "-f", "-"}), "Once upon a time").out == expected);
  CHECK(run_with_input(chat(*model, {"-n", "12", "-p", "Once upon a time"}), "ignored").out == expected);
}

TEST_CASE("a prompt in UTF-16 is read as text, and a file that is none is refused") {
  using namespace std::string_view_literals;
  const ruvllm::test::TemporaryFolder folder;
  std::string wide = "\xFF\xFE";
  for (const char c : "Once upon a time"sv) wide += {c, '\0'};
  ruvllm::write_file_atomically(folder / "wide.txt", wide);
  ruvllm::write_file_atomically(folder / "zero.txt", "Once\0upon"sv);
  const Words greedy = {"chat", "tiny", "-n", "8", "--temp", "0"};
  const auto with = [&](const Words& more) {
    Words words = greedy;
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  const std::string expected = run(with({"-p", "Once upon a time"})).out;
  CHECK(run(with({"-f", folder / "wide.txt"})).out == expected);
  CHECK(run_with_input(greedy, wide).out == expected);
  const auto refused = run(with({"-f", folder / "zero.txt"}));
  CHECK(refused.exit_code == 5);
  CHECK(refused.err.find("zero.txt: no text") != std::string::npos);
}

TEST_CASE("an answer ends at a stop string, which is not part of it, or after as many tokens as asked for") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const auto answer = [&](const Words& more) {
    Words words = chat(*model, {"-p", "Once upon a time", "--json"});
    words.insert(words.end(), more.begin(), more.end());
    return parse_json(run(words).out, "stdout");
  };
  const Json stopped = answer({"--stop", "girl nam", "--stop", "[never, seen]"});
  CHECK(stopped.at("text") == ", there was a little ");
  CHECK(stopped.at("finish_reason") == "stop");
  CHECK(answer({"-n", "0"}).at("text") == "");
  CHECK(answer({"-n", "3"}).at("tokens").size() == 3);
  CHECK(answer({"-n", "-1", "--ignore-eos"}).at("finish_reason") == "context");
  CHECK(answer({"-n", "-1", "--ignore-eos", "-c", "30"}).at("finish_reason") == "context");
}

TEST_CASE("the same seed gives the same answer, another seed another one") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const auto answer = [&](const std::string& seed) {
    return run({"chat", *model, "--raw", "-p", "Once", "-n", "40", "--temp", "1", "--seed", seed}).out;
  };
  CHECK(answer("7") == answer("7"));
  CHECK(answer("7") != answer("8"));
}

TEST_CASE("what can't be answered is said in one line") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  struct Row {
    Words arguments;
    int exit_code;
    const char* finding;
  };
  const Row rows[] = {
      {{"chat"}, 2, "which model?"},
      {{"chat", *model}, 2, "standard input is empty"},
      {{"chat", *model, "-p", "x", "-f", "y"}, 2, "excludes"},
      {{"chat", *model, "-f", "/no/such/file"}, 3, "/no/such/file"},
      {{"chat", *model, "-p", "x", "--temp", "hot"}, 2, "--temp: 'hot' is not a number"},
      {{"chat", *model, "-p", "x", "--temp", "nan"}, 2, "--temp"},
      {{"chat", *model, "-p", "x", "--top-p", "1.5"}, 2, "--top-p: 1.5 is not between 0 and 1"},
      {{"chat", *model, "-p", "x", "--stop", ""}, 2, "--stop: a stop string can't be empty"},
      {{"chat", *model, "-p", "x", "--kv-type", "q9"}, 2, "--kv-type: 'q9' is none of"},
      {{"chat", *model, "-p", "x", "--tmp", "1"}, 2, "unknown option --tmp; did you mean --temp?"},
      {{"chat", *model, "-p", "Once upon a time", "-c", "3"}, 2, "the context has room for 3"},
      {{"chat", *model, "x"}, 2, "unexpected argument 'x'"},
      {{"chat", model->parent_path() / "stories260K.ggu", "-p", "x"}, 3, "did you mean"},
  };
  for (const Row& row : rows) {
    const Finished wrong = run(row.arguments);
    CAPTURE(wrong.err);
    CHECK(wrong.exit_code == row.exit_code);
    CHECK(wrong.err.find(row.finding) != std::string::npos);
    CHECK(wrong.err.starts_with("ruvllm chat: error: "));
    CHECK(wrong.err.find('\n') == wrong.err.size() - 1);
    CHECK(wrong.out == "");
  }
}

TEST_CASE("without a standard input a prompt is still answered, and without a prompt there is an error") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  Launch launch;
  launch.close_input = true;
  launch.arguments = chat(*model, {"-p", "Once", "-n", "3"});
  CHECK(run_as(launch).exit_code == 0);
  launch.arguments = chat(*model, {});
  const Finished wrong = run_as(launch);
  CHECK(wrong.exit_code == 1);
  CHECK(wrong.err.find('\n') == wrong.err.size() - 1);
}

TEST_CASE("Ctrl-C ends a one-shot answer with 130, and what was said stays said") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const ruvllm::test::TemporaryFolder folder;
  std::string words;
  for (int i = 0; i < 20'000; ++i) words += "Once upon a time there was a dog. ";
  ruvllm::write_file_atomically(folder / "long.txt", words);
  Launch launch;  // a prompt that takes seconds to read
  launch.arguments = {"chat", *model,    "--raw", "-f",      folder / "long.txt",
                      "-c",   "2000000", "-v",    "--chunk", "64"};
  Running answer(launch, false);
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  answer.interrupt();
  CHECK(answer.wait_exit(std::chrono::seconds(10)) == 130);
  CHECK(answer.output().find("error") == std::string::npos);
}

TEST_CASE("what is said goes through the model's chat template, and special tokens in it stay text") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const ruvllm::test::TemporaryFolder folder;
  const std::string plain = folder / "plain.gguf", strict = folder / "strict.gguf";
  write_with_template(
      *model, plain,
      "{{ bos_token }}{% for m in messages %}{{ m.role == 'system' and m.content ~ ' ' or m.content }}"
      "{% endfor %}");
  write_with_template(
      *model, strict,
      "{% if messages[0].role == 'system' %}{{ raise_exception('no system here') }}{% endif %}"
      "{{ bos_token }}{{ messages[0].content }}");
  const auto answer = [&](const std::string& path, const Words& more) {
    Words words = {"chat", path, "--temp", "0",     "--repeat-penalty", "1", "--kv-type",
                   "f32",  "-n", "30",     "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return parse_json(run(words).out, "stdout");
  };
  const Json raw = answer(*model, {"--raw", "-p", "Once upon a time"});
  CHECK(answer(plain, {"-p", "Once upon a time"}).at("tokens") == raw.at("tokens"));
  CHECK(answer(plain, {"-p", "a time", "--system", "Once upon"}).at("tokens") == raw.at("tokens"));
  CHECK(answer(*model, {"-p", "Once upon a time"}).at("tokens") ==
        raw.at("tokens"));  // no template: plain text

  const auto n_prompt = [&](const Words& more) {
    return answer(plain, more).at("usage").at("prompt_tokens").get<int>();
  };
  CHECK(n_prompt({"--raw", "-p", "<s>"}) == 1);  // BOS, which stands once
  CHECK(n_prompt({"-p", "<s>"}) > 3);

  CHECK(answer(strict, {"-p", "time", "--system", "Once"}).at("usage").at("prompt_tokens").get<int>() >
        3);  // folded
  CHECK(answer(*model, {"-p", "x", "--system", "y"}).at("error").at("kind") == "usage");
  CHECK(answer(*model, {"-p", "x", "--system", "y", "--chat-format", "chatml"}).at("tokens").size() == 30);
  CHECK(answer(*model, {"-p", "x", "--chat-format", "chatlm"})
            .at("error")
            .at("message")
            .get<std::string>()
            .find("chatml") != std::string::npos);
}

TEST_CASE("a folder's chat_template.jinja wins over its tokenizer_config.json and makes the prompt") {
  const ruvllm::test::TemporaryFolder folder;
  const auto model = ruvllm::test::copy_stories_folder(
      folder / "stories",
      {{"chat_template.jinja",
        "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %} time{% endif %}\n"},
       {"tokenizer_config.json",
        R"({"bos_token": "<s>", "eos_token": "</s>", "chat_template": "{{ raise_exception('not me') }}"})"}});
  if (!model) return;
  const auto tokens = [&](const Words& more) {
    Words words = {"chat", *model, "--temp", "0",     "--repeat-penalty", "1", "--kv-type",
                   "f32",  "-n",   "30",     "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Finished finished = run(words);
    CAPTURE(finished.err);
    CHECK(finished.err == "");
    return parse_json(finished.out, "stdout").at("tokens");
  };
  CHECK(tokens({"-p", "Once upon a"}) == tokens({"--raw", "-p", "Once upon a time"}));
}

TEST_CASE("what generation_config.json recommends stands in for defaults, and options win") {
  const ruvllm::test::TemporaryFolder folder;
  const auto model = ruvllm::test::copy_stories_folder(
      folder / "stories",
      {{"generation_config.json",
        R"({"do_sample": true, "temperature": 3.0, "top_k": 1, "repetition_penalty": 1.0, "eos_token_id": [1, 2]})"}});
  if (!model) return;
  const auto tokens = [&](const Words& more) {
    Words words = {"chat", *model, "--raw", "-p", "Once upon a time", "-n", "40", "--seed", "1", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Finished finished = run(words);
    CAPTURE(finished.err);
    REQUIRE(finished.exit_code == 0);
    return parse_json(finished.out, "stdout").at("tokens");
  };
  const Json greedy = tokens({"--temp", "0"});
  CHECK(tokens({}) == greedy);  // the likeliest of one
  CHECK(tokens({"--top-k", "0"}) != greedy);
  CHECK(tokens({"--repeat-penalty", "1.5"}) != greedy);
  ruvllm::write_file_atomically(folder / "stories/generation_config.json", R"({"temperature": -1})");
  const Finished refused = run({"chat", *model, "--raw", "-p", "x"});
  CHECK(refused.exit_code == 5);
  CHECK(refused.err.find("general.sampling.temp") != std::string::npos);
}
