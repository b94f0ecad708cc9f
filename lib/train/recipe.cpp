#include "train/recipe.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/strings.h"
#include "base/utf8.h"

#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>
#include <sstream>

namespace ruvllm::train {
namespace {

// The shortest decimals that are this float again: 1e-4f is written as 0.0001.
OrderedJson number(float value) { return *parse_number(fmt::format("{}", value)); }

template <typename T>
OrderedJson json_of(const T& value) {
  if constexpr (std::is_same_v<T, float>)
    return number(value);
  else if constexpr (std::is_same_v<T, std::filesystem::path>)
    return value.string();
  else if constexpr (std::is_same_v<T, std::optional<std::filesystem::path>>)
    return value ? value->string() : "";
  else if constexpr (std::is_same_v<T, std::vector<std::filesystem::path>>) {
    OrderedJson list = OrderedJson::array();
    for (const auto& path : value) list.push_back(path.string());
    return list;
  } else
    return value;
}

OrderedJson read_file_as_json(const std::filesystem::path& path) {
  const std::string text = read_file(path, limits::kJsonFileBytes);
  if (path.extension() != ".toml") return parse_ordered_json(text, path.string());
  try {
    std::ostringstream json;
    json << toml::json_formatter(toml::parse(text, path.string()));
    return parse_ordered_json(json.str(), path.string());
  } catch (const toml::parse_error& error) {
    throw Error(Errc::corrupt_file, "{}: line {}, column {}: {}", path.string(), error.source().begin.line,
                error.source().begin.column, error.description());
  }
}

// One key of a file on its way into the settings.
class Reader {
 public:
  Reader(const Setting& setting, const OrderedJson& value, const std::string& where)
      : setting_(setting), value_(value), where_(where) {}

  /// False where the key says that nothing is said.
  bool read(bool& place) const {
    if (!value_.is_boolean()) throw wrong("true or false");
    place = value_.get<bool>() != setting_.key_is_opposite;
    return true;
  }
  bool read(float& place) const {
    if (setting_.key == "grad_clip" && (value_.is_null() || value_ == "none")) return place = 0, true;
    if (!value_.is_number()) throw wrong("a number");
    check_bound(value_.get<double>());
    place = value_.get<float>();
    return true;
  }
  bool read(int& place) const { return read_whole(place); }
  bool read(uint64_t& place) const { return read_whole(place); }
  bool read(std::string& place) const {
    if (!value_.is_string()) throw wrong("a string");
    place = value_.get<std::string>();
    return !place.empty();
  }
  bool read(std::filesystem::path& place) const {
    std::string text;
    const bool is_said = read(text);
    place = text;
    return is_said;
  }
  bool read(std::optional<std::filesystem::path>& place) const { return read(place.emplace()); }
  template <typename T>
  bool read(std::vector<T>& place) const {
    if (!value_.is_array()) throw wrong("a list of strings");
    place.clear();
    for (const OrderedJson& element : value_) {
      if (!element.is_string()) throw wrong("a list of strings");
      place.emplace_back(element.get<std::string>());
    }
    return !place.empty();
  }

 private:
  Error wrong(std::string_view wish) const {
    return Error(Errc::usage, "{}: {} is {}, expected {}", where_, setting_.key, printable(dump_json(value_)),
                 wish);
  }
  void check_bound(double value) const {
    if (!setting_.bound.holds(value))
      throw Error(Errc::usage, "{}: {} is {}, {}", where_, setting_.key, printable(dump_json(value_)),
                  setting_.bound.wish());
  }
  template <typename T>
  bool read_whole(T& place) const {
    uint64_t large = 0;
    if (!value_.is_number_integer() && !is_large_number(large)) throw wrong("a whole number");
    const double value = large != 0 ? static_cast<double>(large) : value_.get<double>();
    const bool is_unset = value == 0 && place == 0 && !setting_.bound.holds(0);  // none was chosen
    if (!is_unset) check_bound(value);
    if (value < 0) throw wrong("0 or more");
    place = static_cast<T>(large != 0 ? large : value_.get<uint64_t>());
    return !is_unset;
  }
  // Digits in quotes are a number that TOML's integers can't hold.
  bool is_large_number(uint64_t& number) const {
    if (!value_.is_string()) return false;
    const std::string text = value_.get<std::string>();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() &&
           number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  }

  const Setting& setting_;
  const OrderedJson& value_;
  const std::string& where_;
};

const Setting& find_key(const std::string& name, const std::string& where) {
  for (const Setting& setting : all_settings())
    if (!setting.key.empty() && name == setting.key) return setting;
  throw Error(Errc::usage, "{}: there is no key {}", where, printable(name));
}

// A recipe on its way into the settings.
class Application {
 public:
  Application(Settings& settings, const std::string& where) : settings_(settings), where_(where) {
    for (const Setting& setting : all_settings())
      if (!setting.rivals.empty() && settings.is_given(setting.option)) overruled_.insert(setting.rivals);
  }

  void apply(const std::string& name, const OrderedJson& value) {
    if (apply_alias(name, value)) return;
    const Setting& setting = find_key(name, where_);
    Settings read;  // what is given elsewhere is to be valid all the same
    const bool is_said = std::visit([&](auto* place) { return Reader(setting, value, where_).read(*place); },
                                    setting.field(read));
    if (!is_said) return;
    if (overruled_.contains(setting.rivals)) {
      overrules_type_ |= setting.rivals == "type";
      return;
    }
    if (settings_.is_given(setting.option)) return;
    copy_setting(setting, read, settings_);
    settings_.given.emplace(setting.option, Origin::recipe);
  }
  bool overrules_type() const { return overrules_type_; }

 private:
  // Keys that say with true or false what an option says with a number, or what is always so.
  bool apply_alias(const std::string& name, const OrderedJson& value) {
    if (name != "distillation" && name != "freeze_teacher") return false;
    if (!value.is_boolean())
      throw Error(Errc::usage, "{}: {} is {}, expected true or false", where_, name,
                  printable(dump_json(value)));
    if (name == "freeze_teacher" && !value.get<bool>())
      throw Error(Errc::usage, "{}: freeze_teacher is false, but a teacher is never trained", where_);
    if (name == "freeze_teacher") return true;
    if (value.get<bool>()) {
      settings_.wants_distillation = true;
    } else if (settings_.given.emplace("--lambda-kd", Origin::recipe).second) {
      settings_.run.trainer.losses.distillation = 0;
    }
    return true;
  }

  Settings& settings_;
  const std::string& where_;
  std::set<std::string_view> overruled_;  // rivals of which the command line gives one
  bool overrules_type_ = false;
};

// TOML's integers end where those of 64 bits with a sign do.
std::string toml_value(const OrderedJson& value) {
  const bool is_large = value.is_number_unsigned() &&
                        value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  return is_large ? fmt::format("\"{}\"", value.get<uint64_t>()) : dump_json(value);
}

std::string to_toml(const OrderedJson& json) {
  std::string text, tables;
  for (const auto& [name, value] : json.items()) {
    if (value.is_object())
      tables += fmt::format("\n[{}]\n{}", name, to_toml(value));
    else
      text += fmt::format("{} = {}\n", name, toml_value(value));
  }
  return text + tables;
}

// Whether some key stands in a table of this name, "weights".
bool is_table(std::string_view name) {
  const std::string start = std::string(name) + ".";
  return std::ranges::any_of(all_settings(), [&](const Setting& row) { return row.key.starts_with(start); });
}

}  // namespace

bool apply_recipe(Settings& settings, const std::filesystem::path& path) {
  const std::string where = path.string();
  const OrderedJson json = read_file_as_json(path);
  if (!json.is_object()) throw Error(Errc::usage, "{}: expected an object of keys", where);
  Application application(settings, where);
  // A weight that stands there says more than that there is a teacher, wherever it stands.
  for (const auto& [name, value] : json.items()) {
    if (!is_table(name)) continue;
    if (value.is_string()) {
      application.apply(name + ".preset", value);
    } else if (value.is_object()) {
      for (const auto& [inner, element] : value.items()) application.apply(name + "." + inner, element);
    } else {
      throw Error(Errc::usage, "{}: {} is neither an object nor a preset's name", where, name);
    }
  }
  for (const auto& [name, value] : json.items())
    if (!is_table(name)) application.apply(name, value);
  return application.overrules_type();
}

void write_recipe(const Settings& settings, const std::filesystem::path& path) {
  OrderedJson json = OrderedJson::object();
  for (const Setting& setting : all_settings()) {
    if (setting.key.empty()) continue;
    if (!settings.is_given(setting.option) && !can_act(setting, settings)) continue;  // nobody asks for it
    OrderedJson value = std::visit([](const auto* place) { return json_of(*place); },
                                   setting.field(const_cast<Settings&>(settings)));
    if (setting.key_is_opposite) value = !value.get<bool>();
    const std::string key(setting.key);
    if (const size_t point = key.find('.'); point != std::string::npos)
      json[key.substr(0, point)][key.substr(point + 1)] = std::move(value);
    else
      json[key] = std::move(value);
  }
  json["distillation"] = settings.run.trainer.losses.distillation > 0;
  json["freeze_teacher"] = true;
  write_file_atomically(path, path.extension() == ".toml" ? to_toml(json) : json.dump(2) + "\n");
}

}  // namespace ruvllm::train
