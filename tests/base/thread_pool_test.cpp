// ThreadSanitizer judges these as well (preset tsan).
#include "base/thread_pool.h"

#include "base/random.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace ruvllm;

TEST_CASE("every tile is computed once, by a worker that exists") {
  for (const int n_threads : {1, 2, 3, 8}) {
    ThreadPool pool(n_threads);
    CHECK(pool.n_threads() == n_threads);
    for (const size_t n_tiles : {0, 1, 2, 7, 1000}) {
      std::vector<int> counts(n_tiles);
      std::atomic<bool> bad_worker = false;
      pool.for_each_tile(n_tiles, [&](size_t tile, int worker) {
        ++counts[tile];  // no other thread has this tile: TSan would tell
        if (worker < 0 || worker >= n_threads) bad_worker = true;
      });
      CHECK(counts == std::vector<int>(n_tiles, 1));
      CHECK_FALSE(bad_worker);
    }
  }
}

TEST_CASE("a worker number is used by one thread at a time") {
  ThreadPool pool(4);
  std::vector<uint64_t> sums(4);
  for (int job = 0; job < 200; ++job)
    pool.for_each_tile(50, [&](size_t tile, int worker) { sums[static_cast<size_t>(worker)] += tile; });
  CHECK(std::accumulate(sums.begin(), sums.end(), uint64_t{0}) == 200 * 49 * 50 / 2);
}

TEST_CASE("jobs follow each other with and without pauses that send workers to sleep") {
  ThreadPool pool(3);
  Random random(test::test_seed());
  uint64_t expected = 0;
  std::atomic<uint64_t> total = 0;
  for (int job = 0; job < 3000; ++job) {
    const size_t n_tiles = random.below(20);
    expected += n_tiles;
    pool.for_each_tile(n_tiles, [&](size_t, int) { total.fetch_add(1, std::memory_order_relaxed); });
    if (random.below(50) == 0) std::this_thread::sleep_for(std::chrono::microseconds(random.below(300)));
  }
  CHECK(total == expected);
}

TEST_CASE("what a job wrote is seen after it, and by the next one") {
  ThreadPool pool(2);
  std::vector<uint64_t> before(64), after(64);
  for (int job = 0; job < 1000; ++job) {
    pool.for_each_tile(64, [&](size_t tile, int) { after[tile] = before[(tile + 1) % 64] + 1; });
    std::swap(before, after);
  }
  CHECK(before == std::vector<uint64_t>(64, 1000));
}

TEST_CASE("an exception of a task is thrown to the caller, and the pool lives on") {
  for (const int n_threads : {1, 4}) {
    ThreadPool pool(n_threads);
    for (int job = 0; job < 100; ++job) {
      CHECK_THROWS_WITH_AS(pool.for_each_tile(100,
                                              [&](size_t tile, int) {
                                                if (tile % 10 == 3) throw std::runtime_error("tile failed");
                                              }),
                           "tile failed", std::runtime_error);
      std::atomic<int> n_done = 0;
      pool.for_each_tile(10, [&](size_t, int) { ++n_done; });
      CHECK(n_done == 10);
    }
  }
}

TEST_CASE("a slow thread holds up no more than its own tile") {
  ThreadPool pool(2);
  std::atomic<bool> others_done = false;
  std::atomic<int> n_done = 0;
  // The first tile ends only when all others are done: a pool with fixed shares would never return.
  pool.for_each_tile(100, [&](size_t tile, int) {
    if (tile == 0)
      others_done.wait(false);
    else if (n_done.fetch_add(1) + 1 == 99)
      others_done = true, others_done.notify_one();
  });
  CHECK(n_done == 99);
}

TEST_CASE("pools come and go, used or not") {
  for (int i = 0; i < 200; ++i) {
    ThreadPool pool(1 + i % 4);
    if (i % 3 == 0) pool.for_each_tile(5, [](size_t, int) {});
  }
}
