// What a user can say of a training run, and what it comes to. settings.def has a row for every option; from
// it come the options of the command line (apps/train_qat), the keys of recipes (recipe.h), the bounds that
// numbers keep to, what a checkpoint is a checkpoint of, and a section of the man page.
// setting_conditions.cpp says which options have an effect beside which others: one that would have none is
// refused, by name. Tested by tests/train/settings_test.cpp.
#pragma once

#include "train/run.h"

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ruvllm::train {

/// Who has set an option, from the strongest down.
enum class Origin { command_line, preset, recipe, recipe_preset };

struct Settings {
  std::string model;                    ///< empty with from_scratch
  std::string from_scratch;             ///< shape file
  std::string teacher;                  ///< empty: the model itself, where distillation is wanted
  std::string tokenizer = "train";      ///< "train", or a model to take it from
  std::filesystem::path chat_template;  ///< file; empty: the model's own, or ChatML for a new one
  std::filesystem::path recipe, recipe_out;
  std::string target, preset;
  std::string rule = "standard";
  std::string granularity;  ///< empty: as the target's own blocks have it
  int bits = 0;             ///< 0: target says
  bool asymmetric = false;
  bool pure = false;
  std::string output_type, embedding_type;
  std::vector<std::string> tensor_rules;
  std::string weights;  ///< a preset of the losses' weights
  std::string reasoning = "default";
  bool reasoning_raw = false;
  std::string precision = "f32";
  uint64_t data_free_tokens = 0;
  std::filesystem::path log, plot;
  RunOptions run;

  std::map<std::string, Origin, std::less<>> given;  ///< options that something has set
  bool wants_distillation = false;                   ///< a recipe says so, without a weight
  std::vector<std::string> notes;                    ///< what the user is to be told before the run

  bool is_given(std::string_view option) const { return given.contains(option); }
};

/// Where an option's value is.
using Field = std::variant<bool*, int*, uint64_t*, float*, std::string*, std::filesystem::path*,
                           std::optional<std::filesystem::path>*, std::vector<std::string>*,
                           std::vector<std::filesystem::path>*>;

/// Whether the bytes of the output depend on an option, and by what.
enum class Decides {
  no,
  value,
  presence,  ///< of a file's name: whether there is one
  content    ///< of a file or model, which the run takes the digest of
};

struct Bound {
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::max();
  bool least_is_allowed = true;

  bool holds(double value) const {  // written so that a NaN doesn't pass
    return (least_is_allowed ? value >= least : value > least) && value <= most;
  }
  /// "expected 1 or more".
  std::string wish() const;
};

/// A row of settings.def.
struct Setting {
  std::string_view option;  ///< long form, "--lr"; of the argument "MODEL"
  std::string_view typed;   ///< with the short form, as a parser of command lines wants it
  std::string_view key;     ///< of recipes; empty: none
  bool key_is_opposite;     ///< true there is false here
  std::string_view group, value, about;
  Field (*field)(Settings&);
  Decides decides;
  Bound bound;
  bool shows_default;
  std::string_view rivals;  ///< options that have the same word here say the same thing
};

std::span<const Setting> all_settings();
/// By option. The name must be one.
const Setting& find_setting(std::string_view option);

/// Whether the value is that of a run of which nothing is said.
bool is_default(const Setting& setting, const Settings& settings);
/// As the command line would have it; lists with a comma between.
std::string value_text(const Setting& setting, const Settings& settings);
/// Of options that are numbers.
std::optional<double> number_of(const Setting& setting, const Settings& settings);
/// What a checkpoint keeps of an option's value; nothing of those that don't decide the output, or not by
/// value.
std::optional<std::string> identity_text(const Setting& setting, const Settings& settings);
/// Gives an option the value that it has in `from`.
void copy_setting(const Setting& setting, const Settings& from, Settings& to);

/// Whether some weight gets a quantised type, so that training is on a grid; once the types are known.
bool has_grid(const Settings& settings);

/// An option's objection to its surroundings: which one, and why it would have no effect.
struct Objection {
  const Setting* setting;
  std::string why;
};
/// The first among the options that are set and would have no effect, once it is known which types the
/// weights get.
std::optional<Objection> find_objection(const Settings& settings);
/// Whether the option has an effect, where it is set, beside the others.
bool can_act(const Setting& setting, const Settings& settings);

/// Fills in what recipe and presets say, checks what only makes sense together or in a range, works out what
/// it means for the run, and writes the recipe where one is wanted. `given` has what the command line says.
/// Throws Errc::usage naming the option.
void resolve(Settings& settings);

/// The keys of recipes for the man page, in roff.
std::string recipe_keys_roff();

}  // namespace ruvllm::train
