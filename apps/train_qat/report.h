// What a run shows: a live line, a JSON line a step, and a picture at the end.
#pragma once

#include "base/json.h"
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
  /// Tells the log how the losses are weighed, as shares of one.
  void begin(const train::TrainerOptions& options);
  /// Draws the picture, where one is wanted.
  void finish();

 private:
  void on_step(const train::StepReport& report);
  void on_phase(std::string_view phase);
  void on_calibration(const train::CalibrationRecord& record);
  void on_errors(std::string_view what, const std::vector<train::FakeQuantiser::MatrixError>& errors);
  void write_log(const Json& line);
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
  train::ReasoningOptions reasoning_;
  std::vector<train::Curve> curves_, error_curves_;
};

}  // namespace ruvllm::train_qat
