// Every weight format's products against the machine's limits: one row, eight, and a tile of prefill.
#pragma once

#include "cli/app.h"

#include <string>

namespace ruvllm::bench {

/// A table (JSON with --json), measured on common.threads threads in some seconds.
std::string measure_kernels(const cli::CommonOptions& common);

}  // namespace ruvllm::bench
