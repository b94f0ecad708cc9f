// Where a model keeps its chat templates: GGUF metadata (tokenizer.chat_template, and .NAME for more), or the
// files of a folder (chat_template.jinja, additional_chat_templates/NAME.jinja, tokenizer_config.json,
// chat_template.json). Tested by tests/text/chat_template_test.cpp.
#pragma once

#include "format/model_file.h"

#include <map>
#include <string>

namespace ruvllm::text {

/// The name of the template that is taken where none is asked for.
inline constexpr const char* kDefaultTemplate = "default";

/// A model's templates by name. Throws corrupt_file where a file is not what it should be.
std::map<std::string, std::string> find_chat_templates(const format::ModelFile& model);

}  // namespace ruvllm::text
