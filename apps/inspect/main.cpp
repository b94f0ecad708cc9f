// ruvllm inspect: what happens inside a model, one subcommand a view. Tested by tests/cli/inspect_test.cpp.
#include "base/error.h"
#include "inspect.h"

#include <string>
#include <vector>

int main(int argc, char** argv) {
  using namespace ruvllm;
  std::vector<inspect::Inspection> inspections;
  cli::App app;
  app.name = "inspect";
  app.about = "Look inside a model: how it reads text, what it predicts, what it is made of.";
  app.example =
      "ruvllm inspect tokens model.gguf --text 'Once upon a time'\n"
      "ruvllm inspect tensors model.gguf --stats";
  app.add_options = [&](CLI::App& command) {
    inspections = {inspect::add_tokens(command), inspect::add_logits(command), inspect::add_tensors(command),
                   inspect::add_template(command), inspect::add_embed(command)};
  };
  app.run = [&](const cli::CommonOptions& common) {
    for (const inspect::Inspection& inspection : inspections)
      if (inspection.command->parsed()) return inspection.run(common);
    std::string names;
    for (const inspect::Inspection& inspection : inspections)
      names += (names.empty() ? "" : ", ") + inspection.command->get_name();
    throw Error(Errc::usage, "inspect what? One of {}", names);
  };
  return cli::main_app(argc, argv, app);
}
