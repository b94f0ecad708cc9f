// Where the hub is, who asks, where the cache lies, and how patient to be: read from the environment under
// the names that Hugging Face's own tools use. Tested by tests/hub/settings_test.cpp.
#pragma once

#include "base/limits.h"
#include "net/url.h"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace ruvllm::hub {

struct HubSettings {
  net::Url endpoint = net::Url::parse("https://huggingface.co");
  std::string token;                 ///< sent to the endpoint's origin and nowhere else; empty: anonymous
  std::filesystem::path cache_root;  ///< the folder that holds models--ORG--NAME
  bool offline = false;
  bool symlinks = true;
  bool progress_bars = true;
  std::string ca_file;  ///< empty: the system's
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::seconds stall_timeout{30};
  std::chrono::milliseconds retry_delay{1'000};  ///< the first wait at most; doubles up to 30 times it
  std::chrono::seconds max_wait{limits::kHubRetryAfterSeconds};
  int n_retries = limits::kHubRetries;
  int n_parts = 4;  ///< ranges of a file fetched at once, 1 to 8

  const std::atomic<bool>* interrupted = nullptr;
  std::function<void(const std::string&)> note;  ///< waits and retries, for people; may be empty
  std::function<void(const std::string&)> log;   ///< requests and answers, secrets taken out; may be empty
};

/// Looks a name up; nullptr where it is not set. std::getenv but for tests.
using Environment = std::function<const char*(const char*)>;

/// HF_ENDPOINT, HF_TOKEN / HUGGING_FACE_HUB_TOKEN / the file HF_TOKEN_PATH, HF_HUB_CACHE /
/// HUGGINGFACE_HUB_CACHE / HF_HOME / XDG_CACHE_HOME, HF_HUB_OFFLINE / TRANSFORMERS_OFFLINE,
/// HF_HUB_ETAG_TIMEOUT, HF_HUB_DOWNLOAD_TIMEOUT, HF_HUB_DISABLE_SYMLINKS, HF_HUB_DISABLE_PROGRESS_BARS,
/// HF_HUB_DISABLE_IMPLICIT_TOKEN, SSL_CERT_FILE / REQUESTS_CA_BUNDLE / CURL_CA_BUNDLE. Throws Errc::usage
/// where a value is malformed, naming the variable.
HubSettings settings_from_environment(const Environment& environment);

/// settings_from_environment(std::getenv).
HubSettings settings_from_environment();

/// HF_HOME, else $XDG_CACHE_HOME/huggingface, else ~/.cache/huggingface.
std::filesystem::path hugging_face_home(const Environment& environment);

}  // namespace ruvllm::hub
