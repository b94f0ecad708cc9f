#include "train/identity.h"

#include "base/json.h"
#include "base/utf8.h"
#include "hub/digest.h"

#include <fmt/ranges.h>

#include <set>
#include <type_traits>

namespace ruvllm::train {
namespace {

std::string sha256_of(std::string_view bytes) {
  hub::ContentHasher hasher(hub::DigestKind::sha256, bytes.size());
  hasher.update(std::as_bytes(std::span(bytes)));
  return hasher.finish().hex();
}

template <typename T>
void append(std::string& bytes, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// With its length in front, so that no two lists have the same bytes.
void append_text(std::string& bytes, std::string_view text) {
  append(bytes, uint64_t{text.size()});
  bytes += text;
}

void append_array(std::string& bytes, const format::MetadataArray& array) {
  append(bytes, array.type);
  append(bytes, array.n_elements);
  bytes.append(reinterpret_cast<const char*>(array.bytes.data()), array.bytes.size());
  for (const std::string_view text : array.strings) append_text(bytes, text);
}

std::string shown(const std::string* value) {
  if (value == nullptr) return "not known";
  return value->empty() ? "not given" : printable(*value, 60);
}

}  // namespace

std::string Identity::text() const { return dump_json(Json(values_)); }

std::string Identity::differences(std::string_view kept) const {
  if (kept == text()) return {};
  const Json json = parse_json(kept, "the checkpoint's identity");
  std::map<std::string, std::string> old;
  if (json.is_object())
    for (const auto& [name, value] : json.items())
      old[name] = value.is_string() ? value.get<std::string>() : dump_json(value);
  std::set<std::string> names;
  for (const auto& [name, value] : values_) names.insert(name);
  for (const auto& [name, value] : old) names.insert(name);
  std::vector<std::string> lines;
  for (const std::string& name : names) {
    const auto was = old.find(name);
    const auto is = values_.find(name);
    const std::string* const before = was == old.end() ? nullptr : &was->second;
    const std::string* const now = is == values_.end() ? nullptr : &is->second;
    if (before != nullptr && now != nullptr && *before == *now) continue;
    lines.push_back(fmt::format("{} was {} and is {}", printable(name), shown(before), shown(now)));
  }
  return fmt::format("{}", fmt::join(lines, "; "));
}

std::string sha256_of(const Network& network) {
  uint64_t n_bytes = network.n_values() * sizeof(float);
  for (const Network::Constant& constant : network.constants())
    n_bytes += constant.values.size() * sizeof(float);
  hub::ContentHasher hasher(hub::DigestKind::sha256, n_bytes);
  for (const auto& parameter : network.parameters())
    hasher.update(std::as_bytes(std::span(parameter->value)));
  for (const Network::Constant& constant : network.constants())
    hasher.update(std::as_bytes(std::span(constant.values)));
  return hasher.finish().hex();
}

std::string sha256_of(const format::Metadata& metadata) {
  std::string bytes;
  for (const format::Metadata::Entry& entry : metadata.entries()) {
    append_text(bytes, entry.key);
    append(bytes, format::type_of(entry.value));
    std::visit(
        [&](const auto& value) {
          using T = std::remove_cvref_t<decltype(value)>;
          if constexpr (std::is_same_v<T, std::string_view>)
            append_text(bytes, value);
          else if constexpr (std::is_same_v<T, format::MetadataArray>)
            append_array(bytes, value);
          else
            append(bytes, value);
        },
        entry.value);
  }
  return sha256_of(bytes);
}

std::string sha256_of_steps(const std::vector<Batch>& batches) {
  std::string bytes;
  for (const Batch& batch : batches) {
    append(bytes, uint64_t{batch.steps.size()});
    for (const StepMark& mark : batch.steps) append(bytes, mark.row), append(bytes, mark.weight);
    for (const Chain& chain : batch.chains)
      for (const uint32_t place : {chain.first_step, chain.end_step, chain.answer_begin, chain.answer_end})
        append(bytes, place);
  }
  return sha256_of(bytes);
}

}  // namespace ruvllm::train
