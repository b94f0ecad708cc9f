#include "train/run.h"
#include "base/file.h"
#include "format/model_file.h"
#include "test_support.h"
#include "text/tokenizer.h"
#include "train/fresh_model.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace ruvllm;
using namespace ruvllm::train;

namespace {

// A story told over and over: enough for a small model to learn in a few steps.
std::string sample_text() {
  std::string text;
  for (int i = 0; i < 60; ++i)
    text += "The cat sat on the mat. The dog ran to the cat, and the cat ran to the mat.\n";
  return text;
}

Subject fresh_subject() {
  const Json json = {{"architecture", "llama"},   {"block_count", 2},
                     {"embedding_length", 64},    {"feed_forward_length", 128},
                     {"attention.head_count", 4}, {"attention.head_count_kv", 2},
                     {"context_length", 64},      {"attention.layer_norm_rms_epsilon", 1e-5},
                     {"vocab_size", 300}};
  ModelShape shape = read_model_shape(json, "shape");
  add_trained_tokenizer(shape, sample_text());
  format::ModelFile file;
  file.metadata = shape.metadata;
  Subject subject;
  subject.network = std::make_unique<Network>(file, shape.tied_head, 7);
  subject.tokenizer = text::make_tokenizer(file);
  subject.metadata = std::move(shape.metadata);
  return subject;
}

struct Folder {
  test::TemporaryFolder folder;
  RunOptions options;

  Folder() {
    write_file_atomically(folder / "text.txt", sample_text());
    options.data = {folder / "text.txt"};
    options.evaluation = folder / "text.txt";
    options.output = folder / "out.gguf";
    aim("F32");
    options.sequence_tokens = 32;
    options.batch_tokens = 128;
    options.trainer.n_epochs = 2;
    options.trainer.learning_rate = 3e-3f;
    options.trainer.warmup_epochs = 0.2f;
  }
  void aim(const char* target) {
    options.target = target;
    options.recipe.mix = &quant::find_mix(target);
    options.recipe.pure = true;
  }
  std::string bytes() const { return read_file(options.output, 1 << 26); }
};

constexpr std::atomic<bool> kNever{false};

}  // namespace

TEST_CASE("a new model learns, and the exported file holds what was evaluated, on every grid") {
  ThreadPool pool(2);
  for (const char* target : {"F32", "Q8_0", "Q4_0", "IQ4_NL"}) {
    Folder folder;
    folder.aim(target);
    folder.options.qat.enabled = std::string(target) != "F32";
    Subject subject = fresh_subject();
    const RunResult result = run_training(subject, folder.options, pool, {}, kNever);
    CHECK(result.after->nll < 0.7 * result.before->nll);
    CHECK(result.exported->nll == result.after->nll);
    const auto file = format::open_model_file(folder.options.output);
    CHECK(tensor::format_name(file->find("blk.0.ffn_up.weight")->format) == target);
  }
}

TEST_CASE(
    "a run that was interrupted and resumed writes the same file, byte for byte, on any number of threads") {
  Folder whole;
  {
    ThreadPool pool(1);
    Subject subject = fresh_subject();
    run_training(subject, whole.options, pool, {}, kNever);
  }
  Folder parts;
  parts.options.checkpoint_folder = parts.folder / "checkpoints";
  ThreadPool pool(3);
  std::atomic<bool> cancel{false};
  RunObserver observer;
  observer.on_step = [&](const StepReport& report) { cancel = report.step % 7 == 0; };
  for (int attempt = 0;; ++attempt) {
    REQUIRE(attempt < 100);
    parts.options.resume = attempt > 0;
    cancel = false;
    try {
      Subject subject = fresh_subject();
      run_training(subject, parts.options, pool, observer, cancel);
      break;
    } catch (const Error& error) {
      CHECK(error.code() == Errc::resumable);
    }
  }
  CHECK(whole.bytes() == parts.bytes());

  parts.options.resume = true;  // once more: nothing is left to do, and the last loss is still known
  cancel = false;
  Subject again = fresh_subject();
  CHECK(run_training(again, parts.options, pool, {}, kNever).last_loss > 0);
  CHECK(whole.bytes() == parts.bytes());
}

TEST_CASE("bf16 products train to nearly the loss of f32, and resume to the same bytes") {
  ThreadPool pool(2);
  const auto nll = [&](tensor::Precision precision) {
    Folder folder;
    folder.options.trainer.precision = precision;
    Subject subject = fresh_subject();
    const RunResult result = run_training(subject, folder.options, pool, {}, kNever);
    CHECK(result.exported->nll == result.after->nll);  // both in f32
    return result.after->nll;
  };
  const double f32 = nll(tensor::Precision::f32), bf16 = nll(tensor::Precision::bf16);
  CHECK(bf16 != f32);
  CHECK(std::abs(bf16 - f32) < 0.02 * f32);

  Folder whole, parts;
  for (Folder* folder : {&whole, &parts}) {
    folder->options.trainer.precision = tensor::Precision::bf16;
    folder->options.checkpoint_folder = folder->folder / "checkpoints";
  }
  Subject subject = fresh_subject();
  run_training(subject, whole.options, pool, {}, kNever);
  std::atomic<bool> cancel{false};
  RunObserver observer;
  observer.on_step = [&](const StepReport& report) { cancel = report.step == 5; };
  Subject first = fresh_subject();
  CHECK_THROWS_AS(run_training(first, parts.options, pool, observer, cancel), Error);
  parts.options.resume = true;
  Subject second = fresh_subject();
  ThreadPool alone(1);
  run_training(second, parts.options, alone, {}, kNever);
  CHECK(whole.bytes() == parts.bytes());
  parts.options.settings = {{"--precision", "f32"}};  // another run
  Subject third = fresh_subject();
  CHECK_THROWS_AS(run_training(third, parts.options, pool, {}, kNever), Error);
}

TEST_CASE("a trained vocabulary has words of the text, and writes the text back") {
  const Subject subject = fresh_subject();
  CHECK(subject.tokenizer->find("Ġcat").has_value());
  const std::string text = sample_text();
  const auto tokens = subject.tokenizer->encode(text, {.add_special = false});
  CHECK(tokens.size() < text.size() / 3);
  CHECK(subject.tokenizer->decode(tokens, false) == text);
}

TEST_CASE("a checkpoint of another run is refused") {
  ThreadPool pool(2);
  Folder folder;
  folder.options.checkpoint_folder = folder.folder / "checkpoints";
  folder.options.settings = {{"--lr", "0.003"}, {"--tensor", ""}};
  Subject subject = fresh_subject();
  run_training(subject, folder.options, pool, {}, kNever);
  folder.options.resume = true;
  const auto refusal = [&](Subject other) -> std::string {
    try {
      run_training(other, folder.options, pool, {}, kNever);
      return {};
    } catch (const Error& error) {
      CHECK(error.code() == Errc::usage);
      return error.what();
    }
  };
  CHECK(refusal(fresh_subject()).empty());
  const auto settings = folder.options.settings;
  folder.options.settings[1].second = "ffn_up=Q8_0";
  const std::string message = refusal(fresh_subject());
  CHECK(message.find("--tensor was not given and is ffn_up=Q8_0") != std::string::npos);
  CHECK(message.find("--lr") == std::string::npos);
  folder.options.settings = settings;
  Subject another = fresh_subject();  // other weights
  another.network->parameters()[0]->value[0] += 0.01f;
  CHECK(refusal(std::move(another)).find("the model") != std::string::npos);
  Subject renamed = fresh_subject();
  renamed.metadata.set("general.name", renamed.metadata.keep("another"));
  CHECK(refusal(std::move(renamed)).find("the model's description") != std::string::npos);
  write_file_atomically(folder.folder / "text.txt", sample_text() + "One more line.\n");
  CHECK(refusal(fresh_subject()).find("the data") != std::string::npos);
}

TEST_CASE("epochs of warm-up are in full precision, as many as were asked for") {
  ThreadPool pool(1);
  std::string bytes[2];
  for (const int n_warm : {1, 2}) {
    Folder folder;
    folder.aim("Q4_0");
    folder.options.qat.enabled = true;
    folder.options.qat.learned_steps = true;
    folder.options.trainer.n_epochs = 3;
    folder.options.trainer.warmup_epochs = static_cast<float>(n_warm);
    std::string phase;
    std::vector<std::string> phases;  // of each step
    std::vector<float> rates;
    RunObserver observer;
    observer.on_phase = [&](std::string_view name) { phase = name; };
    observer.on_step = [&](const StepReport& report) {
      phases.push_back(phase);
      rates.push_back(report.learning_rate);
    };
    Subject subject = fresh_subject();
    run_training(subject, folder.options, pool, observer, kNever);
    bytes[n_warm - 1] = folder.bytes();
    const size_t n_epoch = phases.size() / 3, n = n_epoch * static_cast<size_t>(n_warm);
    REQUIRE(n_epoch > 3);
    for (size_t i = 0; i < phases.size(); ++i) CHECK(phases[i] == (i < n ? "warm up" : "train"));
    CHECK(rates[n - 1] == doctest::Approx(3e-3));
    CHECK(rates[0] < 1e-3f);
  }
  CHECK(bytes[0] != bytes[1]);
}

TEST_CASE("training that does harm is not written: the start is, quantised with care") {
  ThreadPool pool(2);
  Folder folder;
  folder.aim("IQ4_NL");
  folder.options.trainer.n_epochs = 6;
  Subject learned = fresh_subject();  // a model that knows the text
  run_training(learned, folder.options, pool, {}, kNever);

  folder.options.qat.enabled = true;
  folder.options.trainer.n_epochs = 1;
  folder.options.trainer.losses.task = -1;  // away from the text
  folder.options.checkpoint_folder = folder.folder / "checkpoints";
  std::string note;
  RunObserver observer;
  observer.on_note = [&](std::string_view text) { note = text; };
  const RunResult harmed = run_training(learned, folder.options, pool, observer, kNever);
  CHECK(harmed.kept_start);
  CHECK(note.find("training did not help") != std::string::npos);
  CHECK(harmed.after->nll < 1.02 * harmed.full->nll);
  CHECK(harmed.exported->nll == harmed.after->nll);
  CHECK(harmed.last_loss != 0.0f);
}
