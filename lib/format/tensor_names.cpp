#include "format/tensor_names.h"

#include "base/limits.h"
#include "base/strings.h"

#include <algorithm>
#include <array>

namespace ruvllm::format {
namespace {

constexpr auto none = RotatedRows::none;
constexpr auto query = RotatedRows::query;
constexpr auto key = RotatedRows::key;
constexpr TensorNameRow kRows[] = {
#define NAME(families, gguf, hf, rotated) {families, gguf, hf, rotated},
#include "format/tensor_names.def"
#undef NAME
};

struct Numbers {
  std::optional<uint32_t> layer, member;
};

// A number as these names have it: decimal without leading zeros, within the limits on layers and experts.
std::optional<uint32_t> take_number(std::string_view& text) {
  const size_t n_digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_integer(text.substr(0, n_digits));
  if (!number || *number >= std::max(limits::kLayers, limits::kExperts) || (n_digits > 1 && text[0] == '0'))
    return {};
  text.remove_prefix(n_digits);
  return static_cast<uint32_t>(*number);
}

bool match(std::string_view pattern, std::string_view text, Numbers& numbers) {
  while (!pattern.empty()) {
    if (pattern[0] == '%') {
      auto& number = pattern[1] == 'd' ? numbers.layer : numbers.member;
      number = take_number(text);
      if (!number) return false;
      pattern.remove_prefix(2);
    } else {
      if (text.empty() || text[0] != pattern[0]) return false;
      pattern.remove_prefix(1);
      text.remove_prefix(1);
    }
  }
  return text.empty();
}

std::string fill(std::string_view pattern, const Numbers& numbers) {
  std::string text;
  while (!pattern.empty()) {
    const bool is_number = pattern[0] == '%';
    if (is_number)
      text += std::to_string((pattern[1] == 'd' ? numbers.layer : numbers.member).value_or(0));
    else
      text += pattern[0];
    pattern.remove_prefix(is_number ? 2 : 1);
  }
  return text;
}

struct Suffix {
  std::string_view gguf, hf;
};
// The last two are BERT's first names for the same.
constexpr std::array<Suffix, 4> kSuffixes = {
    {{".weight", ".weight"}, {".bias", ".bias"}, {".weight", ".gamma"}, {".bias", ".beta"}}};

}  // namespace

std::span<const TensorNameRow> tensor_names() { return kRows; }

std::optional<NameMatch> match_hf_name(std::string_view hf, NameFamily family) {
  const auto suffix = std::ranges::find_if(kSuffixes, [&](const Suffix& s) { return hf.ends_with(s.hf); });
  if (suffix == kSuffixes.end()) return std::nullopt;
  const std::string_view stem = hf.substr(0, hf.size() - suffix->hf.size());
  for (const TensorNameRow& row : kRows) {
    Numbers numbers;
    if ((row.families & family) == 0 || !match(row.hf, stem, numbers)) continue;
    return NameMatch{fill(row.gguf, numbers).append(suffix->gguf), numbers.member, row.rotated};
  }
  return std::nullopt;
}

std::optional<std::string> hf_name_of(std::string_view gguf, NameFamily family, uint32_t member,
                                      size_t choice) {
  const auto suffix =
      std::ranges::find_if(kSuffixes, [&](const Suffix& s) { return gguf.ends_with(s.gguf); });
  if (suffix == kSuffixes.end()) return std::nullopt;
  const std::string_view stem = gguf.substr(0, gguf.size() - suffix->gguf.size());
  for (const TensorNameRow& row : kRows) {
    Numbers numbers;
    if ((row.families & family) == 0 || !match(row.gguf, stem, numbers)) continue;
    if (choice-- > 0) continue;
    numbers.member = member;
    return fill(row.hf, numbers).append(suffix->hf);
  }
  return std::nullopt;
}

}  // namespace ruvllm::format
