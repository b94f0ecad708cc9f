#include "train/identity.h"

#include "base/error.h"

#include <doctest/doctest.h>

#include <string>

using namespace ruvllm;
using namespace ruvllm::train;

TEST_CASE("of another run it is said what differs, with both values") {
  Identity first, second;
  first.add("--lr", "0.001");
  first.add("--tensor", "");
  first.add("--seed", "1");
  second.add("--lr", "0.0001");
  second.add("--tensor", "ffn_up=Q8_0");
  second.add("--seed", "1");
  CHECK(first.differences(first.text()).empty());
  CHECK(second.differences(first.text()) ==
        "--lr was 0.001 and is 0.0001; --tensor was not given and is ffn_up=Q8_0");
  Identity newer = first;
  newer.add("--reasoning-dims", "256");
  CHECK(newer.differences(first.text()) == "--reasoning-dims was not known and is 256");
  CHECK_THROWS_AS(first.differences("no JSON"), Error);
}

TEST_CASE("digests see keys, types, values and the places of steps") {
  format::Metadata metadata;
  metadata.set("a", uint32_t{1});
  const std::string plain = sha256_of(metadata);
  format::Metadata other = metadata;
  other.set("a", uint64_t{1});
  CHECK(sha256_of(other) != plain);
  other = metadata;
  other.set("b", other.keep("text"));
  const std::string text = sha256_of(other);
  CHECK(text != plain);
  other.set("b", other.keep("test"));
  CHECK(sha256_of(other) != text);
  const std::string words[] = {"ab", "c"}, same_letters[] = {"a", "bc"};
  other.set("b", other.keep_strings(words));
  const std::string list = sha256_of(other);
  other.set("b", other.keep_strings(same_letters));
  CHECK(sha256_of(other) != list);

  std::vector<Batch> batches(1);
  const std::string none = sha256_of_steps(batches);
  batches[0].steps = {{3, 1.0f}};
  const std::string one = sha256_of_steps(batches);
  CHECK(one != none);
  batches[0].steps[0].weight = 1.5f;
  CHECK(sha256_of_steps(batches) != one);
}
