#include "options.h"

#include <type_traits>

namespace ruvllm::train_qat {
namespace {

void add_option(CLI::App& app, const train::Setting& setting, train::Settings& settings) {
  const std::string name(setting.typed), about(setting.about), value(setting.value);
  CLI::Option* const option = std::visit(
      [&](auto* place) -> CLI::Option* {
        using T = std::remove_pointer_t<decltype(place)>;
        if constexpr (std::is_same_v<T, bool>) return app.add_flag(name, *place, about);
        CLI::Option* const added = app.add_option(name, *place, about)->type_name(value);
        // One rule each time: their patterns may hold what separates others.
        if constexpr (std::is_same_v<T, std::vector<std::string>>) added->expected(1)->take_all();
        return added;
      },
      setting.field(settings));
  option->group(std::string(setting.group));
  if (setting.shows_default) option->default_str(train::value_text(setting, settings));
}

}  // namespace

void add_options(CLI::App& app, train::Settings& settings) {
  for (const train::Setting& setting : train::all_settings()) add_option(app, setting, settings);
  app.footer(train::recipe_keys_roff());
}

void note_given(const CLI::App& app, train::Settings& settings) {
  for (const train::Setting& setting : train::all_settings())
    if (app.get_option(std::string(setting.option))->count() > 0)
      settings.given.emplace(setting.option, train::Origin::command_line);
}

}  // namespace ruvllm::train_qat
