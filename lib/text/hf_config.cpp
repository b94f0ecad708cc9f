#include "text/hf_config.h"

#include "base/file.h"
#include "base/limits.h"
#include "text/json_view.h"

#include <algorithm>
#include <utility>

namespace ruvllm::text {
namespace {

constexpr std::string_view kName = "tokenizer_config.json";

// "<s>" or {"content": "<s>", ...}
std::string spelling_of(const JsonView& token) {
  return token.json().is_object() ? token.at("content").text() : token.text();
}

// Nothing where the role is absent or null.
std::optional<std::string> role_spelling(const JsonView& config, std::string_view role) {
  const auto value = config.find(role);
  return value ? std::optional(spelling_of(*value)) : std::nullopt;
}

Json read_json_file(const std::filesystem::path& folder, const std::string& name) {
  const std::filesystem::path path = folder / name;
  if (!std::filesystem::exists(path)) return Json::object();
  Json json = parse_json(read_file(path, limits::kJsonFileBytes), name);
  if (!json.is_object()) throw Error(Errc::corrupt_file, "{} is no object", name);
  return json;
}

// An id, or a list of them.
std::vector<int64_t> read_ids(const Json& json, std::string name, std::string_view key) {
  const auto ids = JsonView(json, std::move(name)).find(key);
  if (!ids) return {};
  if (!ids->json().is_array()) return {ids->count(limits::kVocabularyTokens)};
  std::vector<int64_t> list;
  for (size_t i = 0; i < ids->n_elements(); ++i)
    list.push_back(ids->element(i).count(limits::kVocabularyTokens));
  return list;
}

// A token at an end of the text: there exactly if it is wanted.
void set_presence(bool wanted, std::optional<TokenId> token, std::string_view flag,
                  std::vector<TokenId>& tokens) {
  if (wanted && !token)
    throw Error(Errc::corrupt_file, "{}: {} is true, but there is no such token", kName, flag);
  const bool present = token && std::ranges::find(tokens, *token) != tokens.end();
  if (wanted && !present) tokens.insert(tokens.begin(), *token);
  if (!wanted && present) std::erase(tokens, *token);
}

}  // namespace

void apply_roles(const TokenizerConfig& config, Vocab& vocab) {
  const JsonView view(config.config, std::string(kName));
  const auto role = [&](std::string_view name, std::optional<TokenId>& token) {
    if (const auto spelling = role_spelling(view, name)) token = vocab.find(*spelling);
  };
  role("bos_token", vocab.special.bos);
  role("eos_token", vocab.special.eos);
  role("unk_token", vocab.special.unknown);
  role("sep_token", vocab.special.separator);
  role("pad_token", vocab.special.padding);
  role("mask_token", vocab.special.mask);
  role("cls_token", vocab.special.classifier);
  vocab.find_end_tokens();
  for (const int64_t id : config.end_ids) {
    if (!vocab.contains(id))
      throw Error(Errc::corrupt_file, "eos_token_id is {}, but the vocabulary has {} tokens", id,
                  vocab.n_tokens());
    const auto token = static_cast<TokenId>(id);
    if (!vocab.special.eos) vocab.special.eos = token;
    if (std::ranges::find(vocab.end_tokens, token) == vocab.end_tokens.end())
      vocab.end_tokens.push_back(token);
  }
  for (const int64_t id : config.suppressed_ids) {
    if (!vocab.contains(id))
      throw Error(Errc::corrupt_file, "suppress_tokens names {}, but the vocabulary has {} tokens", id,
                  vocab.n_tokens());
    vocab.suppressed_tokens.push_back(static_cast<TokenId>(id));
  }
}

SpecialTexts configured_texts(const TokenizerConfig& config) {
  constexpr std::string_view kRoles[] = {"unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
  const JsonView view(config.config, std::string(kName));
  SpecialTexts texts;
  for (const std::string_view role : kRoles)
    if (auto spelling = role_spelling(view, role)) texts.named.emplace_back(role, std::move(*spelling));
  const auto is_token = [](const Json& json) { return json.is_string() || json.is_object(); };
  const auto add = [&](const JsonView& list) {
    if (!list.json().is_array()) return;
    for (size_t i = 0; i < list.n_elements(); ++i)
      if (is_token(list.json()[i])) texts.additional.push_back(spelling_of(list.element(i)));
  };
  if (const auto list = view.find("additional_special_tokens")) add(*list);
  // A list of more of them, or tokens with names of the model's own ("image_token").
  if (const auto extra = view.find("extra_special_tokens")) {
    if (!extra->json().is_object()) {
      add(*extra);
    } else {
      for (const auto& [name, value] : extra->json().items())
        if (is_token(value)) texts.named.emplace_back(name, spelling_of(extra->at(name)));
    }
  }
  return texts;
}

void check_rows(size_t n_tokens, std::optional<TokenId> n_rows, std::string_view where) {
  if (n_rows && n_tokens > static_cast<size_t>(*n_rows))
    throw Error(Errc::corrupt_file, "{} has {} tokens, but the embedding has {} rows", where, n_tokens,
                *n_rows);
}

void apply_framing_flags(const TokenizerConfig& config, Pipeline& pipeline) {
  const JsonView view(config.config, std::string(kName));
  const SpecialTokens& special = pipeline.vocab->special;
  if (const auto flag = view.find("add_bos_token"))
    set_presence(flag->boolean(), special.bos, "add_bos_token", pipeline.before);
  if (const auto flag = view.find("add_eos_token"))
    set_presence(flag->boolean(), special.eos, "add_eos_token", pipeline.after);
}

TokenizerConfig read_tokenizer_config(const std::filesystem::path& folder) {
  TokenizerConfig config;
  config.config = read_json_file(folder, "special_tokens_map.json");
  const Json main = read_json_file(folder, std::string(kName));
  config.config.update(main);
  config.added_tokens = read_json_file(folder, "added_tokens.json");
  constexpr const char* kGeneration = "generation_config.json";
  const Json generation = read_json_file(folder, kGeneration);
  config.end_ids = read_ids(generation, kGeneration, "eos_token_id");
  config.suppressed_ids = read_ids(generation, kGeneration, "suppress_tokens");
  if (config.end_ids.empty())
    config.end_ids = read_ids(read_json_file(folder, "config.json"), "config.json", "eos_token_id");
  return config;
}

}  // namespace ruvllm::text
