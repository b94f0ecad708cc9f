#include "hub/model_needs.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace ruvllm::hub {
namespace {

constexpr uint64_t kBeginningBytes = 256 << 10;  // the architecture's keys come before the vocabulary
constexpr uint64_t kMaxPlausible = 1 << 24;      // of any of the numbers below
constexpr uint64_t kF16Bytes = 2;

// Element sizes by the type ids of the GGUF specification; 0 for strings (8), arrays (9) and what is unknown.
constexpr uint64_t element_bytes(uint32_t type) {
  constexpr uint64_t kBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return type < std::size(kBytes) ? kBytes[type] : 0;
}
constexpr uint32_t kStringType = 8;
constexpr uint32_t kArrayType = 9;

std::string_view read_string(ByteReader& in) { return in.text(in.number<uint64_t>("length"), "text"); }

uint64_t read_integer(ByteReader& in, uint32_t type) {
  const std::span<const std::byte> bytes = in.take(element_bytes(type), "number");
  uint64_t value = 0;
  std::memcpy(&value, bytes.data(), bytes.size());
  return type == 6 || type == 12 ? 0 : value;  // floats are no counts
}

// Integers by key, the sum of an integer array under its key, and texts.
struct Keys {
  std::map<std::string, uint64_t, std::less<>> numbers;
  std::map<std::string, uint64_t, std::less<>> sums;
  std::string architecture;

  std::optional<uint64_t> find(std::string_view name) const {
    const auto found = numbers.find(architecture + "." + std::string(name));
    if (found == numbers.end() || found->second > kMaxPlausible) return std::nullopt;
    return found->second;
  }
};

void read_array(ByteReader& in, std::string_view key, Keys& keys) {
  const auto type = in.number<uint32_t>("type");
  const auto count = in.number<uint64_t>("count");
  const uint64_t size = element_bytes(type);
  if (count > in.remaining()) throw Error(Errc::corrupt_file, "more elements than bytes");
  if (type != kStringType && size == 0) throw Error(Errc::corrupt_file, "unknown type");
  uint64_t sum = 0;
  for (uint64_t i = 0; i < count; ++i) {
    if (type == kStringType)
      read_string(in);
    else
      sum += std::min(read_integer(in, type), kMaxPlausible);
  }
  if (type != kStringType) keys.sums.emplace(key, sum);
}

void read_key(ByteReader& in, Keys& keys) {
  const std::string_view key = read_string(in);
  const auto type = in.number<uint32_t>("type");
  if (type == kStringType) {
    const std::string_view text = read_string(in);
    if (key == "general.architecture") keys.architecture = text.substr(0, 64);
  } else if (type == kArrayType) {
    read_array(in, key, keys);
  } else if (element_bytes(type) > 0) {
    keys.numbers.emplace(key, read_integer(in, type));
  } else {
    throw Error(Errc::corrupt_file, "unknown type");
  }
}

std::optional<KvShape> shape_of(const Keys& keys) {
  const auto layers = keys.find("block_count");
  const auto heads = keys.find("attention.head_count");
  const auto width = keys.find("embedding_length");
  if (!layers || !heads || !width || *heads == 0) return std::nullopt;
  const auto summed = keys.sums.find(keys.architecture + ".attention.head_count_kv");
  const uint64_t kv_heads = summed != keys.sums.end()
                                ? summed->second
                                : *layers * keys.find("attention.head_count_kv").value_or(*heads);
  const uint64_t key_length = keys.find("attention.key_length").value_or(*width / *heads);
  const uint64_t value_length = keys.find("attention.value_length").value_or(*width / *heads);
  if (kv_heads > kMaxPlausible) return std::nullopt;
  return KvShape{kv_heads * (key_length + value_length), keys.find("context_length").value_or(0)};
}

std::string first_bytes(HubClient& client, const ModelStore& store, const PullPlan& plan,
                        const PlannedFile& planned, uint64_t n_bytes) {
  n_bytes = std::min(n_bytes, planned.file.n_bytes);
  std::string bytes(n_bytes, '\0');
  if (planned.cached) {
    const auto cached = store.find(plan.ref.repo, plan.commit, planned.file.path);
    const FileDescriptor file(cached ? ::open(cached->blob.c_str(), O_RDONLY | O_CLOEXEC) : -1);
    const ssize_t n_read = file ? ::pread(file.get(), bytes.data(), bytes.size(), 0) : -1;
    bytes.resize(n_read < 0 ? 0 : static_cast<size_t>(n_read));
    return bytes;
  }
  if (n_bytes == 0) return bytes;
  net::HttpRequest request;
  request.url = client.locate(plan.ref.repo, plan.commit, planned.file.path).url;
  request.headers.add("Accept-Encoding", "identity");
  request.headers.add("Range", fmt::format("bytes=0-{}", n_bytes - 1));
  bytes.clear();
  request.max_body_bytes = UINT64_MAX;
  request.on_body = [&](std::span<const std::byte> piece) {  // a hub that ignores the Range is cut short
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return bytes.size() < n_bytes;
  };
  client.authorize(request);
  const net::HttpResult result = client.http().send(std::move(request));
  const bool cut_by_us = result.failure == net::Failure::stopped && bytes.size() >= n_bytes;
  if ((result.ok() || cut_by_us) && (result.response.status == 200 || result.response.status == 206))
    return bytes;
  return {};
}

}  // namespace

std::optional<KvShape> kv_shape_of_gguf(std::span<const std::byte> beginning) {
  Keys keys;
  try {
    ByteReader in(beginning);
    if (in.text(4, "magic") != "GGUF") return std::nullopt;
    if (const auto version = in.number<uint32_t>("version"); version < 2 || version > 3) return std::nullopt;
    in.number<uint64_t>("tensors");
    const uint64_t n_keys = std::min(in.number<uint64_t>("keys"), limits::kGgufKeys);
    for (uint64_t i = 0; i < n_keys; ++i) read_key(in, keys);
  } catch (const Error&) {
    // The bytes ended, which they were bound to do; what was read may be enough.
  }
  return shape_of(keys);
}

std::optional<KvShape> kv_shape_of_config(std::string_view json) try {
  Json config = parse_json(json, "config.json");
  if (!config.is_object()) return std::nullopt;
  if (const auto inner = config.find("text_config"); inner != config.end() && inner->is_object())
    config = Json(*inner);
  const auto number = [&](const char* key) -> std::optional<uint64_t> {
    const auto found = config.find(key);
    if (found == config.end() || !found->is_number_unsigned() || found->get<uint64_t>() > kMaxPlausible)
      return std::nullopt;
    return found->get<uint64_t>();
  };
  const auto layers = number("num_hidden_layers");
  const auto heads = number("num_attention_heads");
  const auto width = number("hidden_size");
  if (!layers || !heads || !width || *heads == 0) return std::nullopt;
  const uint64_t head_size = number("head_dim").value_or(*width / *heads);
  const uint64_t kv_heads = *layers * number("num_key_value_heads").value_or(*heads);
  if (kv_heads > kMaxPlausible) return std::nullopt;
  return KvShape{kv_heads * head_size * 2, number("max_position_embeddings").value_or(0)};
} catch (const Error&) {
  return std::nullopt;
}

std::optional<MemoryNeeds> memory_needs(HubClient& client, const ModelStore& store, const PullPlan& plan,
                                        uint64_t n_context) {
  MemoryNeeds needs;
  std::optional<KvShape> shape;
  for (const PlannedFile& planned : plan.files) {
    const std::string_view name = planned.file.path.file_name();
    if (!plan.is_folder || name.ends_with(".safetensors")) needs.weight_bytes += planned.file.n_bytes;
    if (shape) continue;
    if (plan.is_folder && name != "config.json") continue;
    const std::string beginning = first_bytes(client, store, plan, planned, kBeginningBytes);
    shape = plan.is_folder ? kv_shape_of_config(beginning)
                           : kv_shape_of_gguf(std::as_bytes(std::span(beginning)));
  }
  if (!shape) return std::nullopt;
  needs.n_context = shape->context_tokens ? std::min(n_context, shape->context_tokens) : n_context;
  needs.kv_bytes = shape->kv_values_per_token * kF16Bytes * needs.n_context;
  return needs;
}

}  // namespace ruvllm::hub
