#include "quant/quantize_model.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "test_support.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace ruvllm::quant {
namespace {

/// A model with matrices of all kinds of widths, an expert tensor, norms and an odd row.
/// `spoilt`: a value of tensor number spoilt_tensor (of number 2, at row 3, column 5), unless it is 0.
void write_source(const std::filesystem::path& path, Random& random, float spoilt = 0.0f,
                  size_t spoilt_tensor = 2) {
  format::Metadata metadata;
  metadata.set("general.architecture", std::string_view("llama"));
  metadata.set("llama.block_count", uint32_t{2});
  metadata.set("split.count", uint16_t{0});
  std::vector<format::TensorPlan> tensors = {
      {"token_embd.weight", Format::F32, {512, 300}},
      {"output_norm.weight", Format::F32, {512}},
      {"blk.0.attn_q.weight", Format::F32, {512, 700}},
      {"blk.0.attn_v.weight", Format::F16, {256, 33}},
      {"blk.0.ffn_down.weight", Format::F32, {96, 40}},
      {"blk.1.ffn_down_exps.weight", Format::F32, {256, 8, 4}},
      {"blk.1.ffn_up.weight", Format::F32, {524288, 2}},
      {"blk.1.ffn_gate.weight", Format::F32, {50, 3}},
  };
  format::GgufWriter writer(path, metadata, tensors);
  for (size_t i = 0; i < tensors.size(); ++i) {
    std::vector<float> values(tensors[i].dimensions[0] *
                              (tensors[i].dimensions.size() > 1 ? tensors[i].dimensions[1] : 1) *
                              (tensors[i].dimensions.size() > 2 ? tensors[i].dimensions[2] : 1));
    for (float& value : values) value = static_cast<float>(random.normal());
    if (spoilt != 0.0f && i == spoilt_tensor) values[i == 2 ? 512 * 3 + 5 : 5] = spoilt;
    if (tensors[i].format == Format::F16) {
      std::vector<std::byte> halves(values.size() * 2);
      kernels::active().encode[1](values.data(), nullptr, values.size(), halves.data(), Search::fast);
      writer.write_tensor(i, halves);
    } else {
      writer.write_tensor(i, std::as_bytes(std::span(values)));
    }
  }
  writer.commit();
}

struct Job {
  std::string type = "Q4_K_M";
  int n_threads = 2;
  uint64_t max_file_bytes = 0;
  RunOptions options;
  Importance importance;
};

std::vector<TensorReport> run(const std::filesystem::path& source_path, const std::filesystem::path& output,
                              Job job) {
  const auto source = format::read_gguf(source_path);
  Recipe recipe;
  recipe.mix = &find_mix(job.type);
  recipe.guided = !job.importance.empty();
  const Plan plan = plan_model(*source, choose_formats(*source, recipe),
                               {recipe.mix->file_type, false, job.max_file_bytes}, job.importance, {});
  std::vector<TensorReport> reports;
  const auto outer = job.options.on_tensor;
  job.options.on_tensor = [&](const TensorReport& report) {
    reports.push_back(report);
    if (outer) outer(report);
  };
  ThreadPool pool(job.n_threads);
  write_model(plan, job.importance, output, pool, job.options);
  uint64_t n_bytes = 0;
  for (const auto& path : plan.paths(output)) {
    n_bytes += std::filesystem::file_size(path);
    if (job.max_file_bytes > 0)
      CHECK(std::filesystem::file_size(path) <= std::max<uint64_t>(job.max_file_bytes, 1 << 20));
  }
  CHECK(n_bytes == plan.file_bytes());
  return reports;
}

Errc code_of(auto&& function, std::string* message = nullptr) {
  try {
    function();
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return error.code();
  }
  return Errc::failed;
}

}  // namespace

TEST_CASE("what a type cannot hold is refused with the tensor, the place and a type that can") {
  const test::TemporaryFolder folder;
  Random random(test::test_seed());
  struct Case {
    float value;
    const char* type;
    bool is_held;
  };
  for (const Case& one : {Case{7e4f, "F16", false}, Case{7e4f, "BF16", true}, Case{1e6f, "Q4_0", false},
                          Case{1e10f, "IQ4_XS", false}, Case{1e10f, "IQ3_S", false},
                          Case{1e10f, "PIQ3", false}, Case{1e10f, "F32", true}}) {
    CAPTURE(std::string(one.type));
    CAPTURE(one.value);
    write_source(folder / "in.gguf", random, one.value);
    std::filesystem::remove(folder / "out.gguf");
    Job job;
    job.type = one.type;
    std::string message;
    const Errc code = code_of(
        [&] {
          run(folder / "in.gguf", folder / "out.gguf", job);
          throw Error(Errc::usage, "written");
        },
        &message);
    CAPTURE(message);
    CHECK(code == (one.is_held ? Errc::usage : Errc::corrupt_file));
    if (!one.is_held) {
      CHECK(message.find("blk.0.attn_q.weight has") != std::string::npos);
      CHECK(message.find("row 3, column") != std::string::npos);
      CHECK(message.find("F32") != std::string::npos);
      CHECK_FALSE(std::filesystem::exists(folder / "out.gguf"));
    }
  }
}

TEST_CASE("a NaN in a tensor that is copied is refused as one in a tensor that is encoded") {
  const test::TemporaryFolder folder;
  Random random(test::test_seed());
  for (const float value : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    write_source(folder / "in.gguf", random, value, 1);
    std::string message;
    CHECK(code_of([&] { run(folder / "in.gguf", folder / "out.gguf", {}); }, &message) == Errc::corrupt_file);
    CHECK(message.find("output_norm.weight") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(folder / "out.gguf"));
  }
}

TEST_CASE(
    "the file is the same for every number of threads and every size of buffer, and as large as planned") {
  const test::TemporaryFolder folder;
  Random random(test::test_seed());
  write_source(folder / "in.gguf", random);
  for (const char* type : {"Q4_K_M", "IQ3_XXS", "Q8_0", "BF16"}) {
    CAPTURE(std::string(type));
    Job job;
    job.type = type;
    job.n_threads = 1;
    run(folder / "in.gguf", folder / "one.gguf", job);
    const std::string expected = read_file(folder / "one.gguf", 1 << 28);
    job.n_threads = 3;
    job.options.max_memory = 256 << 10;
    run(folder / "in.gguf", folder / "three.gguf", job);
    CHECK(read_file(folder / "three.gguf", 1 << 28) == expected);
  }
}

TEST_CASE("what is reported is what a second reading of the file finds") {
  const test::TemporaryFolder folder;
  Random random(test::test_seed());
  write_source(folder / "in.gguf", random);
  const auto reports = run(folder / "in.gguf", folder / "out.gguf", {});
  const auto source = format::read_gguf(folder / "in.gguf"), written = format::read_gguf(folder / "out.gguf");
  ThreadPool pool(2);
  const std::vector<double> errors = compare_tensors(*source, *written, {}, pool);
  REQUIRE(errors.size() == reports.size());
  for (size_t i = 0; i < errors.size(); ++i) {
    CAPTURE(source->tensors[i].name);
    CHECK(errors[i] == doctest::Approx(reports[i].relative_error).epsilon(1e-9));
    const double most = written->tensors[i].format == Format::Q4_K ? 0.08 : 0.06;
    CHECK(errors[i] < most);
    CHECK((errors[i] == 0.0) == (written->tensors[i].format == Format::F32));
  }
  CHECK(written->metadata.find("split.count") == nullptr);
  CHECK(written->metadata.integer("general.file_type") == 15);
  CHECK(written->metadata.integer("general.quantization_version") == 2);
}

TEST_CASE("a split output is the same model, in files within the limit") {
  const test::TemporaryFolder folder;
  Random random(test::test_seed());
  write_source(folder / "in.gguf", random);
  run(folder / "in.gguf", folder / "whole.gguf", {});
  Job job;
  job.max_file_bytes = 200 << 10;
  run(folder / "in.gguf", folder / "part.gguf", job);
  const auto whole = format::read_gguf(folder / "whole.gguf");
  size_t n_shards = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    n_shards += entry.path().filename().string().starts_with("part-");
  CHECK(n_shards >= 3);
  const auto first = folder / fmt::format("part-00001-of-{:05}.gguf", n_shards);
  const auto parts = format::read_gguf(first);
  REQUIRE(parts->tensors.size() == whole->tensors.size());
  for (size_t i = 0; i < whole->tensors.size(); ++i) {
    CHECK(parts->tensors[i].name == whole->tensors[i].name);
    CHECK(std::ranges::equal(parts->tensors[i].bytes, whole->tensors[i].bytes));
  }
}

TEST_CASE("a run that is interrupted goes on with resume to the same bytes") {
  const test::TemporaryFolder folder;
  Random random(test::test_seed());
  write_source(folder / "in.gguf", random);
  run(folder / "in.gguf", folder / "whole.gguf", {});
  Job job;
  int n_pieces = 0;
  job.n_threads = 1;
  job.options.check = [&] {
    if (++n_pieces == 5) throw Error(Errc::interrupted, "stop");
  };
  std::string message;
  CHECK(code_of([&] { run(folder / "in.gguf", folder / "out.gguf", job); }, &message) == Errc::resumable);
  CHECK(message.find("--resume") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder / "out.gguf"));
  job.options.check = nullptr;
  job.options.resume = true;
  const auto reports = run(folder / "in.gguf", folder / "out.gguf", job);
  CHECK(reports.front().resumed);
  CHECK_FALSE(reports.back().resumed);
  CHECK(read_file(folder / "out.gguf", 1 << 28) == read_file(folder / "whole.gguf", 1 << 28));
}

TEST_CASE("a NaN is named, and leaves nothing behind") {
  const test::TemporaryFolder folder;
  Random random(test::test_seed());
  for (const float spoilt :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    write_source(folder / "in.gguf", random, spoilt);
    std::string message;
    CHECK(code_of([&] { run(folder / "in.gguf", folder / "out.gguf", {}); }, &message) == Errc::corrupt_file);
    CHECK(message.find("blk.0.attn_q.weight") != std::string::npos);
    CHECK(message.find("row 3, column 5") != std::string::npos);
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
  }
}

TEST_CASE("the input is never the output, nor quantised twice unasked") {
  const test::TemporaryFolder folder;
  Random random(test::test_seed());
  write_source(folder / "in.gguf", random);
  std::filesystem::create_hard_link(folder / "in.gguf", folder / "same.gguf");
  CHECK(code_of([&] { run(folder / "in.gguf", folder / "same.gguf", {}); }) == Errc::usage);
  run(folder / "in.gguf", folder / "out.gguf", {});
  std::string message;
  Job job;
  job.type = "Q2_K";
  CHECK(code_of([&] { run(folder / "out.gguf", folder / "worse.gguf", job); }, &message) == Errc::usage);
  CHECK(message.find("--allow-requantize") != std::string::npos);
}

TEST_CASE("importance is used where it is known, expert by expert, and its shape is checked") {
  const test::TemporaryFolder folder;
  Random random(test::test_seed());
  write_source(folder / "in.gguf", random);
  run(folder / "in.gguf", folder / "plain.gguf", {});
  Job job;
  std::vector<float> weights(256 * 4);
  for (float& weight : weights) weight = static_cast<float>(std::pow(10.0, 3 * random.uniform()));
  std::fill_n(weights.begin() + 256, 256, 0.0f);  // an expert that was never asked
  job.importance.set("blk.1.ffn_down_exps.weight", weights);
  run(folder / "in.gguf", folder / "guided.gguf", job);
  const auto source = format::read_gguf(folder / "in.gguf");
  const auto plain = format::read_gguf(folder / "plain.gguf"),
             guided = format::read_gguf(folder / "guided.gguf");
  const auto error_of = [&](const format::ModelFile& file, size_t expert) {
    const format::Tensor& a = *source->find("blk.1.ffn_down_exps.weight");
    const format::Tensor& b = *file.find("blk.1.ffn_down_exps.weight");
    std::vector<float> x(a.n_values()), y(a.n_values());
    kernels::active()[a.format].decode(a.bytes.data(), x.data(), x.size());
    kernels::active()[b.format].decode(b.bytes.data(), y.data(), y.size());
    double sum = 0;
    for (size_t i = 256 * 8 * expert; i < 256 * 8 * (expert + 1); ++i) {
      const double weight = static_cast<double>(weights[256 * expert + i % 256]);
      sum += (weight > 0 ? weight : 1.0) * std::pow(static_cast<double>(x[i]) - static_cast<double>(y[i]), 2);
    }
    return sum;
  };
  CHECK(error_of(*guided, 0) < error_of(*plain, 0));
  CHECK(error_of(*guided, 1) < 1.3 * error_of(*plain, 1));
  CHECK(guided->find("blk.0.attn_q.weight")->bytes.size() ==
        plain->find("blk.0.attn_q.weight")->bytes.size());

  job.importance.set("blk.0.attn_q.weight", std::vector<float>(100, 1.0f));
  CHECK(code_of([&] { run(folder / "in.gguf", folder / "bad.gguf", job); }) == Errc::corrupt_file);
  CHECK(code_of([&] { job.importance.set("x", {1.0f, -1.0f}); }) == Errc::corrupt_file);
}

}  // namespace ruvllm::quant
