// Losses over reasoning chains against values worked out by hand and against finite differences, and where
// the steps of a text end.
#include "train/reasoning.h"

#include "base/error.h"
#include "base/random.h"
#include "test_support.h"
#include "train/chains.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <string>

using namespace ruvllm;
using namespace ruvllm::train;

namespace {

// Five rows of hidden states; steps at rows 0, 2 and 4 of one chain.
Batch three_steps() {
  Batch batch;
  batch.steps = {{0, 1.0f}, {2, 1.5f}, {4, 2.0f}};
  batch.chains = {{0, 3, 0, 0}};
  return batch;
}

ReasoningOptions plain() {
  ReasoningOptions options;
  options.normalised = false;
  return options;
}

using Loss = std::function<Var(Tape<double>&, Var hidden)>;

double value_of(Parameter<double>& hidden, const Loss& loss, bool backward) {
  ThreadPool pool(1);
  Tape<double> tape(pool);
  const Var result = loss(tape, tape.parameter(hidden));
  if (backward) tape.backward(result);
  return tape.value(result)[0];
}

void check_gradient(const Loss& loss) {
  Random random(test::test_seed());
  Parameter<double> hidden{"hidden", {5, 6}, std::vector<double>(30), std::vector<double>(30, 0.0)};
  for (double& x : hidden.value) x = random.normal();
  value_of(hidden, loss, true);
  for (size_t i = 0; i < hidden.value.size(); ++i) {
    constexpr double kStep = 1e-5;
    const double at = hidden.value[i];
    hidden.value[i] = at + kStep;
    const double above = value_of(hidden, loss, false);
    hidden.value[i] = at - kStep;
    const double below = value_of(hidden, loss, false);
    hidden.value[i] = at;
    CHECK(std::abs((above - below) / (2 * kStep) - hidden.gradient[i]) < 1e-7);
  }
}

std::shared_ptr<const text::Tokenizer> tokenizer_of(const char* model) {
  const auto path = test::test_data(model);
  return path ? text::make_tokenizer(*format::open_model_file(*path)) : nullptr;
}

// The text up to and with the token that a step ends at.
std::string text_until(const Document& document, uint32_t token, const text::Tokenizer& tokenizer) {
  return tokenizer.decode(std::span(document.tokens).first(token + 1), false);
}

}  // namespace

TEST_CASE("the loss on steps: mean of w (1 - cos), worked out by hand") {
  ThreadPool pool(1);
  Tape<double> tape(pool);
  // Student against teacher: the same direction (cos 1), a right angle (cos 0), 60 degrees (cos 0.5).
  const std::vector<double> hidden = {2, 0, 9, 9, 0, 3, 9, 9, 1, std::sqrt(3.0)};
  const std::vector<double> teacher = {5, 0, 4, 0, 7, 0};
  const Batch batch = three_steps();
  const Var states =
      step_states(tape, tape.constant({5, 2}, std::span<const double>(hidden)), batch, plain());
  CHECK(tape.shape(states) == Shape{3, 2});
  const double steps = tape.value(step_loss<double>(tape, states, teacher, batch))[0];
  CHECK(steps == doctest::Approx((1.0 * 0 + 1.5 * 1 + 2.0 * 0.5) / 3));
  // Moves: student (-2, 3) and (1, sqrt 3 - 3); teacher (-1, 0) and (3, 0).
  const double first = 2 / std::sqrt(13.0), second = 1 / std::sqrt(1 + std::pow(std::sqrt(3.0) - 3, 2));
  const double moves = tape.value(trajectory_loss<double>(tape, states, teacher, batch))[0];
  CHECK(moves == doctest::Approx((2 - first - second) / 2));

  ReasoningMetrics metrics;
  const std::vector<float> s = {2, 0, 0, 3, 1, std::sqrt(3.0f)}, t = {5, 0, 4, 0, 7, 0};
  metrics.add(s, t, batch, 0.9f);
  CHECK(metrics.n_chains == 1);
  CHECK(metrics.n_below == 2);
  CHECK(metrics.similarity() == doctest::Approx(0.5));
  CHECK(metrics.trajectory() == doctest::Approx(moves));
  metrics.n_answers = 4, metrics.n_agreed = 3;
  CHECK(metrics.quality() == doctest::Approx(0.6 * 0.5 + 0.4 * 0.75));
}

TEST_CASE("a chain of one step has no trajectory, moves don't cross chains, and a zero state has cosine 0") {
  ThreadPool pool(1);
  Tape<double> tape(pool);
  Batch batch = three_steps();
  batch.chains = {{0, 1, 0, 0}, {1, 2, 0, 0}, {2, 3, 0, 0}};
  const std::vector<double> states = {0, 0, 1, 0, 0, 1}, teacher = {1, 0, 1, 0, 0, 1};
  const Var student = tape.constant({3, 2}, std::span<const double>(states));
  CHECK(tape.value(trajectory_loss<double>(tape, student, teacher, batch))[0] == 0);
  CHECK(tape.value(step_loss<double>(tape, student, teacher, batch))[0] == doctest::Approx(1.0 / 3));
}

TEST_CASE("gradients of both losses, with sampling and with one length") {
  const Batch batch = three_steps();
  Random random(5);
  for (const bool normalised : {false, true})
    for (const size_t n_sampled : {size_t{256}, size_t{4}}) {
      ReasoningOptions options;
      options.normalised = normalised;
      options.n_sampled = n_sampled;
      std::vector<double> teacher(3 * std::min<size_t>(6, n_sampled));
      for (double& x : teacher) x = random.normal();
      check_gradient([&](Tape<double>& tape, Var hidden) {
        return step_loss<double>(tape, step_states(tape, hidden, batch, options), teacher, batch);
      });
      check_gradient([&](Tape<double>& tape, Var hidden) {
        return trajectory_loss<double>(tape, step_states(tape, hidden, batch, options), teacher, batch);
      });
    }
}

TEST_CASE("answers: the same, one in the other, different, none") {
  CHECK(answer_loss(" 42\n", "42") == 0);
  CHECK(answer_loss("42", "the answer is 42") == 0.5);
  CHECK(answer_loss("42", "43") == 1);
  CHECK(answer_loss("", "  ") == 0);
  CHECK(answer_loss("42", "") == 1);
}

TEST_CASE("weights of steps and presets are those of the specification") {
  CHECK(step_weight("conclusion") == 2);
  CHECK(step_weight("answer") == 2);
  CHECK(step_weight("calculation") == 1.5f);
  CHECK(step_weight("setup") == 1);
  CHECK_THROWS_AS(step_weight("guess"), Error);
  CHECK(reasoning_preset("default").trajectory == 0.5f);
  CHECK(reasoning_preset("math").threshold == 0.85f);
  CHECK(reasoning_preset("code").n_sampled == 512);
  CHECK_THROWS_AS(reasoning_preset("poetry"), Error);
}

TEST_CASE("a chain's steps end where its texts end, whatever the tokenizer") {
  for (const char* model : {"stories260K/stories260K.gguf", "tiny/qwen2.gguf"}) {
    const auto tokenizer = tokenizer_of(model);
    if (!tokenizer) return;
    CAPTURE(std::string(model));
    const OrderedJson line = parse_ordered_json(
        R"({"prompt":"Tom had 2 cats.","steps":[{"text":"He got 3 more cats.","type":"setup"},)"
        R"({"text":"2 and 3 make 5.","type":"calculation"}],"answer":"He has 5 cats."})",
        "line");
    const Document document = chain_document(line, *tokenizer);
    REQUIRE(document.steps.size() == 3);
    CHECK(document.steps[1].weight == 1.5f);
    CHECK(document.steps[2].weight == 2.0f);
    std::string text = "Tom had 2 cats.\nHe got 3 more cats.";
    CHECK(text_until(document, document.steps[0].row, *tokenizer) == text);
    CHECK(text_until(document, document.steps[1].row, *tokenizer) == text + "\n2 and 3 make 5.");
    CHECK(document.steps[2].row + 1 == document.tokens.size());
    CHECK(document.answer_end == document.tokens.size());
    CHECK(text_until(document, document.answer_begin - 1, *tokenizer).find("He has") == std::string::npos);
    CHECK(document.is_target[1] == 0);
    CHECK(document.is_target.back() == 1);
  }
}

TEST_CASE("batches carry steps and answers to the rows that they are in") {
  Document document;
  for (int32_t i = 0; i < 21; ++i) document.tokens.push_back(i), document.is_target.push_back(1);
  document.steps = {{3, 1.0f}, {9, 1.5f}, {14, 1.0f}, {19, 2.0f}};
  document.answer_begin = 17, document.answer_end = 20;
  BatchMaker batches({document}, 10, 20, 1);
  size_t n_steps = 0, n_answers = 0;
  for (const Batch& batch : batches.epoch(0)) {
    for (const StepMark& step : batch.steps) {
      const int32_t token = batch.tokens[step.row];
      CHECK((token == 3 || token == 9 || token == 14 || token == 19));
      ++n_steps;
    }
    for (const Chain& chain : batch.chains)
      for (uint32_t row = chain.answer_begin; row < chain.answer_end; ++row, ++n_answers)
        CHECK((batch.targets[row] >= 17 && batch.targets[row] < 20));
  }
  CHECK(n_steps == 4);
  CHECK(n_answers == 3);
}

TEST_CASE("malformed chains are refused") {
  const auto tokenizer = tokenizer_of("stories260K/stories260K.gguf");
  if (!tokenizer) return;
  for (const char* wrong :
       {R"({"steps":[{"text":"a"}]})", R"({"prompt":"a","steps":[]})", R"({"prompt":"a","steps":"b"})",
        R"({"prompt":"a","steps":[{"type":"setup"}]})",
        R"({"prompt":"a","steps":[{"text":"b","type":"guess"}]})", R"({"prompt":"a","steps":[{"text":" "}]})",
        R"({"prompt":"a","steps":[3]})", R"({"prompt":"a","steps":[{"text":"b"}],"answer":5})"}) {
    CAPTURE(std::string(wrong));
    CHECK_THROWS_AS(chain_document(parse_ordered_json(wrong, "line"), *tokenizer), Error);
  }
}
