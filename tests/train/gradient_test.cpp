// Every operation of ops.def against central finite differences, in double.
#include "base/random.h"
#include "test_support.h"
#include "train/ops/ops.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <map>
#include <string>

using namespace ruvllm;
using namespace ruvllm::train;

namespace {

using Inputs = std::vector<Parameter<double>>;
using Build = std::function<Var(Tape<double>&, const std::vector<Var>&)>;

struct Case {
  std::vector<Shape> shapes;  // of the inputs that are differentiated
  Build build;
  Build surrogate =
      {};  // what is differenced instead, where the operation lies about its gradient on purpose
};

Parameter<double> random_parameter(Shape shape, Random& random) {
  Parameter<double> parameter{"", shape, std::vector<double>(shape.n_values()),
                              std::vector<double>(shape.n_values(), 0.0)};
  for (double& value : parameter.value) value = random.normal();
  return parameter;
}

std::vector<double> random_values(size_t n, uint64_t seed) {
  Random random(seed);
  std::vector<double> values(n);
  for (double& value : values) value = random.normal();
  return values;
}

// The sum of an operation's outputs, each with a weight of its own: a scalar whose gradient reaches every
// output.
double loss_of(const Case& test, Inputs& inputs, bool with_gradient) {
  ThreadPool pool(2);
  Tape<double> tape(pool);
  std::vector<Var> vars;
  for (Parameter<double>& input : inputs) vars.push_back(tape.parameter(input));
  const Var out = !with_gradient && test.surrogate ? test.surrogate(tape, vars) : test.build(tape, vars);
  const std::vector<double> weights = random_values(tape.shape(out).n_values(), 99);
  const Var loss = tape.make({1, 1}, true);
  tape.value(loss)[0] = 0;
  for (size_t i = 0; i < weights.size(); ++i) tape.value(loss)[0] += weights[i] * tape.value(out)[i];
  if (with_gradient) {
    tape.on_backward([&] {
      for (size_t i = 0; i < weights.size(); ++i)
        tape.gradient(out)[i] += weights[i] * tape.gradient(loss)[0];
    });
    tape.backward(loss);
  }
  return tape.value(loss)[0];
}

// The largest difference between the gradient and central differences, relative to the largest gradient.
double gradient_error(const Case& test, uint64_t seed) {
  Random random(seed);
  Inputs inputs;
  for (const Shape& shape : test.shapes) inputs.push_back(random_parameter(shape, random));
  loss_of(test, inputs, true);
  double worst = 0, largest = 1e-3;
  for (Parameter<double>& input : inputs)
    for (size_t i = 0; i < input.value.size(); ++i) {
      constexpr double kStep = 1e-5;
      const double at = input.value[i];
      input.value[i] = at + kStep;
      const double above = loss_of(test, inputs, false);
      input.value[i] = at - kStep;
      const double below = loss_of(test, inputs, false);
      input.value[i] = at;
      worst = std::max(worst, std::abs((above - below) / (2 * kStep) - input.gradient[i]));
      largest = std::max(largest, std::abs(input.gradient[i]));
    }
  return worst / largest;
}

// Element by element, with a slope of its own at every element: the straight-through rules as functions.
Var elementwise(Tape<double>& tape, Var x, const std::function<double(size_t i, double value)>& function) {
  const Var y = tape.make(tape.shape(x), true);
  for (size_t i = 0; i < tape.value(x).size(); ++i) tape.value(y)[i] = function(i, tape.value(x)[i]);
  return y;
}

// fake_quantise by a rule: the gradient at output i is projection[i] (see loss_of), the weight's as the rule
// says.
Case straight_through(StraightThrough rule,
                      const std::function<double(double w, double q, double g)>& slope) {
  const std::vector<double> quantised = random_values(15, 7), projection = random_values(15, 99);
  const StraightThroughArguments arguments{.rule = rule, .clip = 0.8, .lambda = 0.1};
  // The surrogate is linear in w with the slope that the rule gives at the weight where it is applied.
  const auto at = std::make_shared<std::vector<double>>();
  return {{{5, 3}},
          [=](Tape<double>& t, const std::vector<Var>& v) {
            at->assign(t.value(v[0]).begin(), t.value(v[0]).end());
            return fake_quantise<double>(t, v[0], quantised, arguments);
          },
          [=](Tape<double>& t, const std::vector<Var>& v) {
            return elementwise(t, v[0], [&](size_t i, double w) {
              return slope((*at)[i], quantised[i], projection[i]) * w;
            });
          }};
}

// LSQ with the rounding's residual held where it was: then the step's gradient is that of a smooth function.
Case learned_steps() {
  constexpr int kLeast = -2, kMost = 1;
  constexpr size_t kGroup = 4, kColumns = 6;
  struct Held {
    std::vector<double> w, residual, level, log_steps;
  };
  const auto held = std::make_shared<Held>();
  const auto group_of = [](size_t i) { return i / kColumns * 2 + i % kColumns / kGroup; };
  const auto group_size = [](size_t i) { return i % kColumns < kGroup ? 4.0 : 2.0; };
  return {{{3, kColumns}, {3, 2}},
          [=](Tape<double>& t, const std::vector<Var>& v) {
            *held = {};
            held->log_steps.assign(t.value(v[1]).begin(), t.value(v[1]).end());
            for (size_t i = 0; i < t.value(v[0]).size(); ++i) {
              const double ratio = t.value(v[0])[i] / std::exp(held->log_steps[group_of(i)]);
              held->w.push_back(t.value(v[0])[i]);
              held->level.push_back(std::clamp<double>(std::nearbyint(ratio), kLeast, kMost));
              held->residual.push_back(std::nearbyint(ratio) - ratio);
            }
            return lsq_quantise(t, v[0], v[1], kGroup, kLeast, kMost);
          },
          [=](Tape<double>& t, const std::vector<Var>& v) {
            return elementwise(t, v[0], [&](size_t i, double w) {
              const double s0 = std::exp(held->log_steps[group_of(i)]),
                           s = std::exp(t.value(v[1])[group_of(i)]);
              const bool inside = std::nearbyint(held->w[i] / s0) == held->level[i];
              // The published scaling of the step's gradient is part of the rule.
              const double moved = s0 + (s - s0) / std::sqrt(group_size(i) * kMost);
              return inside ? w - held->w[i] + moved * held->residual[i] : moved * held->level[i];
            });
          }};
}

// The codes are constants, so the levels' gradient is the true one; the weight's passes the rounding as it
// is.
Case learned_levels() {
  const Shape shape{4, 5};
  const auto places = std::make_shared<CodebookPlaces<double>>();
  places->group = 2;
  places->scales = random_values(4 * 3, 41);
  for (size_t i = 0; i < shape.n_values(); ++i) places->codes.push_back(static_cast<uint8_t>(i * 7 % 4));
  return {{shape, {1, 4}},
          [places](Tape<double>& t, const std::vector<Var>& v) {
            return codebook_quantise(t, v[0], v[1], *places);
          },
          [places](Tape<double>& t, const std::vector<Var>& v) {
            return elementwise(t, v[0], [&](size_t i, double w) {
              return places->scales[i / 5 * 3 + i % 5 / 2] * t.value(v[1])[places->codes[i]] + w;
            });
          }};
}

AttentionArguments attention_arguments(double cap, size_t window) {
  return {.n_heads = 4,
          .n_kv_heads = 2,
          .head_dimension = 3,
          .score_scale = 0.6,
          .score_cap = cap,
          .window = window,
          .starts = {0, 4, 9}};
}

std::multimap<std::string, Case> cases() {
  const auto unary = [](auto op) {
    return [op](Tape<double>& t, const std::vector<Var>& v) { return op(t, v[0]); };
  };
  const auto binary = [](auto op) {
    return [op](Tape<double>& t, const std::vector<Var>& v) { return op(t, v[0], v[1]); };
  };
  std::multimap<std::string, Case> all;
  all.insert({"matmul", {{{5, 3}, {4, 3}}, binary(matmul<double>)}});
  all.insert({"embedding", {{{6, 3}}, unary([](auto& t, Var v) {
                              return embedding(t, v, std::vector<int32_t>{1, 5, 1, 0});
                            })}});
  all.insert({"add", {{{5, 3}, {5, 3}}, binary(add<double>)}});
  all.insert({"add", {{{5, 3}, {1, 3}}, binary(add<double>)}});
  all.insert({"scale", {{{5, 3}}, unary([](auto& t, Var v) { return scale(t, v, 1.7); })}});
  all.insert({"weighted_sum", {{{1, 1}, {1, 1}}, [](auto& t, const auto& v) {
                                 return weighted_sum<double>(t, v, std::vector<double>{0.3, -2.0});
                               }}});
  all.insert({"slice_columns", {{{5, 7}}, unary([](auto& t, Var v) { return slice_columns(t, v, 2, 3); })}});
  all.insert({"select_rows", {{{5, 2}}, unary([](auto& t, Var v) {
                                return select_rows(t, v, std::vector<uint32_t>{4, 0, 4});
                              })}});
  all.insert({"silu_multiply", {{{5, 3}, {5, 3}}, binary(silu_multiply<double>)}});
  all.insert({"gelu_multiply", {{{5, 3}, {5, 3}}, binary(gelu_multiply<double>)}});
  all.insert({"gelu", {{{5, 3}}, unary(gelu<double>)}});
  all.insert({"soft_cap", {{{5, 3}}, unary([](auto& t, Var v) { return soft_cap(t, v, 1.5); })}});
  all.insert({"rms_norm",
              {{{5, 6}, {1, 6}}, binary([](auto& t, Var x, Var w) { return rms_norm(t, x, w, 1e-3); })}});
  all.insert({"rms_norm",
              {{{5, 6}, {1, 3}}, binary([](auto& t, Var x, Var w) { return rms_norm(t, x, w, 1e-3, 3); })}});
  all.insert({"layer_norm", {{{5, 6}, {1, 6}, {1, 6}}, [](auto& t, const auto& v) {
                               return layer_norm(t, v[0], v[1], v[2], 1e-3);
                             }}});
  all.insert({"layer_norm", {{{5, 6}, {1, 6}, {1, 6}}, [](auto& t, const auto& v) {
                               return layer_norm(t, v[0], v[1], v[2], 1e-3, 3);
                             }}});
  for (const bool half_split : {false, true})
    all.insert(
        {"rope", {{{3, 10}}, unary([half_split](auto& t, Var v) {
                    return rope<double>(t, v, {5, 4, half_split}, random_values(6, 4), random_values(6, 5));
                  })}});
  for (const auto& [cap, window] : {std::pair{0.0, 0}, {1.2, 0}, {0.0, 2}})
    all.insert(
        {"attention", {{{9, 12}, {9, 6}, {9, 6}}, [cap = cap, window = window](auto& t, const auto& v) {
                         return attention(t, v[0], v[1], v[2],
                                          attention_arguments(cap, static_cast<size_t>(window)));
                       }}});
  all.insert({"attention", {{{9, 12}, {9, 6}, {9, 6}}, [](auto& t, const auto& v) {
                              AttentionArguments arguments = attention_arguments(0, 3);
                              arguments.alibi_slopes = {0.7f, 0.3f, 0.1f, 1.5f};
                              return attention(t, v[0], v[1], v[2], arguments);
                            }}});
  for (const bool renormalise : {false, true})
    all.insert({"route", {{{6, 5}}, unary([renormalise](auto& t, Var v) {
                            return route(t, v, {.n_used = 2, .renormalise = renormalise, .factor = 1.6});
                          })}});
  // Three experts, of which the second sees no row; rows 0 and 3 go to two.
  all.insert({"mix_experts", {{{4, 3}, {3, 2}, {3, 2}}, [](auto& t, const auto& v) {
                                const ExpertAnswer answers[] = {{0, {0, 1, 3}, v[1]}, {2, {0, 2, 3}, v[2]}};
                                return mix_experts<double>(t, v[0], answers);
                              }}});
  all.insert({"gate_rows", {{{5, 1}, {5, 3}}, binary(gate_rows<double>)}});
  all.insert({"rows", {{{5, 3}, {3, 3}}, binary([](auto& t, Var x, Var y) {
                         return matmul(t, y, t.rows(x, 2, 2));  // part of a gradient, in its place
                       })}});
  all.insert({"cross_entropy", {{{4, 5}}, unary([](auto& t, Var v) {
                                  return cross_entropy(t, v, std::vector<int32_t>{2, -1, 0, 4});
                                })}});
  all.insert(
      {"distillation",
       {{{4, 5}}, unary([](auto& t, Var v) {
          return distillation<double>(t, v, random_values(20, 5), 2.5, std::vector<uint8_t>{1, 0, 1, 1});
        })}});
  all.insert({"distillation_top_k", {{{4, 5}}, unary([](auto& t, Var v) {
                                       // Two of five listed, at probabilities 0.5 and 0.2; the rest has 0.3.
                                       std::vector<double> log_p, log_tails(4, std::log(0.3));
                                       for (int row = 0; row < 4; ++row)
                                         log_p.push_back(std::log(0.5)), log_p.push_back(std::log(0.2));
                                       const std::vector<int32_t> ids = {1, 3, 0, 4, 2, 1, 4, 3};
                                       return distillation_top_k<double>(t, v, {2, ids, log_p, log_tails},
                                                                         2.5,
                                                                         std::vector<uint8_t>{1, 0, 1, 1});
                                     })}});
  all.insert(
      {"cosine_distance",
       {{{4, 5}}, unary([](auto& t, Var v) {
          return cosine_distance<double>(t, v, random_values(20, 6), std::vector<double>{1, 2, 1.5, 1});
        })}});
  all.insert({"checkpoint", {{{5, 3}, {4, 3}, {3, 4}}, [](auto& t, const auto& v) {
                               return t.checkpoint(v[0], [&](auto& inner, Var x) { return gelu(inner, x); });
                             }}});
  all.insert({"fake_quantise",
              straight_through(StraightThrough::standard, [](double, double, double) { return 1.0; })});
  all.insert({"fake_quantise", straight_through(StraightThrough::clipped, [](double w, double, double) {
                return std::abs(w) <= 0.8 ? 1.0 : 0.0;
              })});
  all.insert({"fake_quantise", straight_through(StraightThrough::ewgs, [](double w, double q, double g) {
                return 1 + 0.1 * (g < 0 ? -1 : 1) * (w - q);
              })});
  all.insert({"fake_quantise", straight_through(StraightThrough::ewgs_abs, [](double w, double q, double) {
                return 1 + 0.1 * std::abs(w - q);
              })});
  all.insert({"lsq_quantise", learned_steps()});
  all.insert({"codebook_quantise", learned_levels()});
  return all;
}

}  // namespace

TEST_CASE("the gradient of every operation agrees with finite differences") {
  const auto all = cases();
#define OP(name)                                                             \
  {                                                                          \
    const auto [first, last] = all.equal_range(#name);                       \
    CHECK_MESSAGE(first != last, "no gradient case for " #name);             \
    for (auto entry = first; entry != last; ++entry) {                       \
      const double error = gradient_error(entry->second, test::test_seed()); \
      CHECK_MESSAGE(error <= 1e-6, #name << ": relative error " << error);   \
    }                                                                        \
  }
#include "train/ops/ops.def"
#undef OP
}
