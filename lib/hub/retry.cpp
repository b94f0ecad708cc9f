#include "hub/retry.h"

#include "hub/hub_answers.h"

#include <algorithm>
#include <ctime>

namespace ruvllm::hub {
namespace {

constexpr int kRetriesUnreached = 2;  // nobody waits two minutes to hear that the cable is out
constexpr int kMaxDelayFactor = 30;

}  // namespace

bool may_pass(const net::HttpResult& result) {
  switch (result.failure) {
    case net::Failure::none:
      break;
    case net::Failure::tls:
    case net::Failure::proxy:
    case net::Failure::too_large:
      return false;
    default:
      return true;
  }
  const int status = result.response.status;
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

Backoff::Backoff(const HubSettings& settings, uint64_t seed)
    : first_delay_(settings.retry_delay),
      max_wait_(settings.max_wait),
      n_retries_(settings.n_retries),
      random_(seed) {}

std::optional<std::chrono::milliseconds> Backoff::next(const net::HttpResult& result) {
  if (!may_pass(result)) return std::nullopt;
  const bool unreached =
      !reached_ && (result.failure == net::Failure::resolve || result.failure == net::Failure::connect);
  if (n_tries_ >= (unreached ? std::min(n_retries_, kRetriesUnreached) : n_retries_)) return std::nullopt;
  const int factor = std::min(1 << std::min(n_tries_, 10), kMaxDelayFactor);
  ++n_tries_;
  if (const auto asked = wait_asked(result.response.headers, std::time(nullptr)))
    return std::min<std::chrono::milliseconds>(*asked, max_wait_);
  return std::chrono::milliseconds(
      static_cast<int64_t>(random_.uniform() * static_cast<double>(factor * first_delay_.count())));
}

}  // namespace ruvllm::hub
