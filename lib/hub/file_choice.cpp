#include "hub/file_choice.h"

#include "base/error.h"
#include "base/strings.h"
#include "base/utf8.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <optional>
#include <utility>

namespace ruvllm::hub {
namespace {

bool is_alnum(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string to_upper(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return upper;
}

// The length of a type's name that begins an upper-case text: F16, BF16, Q8_0, IQ3_XXS, Q4_K_M, TQ1_0, PIQ3,
// MXFP4.
size_t quant_length(std::string_view text) {
  for (const std::string_view whole : {"BF16", "FP16", "F16", "FP32", "F32", "MXFP4_MOE", "MXFP4", "NVFP4"})
    if (text.starts_with(whole)) return whole.size();
  size_t at = 0;
  for (const std::string_view family : {"PIQ", "IQ", "TQ", "Q"})
    if (text.starts_with(family)) {
      at = family.size();
      break;
    }
  if (at == 0 || at >= text.size() || !is_digit(text[at])) return 0;
  ++at;
  constexpr std::array<std::string_view, 12> kParts = {"_XXS", "_XS", "_XL", "_NL", "_K", "_S",
                                                       "_M",   "_L",  "_P",  "_0",  "_1", "_8"};
  for (bool more = true; more;) {
    more = false;
    for (const std::string_view part : kParts)
      if (text.substr(at).starts_with(part) &&
          (at + part.size() == text.size() || !is_alnum(text[at + part.size()]))) {
        at += part.size();
        more = true;
        break;
      }
  }
  return at;
}

bool is_gguf(const HubFile& file) { return to_lower(file.path.text()).ends_with(".gguf"); }

// What lies beside models in GGUF files without being one.
bool is_companion(const HubFile& file) {
  const std::string name = to_lower(file.path.file_name());
  return name.find("mmproj") != std::string::npos || name.find("imatrix") != std::string::npos;
}

// Whether a word stands in a name by itself: "mtp" in "model-Q4_K_M-mtp.gguf".
bool has_word(std::string_view name, std::string_view word) {
  for (size_t at = name.find(word); at != std::string_view::npos; at = name.find(word, at + 1))
    if ((at == 0 || !is_alnum(name[at - 1])) &&
        (at + word.size() >= name.size() || !is_alnum(name[at + word.size()])))
      return true;
  return false;
}

// What helps a model that lies beside it: drafts, heads that predict several tokens, adapters. Where nothing
// else lies there, they are what the repository is about.
bool is_helper(const HubFile& file) {
  constexpr std::array<std::string_view, 6> kWords = {"mtp", "draft", "eagle", "eagle3", "nextn", "lora"};
  const std::string name = to_lower(file.path.file_name());
  return std::ranges::any_of(kWords, [&](std::string_view word) { return has_word(name, word); });
}

// "...-00002-of-00005.gguf"
struct ShardName {
  std::string stem;
  uint32_t number = 0;
  uint32_t count = 0;
};

std::optional<ShardName> shard_name(std::string_view path, std::string_view extension) {
  constexpr std::string_view kForm = "-00001-of-00005";
  if (!to_lower(path).ends_with(extension)) return std::nullopt;
  path.remove_suffix(extension.size());
  if (path.size() <= kForm.size()) return std::nullopt;
  const std::string_view tail = path.substr(path.size() - kForm.size());
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-") return std::nullopt;
  const auto number = parse_integer(tail.substr(1, 5));
  const auto count = parse_integer(tail.substr(10, 5));
  if (!number || !count || *number < 1 || *number > *count) return std::nullopt;
  return ShardName{std::string(path.substr(0, path.size() - kForm.size())), static_cast<uint32_t>(*number),
                   static_cast<uint32_t>(*count)};
}

Offer offer_of(std::vector<HubFile> files) {
  Offer offer{quant_of(files[0].path.text()), std::move(files), 0, 0};
  for (const HubFile& file : offer.files) offer.n_bytes += file.n_bytes;
  return offer;
}

std::string list_of(const std::vector<Offer>& all) {
  constexpr size_t kMaxShown = 40;
  std::string text;
  for (size_t i = 0; i < all.size() && i < kMaxShown; ++i)
    text += fmt::format("{}{} ({})", i ? ", " : "",
                        all[i].quant.empty() ? all[i].files[0].path.text() : all[i].quant,
                        format_bytes(all[i].n_bytes));
  if (all.size() > kMaxShown) text += fmt::format(" and {} more", all.size() - kMaxShown);
  return text;
}

std::string list_of_files(const std::vector<Offer>& all) {
  std::string text;
  for (const Offer& offer : all)
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", offer.files[0].path.text(),
                        format_bytes(offer.n_bytes));
  return text;
}

Choice choice_of(Offer offer) {
  if (offer.n_missing > 0)
    throw Error(Errc::not_found, "{} of the {} shards of {} are missing", offer.n_missing,
                offer.n_missing + offer.files.size(), offer.files[0].path.text());
  return {std::move(offer.files), false, std::move(offer.quant)};
}

Choice choose_quant(std::vector<Offer> all, const RepoRef& ref) {
  const std::string wanted = to_upper(ref.quant);
  std::vector<Offer> fitting;
  // Q4_K_XL means UD-Q4_K_XL, and MXFP4 means MXFP4_MOE, only where there is no plain one.
  for (const std::string& name : {wanted, "UD-" + wanted, wanted + "_MOE"}) {
    for (const Offer& offer : all)
      if (offer.quant == name) fitting.push_back(offer);
    if (!fitting.empty()) break;
  }
  if (fitting.size() == 1) return choice_of(std::move(fitting[0]));
  if (fitting.size() > 1)
    throw Error(Errc::usage, "{} holds several {} models: {}; choose one as {}/FILE", ref.repo.text(), wanted,
                list_of_files(fitting), ref.repo.text());
  if (all.empty()) throw Error(Errc::not_found, "{} holds no GGUF file, so no {}", ref.repo.text(), wanted);
  throw Error(Errc::not_found, "{} has no {}; it has {}", ref.repo.text(), wanted, list_of(all));
}

Choice choose_file(const Listing& listing, std::vector<Offer> all, const RepoRef& ref) {
  for (Offer& offer : all)
    for (const HubFile& file : offer.files)
      if (file.path == *ref.file) return choice_of(std::move(offer));
  for (const HubFile& file : listing.files)
    if (file.path == *ref.file) return {{file}, false, quant_of(file.path.text())};
  std::vector<std::string> names;
  for (const HubFile& file : listing.files) names.push_back(file.path.text());
  const auto nearest = nearest_match(ref.file->text(), names);
  throw Error(Errc::not_found, "{} has no file '{}'{}", ref.repo.text(), ref.file->text(),
              nearest ? fmt::format("; did you mean '{}'?", *nearest) : "");
}

// What a program needs beside the weights of a Hugging Face folder.
bool is_part_of_folder(std::string_view name) {
  constexpr std::array<std::string_view, 13> kNames = {"config.json",
                                                       "generation_config.json",
                                                       "tokenizer.json",
                                                       "tokenizer_config.json",
                                                       "tokenizer.model",
                                                       "special_tokens_map.json",
                                                       "added_tokens.json",
                                                       "vocab.json",
                                                       "vocab.txt",
                                                       "merges.txt",
                                                       "chat_template.jinja",
                                                       "chat_template.json",
                                                       "model.safetensors.index.json"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

Choice choose_folder(const Listing& listing, const RepoRef& ref) {
  std::vector<HubFile> weights, consolidated, others;
  std::map<std::pair<std::string, uint32_t>, uint32_t> shards;  // (stem, count) -> how many there are
  for (const HubFile& file : listing.files) {
    if (file.path.depth() > 0) continue;
    const std::string name(file.path.file_name());
    if (const auto shard = shard_name(name, ".safetensors")) ++shards[{shard->stem, shard->count}];
    if (name.ends_with(".safetensors"))
      (name.starts_with("consolidated") ? consolidated : weights).push_back(file);
    else if (is_part_of_folder(name))
      others.push_back(file);
  }
  if (weights.empty()) weights = std::move(consolidated);
  if (weights.empty())
    throw Error(Errc::not_found, "{} holds neither GGUF nor safetensors files", ref.repo.text());
  for (const auto& [set, n_found] : shards)
    if (n_found != set.second)
      throw Error(Errc::not_found, "{}: {} of {} shards of {} are there", ref.repo.text(), n_found,
                  set.second, set.first);
  others.insert(others.end(), weights.begin(), weights.end());
  return {std::move(others), true, {}};
}

}  // namespace

std::string quant_of(std::string_view file_name) {
  const std::string upper = to_upper(file_name);
  std::string found;
  for (size_t at = 0; at < upper.size(); ++at) {
    if (at > 0 && is_alnum(upper[at - 1])) continue;
    const size_t length = quant_length(std::string_view(upper).substr(at));
    if (length == 0 || (at + length < upper.size() && is_alnum(upper[at + length]))) continue;
    const bool dynamic =
        at >= 3 && upper.compare(at - 3, 3, "UD-") == 0 && (at == 3 || !is_alnum(upper[at - 4]));
    found = (dynamic ? "UD-" : "") + upper.substr(at, length);
    at += length;
  }
  if (found == "FP16") return "F16";
  if (found == "FP32") return "F32";
  return found;
}

std::vector<Offer> offers(const Listing& listing) {
  std::vector<Offer> all;
  std::map<std::pair<std::string, uint32_t>, std::map<uint32_t, HubFile>> sets;
  const auto is_model = [](const HubFile& file) { return is_gguf(file) && !is_companion(file); };
  const bool all_help = std::ranges::none_of(
      listing.files, [&](const HubFile& file) { return is_model(file) && !is_helper(file); });
  for (const HubFile& file : listing.files) {
    if (!is_model(file) || (is_helper(file) && !all_help)) continue;
    if (const auto shard = shard_name(file.path.text(), ".gguf"))
      sets[{shard->stem, shard->count}].emplace(shard->number, file);
    else
      all.push_back(offer_of({file}));
  }
  for (const auto& [set, shards] : sets) {
    std::vector<HubFile> files;
    for (const auto& [number, file] : shards) files.push_back(file);
    all.push_back(offer_of(std::move(files)));
    all.back().n_missing = set.second - static_cast<uint32_t>(shards.size());
  }
  std::sort(all.begin(), all.end(), [](const Offer& a, const Offer& b) { return a.n_bytes < b.n_bytes; });
  return all;
}

Choice choose_files(const Listing& listing, const RepoRef& ref) {
  for (const std::string& refused : listing.refused)
    if (const std::string lower = to_lower(refused);
        lower.find(".gguf'") != std::string::npos || lower.find(".safetensors'") != std::string::npos)
      throw Error(Errc::corrupt_file, "{} names a model file {}: refused", ref.repo.text(), refused);
  std::vector<Offer> all = offers(listing);
  if (ref.file) return choose_file(listing, std::move(all), ref);
  if (!ref.quant.empty()) return choose_quant(std::move(all), ref);
  if (all.size() == 1) return choice_of(std::move(all[0]));
  if (all.empty()) return choose_folder(listing, ref);
  throw Error(Errc::usage, "{} holds {} models: {}; choose one as {}:TYPE or {}/FILE", ref.repo.text(),
              all.size(), list_of(all), ref.repo.text(), ref.repo.text());
}

}  // namespace ruvllm::hub
