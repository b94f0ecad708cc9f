// The two ways to use `ruvllm chat`: one answer, or a conversation on the terminal.
#pragma once

#include "cli/app.h"
#include "options.h"
#include "session.h"

#include <memory>
#include <string>

namespace ruvllm::chat {

/// Answers `prompt` on stdout and returns the exit code.
int answer_once(Session& session, const Options& options, const std::string& prompt,
                const cli::CommonOptions& common);

/// "12 tokens read at 90.1/s, 30 written at 20.3/s; ended by stop"
std::string describe(const engine::GenerationResult& result, size_t n_prompt);

/// Talks until /exit or Ctrl-D.
int converse(std::unique_ptr<Session> session, Options options, const cli::CommonOptions& common);

}  // namespace ruvllm::chat
