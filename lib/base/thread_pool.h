// Threads that take tiles of work from one shared counter, so that a core that is busy with something else
// only takes fewer of them. Workers spin briefly for the next job, then sleep. Which thread computes a tile
// never changes its result. Used by lib/tensor and everything above; tested by
// tests/base/thread_pool_test.cpp.
#pragma once

#include "base/courtesy.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace ruvllm {

class ThreadPool {
 public:
  /// `n_threads` >= 1 counts the calling thread, which works too: n_threads - 1 threads are started.
  explicit ThreadPool(int n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int n_threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls task(tile, worker) once for every tile in [0, n_tiles); worker in [0, n_threads()) tells which
  /// scratch memory to use. Returns when all are done; the first exception of a task is thrown here. Not
  /// reentrant; one caller at a time. Does not allocate.
  template <typename Task>
  void for_each_tile(size_t n_tiles, Task&& task) {
    using Plain = std::remove_reference_t<Task>;
    run(
        n_tiles,
        [](void* context, size_t tile, int worker) { (*static_cast<Plain*>(context))(tile, worker); },
        const_cast<void*>(static_cast<const void*>(&task)));
  }

 private:
  using Function = void (*)(void* context, size_t tile, int worker);

  void run(size_t n_tiles, Function function, void* context);
  void work(int worker);
  void take_tiles(int worker, Courtesy& courtesy);
  bool is_offer_due(int worker, const Courtesy& courtesy, Courtesy::Time now) const;

  // The job in progress: written by run() while the gate is shut and empty, read by workers inside it.
  Function function_ = nullptr;
  void* context_ = nullptr;
  size_t n_tiles_ = 0;
  std::exception_ptr failure_;

  // The gate of the job: generation, an open bit, and how many workers are inside. A worker that wakes late
  // finds the gate shut and is not waited for, so that a descheduled thread can't hold up the rest.
  alignas(64) std::atomic<uint64_t> gate_{0};
  alignas(64) std::atomic<size_t> next_tile_{0};
  std::atomic<int> n_asleep_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  Courtesy caller_;                               ///< only told, never asked: there is nobody to wait for
  std::atomic<Courtesy::Time> caller_stopped_{};  ///< when the scheduler last did
  std::vector<std::thread> workers_;
};

}  // namespace ruvllm
