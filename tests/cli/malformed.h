// The malformed model files of the reference data, built from their recipes: edits of one good file.
#pragma once

#include <functional>
#include <string>

namespace ruvllm::test {

struct MalformedCase {
  std::string id;
  std::string expect;  ///< "reject", "accept", "either"
  std::string bytes;
};

/// Makes one case after another, so that the test holds no more than one (a child begins with the memory of
/// its parent); none where the data is absent.
void for_each_malformed_case(const std::function<void(const MalformedCase&)>& on_case);

}  // namespace ruvllm::test
