// What `ruvllm quantize` was asked for.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace ruvllm::quantize {

struct Options {
  std::string input, output;

  std::string type = "Q4_K_M";
  std::string target_size;  ///< "350M"; or
  double target_bpw = 0;    ///< bits a weight; 0: neither, the type decides
  std::vector<std::string> tensor_rules;
  std::string output_type, embedding_type;
  bool pure = false;
  bool incoherence = false;
  bool allow_requantize = false;

  std::string imatrix;
  std::string calibrate;  ///< a text file
  std::string imatrix_out;
  std::string method = "rtn";
  std::string search = "best";
  std::string max_memory = "2G";
  std::string split_max_size;
  bool resume = false;
  bool dry_run = false;
  bool verify = false;
  std::string verify_text;

  bool has_target() const { return !target_size.empty() || target_bpw > 0; }
};

void add_options(CLI::App& command, Options& options);

}  // namespace ruvllm::quantize
