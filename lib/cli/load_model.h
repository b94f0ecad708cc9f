// A model made ready to run, with a progress bar; for the verbs that compute. Tested by
// tests/cli/chat_test.cpp.
#pragma once

#include "base/thread_pool.h"
#include "cli/app.h"
#include "format/model_file.h"
#include "kv/kv_cache.h"
#include "model/model.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

#include <memory>
#include <string>

namespace ruvllm::cli {

/// Adds --kv-type.
CLI::Option* add_kv_type_option(CLI::App& command, kv::KvFormat& format);

/// A model that is ready to run.
struct LoadedModel {
  std::unique_ptr<ThreadPool> pool;
  std::shared_ptr<const format::ModelFile> file;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::shared_ptr<const model::Model> model;
  std::shared_ptr<const text::ChatTemplate>
      chat_template;  ///< by add_chat_template(); null: it continues text
  double load_seconds = 0;
};

/// Adds --quantize-on-load.
CLI::Option* add_quantize_on_load_option(CLI::App& command, std::string& type);

/// Resolves, opens and packs a model on common.threads threads, showing progress. `quantize_on_load`: the
/// type that its weights become, as `ruvllm quantize` would write them; empty: as they are.
LoadedModel load_model(const std::string& reference, const CommonOptions& common,
                       const std::string& quantize_on_load = {});

/// Packs an opened model, showing progress under `name`.
std::shared_ptr<const model::Model> pack_model(const std::shared_ptr<const format::ModelFile>& file,
                                               const std::string& name, ThreadPool& pool,
                                               const CommonOptions& common,
                                               const std::string& quantize_on_load);

/// Reads the chat template of a loaded model, with a warning where it isn't the model's own.
void add_chat_template(LoadedModel& loaded, const CommonOptions& common);

}  // namespace ruvllm::cli
