// When a worker thread offers its core to others. A thread on a core that another process wants too is
// stopped by the scheduler wherever it is, and if that is inside a tile, everybody waits for it. So a worker
// that was stopped (a tile took far too long) from then on offers its core between tiles, before its time is
// up. How much time it has is found by trial: a little more after each offer, less after each stop.
//
// Used by thread_pool.cpp; knows no clock, so that tests/base/courtesy_test.cpp can tell it any time.
#pragma once

#include <algorithm>
#include <chrono>

namespace ruvllm {

class Courtesy {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;

  /// Whether to offer the core now, before the next tile.
  bool is_due(Time now) const { return is_crowded_ && now - resumed_ > slice_; }

  /// The core was offered at `before` and is ours again at `after`.
  void was_offered(Time before, Time after) {
    resumed_ = after;
    slice_ = std::min<Duration>(slice_ + slice_ / 32, kMostTime);
    n_idle_offers_ = after - before < kShortestStop ? n_idle_offers_ + 1 : 0;
    if (n_idle_offers_ >= kIdleOffers) is_crowded_ = false;  // nobody wants it any more
  }

  /// A tile was computed. True where the thread must have been stopped meanwhile.
  bool took(Time begin, Time end) {
    const Duration time = end - begin;
    const bool was_stopped = time > kShortestStop && time > 4 * usual_;
    if (was_stopped) {
      slice_ = is_crowded_ ? std::max<Duration>(slice_ * 3 / 4, kLeastTime) : kMostTime / 2;
      is_crowded_ = true;
      n_idle_offers_ = 0;
      resumed_ = end;
    }
    usual_ += (std::min<Duration>(time, 4 * usual_ + kLeastTime) - usual_) / 8;
    return was_stopped;
  }

 private:
  // A time slice of Linux is between about 1 and 4 ms.
  static constexpr Duration kShortestStop = std::chrono::microseconds(500);
  static constexpr Duration kLeastTime = std::chrono::microseconds(250);
  static constexpr Duration kMostTime = std::chrono::microseconds(4000);
  static constexpr int kIdleOffers = 16;

  bool is_crowded_ = false;
  int n_idle_offers_ = 0;
  Duration slice_{};
  Duration usual_{};  ///< time of a tile
  Time resumed_;
};

}  // namespace ruvllm
