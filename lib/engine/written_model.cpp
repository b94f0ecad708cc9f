#include "engine/written_model.h"

#include "base/error.h"
#include "base/utf8.h"
#include "model/hparams.h"
#include "model/weights.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace ruvllm::engine {

std::string why_unusable(const format::ModelFile& model) {
  try {
    model::check_weights(model::read_hyper_parameters(model), model);
    text::load_chat_template(model, *text::make_tokenizer(model));
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

void check_written_model(const format::ModelFile* source, const std::filesystem::path& written) {
  std::string why;
  try {
    why = why_unusable(*format::open_model_file(written));
  } catch (const Error& error) {
    throw Error(Errc::failed, "{} was written, but it can't be opened again: {}", printable(written.string()),
                error.what());
  }
  if (!why.empty() && (source == nullptr || why_unusable(*source).empty()))
    throw Error(Errc::failed, "{} was written, but it can't be used{}: {}", printable(written.string()),
                source ? fmt::format(" as {} can", printable(source->source)) : "", why);
}

}  // namespace ruvllm::engine
