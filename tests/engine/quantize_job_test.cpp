// Quantising as a library call: what each of its parts is told of the others.
#include "engine/quantize_job.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/file.h"
#include "test_support.h"

#include <algorithm>
#include <string>
#include <vector>

namespace ruvllm::engine {
namespace {

struct Run {
  explicit Run(const std::string& type) { options.recipe.mix = &quant::find_mix(type); }

  QuantizeJob make() {
    events.progress = [this](std::string_view stage, uint64_t, uint64_t) {
      if (stages.empty() || stages.back() != stage) stages.emplace_back(stage);
    };
    return QuantizeJob(format::open_model_file(*test::test_data("stories260K/stories260K.gguf")),
                       std::move(options), events, pool);
  }
  size_t n_stages(std::string_view stage) const {
    return static_cast<size_t>(std::ranges::count(stages, stage));
  }

  QuantizeOptions options;
  QuantizeEvents events;
  std::vector<std::string> stages;
  ThreadPool pool{2};
};

std::string text_of_stories(bool second_half) {
  const std::string text = read_file(*test::test_data("stories260K/stories-eval.txt"), 1 << 20);
  return second_half ? text.substr(text.size() / 2) : text.substr(0, text.size() / 2);
}

}  // namespace

TEST_CASE("gptq loads the model once, whatever is measured before and after") {
  if (!test::test_data("stories260K/stories260K.gguf")) return;
  const test::TemporaryFolder folder;
  Run run("Q4_0");
  run.options.method = QuantizeMethod::gptq;
  run.options.calibration_text = text_of_stories(false);
  QuantizeJob job = run.make();
  job.write(folder / "out.gguf");
  const Comparison comparison = job.compare(folder / "out.gguf", text_of_stories(true));
  CHECK(comparison.divergence.mean_kl > 0);
  CHECK(run.n_stages("loading") == 1);
  CHECK(run.n_stages("calibrating") == 1);
  CHECK(job.verify(folder / "out.gguf").size() == job.plan().tensors.size());
}

TEST_CASE("gptq without a text, without a matrix, or for quants that cannot be chosen is refused") {
  if (!test::test_data("stories260K/stories260K.gguf")) return;
  const auto message_of = [](Run& run) {
    try {
      run.options.method = QuantizeMethod::gptq;
      run.make().plan();
    } catch (const Error& error) {
      CHECK(error.code() == Errc::usage);
      return std::string(error.what());
    }
    return std::string();
  };
  Run silent("Q4_0");
  CHECK(message_of(silent).find("--calibrate") != std::string::npos);
  Run floats("F16");
  floats.options.calibration_text = text_of_stories(false);
  CHECK(message_of(floats).find("no matrix") != std::string::npos);
}

TEST_CASE("the inputs held back are of the calibration text, and a short text has none") {
  const auto path = test::test_data("stories260K/stories260K.gguf");
  if (!path) return;
  const auto file = format::open_model_file(*path);
  ThreadPool pool(2);
  const auto model = model::Model::load(file, pool);
  const auto tokenizer = text::make_tokenizer(*file);
  CalibrationOptions how;
  const Calibration found = calibrate(model, *file, *tokenizer, pool, text_of_stories(false), how);
  REQUIRE_FALSE(found.held_back.empty());
  CHECK(found.fitted.n_chunks < found.whole.n_chunks);
  const auto& query = found.held_back.at("blk.0.attn_q.weight");
  CHECK(query == found.held_back.at("blk.0.attn_k.weight"));
  CHECK(query->front().n_columns == 64);
  CHECK(query->front().n_rows() >= 200);
  CHECK(query->front().n_rows() <= 257);
  const Calibration brief = calibrate(model, *file, *tokenizer, pool, "Once upon a time", how);
  CHECK(brief.held_back.empty());
  CHECK(brief.fitted.n_chunks == brief.whole.n_chunks);
}

}  // namespace ruvllm::engine
