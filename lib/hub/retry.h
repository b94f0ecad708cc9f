// When to try again: which failures pass, how long to wait, when to give up. The wait is drawn between zero
// and a bound that doubles (full jitter), so that many clients don't come back together; what the hub asks
// for goes first. Tested by tests/hub/answers_test.cpp.
#pragma once

#include "base/random.h"
#include "hub/settings.h"
#include "net/http_client.h"

#include <chrono>
#include <optional>

namespace ruvllm::hub {

/// Whether the same request may succeed later: 408, 429, 5xx, and a transport that failed (not TLS, not a
/// proxy).
bool may_pass(const net::HttpResult& result);

class Backoff {
 public:
  Backoff(const HubSettings& settings, uint64_t seed);

  /// The wait before the next try, or nothing when it is time to give up.
  std::optional<std::chrono::milliseconds> next(const net::HttpResult& result);
  /// Something came of the last try: counting begins again.
  void progressed() { n_tries_ = 0; }
  /// The hub was reached at least once, so that a refused connection is worth more patience.
  void reached() { reached_ = true; }

 private:
  std::chrono::milliseconds first_delay_;
  std::chrono::seconds max_wait_;
  int n_retries_;
  int n_tries_ = 0;
  bool reached_ = false;
  Random random_;
};

}  // namespace ruvllm::hub
