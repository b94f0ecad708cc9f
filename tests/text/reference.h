// The reference vocabularies for tests of tokenizers: found in the test data, unpacked once where they are
// packed.
#pragma once

#include "base/file.h"
#include "format/model_file.h"
#include "test_support.h"
#include "text/tokenizer.h"

#include <doctest/doctest.h>
#include <spawn.h>
#include <sys/wait.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

extern char** environ;

namespace ruvllm::test {

inline constexpr const char* kVocabularies[] = {"gpt-2",  "llama-spm", "phi-3",    "deepseek-llm",
                                                "falcon", "starcoder", "llama-bpe"};

/// Runs `cmake -E tar xf ARCHIVE` in a folder.
inline bool unpack(const std::filesystem::path& archive, const std::filesystem::path& folder) {
  const std::string script = "cd \"$1\" && exec cmake -E tar xf \"$2\"";
  std::string arguments[] = {"sh", "-c", script, "sh", folder.string(), archive.string()};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  if (posix_spawnp(&child, "sh", nullptr, nullptr, argv.data(), environ) != 0) return false;
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// The GGUF file of a vocabulary, or nothing where the test data or cmake is absent.
inline std::optional<std::filesystem::path> vocabulary_file(const std::string& name) {
  const std::string file = "ggml-vocab-" + name + ".gguf";
  const auto texts = test_data("tokenizers/" + file + ".inp");
  if (!texts) return std::nullopt;
  if (const auto plain = texts->parent_path() / file; std::filesystem::exists(plain)) return plain;
  static const TemporaryFolder folder;
  static const bool unpacked =
      unpack(std::filesystem::absolute(texts->parent_path() / "vocabs.tar.xz"), folder.path());
  if (!unpacked) {
    MESSAGE("skipped: can't unpack vocabs.tar.xz");
    return std::nullopt;
  }
  return folder / file;
}

/// The tokenizer of a vocabulary, loaded once, or null where absent.
inline std::shared_ptr<const text::Tokenizer> vocabulary(const std::string& name) {
  static std::map<std::string, std::shared_ptr<const text::Tokenizer>> loaded;
  if (const auto found = loaded.find(name); found != loaded.end()) return found->second;
  const auto path = name == "stories260K" ? test_data("stories260K/stories260K.gguf") : vocabulary_file(name);
  if (!path) return nullptr;
  return loaded[name] = text::make_tokenizer(*format::open_model_file(*path));
}

}  // namespace ruvllm::test
