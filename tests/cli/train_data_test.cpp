// What ruvllm train-qat makes of the data that it is given, as a process: rows in every packing, what it says
// of what it leaves out, and what it refuses before it trains.
#include <doctest/doctest.h>

#include "base/file.h"
#include "base/json.h"
#include "base/strings.h"
#include "cli/process.h"
#include "test_support.h"

#include <string>
#include <vector>

using namespace ruvllm;
using test::Finished;
using test::TemporaryFolder;
using namespace std::string_view_literals;

namespace {

// A new model of a thousand weights, trained for an epoch.
class Trainee {
 public:
  Trainee() {
    write_file_atomically(
        folder_ / "shape.json",
        R"({"architecture":"llama","block_count":1,"embedding_length":32,)"
        R"("feed_forward_length":32,"attention.head_count":2,"attention.head_count_kv":2,)"
        R"("context_length":128,"attention.layer_norm_rms_epsilon":1e-5,"vocab_size":280})");
    write_file_atomically(folder_ / "words.txt", "The cat sat on the mat. The dog ran to the cat.\n");
    write("words.jsonl", R"({"text":"The cat sat on the mat. The dog ran to the cat."})");
    // A vocabulary of its own to begin with, so that every run below has the same tokens.
    REQUIRE(train("words.jsonl", {"--out", folder_ / "first.gguf"}, true).exit_code == 0);
  }
  void write(const std::string& name, std::string_view content) const {
    write_file_atomically(folder_ / name, content);
  }
  Finished train(const std::string& data, std::vector<std::string> more = {}, bool is_first = false) const {
    std::vector<std::string> arguments = {"train-qat",
                                          "--data",
                                          folder_ / data,
                                          "--target",
                                          "F32",
                                          "--epochs",
                                          "1",
                                          "--warmup-epochs",
                                          "0",
                                          "--sequence",
                                          "64",
                                          "--lr",
                                          "1e-3",
                                          "--batch-tokens",
                                          "128",
                                          "-t",
                                          "1",
                                          "--log",
                                          folder_ / "log.jsonl"};
    if (is_first) {
      arguments.insert(arguments.end(), {"--from-scratch", folder_ / "shape.json"});
    } else {
      arguments.insert(arguments.begin() + 1, folder_ / "first.gguf");
      arguments.insert(arguments.end(), {"--out", folder_ / "out.gguf"});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::filesystem::remove(folder_ / "log.jsonl");
    return test::run(arguments);
  }
  // Tokens of the first step, and its loss.
  std::pair<uint64_t, double> first_step() const {
    const std::string log = read_file(folder_ / "log.jsonl", 1 << 20);
    for (const std::string_view line : split(log, '\n')) {
      if (line.find("\"step\"") == std::string_view::npos) continue;
      const Json step = parse_json(line, "log");
      return {step["tokens"].get<uint64_t>(), step["loss"].get<double>()};
    }
    return {};
  }
  std::string file(const std::string& name) const { return read_file(folder_ / name, 1 << 24); }
  std::string path(const std::string& name) const { return folder_ / name; }

 private:
  TemporaryFolder folder_;
};

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("one set of rows trains to the same step in every packing") {
  const Trainee trainee;
  const std::string row = R"({"text":"The cat sat on the mat."})";
  trainee.write("rows.jsonl", row + "\n" + row + "\n");
  REQUIRE(trainee.train("rows.jsonl").exit_code == 0);
  const auto wanted = trainee.first_step();
  CHECK(wanted.first > 10);
  trainee.write("rows.JSONL", row + "\r\n" + row);
  trainee.write("rows.ndjson", "\xEF\xBB\xBF" + row + "\n" + row);
  trainee.write("array.json", "[" + row + ",\n" + row + "]");
  trainee.write("rows.txt", row + "\n" + row + "\n");
  std::string wide = "\xFF\xFE";
  for (const char c : row + "\n" + row) wide += {c, '\0'};
  trainee.write("wide.jsonl", wide);
  for (const char* name : {"rows.JSONL", "rows.ndjson", "array.json", "rows.txt", "wide.jsonl"}) {
    CAPTURE(name);
    const Finished done = trainee.train(name);
    CAPTURE(done.err);
    CHECK(done.exit_code == 0);
    CHECK(trainee.first_step() == wanted);
  }
}

TEST_CASE("what is no data is refused with exit 5, and nothing is written") {
  const Trainee trainee;
  trainee.write("zeros.txt", "Once\0upon"sv);
  trainee.write("rows.parquet", "PAR1 and so on");
  trainee.write("keys.jsonl", R"({"question":"Q","response":"A"})");
  trainee.write("empty.jsonl", "\n");
  trainee.write("blank.jsonl", R"({"prompt":"Q","completion":""})");
  trainee.write("bad.jsonl", "{\"text\":\"a cat\"}\n{\"text\":\"a\"");
  const std::pair<const char*, const char*> kCases[] = {
      {"zeros.txt", "zeros.txt: no text"},
      {"rows.parquet", "Parquet"},
      {"keys.jsonl", "\"question\", \"response\""},
      {"empty.jsonl", "nothing to learn"},
      {"blank.jsonl", "1 of 1 rows"},
      {"bad.jsonl", "bad.jsonl:2"},
  };
  for (const auto& [name, said] : kCases) {
    CAPTURE(name);
    const Finished done = trainee.train(name);
    CAPTURE(done.err);
    CHECK(done.exit_code == 5);
    CHECK(has(done.err, said));
    CHECK_FALSE(std::filesystem::exists(trainee.path("out.gguf")));
  }
}

TEST_CASE("prompts that fill a sequence are spoken of, and no step learns nothing") {
  const Trainee trainee;
  std::string long_prompt;
  for (int i = 0; i < 60; ++i) long_prompt += "The dog ran to the cat. ";
  const std::string row = R"({"prompt":")" + long_prompt + R"(","completion":"The end."})";
  trainee.write("long.jsonl", row + "\n" + row + "\n");
  const Finished done = trainee.train("long.jsonl");
  CHECK(done.exit_code == 0);
  CHECK(has(done.err, "2 prompts are longer than --sequence 64"));
  CHECK(has(done.err, "hold nothing to learn"));
  const std::string log = trainee.file("log.jsonl");
  CHECK_FALSE(has(log, "\"loss\":0.0,"));
}

TEST_CASE("a model that exists can be taught another chat template, one that opens a thought say") {
  const Trainee trainee;
  trainee.write("rows.jsonl",
                R"({"messages":[{"role":"user","content":"cat"},{"role":"assistant","content":"dog"}]})");
  trainee.write("thinks.jinja",
                "{%- for m in messages -%}[{{ m['role'] }}]{{ m['content'] }}[end]{%- endfor -%}"
                "{%- if add_generation_prompt -%}[assistant]<think>\n{%- endif -%}");
  const Finished done = trainee.train("rows.jsonl", {"--chat-template", trainee.path("thinks.jinja")});
  CAPTURE(done.err);
  CHECK(done.exit_code == 0);
  CHECK(has(done.err, "opens a thought: 1 answers"));
  CHECK(has(trainee.file("out.gguf"), "[assistant]<think>"));
  trainee.write("wrong.jinja", "{% if %}");
  CHECK(trainee.train("rows.jsonl", {"--chat-template", trainee.path("wrong.jinja")}).exit_code == 5);
}

TEST_CASE("bench measures what rows say, as it measures the same text") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "text.txt", "The cat sat on the mat.\nThe dog ran.\n");
  write_file_atomically(folder / "rows.json",
                        R"([{"text":"The cat sat on the mat."},{"text":"The dog ran."}])");
  write_file_atomically(folder / "zeros.txt", "The\0cat"sv);
  const auto perplexity = [&](const char* name) {
    return test::run({"bench", "tiny", "--perplexity", folder / name, "--json"});
  };
  const Finished text = perplexity("text.txt"), rows = perplexity("rows.json");
  REQUIRE(text.exit_code == 0);
  REQUIRE(rows.exit_code == 0);
  CHECK(parse_json(text.out, "text")["perplexity"] == parse_json(rows.out, "rows")["perplexity"]);
  CHECK(perplexity("zeros.txt").exit_code == 5);
}
