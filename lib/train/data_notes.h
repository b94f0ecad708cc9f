// What happened to training data on its way to tokens, counted, and told in one line a kind: nothing that was
// left out or taken otherwise than written goes unsaid. Tested by tests/train/dataset_test.cpp.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace ruvllm::train {

struct DataNotes {
  uint64_t n_rows = 0;
  uint64_t n_empty = 0;                  ///< rows left out: no answer, no text
  uint64_t n_opened_thoughts = 0;        ///< answers given an empty thought, for the template opens one
  uint64_t n_dropped_thoughts = 0;       ///< answers whose reasoning the template does not write
  uint64_t n_marked = 0;                 ///< texts in which special tokens are spelled out, and taken
  uint64_t n_spelled = 0;                ///< texts in which they are spelled out, and left letters
  std::set<std::string> marks, spelled;  ///< some of those tokens

  std::vector<std::string> lines() const;
};

}  // namespace ruvllm::train
