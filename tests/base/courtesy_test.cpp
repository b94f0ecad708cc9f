#include "base/courtesy.h"

#include <doctest/doctest.h>

namespace ruvllm {
namespace {

using namespace std::chrono_literals;

struct Worker {
  Courtesy courtesy;
  Courtesy::Time now;

  bool compute(Courtesy::Duration time) {
    const Courtesy::Time begin = now;
    now += time;
    return courtesy.took(begin, now);
  }
  void offer(Courtesy::Duration away) {
    const Courtesy::Time before = now;
    now += away;
    courtesy.was_offered(before, now);
  }
  /// Time computed in tiles of 100 us until an offer is due, at most a second.
  Courtesy::Duration until_due() {
    const Courtesy::Time begin = now;
    while (!courtesy.is_due(now) && now - begin < 1s) compute(100us);
    return now - begin;
  }
};

}  // namespace

TEST_CASE("a worker that is never stopped never offers its core") {
  Worker worker;
  CHECK(worker.until_due() == 1s);
}

TEST_CASE("tiles that are long from now on are soon no stops any more") {
  Worker worker;
  for (int i = 0; i < 100; ++i) worker.compute(100us);
  for (int i = 0; i < 20; ++i) worker.compute(3ms);
  for (int i = 0; i < 100; ++i) CHECK_FALSE(worker.compute(3ms));
}

TEST_CASE("a worker that was stopped offers its core before it would be stopped again") {
  Worker worker;
  for (int i = 0; i < 100; ++i) worker.compute(100us);
  CHECK(worker.compute(3ms));
  const auto first = worker.until_due();
  CHECK(first < 4ms);
  worker.offer(3ms);
  const auto second = worker.until_due();
  CHECK(second >= first);  // it tries a little more
  worker.offer(3ms);
  CHECK(worker.compute(3ms));  // too much: it was stopped
  CHECK(worker.until_due() < second);
}

TEST_CASE("a worker whose offers nobody takes keeps its core") {
  Worker worker;
  for (int i = 0; i < 100; ++i) worker.compute(100us);
  CHECK(worker.compute(3ms));
  int n_offers = 0;
  for (; worker.until_due() < 1s; ++n_offers) worker.offer(2us);
  CHECK(n_offers >= 2);
  CHECK(n_offers < 100);
}

}  // namespace ruvllm
