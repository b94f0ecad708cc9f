// What a teacher says of the training data, kept on disk: of each token the k likeliest and the rest as one
// bucket, at one temperature. Written once, then mapped; a run of several epochs asks the teacher once, and a
// later run not at all.
//
// File: "ruvllm teacher 1\n", the identity (digests of data and teacher, k, temperature) as a JSON line,
// zeros up to a multiple of 64, then a record for each token of each piece of the data, in order:
//   i32 id[k]   f32 log p[k]   f32 log p(rest)
// Tested by tests/train/teacher_cache_test.cpp.
#pragma once

#include "base/mapped_file.h"
#include "train/dataset.h"
#include "train/network.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace ruvllm::train {

struct TeacherCacheOptions {
  std::filesystem::path path;
  size_t k = 0;  ///< 0: no cache
  float temperature = 1;
  std::function<void()> check;  ///< called between batches; may throw to stop
};

class TeacherCache {
 public:
  /// Opens the cache, or asks the teacher and writes it where there is none of this data, teacher and
  /// options.
  TeacherCache(Network& teacher, const std::string& teacher_sha256, BatchMaker& batches,
               const TeacherCacheOptions& options, ThreadPool& pool);

  /// Of the rows of a batch, in order. Valid until the next call.
  TopK<float> of(const Batch& batch);
  bool was_written() const { return was_written_; }

 private:
  size_t record_bytes() const { return (2 * k_ + 1) * sizeof(float); }
  bool open(const std::filesystem::path& path, const std::string& identity, uint64_t n_tokens);
  void write(Network& teacher, BatchMaker& batches, const TeacherCacheOptions& options,
             const std::string& identity, ThreadPool& pool);

  size_t k_;
  uint32_t n_vocabulary_;
  std::vector<uint64_t> first_record_;  // of each piece
  MappedFile file_;
  std::span<const std::byte> records_;
  bool was_written_ = false;
  std::vector<int32_t> ids_;
  std::vector<float> log_probabilities_, log_tails_;
};

}  // namespace ruvllm::train
