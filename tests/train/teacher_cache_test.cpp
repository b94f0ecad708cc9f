#include "train/teacher_cache.h"

#include "base/error.h"
#include "base/file.h"
#include "format/model_file.h"
#include "test_support.h"
#include "train/ops/ops.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace ruvllm;
using namespace ruvllm::train;

namespace {

BatchMaker some_batches(uint64_t seed) {
  std::vector<Document> documents(3);
  for (size_t i = 0; i < documents.size(); ++i)
    for (int32_t token = 1; token < 20; ++token) {
      documents[i].tokens.push_back(token * static_cast<int32_t>(i + 1) + 3);
      documents[i].is_target.push_back(1);
    }
  return BatchMaker(documents, 8, 16, seed);
}

}  // namespace

TEST_CASE("what is cached is what the teacher says, in every epoch, and is read again by the same run only") {
  const auto path = test::test_data("stories260K/stories260K.gguf");
  if (!path) return;
  const auto file = format::open_model_file(*path);
  ThreadPool pool(2);
  Network teacher(*file);
  const test::TemporaryFolder folder;
  TeacherCacheOptions options;
  options.path = folder / "cache";
  options.k = 5;
  options.temperature = 2;
  BatchMaker batches = some_batches(1);
  TeacherCache cache(teacher, "digest", batches, options, pool);
  CHECK(cache.was_written());
  for (const uint64_t epoch : {0, 1})
    for (const Batch& batch : batches.epoch(epoch)) {
      Tape<float> tape(pool);
      const NetworkOutput output = teacher.forward(tape, batch);
      const size_t n = tape.shape(output.logits).n_columns;
      const TopK<float> known = cache.of(batch);
      for (size_t row = 0; row < batch.tokens.size(); ++row) {
        const auto logits = tape.value(output.logits).subspan(row * n, n);
        double sum = 0, listed = 0;
        for (const float x : logits) sum += std::exp(static_cast<double>(x) / 2);
        for (size_t i = row * 5; i < (row + 1) * 5; ++i) {
          const double p = std::exp(static_cast<double>(logits[static_cast<size_t>(known.ids[i])]) / 2) / sum;
          CHECK(std::exp(static_cast<double>(known.log_probabilities[i])) ==
                doctest::Approx(p).epsilon(1e-4));
          if (i > row * 5) CHECK(known.log_probabilities[i] <= known.log_probabilities[i - 1]);
          listed += p;
        }
        CHECK(std::exp(static_cast<double>(known.log_tails[row])) ==
              doctest::Approx(1 - listed).epsilon(1e-3));
      }
    }
  CHECK_FALSE(TeacherCache(teacher, "digest", batches, options, pool).was_written());
  CHECK(TeacherCache(teacher, "another", batches, options, pool).was_written());
  options.temperature = 1;
  CHECK(TeacherCache(teacher, "another", batches, options, pool).was_written());
}

TEST_CASE(
    "a cache that was damaged is written anew where its size shows it, and refused where a token does") {
  const auto path = test::test_data("stories260K/stories260K.gguf");
  if (!path) return;
  const auto file = format::open_model_file(*path);
  ThreadPool pool(1);
  Network teacher(*file);
  const test::TemporaryFolder folder;
  TeacherCacheOptions options;
  options.path = folder / "cache";
  options.k = 2;
  BatchMaker batches = some_batches(1);
  { const TeacherCache cache(teacher, "digest", batches, options, pool); }
  std::string bytes = read_file(options.path, 1 << 20);
  write_file_atomically(options.path, bytes.substr(0, bytes.size() - 4));
  CHECK(TeacherCache(teacher, "digest", batches, options, pool).was_written());
  const size_t n_records = batches.n_tokens();
  bytes[bytes.size() - n_records * 5 * 4 + 3] = 0x7f;  // the first id
  write_file_atomically(options.path, bytes);
  TeacherCache damaged(teacher, "digest", batches, options, pool);
  bool is_refused = false;
  for (const Batch& batch : batches.epoch(0)) try {
      damaged.of(batch);
    } catch (const Error& error) {
      is_refused = error.code() == Errc::corrupt_file;
    }
  CHECK(is_refused);
  options.k = teacher.hparams().n_vocabulary;
  CHECK_THROWS_AS(TeacherCache(teacher, "digest", batches, options, pool), Error);
}

TEST_CASE("with one bucket for what is not listed, the loss is the divergence of the buckets") {
  ThreadPool pool(1);
  Tape<double> tape(pool);
  const std::vector<double> logits = {std::log(0.4), std::log(0.3), std::log(0.2), std::log(0.1)};
  const std::vector<int32_t> ids = {0, 2};
  const std::vector<double> log_p = {std::log(0.6), std::log(0.3)}, tail = {std::log(0.1)};
  const Var student = tape.constant({1, 4}, std::span<const double>(logits));
  const double loss = tape.value(
      distillation_top_k<double>(tape, student, {2, ids, log_p, tail}, 1.0, std::vector<uint8_t>{1}))[0];
  CHECK(loss ==
        doctest::Approx(0.6 * std::log(0.6 / 0.4) + 0.3 * std::log(0.3 / 0.2) + 0.1 * std::log(0.1 / 0.4)));
}
