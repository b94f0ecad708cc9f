// A gibibyte against curl and sha256sum: hashing while it comes has to beat doing one after the other.
#include "hub/hub_fixture.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace ruvllm::test;

TEST_CASE("a gibibyte takes at most 1.3 times as long as curl and sha256sum, in 100 MiB of memory") {
  if (!can_run({"curl", "--version"}) || !can_run({"sha256sum", "--version"})) {
    MESSAGE("skipped: curl or sha256sum is not installed");
    return;
  }
  HubFixture fixture;
  fixture.hub.add(HubFixture::kRepo, "m-Q8_0.gguf", random_bytes(1 << 30, 1), true);
  const std::string url = fixture.hub.endpoint() + "/org/model/resolve/main/m-Q8_0.gguf";
  const std::string copy = (fixture.folder / "copy").string();
  std::vector<double> ratios;
  for (int round = 0; round < 5; ++round) {
    const ProgramResult curl = Program({"curl", "-sSfL", "-o", copy, url}, {}, fixture.folder.path()).wait();
    const ProgramResult sum = Program({"sha256sum", copy}, {}, fixture.folder.path()).wait();
    REQUIRE(curl.exit_code == 0);
    std::filesystem::remove(copy);
    const ProgramResult pull = fixture.run("pull", {"org/model"}, std::chrono::seconds(120));
    REQUIRE(pull.exit_code == 0);
    CHECK(pull.peak_kib <= 100 * 1024);
    ratios.push_back(pull.seconds / (curl.seconds + sum.seconds));
    MESSAGE("pull " << pull.seconds << " s, curl " << curl.seconds << " s + sha256sum " << sum.seconds
                    << " s, peak " << pull.peak_kib / 1024 << " MiB");
    std::filesystem::remove_all(fixture.cache());
  }
  std::sort(ratios.begin(), ratios.end());
  CHECK(ratios[2] <= 1.3);
}
