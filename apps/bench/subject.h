// The model under test: packed once, then run on pools of any size over made-up tokens.
#pragma once

#include "cli/app.h"
#include "format/model_file.h"
#include "kv/kv_cache.h"
#include "model/model.h"
#include "speed.h"

#include <memory>
#include <optional>
#include <string>

namespace ruvllm::bench {

class Subject {
 public:
  /// A model reference, or synthetic:SHAPE:TYPE.
  Subject(const std::string& reference, const std::string& quantize_on_load, int n_threads,
          kv::KvFormat kv_format, const cli::CommonOptions& common);

  const std::string& name() const { return name_; }
  std::string type() const;  ///< "Q4_K": the type that most bytes are in
  uint64_t file_bytes() const { return file_bytes_; }

  /// One sample of a test on `pool`: tokens a second.
  double run(const SpeedTest& test, ThreadPool& pool);
  /// What the limits allow a test at most, in tokens a second.
  double limit(const SpeedTest& test, const MachineLimits& limits) const;

 private:
  void prepare(const SpeedTest& test, ThreadPool& pool);
  double pass(const SpeedTest& test);  ///< its tokens once; seconds
  void forward(int n_tokens);

  std::string name_, type_;
  uint64_t file_bytes_ = 0;
  kv::KvFormat kv_format_;
  std::shared_ptr<const model::Model> model_;
  ThreadPool* pool_ = nullptr;
  std::unique_ptr<model::Runner> runner_;
  std::vector<std::unique_ptr<kv::KvCache>> caches_;
  std::vector<int32_t> tokens_;
};

}  // namespace ruvllm::bench
