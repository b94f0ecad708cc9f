#include "format/hf_folder.h"

#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "format/hf_config.h"
#include "format/safetensors.h"
#include "format/tensor_names.h"
#include "tensor/ops.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <optional>
#include <set>

namespace ruvllm::format {
namespace {

namespace fs = std::filesystem;
using tensor::Format;

// Tensors that checkpoints carry and no computation here needs: buffers that are computed, and heads of
// BERT's training.
constexpr std::array<std::string_view, 9> kUnusedEndings = {
    "rotary_emb.inv_freq", "embeddings.position_ids", "attn.masked_bias", "rotary_emb.cos_cached",
    ".input_scale",        ".output_scale",           ".k_scale",         ".v_scale",
    ".activation_scale"};
constexpr std::array<std::string_view, 2> kUnusedBeginnings = {"pooler.", "cls."};

bool is_unused(std::string_view name) {
  return std::ranges::any_of(kUnusedEndings,
                             [&](std::string_view ending) { return name.ends_with(ending); }) ||
         std::ranges::any_of(kUnusedBeginnings,
                             [&](std::string_view begin) { return name.starts_with(begin); });
}

// The name that a tensor of the language model has where nothing else is with it; false for those of eyes.
// Both orders of the outer names are in use.
bool take_out_of_language_model(std::string& name) {
  constexpr std::string_view kOuter = "language_model.", kInner = "model.language_model.";
  if (name.starts_with(kOuter))
    name.erase(0, kOuter.size());
  else if (name.starts_with(kInner))
    name.replace(0, kInner.size(), "model.");
  else
    return name.starts_with("lm_head.");
  return true;
}

// A 4-bit exponent of bias 7 and 3 bits of mantissa (Micikevicius et al. 2022, "FP8 Formats for Deep
// Learning") as F16: exact, since F16 has more of both. All ones are NaN; there is no infinity.
constexpr uint16_t f16_of_e4m3(uint8_t bits) {
  const uint32_t sign = (bits & 0x80u) << 8, exponent = bits >> 3 & 15u, mantissa = bits & 7u;
  if (exponent == 15 && mantissa == 7) return static_cast<uint16_t>(sign | 0x7E00);
  if (exponent != 0) return static_cast<uint16_t>(sign | (exponent + 8) << 10 | mantissa << 7);
  if (mantissa == 0) return static_cast<uint16_t>(sign);
  const auto shift =
      static_cast<uint32_t>(std::countl_zero(mantissa)) - 28;  // until the leading one is bit 3
  return static_cast<uint16_t>(sign | (9 - shift) << 10 | (mantissa << shift & 7u) << 7);
}

// Rounded to the nearest, ties to even.
uint16_t bf16_of(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (value != value) return static_cast<uint16_t>(bits >> 16 | 0x40);  // NaN stays one
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// The weight that a tensor is the scale of, or nothing.
std::optional<std::string> scaled_name(std::string_view name) {
  for (const std::string_view ending : {".weight_scale_inv", ".weight_scale"})
    if (name.ends_with(ending)) return std::string(name.substr(0, name.size() - ending.size())) + ".weight";
  return std::nullopt;
}

// 5 bits of exponent, 2 of mantissa: the upper byte of an F16.
constexpr uint16_t f16_of_e5m2(uint8_t bits) { return static_cast<uint16_t>(bits << 8); }

std::optional<Format> format_of(SafetensorsType type) {
  switch (type) {
    case SafetensorsType::F32:
      return Format::F32;
    case SafetensorsType::F16:
    case SafetensorsType::F8_E4M3:
    case SafetensorsType::F8_E5M2:
      return Format::F16;
    case SafetensorsType::BF16:
      return Format::BF16;
    default:
      return std::nullopt;
  }
}

std::vector<uint64_t> dimensions_of(const SafetensorsEntry& entry) {
  std::vector<uint64_t> dimensions(entry.shape.rbegin(), entry.shape.rend());
  if (dimensions.empty()) dimensions.push_back(1);
  while (dimensions.size() > 1 && dimensions.back() == 1) dimensions.pop_back();
  if (dimensions.size() > limits::kGgufDimensions)
    throw Error(Errc::corrupt_file, "{} dimensions, expected at most {}", dimensions.size(),
                limits::kGgufDimensions);
  if (std::ranges::count(dimensions, 0u) != 0) throw Error(Errc::corrupt_file, "a dimension is 0");
  return dimensions;
}

// Collects tensors of all shards into a ModelFile.
class Collector {
 public:
  Collector(const HfModel& config, ModelFile& model) : config_(config), model_(model) {}

  /// Notes a scale; all of them before the first add(), for they may lie in any shard. False for what is
  /// none.
  bool add_scale(const SafetensorsEntry& entry) {
    auto weight = config_.scaling.has_scales ? scaled_name(entry.name) : std::nullopt;
    if (weight) scales_.emplace(*std::move(weight), entry);
    return weight.has_value();
  }

  void add(const SafetensorsEntry& entry, uint32_t file_index) try {
    std::string name = entry.name;
    if (config_.family->names == kBert && name.starts_with("bert.")) name.erase(0, 5);
    if (is_unused(name) || (config_.sees_pictures && !take_out_of_language_model(name))) return;
    auto match = match_hf_name(name, config_.family->names);
    // A checkpoint saved as base model leaves the outermost name out.
    if (!match) match = match_hf_name("model." + name, config_.family->names);
    if (!match)
      throw Error(Errc::corrupt_file, "it has no place in a model of type {}", config_.family->model_type);
    if (config_.has_tied_output && match->gguf == "output.weight") return;
    Tensor tensor = read(entry, match->gguf, file_index);
    if (config_.family->pairs_neighbours && match->rotated != RotatedRows::none)
      pair_neighbours(tensor, match->rotated);
    if (match->member)
      take_member(std::move(tensor), *match->member);
    else
      finish(std::move(tensor));
  } catch (const Error& error) {
    throw with_context(error, fmt::format("tensor {}", printable(entry.name)));
  }

  void stack_members() {
    for (auto& [name, members] : members_) stack(name, members);
  }

  void add_f32(const std::string& name, std::span<const float> values) {
    Tensor tensor{name, Format::F32, {values.size()}, {}, 0, 0};
    adopt(tensor, values);
    finish(std::move(tensor));
  }

 private:
  // Members of one stacked tensor by number, and how many bytes each has.
  using Members = std::map<uint32_t, Tensor>;

  /// Gives a tensor bytes that were made for it, in place of what it had.
  void adopt(Tensor& tensor, std::vector<std::byte>&& bytes) {
    auto& made = model_.made;
    if (!made.empty() && made.back().data() == tensor.bytes.data())
      made.back() = std::move(bytes);
    else
      made.push_back(std::move(bytes));
    tensor.bytes = made.back();
    tensor.file_offset = 0;
  }
  void adopt(Tensor& tensor, std::span<const float> values) {
    const auto bytes = std::as_bytes(values);
    adopt(tensor, std::vector(bytes.begin(), bytes.end()));
  }

  Tensor read(const SafetensorsEntry& entry, const std::string& name, uint32_t file_index) {
    const bool is_f8 = entry.type == SafetensorsType::F8_E4M3 || entry.type == SafetensorsType::F8_E5M2;
    const auto format = is_f8 && config_.scaling.has_scales ? Format::BF16 : format_of(entry.type);
    if (!format)
      throw Error(Errc::corrupt_file, "type {} is not supported (F32, F16, BF16, F8_E4M3, F8_E5M2 are)",
                  safetensors_type_name(entry.type));
    Tensor tensor{name, *format, dimensions_of(entry), entry.bytes, entry.file_offset, file_index};
    if (is_f8) {
      const auto f16_of = entry.type == SafetensorsType::F8_E4M3 ? f16_of_e4m3 : f16_of_e5m2;
      if (config_.scaling.has_scales)
        scale(tensor, entry.name, f16_of);
      else
        widen(tensor, f16_of);
    }
    // Files keep no alignment; kernels want that of the type.
    const uint64_t unit = tensor::traits(*format).block_bytes;
    if (reinterpret_cast<uintptr_t>(tensor.bytes.data()) % unit != 0)
      adopt(tensor, std::vector(tensor.bytes.begin(), tensor.bytes.end()));
    if (tensor.dimensions.size() == 1) widen_vector(tensor);
    return tensor;
  }

  void widen(Tensor& tensor, uint16_t (*f16_of)(uint8_t)) {
    std::vector<std::byte> wide(checked_mul<uint64_t>(tensor.bytes.size(), 2, "size of data"));
    for (size_t i = 0; i < tensor.bytes.size(); ++i) {
      const uint16_t half = f16_of(static_cast<uint8_t>(tensor.bytes[i]));
      std::memcpy(wide.data() + 2 * i, &half, sizeof half);
    }
    adopt(tensor, std::move(wide));
  }

  // Each weight times the scale of its block, in BF16, as which such models are published before they are
  // made smaller.
  void scale(Tensor& tensor, const std::string& name, uint16_t (*f16_of)(uint8_t)) {
    const auto found = scales_.find(name);
    if (found == scales_.end()) throw Error(Errc::corrupt_file, "the scale of its values is missing");
    const std::vector<float> scales = values_of(found->second);
    const uint64_t n_columns = tensor.dimensions[0], n_rows = tensor.n_values() / n_columns;
    const HfScaling& blocks = config_.scaling;
    uint64_t block_rows = n_rows, block_columns = n_columns;
    if (scales.size() == n_rows && n_rows > 1) block_rows = 1;
    if (blocks.block_rows != 0) block_rows = blocks.block_rows, block_columns = blocks.block_columns;
    const uint64_t across = (n_columns + block_columns - 1) / block_columns;
    const uint64_t down = (n_rows + block_rows - 1) / block_rows;
    if (scales.size() != across * down)
      throw Error(Errc::corrupt_file, "it has {} scales, expected {} x {}", scales.size(), down, across);

    std::array<float, 256> value_of;
    for (size_t bits = 0; bits < value_of.size(); ++bits) {
      const uint16_t half = f16_of(static_cast<uint8_t>(bits));
      tensor::decode_values(Format::F16, std::as_bytes(std::span(&half, 1)), std::span(&value_of[bits], 1));
    }
    std::vector<std::byte> wide(checked_mul<uint64_t>(tensor.bytes.size(), 2, "size of data"));
    for (uint64_t i = 0; i < tensor.bytes.size(); ++i) {
      const uint64_t block = i / n_columns / block_rows * across + i % n_columns / block_columns;
      const uint16_t value = bf16_of(value_of[static_cast<uint8_t>(tensor.bytes[i])] * scales[block]);
      std::memcpy(wide.data() + 2 * i, &value, sizeof value);
    }
    adopt(tensor, std::move(wide));
  }

  static std::vector<float> values_of(const SafetensorsEntry& entry) {
    const auto format = format_of(entry.type);
    if (!format || safetensors_type_bits(entry.type) == 8)
      throw Error(Errc::corrupt_file, "its scale is of type {}, expected F32, BF16 or F16",
                  safetensors_type_name(entry.type));
    std::vector<std::byte> aligned(entry.bytes.begin(), entry.bytes.end());
    std::vector<float> values(entry.bytes.size() * 8 / safetensors_type_bits(entry.type));
    tensor::decode_values(*format, aligned, values);
    return values;
  }

  // Vectors are F32 in GGUF files; norms of some families are stored there with the one that these leave out.
  void widen_vector(Tensor& tensor) {
    const bool adds_one = config_.family->norms_add_one && tensor.name.ends_with("norm.weight");
    if (tensor.format == Format::F32 && !adds_one) return;
    std::vector<float> values(tensor.n_values());
    tensor::decode_values(tensor.format, tensor.bytes, values);
    if (adds_one)
      for (float& value : values) value += 1.0f;
    tensor.format = Format::F32;
    adopt(tensor, values);
  }

  // Within each head, row i of the first half and row i of the second become rows 2i and 2i + 1.
  void pair_neighbours(Tensor& tensor, RotatedRows rotated) {
    const uint64_t n_heads = rotated == RotatedRows::query ? config_.n_heads : config_.n_kv_heads;
    const uint64_t n_rows = tensor.dimensions.back();  // a bias has one value a row
    if (n_heads == 0 || n_rows % n_heads != 0 || n_rows / n_heads % 2 != 0)
      throw Error(Errc::corrupt_file, "{} rows don't divide into {} heads of even size", n_rows, n_heads);
    const uint64_t half = n_rows / n_heads / 2, row_bytes = tensor.bytes.size() / n_rows;
    std::vector<std::byte> target;
    target.reserve(tensor.bytes.size());
    for (uint64_t row = 0; row < n_rows; ++row) {
      const uint64_t head = row / (2 * half), pair = row % (2 * half) / 2, which = row % 2;
      const auto from = tensor.bytes.subspan((head * 2 * half + which * half + pair) * row_bytes, row_bytes);
      target.insert(target.end(), from.begin(), from.end());
    }
    adopt(tensor, std::move(target));
  }

  void take_member(Tensor&& tensor, uint32_t member) {
    if (!members_[tensor.name].emplace(member, std::move(tensor)).second)
      throw Error(Errc::corrupt_file, "it appears twice");
  }

  void stack(const std::string& name, Members& members) {
    const Tensor& first = members.begin()->second;
    for (uint32_t expected = 0; const auto& [number, tensor] : members) {
      if (number != expected++)
        throw Error(Errc::corrupt_file, "{}: member {} of {} is missing", model_.source, expected - 1, name);
      if (tensor.format != first.format || tensor.dimensions != first.dimensions)
        throw Error(Errc::corrupt_file, "{}: members 0 and {} of {} differ in type or shape", model_.source,
                    number, name);
    }
    if (first.dimensions.size() == limits::kGgufDimensions)
      throw Error(Errc::corrupt_file, "{}: members of {} have too many dimensions", model_.source, name);
    Tensor stacked{name, first.format, first.dimensions, {}, 0, first.file_index};
    if (members.size() > 1) stacked.dimensions.push_back(members.size());
    std::vector<std::byte> target;
    target.reserve(checked_mul<uint64_t>(first.bytes.size(), members.size(), "size of data"));
    for (const auto& [number, tensor] : members) {
      target.insert(target.end(), tensor.bytes.begin(), tensor.bytes.end());
      model_.files[tensor.file_index].give_back(tensor.bytes);
    }
    adopt(stacked, std::move(target));
    finish(std::move(stacked));
  }

  void finish(Tensor&& tensor) { model_.tensors.push_back(std::move(tensor)); }

  const HfModel& config_;
  ModelFile& model_;
  std::map<std::string, Members> members_;
  std::map<std::string, SafetensorsEntry> scales_;  // by the weight's name
};

// Entries of an index come from outside: only a name of a file in the same folder is one.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos && name.ends_with(".safetensors");
}

Json parse_config(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  return parse_json(read_file(path, limits::kJsonFileBytes), path.string());
}

// What the first layer's tensors say of a model's shape.
HfShapes shapes_of(std::span<const SafetensorsImage> images) {
  HfShapes shapes;
  for (const SafetensorsImage& image : images)
    for (const SafetensorsEntry& entry : image.tensors) {
      const auto is = [&](std::string_view ending) { return entry.name.ends_with(ending); };
      if (is("layers.0.self_attn.q_proj.weight") && entry.shape.size() == 2)
        shapes.query_rows = entry.shape[0];
      if (is("layers.0.self_attn.q_norm.weight") && entry.shape.size() == 1)
        shapes.head_norm = entry.shape[0];
      shapes.has_query_bias |= is("layers.0.self_attn.q_proj.bias") || is("layers.0.self_attn.qkv_proj.bias");
      shapes.has_ffn_bias |= is("layers.0.mlp.up_proj.bias") || is("layers.0.mlp.gate_up_proj.bias");
    }
  return shapes;
}

HfModel read_config(const fs::path& folder, const Json& json, std::span<const SafetensorsImage> images) {
  const fs::path path = folder / "config.json";
  try {
    return read_hf_config(json, shapes_of(images));
  } catch (const Error& error) {
    if (error.code() != Errc::corrupt_file) throw;
    throw with_context(error, path.string());
  }
}

// How an embedding model makes one vector of many: a file of the sentence-transformers library, which not
// every folder has, as GGUF's key (1: their mean, 2: the first token's, 3: the last one's).
void read_pooling(const fs::path& folder, HfModel& model) {
  const fs::path path = folder / "1_Pooling" / "config.json";
  if (!fs::exists(path)) return;
  const Json config = parse_json(read_file(path, limits::kJsonFileBytes), path.string());
  constexpr std::array<std::pair<const char*, uint32_t>, 3> kModes = {
      {{"pooling_mode_mean_tokens", 1}, {"pooling_mode_cls_token", 2}, {"pooling_mode_lasttoken", 3}}};
  for (const auto& [field, mode] : kModes)
    if (config.is_object() && config.contains(field) && config[field] == true)
      model.metadata.set(fmt::format("{}.pooling_type", model.family->architecture), mode);
}

// What the model's makers recommend for sampling, under GGUF's keys. Numbers only; what is out of range is
// whoever reads it to say.
void read_sampling(const fs::path& folder, HfModel& model) {
  const fs::path path = folder / "generation_config.json";
  if (!fs::exists(path)) return;
  const Json config = parse_json(read_file(path, limits::kJsonFileBytes), path.string());
  if (!config.is_object()) throw Error(Errc::corrupt_file, "{} is no object", path.string());
  constexpr std::array<std::pair<const char*, const char*>, 5> kFields = {
      {{"temperature", "general.sampling.temp"},
       {"top_k", "general.sampling.top_k"},
       {"top_p", "general.sampling.top_p"},
       {"min_p", "general.sampling.min_p"},
       {"repetition_penalty", "general.sampling.penalty_repeat"}}};
  for (const auto& [field, key] : kFields)
    if (const auto value = config.find(field); value != config.end() && value->is_number())
      model.metadata.set(key, value->get<float>());
  if (const auto samples = config.find("do_sample"); samples != config.end() && *samples == false)
    model.metadata.set("general.sampling.temp", 0.0f);
}

}  // namespace

std::vector<fs::path> list_safetensors(const fs::path& folder) {
  if (const fs::path whole = folder / "model.safetensors"; fs::exists(whole)) return {whole};
  const fs::path index_path = folder / "model.safetensors.index.json";
  if (!fs::exists(index_path))
    throw Error(Errc::not_found,
                "{}: neither model.safetensors nor model.safetensors.index.json is in this folder",
                folder.string());
  const Json index = parse_json(read_file(index_path, limits::kJsonFileBytes), index_path.string());
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (map == index.end() || !map->is_object() || map->empty())
    throw Error(Errc::corrupt_file, "{}: weight_map is missing or empty", index_path.string());
  std::set<fs::path> files;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string() || !is_plain_name(file.get<std::string>()))
      throw Error(Errc::corrupt_file,
                  "{}: tensor {} is said to be in {}, which is no plain name of a safetensors file",
                  index_path.string(), printable(tensor), printable(dump_json(file)));
    files.insert(folder / file.get<std::string>());
    if (files.size() > limits::kSplitFiles)
      throw Error(Errc::corrupt_file, "{}: too many files", index_path.string());
  }
  return {files.begin(), files.end()};
}

std::shared_ptr<const ModelFile> read_hf_folder(const fs::path& folder) {
  auto model = std::make_shared<ModelFile>();
  model->source = folder.string();
  model->folder = folder;
  const Json json = parse_config(folder);
  const std::vector<fs::path> paths = list_safetensors(folder);
  std::vector<SafetensorsImage> images;
  for (const fs::path& path : paths)
    images.push_back(parse_safetensors(model->files.emplace_back(path).bytes(), path.string()));
  HfModel config = read_config(folder, json, images);
  read_pooling(folder, config);
  read_sampling(folder, config);
  Collector collector(config, *model);
  for (SafetensorsImage& image : images)
    std::erase_if(image.tensors, [&](const SafetensorsEntry& entry) { return collector.add_scale(entry); });
  for (uint32_t i = 0; i < images.size(); ++i) {
    try {
      for (const SafetensorsEntry& entry : images[i].tensors) collector.add(entry, i);
    } catch (const Error& error) {
      throw with_context(error, paths[i].string());
    }
  }
  collector.stack_members();
  for (const auto& [name, values] : config.tensors) collector.add_f32(name, values);
  model->kind = "safetensors";
  model->metadata = std::move(config.metadata);
  const fs::path name = fs::absolute(folder).lexically_normal();
  const fs::path last = name.has_filename() ? name.filename() : name.parent_path().filename();
  model->metadata.set("general.name", model->metadata.keep(last.string()));
  model->index_tensors();
  return model;
}

}  // namespace ruvllm::format
