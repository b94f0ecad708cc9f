// What every fuzz target shares. A target is one function, LLVMFuzzerTestOneInput, that takes any bytes and
// returns 0; a broken promise aborts. libFuzzer drives it in the `fuzz` preset, replay_main.cpp in the normal
// test run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

/// Ends the run with the promise that was broken; the fuzzer keeps the input.
#define FUZZ_CHECK(promise)                                                              \
  do {                                                                                   \
    if (!(promise)) {                                                                    \
      std::fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #promise); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (false)
