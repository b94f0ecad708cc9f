// The parts of `ruvllm inspect`: each file adds one subcommand, and main.cpp runs the one that was given.
#pragma once

#include "cli/app.h"

#include <functional>

namespace ruvllm::inspect {

struct Inspection {
  CLI::App* command;
  std::function<int(const cli::CommonOptions&)> run;
};

Inspection add_tokens(CLI::App& inspect);
Inspection add_logits(CLI::App& inspect);
Inspection add_tensors(CLI::App& inspect);
Inspection add_template(CLI::App& inspect);
Inspection add_embed(CLI::App& inspect);

}  // namespace ruvllm::inspect
