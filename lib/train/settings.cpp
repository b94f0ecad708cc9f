#include "train/settings.h"

#include "base/error.h"
#include "base/strings.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

namespace ruvllm::train {
namespace {

constexpr Bound any = {};
constexpr Bound at_least(double least) { return {.least = least}; }
constexpr Bound above(double least) { return {.least = least, .least_is_allowed = false}; }
constexpr Bound within(double least, double most) { return {.least = least, .most = most}; }
constexpr bool shown = true, told = false;

// The titles of the groups.
namespace titles {
constexpr std::string_view options = "Options", data = "Data", target = "Target", training = "Training",
                           progress = "Progress";
}

constexpr std::string_view long_form(std::string_view typed) {
  const size_t comma = typed.find(',');
  return comma == std::string_view::npos ? typed : typed.substr(comma + 1);
}

constexpr std::string_view without_mark(std::string_view key) {
  return key.starts_with('!') ? key.substr(1) : key;
}

constexpr Setting kSettings[] = {
#define OPTION(typed_form, recipe_key, title, value_name, place, what, limits, is_shown, rival_word, \
               sentence)                                                                             \
  {.option = long_form(typed_form),                                                                  \
   .typed = typed_form,                                                                              \
   .key = without_mark(recipe_key),                                                                  \
   .key_is_opposite = std::string_view(recipe_key).starts_with('!'),                                 \
   .group = titles::title,                                                                           \
   .value = value_name,                                                                              \
   .about = sentence,                                                                                \
   .field = [](Settings& settings) -> Field { return &settings.place; },                             \
   .decides = Decides::what,                                                                         \
   .bound = limits,                                                                                  \
   .shows_default = is_shown,                                                                        \
   .rivals = rival_word},
#include "train/settings.def"
};

// The address of a field is asked for through settings that can be changed; here they are only read.
Field field_of(const Setting& setting, const Settings& settings) {
  return setting.field(const_cast<Settings&>(settings));
}

template <typename T>
std::string text_of(const T& value) {
  if constexpr (std::is_same_v<T, bool>)
    return value ? "true" : "false";
  else if constexpr (std::is_same_v<T, std::string>)
    return value;
  else if constexpr (std::is_same_v<T, std::filesystem::path>)
    return value.string();
  else if constexpr (std::is_arithmetic_v<T>)
    return fmt::format("{}", value);
  else if constexpr (std::is_same_v<T, std::optional<std::filesystem::path>>)
    return value ? value->string() : "";
  else {  // a list
    std::vector<std::string> words;
    for (const auto& word : value) words.push_back(text_of(word));
    return fmt::format("{}", fmt::join(words, ", "));
  }
}

}  // namespace

std::string Bound::wish() const {
  if (most < std::numeric_limits<double>::max()) return fmt::format("expected {} to {}", least, most);
  if (!least_is_allowed) return fmt::format("expected more than {}", least);
  return std::isfinite(least) ? fmt::format("expected {} or more", least) : "expected a number";
}

std::span<const Setting> all_settings() { return kSettings; }

const Setting& find_setting(std::string_view option) {
  const auto* found =
      std::ranges::find_if(kSettings, [&](const Setting& row) { return row.option == option; });
  RUVLLM_ASSERT(found != std::end(kSettings));
  return *found;
}

std::string value_text(const Setting& setting, const Settings& settings) {
  return std::visit([](const auto* place) { return text_of(*place); }, field_of(setting, settings));
}

std::optional<double> number_of(const Setting& setting, const Settings& settings) {
  return std::visit(
      [](const auto* place) -> std::optional<double> {
        using T = std::remove_cvref_t<decltype(*place)>;
        if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) return static_cast<double>(*place);
        return std::nullopt;
      },
      field_of(setting, settings));
}

std::optional<std::string> identity_text(const Setting& setting, const Settings& settings) {
  if (setting.decides == Decides::value) return value_text(setting, settings);
  if (setting.decides == Decides::presence) return value_text(setting, settings).empty() ? "no" : "yes";
  return std::nullopt;
}

bool is_default(const Setting& setting, const Settings& settings) {
  static const Settings kDefaults;
  return value_text(setting, settings) == value_text(setting, kDefaults);
}

void copy_setting(const Setting& setting, const Settings& from, Settings& to) {
  std::visit([&](auto* place) { *place = *std::get<std::decay_t<decltype(place)>>(field_of(setting, from)); },
             setting.field(to));
}

std::string recipe_keys_roff() {
  std::string text = "Keys, each with the option that says the same:\n";
  for (const Setting& setting : kSettings) {
    if (setting.key.empty()) continue;
    std::string option(setting.option);
    for (size_t i = 0; (i = option.find('-', i)) != std::string::npos; i += 2) option.insert(i, 1, '\\');
    const char* opposite = setting.key_is_opposite ? "the opposite of " : "";
    text += fmt::format("{} ({}\\fB{}\\fR),\n", setting.key, opposite, option);
  }
  text +=
      "\\fIdistillation\\fR (whether there is a teacher to learn from; false is \\fB\\-\\-lambda\\-kd\\fR 0) "
      "and\n"
      "\\fIfreeze_teacher\\fR (always true). Keys with a point stand in a table of that name, which may be "
      "a\n"
      "preset's name instead. What is 0, empty or not there is not said.\n";
  return text;
}

}  // namespace ruvllm::train
