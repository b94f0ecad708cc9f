// What a run shows: a live line, a JSON line a step, and a picture at the end.
#pragma once

#include "cli/app.h"
#include "train/plot.h"
#include "train/run.h"

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace ruvllm::train_qat {

class Report {
 public:
  Report(const cli::CommonOptions& common, const std::filesystem::path& log,
         const std::filesystem::path& plot, bool append);

  train::RunObserver observer();
  /// Draws the picture, where one is wanted.
  void finish();

 private:
  void on_step(const train::StepReport& report);
  void on_evaluation(std::string_view what, const train::Evaluation& evaluation);
  void clear_line();

  const cli::CommonOptions& common_;
  std::filesystem::path plot_;
  std::ofstream log_;
  bool live_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point next_line_ = start_;
  uint64_t first_step_ = 0;
  std::vector<train::Curve> curves_;
};

}  // namespace ruvllm::train_qat
