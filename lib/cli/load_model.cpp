#include "cli/load_model.h"

#include "base/error.h"
#include "base/utf8.h"
#include "cli/console.h"
#include "cli/model_options.h"
#include "cli/progress.h"
#include "quant/load_quantiser.h"

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>

namespace ruvllm::cli {

CLI::Option* add_kv_type_option(CLI::App& command, kv::KvFormat& format) {
  static const std::map<std::string, kv::KvFormat> kTypes = {
      {"f32", kv::KvFormat::f32},
      {"q16", kv::KvFormat::q16},
      {"f16", kv::KvFormat::q16}};  // what peers call it
  const auto check = [](std::string& text) {
    return kTypes.count(text) ? std::string() : fmt::format("'{}' is none of f32, q16", printable(text));
  };
  return command
      .add_option_function<std::string>(
          "--kv-type", [&format](const std::string& text) { format = kTypes.at(text); },
          "Keep keys and values in this type: f32, or q16 (f16 means it too), 16-bit integers with a scale a "
          "vector.")
      ->type_name("f32|q16")
      ->default_str("q16")
      ->check(CLI::Validator(check, ""));
}

CLI::Option* add_quantize_on_load_option(CLI::App& command, std::string& type) {
  return command
      .add_option("--quantize-on-load", type,
                  "Make the weights this type first, as `ruvllm quantize --search fast --type` would "
                  "(Q4_K_M, PIQ3 ...).")
      ->type_name("TYPE");
}

std::shared_ptr<const model::Model> pack_model(const std::shared_ptr<const format::ModelFile>& file,
                                               const std::string& name, ThreadPool& pool,
                                               const CommonOptions& common,
                                               const std::string& quantize_on_load) {
  std::optional<quant::LoadQuantiser> quantiser;
  model::TensorConversion convert;
  if (!quantize_on_load.empty()) {
    quantiser.emplace(*file, quantize_on_load, pool);
    convert = [&](const format::Tensor& tensor) -> const format::Tensor& {
      return quantiser->convert(tensor);
    };
  }
  Progress progress(common, "loading " + name);
  const auto on_progress = [&](uint64_t done, uint64_t total) {
    throw_if_interrupted();
    progress.update(done, total);
  };
  auto model = model::Model::load(file, pool, on_progress, convert);
  progress.finish();
  return model;
}

LoadedModel load_model(const std::string& reference, const CommonOptions& common,
                       const std::string& quantize_on_load) {
  const auto start = std::chrono::steady_clock::now();
  LoadedModel loaded;
  const std::filesystem::path path = resolve_model(reference, common);
  loaded.file = format::open_model_file(path);
  loaded.tokenizer = text::make_tokenizer(*loaded.file);
  if (!loaded.tokenizer->warning().empty()) warn(common, printable(loaded.tokenizer->warning()));
  loaded.pool = std::make_unique<ThreadPool>(common.threads);
  loaded.model = pack_model(loaded.file, path.filename().string(), *loaded.pool, common, quantize_on_load);
  loaded.load_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return loaded;
}

void add_chat_template(LoadedModel& loaded, const CommonOptions& common) {
  auto chat_template = text::load_chat_template(*loaded.file, *loaded.tokenizer);
  if (!chat_template) return;
  if (!chat_template->warning().empty()) warn(common, chat_template->warning());
  loaded.chat_template = std::make_shared<const text::ChatTemplate>(std::move(*chat_template));
}

}  // namespace ruvllm::cli
