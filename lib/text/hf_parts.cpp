#include "text/hf_parts.h"

#include "base/utf8.h"
#include "text/byte_alphabet.h"
#include "text/char_class.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

namespace ruvllm::text {
namespace {

constexpr std::string_view kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// A kind of part by its "type", and what reads it.
template <typename Read>
struct Kind {
  std::string_view type;
  Read read;
};

// The row of a part's type. Throws naming the types there are.
template <typename Read, size_t n>
const Read& find_kind(const JsonView& json, const std::array<Kind<Read>, n>& kinds) {
  const std::string type = json.at("type").text();
  for (const Kind<Read>& kind : kinds)
    if (kind.type == type) return kind.read;
  std::string known;
  for (const Kind<Read>& kind : kinds) known.append(known.empty() ? "" : ", ").append(kind.type);
  throw Error(Errc::corrupt_file, "{}: type \"{}\" is unknown, expected one of {}", json.where(),
              printable(type, 40), known);
}

template <typename Add>
void for_each_element(const JsonView& array, Add add) {
  for (size_t i = 0; i < array.n_elements(); ++i) add(array.element(i));
}

// "pattern": {"String": ...} or {"Regex": ...}
struct Pattern {
  std::string text;
  bool is_regex;
};

Pattern read_pattern(const JsonView& json) {
  const JsonView pattern = json.at("pattern");
  if (pattern.json().is_string()) return {pattern.text(), false};
  if (const auto regex = pattern.find("Regex")) return {regex->text(), true};
  return {pattern.at("String").text(), false};
}

// ---- Normalisers

using ReadNormaliser = void (*)(const JsonView& json, Pipeline& pipeline);

template <UnicodeForm form>
void read_unicode_form(const JsonView&, Pipeline& pipeline) {
  pipeline.normalisers.push_back(unicode_form(form));
}

void read_replace(const JsonView& json, Pipeline& pipeline) {
  const Pattern pattern = read_pattern(json);
  std::string content = json.at("content").text();
  pipeline.normalisers.push_back(pattern.is_regex ? replace_pattern(pattern.text, std::move(content))
                                                  : replace_text(pattern.text, std::move(content)));
}

void read_bert_normaliser(const JsonView& json, Pipeline& pipeline) {
  const bool lower = json.boolean("lowercase", true);
  pipeline.normalisers.push_back(
      bert_normaliser({.clean_text = json.boolean("clean_text", true),
                       .separate_ideographs = json.boolean("handle_chinese_chars", true),
                       .strip_accents = json.boolean("strip_accents", lower),
                       .lower_case = lower}));
}

// Base64, as "precompiled_charsmap" holds it.
std::string decode_base64(const JsonView& json) {
  const std::string text = json.text();
  std::string bytes;
  uint32_t bits = 0;
  int n_bits = 0;
  for (const char c : text) {
    if (c == '=') break;
    constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) throw Error(Errc::corrupt_file, "{} is not Base64", json.where());
    bits = (bits << 6 | static_cast<uint32_t>(digit)) & 0xFFFFFF;
    n_bits += 6;
    if (n_bits < 8) continue;
    n_bits -= 8;
    bytes += static_cast<char>(bits >> n_bits & 0xFF);
  }
  return bytes;
}

void read_precompiled(const JsonView& json, Pipeline& pipeline) {
  const auto charsmap = json.find("precompiled_charsmap");
  if (!charsmap) return;
  pipeline.charsmap = decode_base64(*charsmap);
  if (!pipeline.charsmap.empty())
    pipeline.normalisers.push_back(
        precompiled_charsmap(std::as_bytes(std::span(pipeline.charsmap)), charsmap->where()));
}

constexpr std::array<Kind<ReadNormaliser>, 12> kNormalisers = {{
    {"NFC", read_unicode_form<UnicodeForm::nfc>},
    {"NFD", read_unicode_form<UnicodeForm::nfd>},
    {"NFKC", read_unicode_form<UnicodeForm::nfkc>},
    {"NFKD", read_unicode_form<UnicodeForm::nfkd>},
    {"Lowercase", [](const JsonView&, Pipeline& pipeline) { pipeline.normalisers.push_back(lower_case()); }},
    {"StripAccents",
     [](const JsonView&, Pipeline& pipeline) { pipeline.normalisers.push_back(strip_accents()); }},
    {"Strip",
     [](const JsonView& json, Pipeline& pipeline) {
       pipeline.normalisers.push_back(
           strip_spaces(json.boolean("strip_left", true), json.boolean("strip_right", true)));
     }},
    {"Prepend",
     [](const JsonView& json, Pipeline& pipeline) { pipeline.add_prefix(json.at("prepend").text()); }},
    {"Replace", read_replace},
    {"BertNormalizer", read_bert_normaliser},
    {"Precompiled", read_precompiled},
    {"Sequence",
     [](const JsonView& json, Pipeline& pipeline) {
       for_each_element(json.at("normalizers"),
                        [&](const JsonView& part) { add_normaliser(part, pipeline); });
     }},
}};

// ---- Pre-tokenisers

using ReadPretokeniser = bool (*)(const JsonView& json, Pipeline& pipeline);  // true: byte level

Found read_behaviour(const JsonView& json, std::string_view otherwise) {
  const std::string name = json.text("behavior", otherwise);
  constexpr std::pair<std::string_view, Found> kNames[] = {
      {"Removed", Found::removed},
      {"Isolated", Found::isolated},
      {"MergedWithPrevious", Found::merged_with_previous},
      {"MergedWithNext", Found::merged_with_next},
      {"Contiguous", Found::contiguous}};
  for (const auto& [known, found] : kNames)
    if (name == known) return found;
  throw Error(Errc::corrupt_file, "{}: behavior \"{}\" is unknown", json.where(), printable(name, 40));
}

bool read_split(const JsonView& json, Pipeline& pipeline) {
  const Pattern pattern = read_pattern(json);
  const Found found = read_behaviour(json, "Isolated");
  const bool inverted = json.boolean("invert", false);
  pipeline.cutters.push_back(pattern.is_regex ? cut_by_pattern(pattern.text, found, inverted)
                                              : cut_at_text(pattern.text, found, inverted));
  return false;
}

bool read_byte_level(const JsonView& json, Pipeline& pipeline) {
  if (json.boolean("add_prefix_space", true)) {
    pipeline.cutters.push_back(add_prefix_space());
    pipeline.strips_first_space = true;
  }
  if (json.boolean("use_regex", true))
    pipeline.cutters.push_back(cut_by_pattern(kByteLevelPattern, Found::isolated, false));
  return true;
}

// "prepend_scheme", or the older "add_prefix_space".
PrependScheme read_prepend_scheme(const JsonView& json) {
  const std::string scheme =
      json.text("prepend_scheme", json.boolean("add_prefix_space", true) ? "always" : "never");
  if (scheme == "always") return PrependScheme::always;
  if (scheme == "first") return PrependScheme::first;
  if (scheme == "never") return PrependScheme::never;
  throw Error(Errc::corrupt_file, "{}: prepend_scheme \"{}\" is unknown", json.where(),
              printable(scheme, 40));
}

bool read_metaspace(const JsonView& json, Pipeline& pipeline) {
  pipeline.cutters.push_back(metaspace(json.text("replacement", kSpaceSign), read_prepend_scheme(json),
                                       json.boolean("split", true)));
  return false;
}

bool is_white_space(uint32_t c) { return char_type(c) == CharType::space; }
bool is_numeric(uint32_t c) { return char_type(c) == CharType::number; }

constexpr std::array<Kind<ReadPretokeniser>, 10> kPretokenisers = {{
    {"ByteLevel", read_byte_level},
    {"Split", read_split},
    {"Metaspace", read_metaspace},
    {"Digits",
     [](const JsonView& json, Pipeline& pipeline) {
       const Found found = json.boolean("individual_digits", false) ? Found::isolated : Found::contiguous;
       pipeline.cutters.push_back(cut_at_characters(is_numeric, found));
       return false;
     }},
    {"Punctuation",
     [](const JsonView& json, Pipeline& pipeline) {
       pipeline.cutters.push_back(cut_at_characters(is_punctuation, read_behaviour(json, "Isolated")));
       return false;
     }},
    {"Whitespace",
     [](const JsonView&, Pipeline& pipeline) {
       pipeline.cutters.push_back(cut_by_pattern(R"(\w+|[^\w\s]+)", Found::removed, true));
       return false;
     }},
    {"WhitespaceSplit",
     [](const JsonView&, Pipeline& pipeline) {
       pipeline.cutters.push_back(cut_at_characters(is_white_space, Found::removed));
       return false;
     }},
    {"CharDelimiterSplit",
     [](const JsonView& json, Pipeline& pipeline) {
       pipeline.cutters.push_back(cut_at_text(json.at("delimiter").text(), Found::removed, false));
       return false;
     }},
    {"BertPreTokenizer",
     [](const JsonView&, Pipeline& pipeline) {
       for (Cutter& cutter : bert_cutters()) pipeline.cutters.push_back(std::move(cutter));
       return false;
     }},
    {"Sequence",
     [](const JsonView& json, Pipeline& pipeline) {
       bool byte_level = false;
       for_each_element(json.at("pretokenizers"),
                        [&](const JsonView& part) { byte_level |= add_pretokeniser(part, pipeline); });
       return byte_level;
     }},
}};

// ---- Decoders

using ReadDecoder = void (*)(const JsonView& json, Pipeline& pipeline);

// Another step from spelling to bytes, after those there are.
void then(Pipeline& pipeline, std::function<std::string(std::string_view)> step) {
  auto before = std::move(pipeline.bytes_of);
  pipeline.bytes_of = [before = std::move(before), step = std::move(step)](std::string_view spelling) {
    return before ? step(before(spelling)) : step(spelling);
  };
}

void read_metaspace_decoder(const JsonView& json, Pipeline& pipeline) {
  then(pipeline, replace_text(json.text("replacement", kSpaceSign), " "));
  pipeline.strips_first_space = read_prepend_scheme(json) != PrependScheme::never;
}

void read_replace_decoder(const JsonView& json, Pipeline& pipeline) {
  const Pattern pattern = read_pattern(json);
  std::string content = json.at("content").text();
  then(pipeline, pattern.is_regex ? replace_pattern(pattern.text, std::move(content))
                                  : replace_text(pattern.text, std::move(content)));
}

void read_wordpiece_decoder(const JsonView& json, Pipeline& pipeline) {
  then(pipeline, [prefix = json.text("prefix", "##")](std::string_view spelling) {
    return spelling.starts_with(prefix) ? std::string(spelling.substr(prefix.size()))
                                        : " " + std::string(spelling);
  });
  pipeline.strips_first_space = true;
  pipeline.cleans_up_spaces = json.boolean("cleanup", true);
}

void nothing(const JsonView&, Pipeline&) {}

constexpr std::array<Kind<ReadDecoder>, 8> kDecoders = {{
    {"ByteLevel", [](const JsonView&, Pipeline& pipeline) { then(pipeline, from_byte_alphabet); }},
    {"Metaspace", read_metaspace_decoder},
    {"Replace", read_replace_decoder},
    {"WordPiece", read_wordpiece_decoder},
    {"ByteFallback", nothing},  // byte tokens are a kind of their own
    {"Fuse", nothing},
    {"Strip",
     [](const JsonView& json, Pipeline& pipeline) {
       if (json.text("content", " ") == " " && json.at("start").count(1 << 20) > 0)
         pipeline.strips_first_space = true;
     }},
    {"Sequence",
     [](const JsonView& json, Pipeline& pipeline) {
       for_each_element(json.at("decoders"), [&](const JsonView& part) { add_decoder(part, pipeline); });
     }},
}};

// ---- Post-processors

using ReadPostprocessor = void (*)(const JsonView& json, Pipeline& pipeline);

TokenId read_id(const JsonView& json, const Pipeline& pipeline) {
  return static_cast<TokenId>(json.count(pipeline.vocab->n_tokens() - 1));
}

// "single": special tokens by name, and the place of the text among them.
void read_template(const JsonView& json, Pipeline& pipeline) {
  bool behind_text = false;
  for_each_element(json.at("single"), [&](const JsonView& item) {
    if (item.find("Sequence")) {
      behind_text = true;
      return;
    }
    const std::string name = item.at("SpecialToken").at("id").text();
    for_each_element(json.at("special_tokens").at(name).at("ids"), [&](const JsonView& id) {
      (behind_text ? pipeline.after : pipeline.before).push_back(read_id(id, pipeline));
    });
  });
}

// "cls" and "sep" as ["[CLS]", 101].
void read_cls_and_sep(const JsonView& json, Pipeline& pipeline) {
  pipeline.before.push_back(read_id(json.at("cls").element(1), pipeline));
  pipeline.after.push_back(read_id(json.at("sep").element(1), pipeline));
}

void read_postprocessor_sequence(const JsonView& json, Pipeline& pipeline) {
  for_each_element(json.at("processors"), [&](const JsonView& part) { add_postprocessor(part, pipeline); });
}

constexpr std::array<Kind<ReadPostprocessor>, 5> kPostprocessors = {{
    {"TemplateProcessing", read_template},
    {"BertProcessing", read_cls_and_sep},
    {"RobertaProcessing", read_cls_and_sep},
    {"ByteLevel", nothing},  // trims offsets, which we have none of
    {"Sequence", read_postprocessor_sequence},
}};

}  // namespace

void add_normaliser(const JsonView& json, Pipeline& pipeline) {
  find_kind(json, kNormalisers)(json, pipeline);
}

bool add_pretokeniser(const JsonView& json, Pipeline& pipeline) {
  return find_kind(json, kPretokenisers)(json, pipeline);
}

std::vector<std::string> split_patterns(const JsonView& json) {
  const std::string type = json.at("type").text();
  if (type == "Sequence") {
    std::vector<std::string> all;
    for_each_element(json.at("pretokenizers"), [&](const JsonView& part) {
      for (std::string& pattern : split_patterns(part)) all.push_back(std::move(pattern));
    });
    return all;
  }
  if (type == "ByteLevel" && !json.boolean("add_prefix_space", true))
    return json.boolean("use_regex", true) ? std::vector<std::string>{std::string(kByteLevelPattern)}
                                           : std::vector<std::string>{};
  if (type == "Digits") return {json.boolean("individual_digits", false) ? R"(\p{N})" : R"(\p{N}+)"};
  if (type == "Split") {
    const Pattern pattern = read_pattern(json);
    const bool inverted = json.boolean("invert", false);
    const Found found = read_behaviour(json, "Isolated");
    // Expressions that match everywhere leave nothing between matches that could be dropped.
    if (pattern.is_regex && found == (inverted ? Found::removed : Found::isolated)) return {pattern.text};
  }
  return {type};
}

void add_decoder(const JsonView& json, Pipeline& pipeline) { find_kind(json, kDecoders)(json, pipeline); }

void add_postprocessor(const JsonView& json, Pipeline& pipeline) {
  find_kind(json, kPostprocessors)(json, pipeline);
}

}  // namespace ruvllm::text
