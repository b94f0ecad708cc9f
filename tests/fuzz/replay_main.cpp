// Runs a fuzz target over its corpus, and over mutations of it that are the same in every run: what the
// normal test run does where there is no libFuzzer. usage: replay_TARGET CORPUS_FOLDER [MUTATIONS_PER_FILE]
#include "base/file.h"
#include "base/random.h"
#include "fuzz.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace {

using ruvllm::Random;

constexpr uint64_t kMaxSeedBytes = 1 << 20;

// One to four changes: a byte, a bit, an extreme 4- or 8-byte number, a cut, a doubled or a removed stretch.
std::string mutate(std::string input, Random& random) {
  for (uint64_t n_changes = 1 + random.below(4); n_changes > 0 && !input.empty(); --n_changes) {
    const size_t at = random.below(input.size());
    const size_t n_bytes = 1 + random.below(std::min<size_t>(input.size() - at, 64));
    switch (random.below(7)) {
      case 0:
        input[at] = static_cast<char>(random.next());
        break;
      case 1:
        input[at] = static_cast<char>(input[at] ^ (1 << random.below(8)));
        break;
      case 2:
        input.replace(at, std::min<size_t>(4, input.size() - at), 4, random.below(2) ? '\xff' : '\0');
        break;
      case 3:
        input.replace(at, std::min<size_t>(8, input.size() - at), 8, random.below(2) ? '\xff' : '\0');
        break;
      case 4:
        input.resize(at);
        break;
      case 5:
        input.insert(at, input.substr(at, n_bytes));
        break;
      case 6:
        input.erase(at, n_bytes);
        break;
    }
  }
  return input;
}

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const int n_mutations = argc > 2 ? std::atoi(argv[2]) : 0;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  Random random(1);
  for (const auto& file : files) {
    const std::string input = ruvllm::read_file(file, kMaxSeedBytes);
    run(input);
    for (int i = 0; i < n_mutations; ++i) run(mutate(input, random));
  }
  std::printf("%zu files, %d mutations of each\n", files.size(), n_mutations);
  return files.empty() ? 1 : 0;
}
