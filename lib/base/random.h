// Random numbers that are the same on every platform and every standard library: xoshiro256** seeded by
// splitmix64 (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018). Tested by
// tests/base/random_test.cpp.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace ruvllm {

class Random {
 public:
  using State = std::array<uint64_t, 4>;

  explicit Random(uint64_t seed) {
    for (uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15ull;
      uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
      word = z ^ (z >> 31);
    }
  }

  uint64_t next() {
    const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  /// Uniform in [0, 1), 53 bits.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

  /// Uniform in [0, bound), without bias (Lemire 2019). `bound` > 0.
  uint64_t below(uint64_t bound) {
    __extension__ using uint128 = unsigned __int128;
    uint128 product = static_cast<uint128>(next()) * bound;
    if (static_cast<uint64_t>(product) < bound) {
      const uint64_t threshold = -bound % bound;
      while (static_cast<uint64_t>(product) < threshold) product = static_cast<uint128>(next()) * bound;
    }
    return static_cast<uint64_t>(product >> 64);
  }

  /// Normal(0, 1) by the sum of twelve uniforms shifted: exact on every platform, since it needs no libm.
  /// Tails end at 6.
  double normal() {
    double sum = -6.0;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return sum;
  }

  /// A generator of its own for a named part of the work: same parent state and number, same child.
  Random split(uint64_t number) const {
    return Random(state_[0] ^ std::rotl(state_[3], 23) ^ (number * 0xd1342543de82ef95ull));
  }

  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state; }

 private:
  State state_;
};

}  // namespace ruvllm
