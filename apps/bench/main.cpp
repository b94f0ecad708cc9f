// ruvllm bench: speed and quality figures, and gates on them. Tested by tests/cli/bench_test.cpp.
#include "base/error.h"
#include "cli/load_model.h"
#include "cli/model_options.h"
#include "perplexity.h"
#include "speed.h"

int main(int argc, char** argv) {
  using namespace ruvllm;
  std::string model;
  kv::KvFormat kv_format = kv::KvFormat::q16;
  std::string quantize_on_load;
  bench::PerplexityOptions perplexity;
  bench::SpeedOptions speed;
  cli::App app;
  app.name = "bench";
  app.lists_threads = true;
  app.about = "Measure a model, and hold it to bounds.";
  app.example =
      "ruvllm bench synthetic:llama-1b:Q4_0 -p 512 -n 128 -b 1,8\n"
      "ruvllm bench model.gguf --perplexity text.txt --max-perplexity 8.5";
  app.add_options = [&](CLI::App& command) {
    cli::add_model_argument(command, model);
    cli::add_kv_type_option(command, kv_format);
    cli::add_quantize_on_load_option(command, quantize_on_load);
    bench::add_speed_options(command, speed);
    bench::add_perplexity_options(command, perplexity);
  };
  app.run = [&](const cli::CommonOptions& common) {
    perplexity.kv_format = kv_format;
    perplexity.quantize_on_load = speed.quantize_on_load = quantize_on_load;
    if (!perplexity.file.empty()) return bench::run_perplexity(model, perplexity, common);
    return bench::run_speed(model, speed, kv_format, common);
  };
  return cli::main_app(argc, argv, app);
}
