#include "train/fresh_model.h"

#include "base/error.h"
#include "base/utf8.h"
#include "text/byte_alphabet.h"
#include "text/pretokenize.h"
#include "text/tokenizer.h"
#include "train/bpe_trainer.h"

#include <algorithm>
#include <iterator>

namespace ruvllm::train {
namespace {

constexpr std::string_view kPretokenizer = "qwen2";

// ChatML as Qwen writes it, with a default system turn left out.
constexpr std::string_view kChatTemplate =
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}";

format::MetadataValue value_of(const Json& json, const std::string& where) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer() && json.get<int64_t>() >= 0 && json.get<int64_t>() <= UINT32_MAX)
    return json.get<uint32_t>();
  if (json.is_number()) return static_cast<float>(json.get<double>());
  throw Error(Errc::corrupt_file, "{} is neither a number nor true or false", where);
}

WordCounts count_words(std::string_view corpus) {
  const text::PretokenizerRow* row = text::find_pretokenizer(kPretokenizer);
  RUVLLM_ASSERT(row);
  const text::Pretokenizer pretokenizer(row->patterns);
  WordCounts counts;
  std::vector<text::Piece> pieces = {{0, static_cast<uint32_t>(corpus.size())}};
  pretokenizer.split(corpus, pieces);
  for (const text::Piece& piece : pieces)
    ++counts[std::string(corpus.substr(piece.begin, piece.end - piece.begin))];
  return counts;
}

}  // namespace

ModelShape read_model_shape(const Json& json, const std::string& name) {
  if (!json.is_object()) throw Error(Errc::corrupt_file, "{}: expected an object", name);
  ModelShape shape;
  const std::string architecture = json.value("architecture", "llama");
  shape.metadata.set("general.architecture", shape.metadata.keep(architecture));
  for (const auto& [key, value] : json.items()) {
    const std::string where = fmt::format("{}: \"{}\"", name, printable(key));
    if (key == "architecture") continue;
    if (key.starts_with("general.")) {
      shape.metadata.set(
          key, value.is_string() ? shape.metadata.keep(value.get<std::string>()) : value_of(value, where));
    } else if (key == "tied_head") {
      if (!value.is_boolean()) throw Error(Errc::corrupt_file, "{} is neither true nor false", where);
      shape.tied_head = value.get<bool>();
    } else {
      shape.metadata.set(architecture + "." + key, value_of(value, where));
    }
  }
  shape.n_vocabulary = static_cast<size_t>(shape.metadata.integer(architecture + ".vocab_size").value_or(0));
  return shape;
}

void add_trained_tokenizer(ModelShape& shape, std::string_view corpus) {
  constexpr size_t kFewest = 256 + std::size(kSpecialTokens);
  if (shape.n_vocabulary < kFewest)
    throw Error(Errc::usage, "vocab_size is {}, but bytes and special tokens alone are {}",
                shape.n_vocabulary, kFewest);
  const BpeVocabulary vocabulary =
      train_bpe(count_words(corpus), shape.n_vocabulary - std::size(kSpecialTokens));
  std::vector<std::string> tokens, merges;
  std::vector<int32_t> kinds(vocabulary.tokens.size(), static_cast<int32_t>(text::TokenKind::normal));
  for (const std::string& token : vocabulary.tokens) tokens.push_back(text::to_byte_alphabet(token));
  for (const auto& [left, right] : vocabulary.merges)
    merges.push_back(tokens[static_cast<size_t>(left)] + " " + tokens[static_cast<size_t>(right)]);
  const auto first_special = static_cast<uint32_t>(tokens.size());
  for (const std::string_view special : kSpecialTokens) {
    tokens.emplace_back(special);
    kinds.push_back(static_cast<int32_t>(text::TokenKind::control));
  }
  format::Metadata& metadata = shape.metadata;
  metadata.set("tokenizer.ggml.model", metadata.keep("gpt2"));
  metadata.set("tokenizer.ggml.pre", metadata.keep(std::string(kPretokenizer)));
  metadata.set("tokenizer.ggml.tokens", metadata.keep_strings(tokens));
  metadata.set("tokenizer.ggml.token_type",
               metadata.keep_array(format::ValueType::i32, std::as_bytes(std::span(kinds))));
  metadata.set("tokenizer.ggml.merges", metadata.keep_strings(merges));
  metadata.set("tokenizer.ggml.bos_token_id", first_special);
  metadata.set("tokenizer.ggml.eos_token_id", first_special);
  metadata.set("tokenizer.ggml.eot_token_id", first_special + 2);
  metadata.set("tokenizer.ggml.add_bos_token", true);
  set_chat_template(shape, std::string(kChatTemplate));
  // The text may hold fewer pairs than asked for.
  const std::string architecture(*metadata.string("general.architecture"));
  shape.n_vocabulary = tokens.size();
  metadata.set(architecture + ".vocab_size", static_cast<uint32_t>(tokens.size()));
}

void set_chat_template(ModelShape& shape, std::string source) {
  shape.metadata.set("tokenizer.chat_template", shape.metadata.keep(std::move(source)));
}

void copy_tokenizer(ModelShape& shape, const format::ModelFile& other) {
  // Views into the other file would not outlive it.
  for (const auto& [key, value] : other.metadata.entries()) {
    if (!key.starts_with("tokenizer.")) continue;
    if (const auto* text = std::get_if<std::string_view>(&value)) {
      shape.metadata.set(key, shape.metadata.keep(std::string(*text)));
    } else if (const auto* array = std::get_if<format::MetadataArray>(&value)) {
      const std::vector<std::string> strings(array->strings.begin(), array->strings.end());
      shape.metadata.set(key, array->type == format::ValueType::string
                                  ? shape.metadata.keep_strings(strings)
                                  : shape.metadata.keep_array(array->type, array->bytes));
    } else {
      shape.metadata.set(key, value);
    }
  }
  const format::MetadataArray* tokens =
      shape.metadata.array("tokenizer.ggml.tokens", format::ValueType::string);
  if (!tokens) throw Error(Errc::corrupt_file, "{}: no tokenizer to take over", other.source);
  shape.n_vocabulary = tokens->n_elements;
  shape.metadata.set(std::string(*shape.metadata.string("general.architecture")) + ".vocab_size",
                     static_cast<uint32_t>(shape.n_vocabulary));
}

}  // namespace ruvllm::train
