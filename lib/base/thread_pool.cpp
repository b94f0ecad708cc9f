#include "base/thread_pool.h"

#include "base/courtesy.h"
#include "base/error.h"

#include <sched.h>

#include <algorithm>
#include <chrono>

namespace ruvllm {
namespace {

// Long enough to bridge the gap between two products of one layer, short enough to leave an idle machine
// idle.
constexpr auto kSpinTime = std::chrono::microseconds(50);

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Parts of the gate word.
constexpr uint64_t kInsideMask = 0xFFFF;
constexpr uint64_t kOpen = 1u << 16;
constexpr int kGenerationShift = 17;

using Clock = std::chrono::steady_clock;

// Where the caller of a job was stopped this recently, all cores are wanted by others, and giving more of
// them away would not help.
constexpr auto kCallerStopped = std::chrono::milliseconds(50);

template <typename Condition>
bool spin_until(Condition condition) {
  const auto deadline = Clock::now() + kSpinTime;
  for (;;) {
    for (int i = 0; i < 64; ++i) {
      if (condition()) return true;
      pause();
    }
    if (Clock::now() > deadline) return condition();
  }
}

}  // namespace

ThreadPool::ThreadPool(int n_threads) {
  RUVLLM_ASSERT(n_threads >= 1);
  workers_.reserve(static_cast<size_t>(n_threads - 1));
  for (int worker = 1; worker < n_threads; ++worker) workers_.emplace_back([this, worker] { work(worker); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    gate_.fetch_add(uint64_t{1} << kGenerationShift);
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(size_t n_tiles, Function function, void* context) {
  if (n_tiles == 0) return;
  if (workers_.empty() || n_tiles == 1) {
    for (size_t tile = 0; tile < n_tiles; ++tile) function(context, tile, 0);
    return;
  }
  function_ = function;
  context_ = context;
  n_tiles_ = n_tiles;
  failure_ = nullptr;
  next_tile_.store(0, std::memory_order_relaxed);
  gate_.store(((gate_.load() >> kGenerationShift) + 1) << kGenerationShift | kOpen);
  if (n_asleep_.load() >
      0) {  // sequentially consistent: a sleeper either saw the gate open or is counted here
    { const std::lock_guard lock(mutex_); }
    wake_.notify_all();
  }
  take_tiles(0, caller_);
  gate_.fetch_and(~kOpen);
  const auto is_empty = [this] { return (gate_.load(std::memory_order_acquire) & kInsideMask) == 0; };
  if (!spin_until(is_empty)) {
    std::unique_lock lock(mutex_);
    done_.wait(lock, is_empty);
  }
  if (failure_) std::rethrow_exception(failure_);
}

void ThreadPool::take_tiles(int worker, Courtesy& courtesy) {
  auto begin = Clock::now();
  while (!is_offer_due(worker, courtesy, begin)) {
    const size_t tile = next_tile_.fetch_add(1, std::memory_order_relaxed);
    if (tile >= n_tiles_) return;
    try {
      function_(context_, tile, worker);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      next_tile_.store(n_tiles_, std::memory_order_relaxed);
    }
    const auto end = Clock::now();
    if (courtesy.took(begin, end) && worker == 0) caller_stopped_.store(end, std::memory_order_relaxed);
    begin = end;
  }
}

bool ThreadPool::is_offer_due(int worker, const Courtesy& courtesy, Clock::time_point now) const {
  return worker != 0 && courtesy.is_due(now) &&
         now - caller_stopped_.load(std::memory_order_relaxed) > kCallerStopped;
}

void ThreadPool::work(int worker) {
  uint64_t seen = 0;
  Courtesy courtesy;
  const auto generation = [this] { return gate_.load() >> kGenerationShift; };
  for (;;) {
    if (!spin_until([&] { return generation() != seen; })) {
      std::unique_lock lock(mutex_);
      n_asleep_.fetch_add(1);
      wake_.wait(lock, [&] { return generation() != seen; });
      n_asleep_.fetch_sub(1);
    }
    if (stopping_) return;
    uint64_t gate = gate_.load();
    seen = gate >> kGenerationShift;
    while ((gate & kOpen) && gate >> kGenerationShift == seen &&
           !gate_.compare_exchange_weak(gate, gate + 1)) {
    }
    if (!(gate & kOpen) || gate >> kGenerationShift != seen)
      continue;  // too late: the others finished without us
    take_tiles(worker, courtesy);
    const uint64_t left = gate_.fetch_sub(1, std::memory_order_acq_rel) - 1;
    if (!(left & kOpen) && (left & kInsideMask) == 0) {
      { const std::lock_guard lock(mutex_); }
      done_.notify_one();
    }
    if (const auto before = Clock::now(); is_offer_due(worker, courtesy, before)) {
      sched_yield();
      courtesy.was_offered(before, Clock::now());
      --seen;  // back to the same job, where it is not done yet
    }
  }
}

}  // namespace ruvllm
