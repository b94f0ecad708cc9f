#include "hub/settings.h"

#include "base/error.h"
#include "base/file.h"
#include "base/strings.h"
#include "base/utf8.h"

#include <algorithm>
#include <cstdlib>
#include <initializer_list>

namespace ruvllm::hub {
namespace {

constexpr uint64_t kMaxTokenFileBytes = 1 << 16;

// The first of several names that is set and not empty.
std::string first_set(const Environment& environment, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const char* value = environment(name); value && *value) return value;
  return {};
}

bool is_true(const std::string& value) {
  const std::string lower = to_lower(value);
  return lower == "1" || lower == "on" || lower == "yes" || lower == "true";
}

// "~" at the front and $NAME or ${NAME} anywhere, as a shell would have it.
std::filesystem::path expand(const std::string& text, const Environment& environment) {
  std::string expanded;
  size_t i = 0;
  if (text == "~" || text.starts_with("~/")) {
    expanded = first_set(environment, {"HOME"});
    i = 1;
  }
  while (i < text.size()) {
    if (text[i] != '$') {
      expanded += text[i++];
      continue;
    }
    const bool braced = i + 1 < text.size() && text[i + 1] == '{';
    const size_t begin = i + (braced ? 2 : 1);
    size_t end = begin;
    while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) || text[end] == '_'))
      ++end;
    const bool closed = !braced || (end < text.size() && text[end] == '}');
    const char* value =
        end > begin && closed ? environment(text.substr(begin, end - begin).c_str()) : nullptr;
    const size_t after = end + (braced && closed ? 1 : 0);
    expanded += value ? std::string(value) : text.substr(i, std::max(after, i + 1) - i);
    i = std::max(after, i + 1);
  }
  return expanded;
}

// Tokens are printable ASCII; anything else in a header would be an injection.
std::string checked_token(std::string_view text, std::string_view from) {
  const std::string_view token = trim(text);
  if (!std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; }))
    throw Error(Errc::usage, "{} holds a token with characters that no token has", from);
  return std::string(token);
}

std::string find_token(const Environment& environment) {
  if (const std::string token = first_set(environment, {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"});
      !token.empty())
    return checked_token(token, "HF_TOKEN");
  if (is_true(first_set(environment, {"HF_HUB_DISABLE_IMPLICIT_TOKEN"}))) return {};
  const std::string given = first_set(environment, {"HF_TOKEN_PATH"});
  const std::filesystem::path path =
      given.empty() ? hugging_face_home(environment) / "token" : expand(given, environment);
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return {};
  return checked_token(read_file(path, kMaxTokenFileBytes), path.string());
}

std::chrono::seconds seconds_of(const std::string& text, const char* name) {
  const std::optional<double> value = parse_number(text);
  if (!value || !(*value > 0) || *value > 86'400)
    throw Error(Errc::usage, "{}='{}' is not a number of seconds", name, printable(text));
  return std::chrono::seconds(std::max<int64_t>(1, static_cast<int64_t>(*value)));
}

}  // namespace

std::filesystem::path hugging_face_home(const Environment& environment) {
  if (const std::string home = first_set(environment, {"HF_HOME"}); !home.empty())
    return expand(home, environment);
  if (const std::string cache = first_set(environment, {"XDG_CACHE_HOME"}); !cache.empty())
    return expand(cache, environment) / "huggingface";
  const std::string home = first_set(environment, {"HOME"});
  if (home.empty()) throw Error(Errc::usage, "neither HOME nor HF_HOME is set: give --cache-dir");
  return std::filesystem::path(home) / ".cache" / "huggingface";
}

HubSettings settings_from_environment(const Environment& environment) {
  HubSettings settings;
  if (std::string endpoint = first_set(environment, {"HF_ENDPOINT"}); !endpoint.empty()) {
    while (endpoint.ends_with('/')) endpoint.pop_back();
    settings.endpoint = net::Url::parse(endpoint);
  }
  settings.token = find_token(environment);
  const std::string cache = first_set(environment, {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"});
  settings.cache_root = cache.empty() ? hugging_face_home(environment) / "hub" : expand(cache, environment);
  settings.offline = is_true(first_set(environment, {"HF_HUB_OFFLINE"})) ||
                     is_true(first_set(environment, {"TRANSFORMERS_OFFLINE"})) ||
                     is_true(first_set(environment, {"RUVLLM_OFFLINE"}));
  settings.symlinks = !is_true(first_set(environment, {"HF_HUB_DISABLE_SYMLINKS"}));
  settings.progress_bars = !is_true(first_set(environment, {"HF_HUB_DISABLE_PROGRESS_BARS"}));
  settings.ca_file = first_set(environment, {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"});
  if (const std::string text = first_set(environment, {"HF_HUB_ETAG_TIMEOUT"}); !text.empty())
    settings.connect_timeout = seconds_of(text, "HF_HUB_ETAG_TIMEOUT");
  if (const std::string text = first_set(environment, {"HF_HUB_DOWNLOAD_TIMEOUT"}); !text.empty())
    settings.stall_timeout = seconds_of(text, "HF_HUB_DOWNLOAD_TIMEOUT");
  return settings;
}

HubSettings settings_from_environment() {
  return settings_from_environment([](const char* name) { return std::getenv(name); });
}

}  // namespace ruvllm::hub
