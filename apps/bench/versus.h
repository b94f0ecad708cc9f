// Another program's figures beside ours: a command of the user's that prints llama-bench's JSON, run in turn
// with our tests so that both meet the same machine.
#pragma once

#include "speed.h"

#include <string>
#include <vector>

namespace ruvllm::bench {

/// Runs `command` in a shell and returns what it wrote to stdout. Throws Errc::failed where it fails.
std::string output_of(const std::string& command);

/// Adds one sample of the other program to each row whose test it measured: n_prompt, n_gen and avg_ts of
/// llama-bench's `-o json`. Lines between that are no JSON (a warning, say) are passed over.
void add_versus(const std::string& command, std::vector<SpeedRow>& rows);

}  // namespace ruvllm::bench
