// Which tensor becomes which format: named mixes (recipes.def), the user's rules, and what happens to rows
// that a format's blocks don't divide. A pure function of the model's description. Tested by
// tests/quant/recipe_test.cpp.
#pragma once

#include "format/model_file.h"
#include "quant/name_pattern.h"
#include "tensor/format.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::quant {

using tensor::Format;

/// A type that a user can name.
struct Mix {
  std::string_view name;
  Format base;
  uint32_t file_type;  ///< of GGUF's general.file_type
  std::string_view about;
};

/// In the order of recipes.def: from large to small.
std::span<const Mix> all_mixes();
/// By name in any case ("Q3_K", "Q4_K", "Q5_K" mean their _M); throws Errc::usage naming the choices.
const Mix& find_mix(std::string_view name);
/// The same, or nullptr where no mix has the name.
const Mix* find_mix_or_null(std::string_view name);
/// A format by name in any case; throws Errc::usage naming the choices.
Format find_format(std::string_view name);

/// --tensor 'REGEX=FORMAT': tensors in whose names the pattern occurs get the format. Those that keep their
/// floats (see choose_formats()) do only where the pattern is the whole name: 'blk\.0\.' is for a layer's
/// matrices.
struct TensorRule {
  NamePattern pattern;
  Format format;
};
/// Throws Errc::usage where the text is not REGEX=FORMAT.
TensorRule parse_tensor_rule(std::string_view text);

struct Recipe {
  const Mix* mix = nullptr;
  bool pure = false;                       ///< the mix's base format everywhere
  std::optional<Format> output_format;     ///< of the output matrix
  std::optional<Format> embedding_format;  ///< of the token embedding
  std::vector<TensorRule> rules;           ///< the first that fits decides, before all else
  bool guided = false;                     ///< importance is known
};

/// What becomes of one tensor.
struct Choice {
  Format format;
  std::optional<Format> wanted;  ///< set where the rows don't divide into blocks of what was wanted
  bool is_free = false;    ///< the mix decided: no rule of the user's or of the format's kept it from another
  bool is_output = false;  ///< it makes the logits
};

/// For each tensor of the model, in order. One-dimensional tensors and those that steer (norms, routers,
/// positions) become F32, or keep their bytes where they are not floats. Throws Errc::usage naming a rule
/// that is for no tensor.
std::vector<Choice> choose_formats(const format::ModelFile& model, const Recipe& recipe);

}  // namespace ruvllm::quant
