// ruvllm info: a model's summary, or this machine's. Tested by tests/cli/info_test.cpp.
#include "cli/model_options.h"
#include "info.h"

int main(int argc, char** argv) {
  using namespace ruvllm;
  std::string model;
  cli::App app;
  app.name = "info";
  app.about = "Sum up a model; without one, this machine: processor, kernels, memory, and what fits.";
  app.example =
      "ruvllm info\n"
      "ruvllm info model.gguf --json";
  app.add_options = [&](CLI::App& command) { cli::add_model_argument(command, model)->type_name("[MODEL]"); };
  app.run = [&](const cli::CommonOptions& common) {
    return model.empty() ? info::show_machine(common) : info::show_model(model, common);
  };
  return cli::main_app(argc, argv, app);
}
