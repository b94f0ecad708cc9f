// Options given to settings as if they had been typed.
#pragma once

#include "base/strings.h"
#include "train/settings.h"

#include <string>
#include <string_view>
#include <type_traits>

namespace ruvllm::test {

inline void type_setting(train::Settings& settings, std::string_view option, const std::string& text) {
  std::visit(
      [&](auto* place) {
        using T = std::remove_pointer_t<decltype(place)>;
        if constexpr (std::is_same_v<T, bool>)
          *place = true;
        else if constexpr (std::is_arithmetic_v<T>)
          *place = static_cast<T>(*parse_number(text));
        else if constexpr (std::is_same_v<T, std::vector<std::string>> ||
                           std::is_same_v<T, std::vector<std::filesystem::path>>)
          place->emplace_back(text);
        else
          *place = text;
      },
      train::find_setting(option).field(settings));
  settings.given.emplace(option, train::Origin::command_line);
}

}  // namespace ruvllm::test
