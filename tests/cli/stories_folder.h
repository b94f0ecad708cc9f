// The reference model as a Hugging Face folder that tests may add files to.
#pragma once

#include "base/file.h"
#include "test_support.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace ruvllm::test {

/// Copies the folder to `target`; nothing where the test data is absent. Files that are named get the text
/// given.
inline std::optional<std::string> copy_stories_folder(
    const std::filesystem::path& target,
    std::initializer_list<std::pair<std::string_view, std::string_view>> files) {
  const auto source = test_data("stories260K/hf");
  if (!source) return std::nullopt;
  std::filesystem::create_directory(target);
  for (const auto& entry : std::filesystem::directory_iterator(*source)) {
    const std::filesystem::path copy = target / entry.path().filename();
    std::filesystem::copy_file(entry.path(), copy);
    std::filesystem::permissions(copy, std::filesystem::perms::owner_all);
  }
  for (const auto& [name, text] : files) write_file_atomically(target / name, text);
  return target.string();
}

}  // namespace ruvllm::test
