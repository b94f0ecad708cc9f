#include "text/describe_model.h"

#include "base/error.h"
#include "format/plain_metadata.h"
#include "text/chat_template_sources.h"
#include "text/gguf_tokenizer.h"

namespace ruvllm::text {
namespace {

// Templates by name, as GGUF keeps them: the usual one under its own key, others listed.
void add_templates(const format::ModelFile& model, format::Metadata& metadata) {
  constexpr std::string_view kKey = "tokenizer.chat_template";
  std::vector<std::string> names;
  for (const auto& [name, source] : find_chat_templates(model)) {
    if (name == "default") {
      metadata.set(std::string(kKey), metadata.keep(source));
    } else {
      metadata.set(fmt::format("{}.{}", kKey, name), metadata.keep(source));
      names.push_back(name);
    }
  }
  if (!names.empty()) metadata.set("tokenizer.chat_templates", metadata.keep_strings(names));
}

// A folder of weights alone is quantised all the same; what comes of it reads no text.
void add_tokenizer(const format::ModelFile& model, uint64_t n_rows, ModelDescription& description) {
  try {
    description.notes = add_gguf_tokenizer(model.folder, n_rows, description.metadata);
  } catch (const Error& error) {
    if (error.code() != Errc::not_found) throw;
    description.metadata.set("tokenizer.ggml.model", description.metadata.keep("no_vocab"));
    description.notes.push_back(fmt::format("{}: the file will read no text", error.what()));
  }
}

}  // namespace

ModelDescription describe_model(const format::ModelFile& model) {
  ModelDescription description;
  description.metadata = format::plain_metadata(model);
  const format::Tensor* embedding = model.find("token_embd.weight");
  const uint64_t n_rows = embedding ? embedding->n_rows() : 0;
  if (model.folder.empty()) {
    pad_token_list(n_rows, description.metadata);
  } else if (!description.metadata.find("tokenizer.ggml.model")) {
    add_tokenizer(model, n_rows, description);
    add_templates(model, description.metadata);
  }
  const std::string vocabulary =
      std::string(description.metadata.string("general.architecture").value_or("")) + ".vocab_size";
  if (n_rows > 0 && description.metadata.find(vocabulary))
    description.metadata.set(vocabulary, static_cast<uint32_t>(n_rows));
  return description;
}

}  // namespace ruvllm::text
