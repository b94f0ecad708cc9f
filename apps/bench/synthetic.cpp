#include "synthetic.h"

#include "base/error.h"
#include "base/random.h"
#include "base/strings.h"
#include "format/gguf.h"
#include "quant/recipe.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace ruvllm::bench {
namespace {

constexpr std::string_view kPrefix = "synthetic:";

/// The shape of a real model. All have a gpt2 vocabulary, whose text never matters here.
struct Shape {
  std::string_view name, arch;
  uint32_t layers, width, ffn_width, heads, kv_heads, head_dimension, vocabulary;
  bool is_tied;
  float rope_base;
};

constexpr Shape kShapes[] = {
    {"llama-160m", "llama", 12, 768, 2048, 12, 12, 64, 32000, false, 1e4f},
    {"qwen2-0.5b", "qwen2", 24, 896, 4864, 14, 2, 64, 151936, true, 1e6f},
    {"ruvltra-small", "qwen2", 24, 896, 4864, 14, 2, 64, 151936, true, 1e6f},
    {"ruvltra-medium", "qwen2", 32, 2048, 11008, 16, 2, 128, 151936, true, 1e6f},
    {"llama-1b", "llama", 16, 2048, 8192, 32, 8, 64, 128256, true, 5e5f},
    {"llama-3b", "llama", 28, 3072, 8192, 24, 8, 128, 128256, true, 5e5f},
};
constexpr uint32_t kContext = 32768;

/// A shape in one format, or in the mix of formats that `quantize` makes (then `format` is not used).
struct Request {
  const Shape& shape;
  tensor::Format format;
  const quant::Mix* mix;
};

Request parse(const std::string& reference) {
  const std::string_view rest = std::string_view(reference).substr(kPrefix.size());
  const size_t colon = rest.find(':');
  const std::string shape_name(rest.substr(0, colon));
  const std::string type(colon == std::string_view::npos ? "Q4_0" : rest.substr(colon + 1));
  std::string known;
  for (const Shape& shape : kShapes) {
    known += fmt::format("{}{}", known.empty() ? "" : ", ", shape.name);
    if (shape.name != shape_name) continue;
    const kernels::Traits* format = kernels::find_format(type.c_str());
    if (format != nullptr) return {shape, format->format, nullptr};
    for (const quant::Mix& mix : quant::all_mixes())
      if (to_lower(mix.name) == to_lower(type)) return {shape, mix.base, &mix};
    throw Error(Errc::usage, "'{}' is no weight type; try Q4_0 or Q4_K_M", type);
  }
  throw Error(Errc::usage, "'{}' is no shape; there are {}", shape_name, known);
}

format::Metadata describe(const Shape& shape) {
  format::Metadata metadata;
  const auto key = [&](std::string_view name) { return fmt::format("{}.{}", shape.arch, name); };
  metadata.add("general.architecture", shape.arch);
  metadata.add("general.name", metadata.keep(fmt::format("synthetic {}", shape.name)));
  metadata.add(key("block_count"), shape.layers);
  metadata.add(key("context_length"), kContext);
  metadata.add(key("embedding_length"), shape.width);
  metadata.add(key("feed_forward_length"), shape.ffn_width);
  metadata.add(key("attention.head_count"), shape.heads);
  metadata.add(key("attention.head_count_kv"), shape.kv_heads);
  metadata.add(key("attention.layer_norm_rms_epsilon"), 1e-5f);
  metadata.add(key("rope.freq_base"), shape.rope_base);
  metadata.add(key("rope.dimension_count"), shape.head_dimension);
  metadata.add(key("vocab_size"), shape.vocabulary);
  std::vector<std::string> tokens(shape.vocabulary);
  for (uint32_t i = 0; i < shape.vocabulary; ++i)
    tokens[i] = i < 94 ? std::string(1, static_cast<char>('!' + i)) : fmt::format("<|{}|>", i);
  const std::vector<int32_t> types(shape.vocabulary, 1);
  metadata.add("tokenizer.ggml.model", std::string_view("gpt2"));
  metadata.add("tokenizer.ggml.pre", std::string_view("gpt-2"));
  metadata.add("tokenizer.ggml.tokens", metadata.keep_strings(tokens));
  metadata.add("tokenizer.ggml.token_type",
               metadata.keep_array(format::ValueType::i32, std::as_bytes(std::span(types))));
  metadata.add("tokenizer.ggml.merges", metadata.keep_strings(std::vector<std::string>{}));
  metadata.add("tokenizer.ggml.eos_token_id", shape.vocabulary - 1);
  return metadata;
}

std::vector<format::TensorPlan> plan_tensors(const Request& request) {
  const Shape& s = request.shape;
  std::vector<format::TensorPlan> plans;
  const auto matrix = [&](const std::string& name, uint64_t rows, uint64_t columns) {
    // As other quantisers do: rows that a block of 256 doesn't divide take a type of 32.
    const bool fits = columns % tensor::traits(request.format).block_values == 0;
    plans.push_back({name, fits ? request.format : tensor::Format::Q8_0, {columns, rows}});
  };
  const auto vector = [&](const std::string& name, uint64_t n) {
    plans.push_back({name, tensor::Format::F32, {n}});
  };
  const uint64_t kv_width = uint64_t{s.kv_heads} * s.head_dimension,
                 query_width = uint64_t{s.heads} * s.head_dimension;
  matrix("token_embd.weight", s.vocabulary, s.width);
  vector("output_norm.weight", s.width);
  if (!s.is_tied) matrix("output.weight", s.vocabulary, s.width);
  for (uint32_t layer = 0; layer < s.layers; ++layer) {
    const auto name = [&](std::string_view part) { return fmt::format("blk.{}.{}", layer, part); };
    vector(name("attn_norm.weight"), s.width);
    vector(name("ffn_norm.weight"), s.width);
    matrix(name("attn_q.weight"), query_width, s.width);
    matrix(name("attn_k.weight"), kv_width, s.width);
    matrix(name("attn_v.weight"), kv_width, s.width);
    matrix(name("attn_output.weight"), s.width, query_width);
    matrix(name("ffn_gate.weight"), s.ffn_width, s.width);
    matrix(name("ffn_up.weight"), s.ffn_width, s.width);
    matrix(name("ffn_down.weight"), s.width, s.ffn_width);
    if (s.arch != "qwen2") continue;
    vector(name("attn_q.bias"), query_width);
    vector(name("attn_k.bias"), kv_width);
    vector(name("attn_v.bias"), kv_width);
  }
  return plans;
}

/// The formats that `quantize` would choose, where a mix is asked for.
void mix_formats(const Request& request, const format::Metadata& metadata,
                 std::vector<format::TensorPlan>& plans) {
  if (request.mix == nullptr) return;
  format::ModelFile file;
  file.metadata = metadata;
  for (const format::TensorPlan& plan : plans)
    file.tensors.push_back({plan.name, plan.format, plan.dimensions, {}});
  file.index_tensors();
  quant::Recipe recipe;
  recipe.mix = request.mix;
  const std::vector<quant::Choice> choices = quant::choose_formats(file, recipe);
  for (size_t i = 0; i < plans.size(); ++i) plans[i].format = choices[i].format;
}

/// Blocks of normal weights, enough that no cache holds them, to be repeated through every tensor of a type:
/// speed does not depend on values, only on their being ordinary.
std::vector<std::byte> make_blocks(tensor::Format format, float spread) {
  const kernels::Traits& shape = tensor::traits(format);
  Random random(1);
  std::vector<float> values(65536);
  for (float& value : values) value = static_cast<float>(random.normal()) * spread;
  const size_t n_blocks = values.size() / shape.block_values;
  std::vector<std::byte> blocks(n_blocks * shape.block_bytes);
  kernels::active().encode[static_cast<uint32_t>(format)](values.data(), nullptr, values.size(),
                                                          blocks.data(), {});
  return blocks;
}

void write_synthetic(const Request& request, const std::filesystem::path& path) {
  std::vector<format::TensorPlan> plans = plan_tensors(request);
  const format::Metadata metadata = describe(request.shape);
  mix_formats(request, metadata, plans);
  format::GgufWriter writer(path, metadata, plans);
  const float spread = 1.0f / std::sqrt(static_cast<float>(request.shape.width));
  for (size_t i = 0; i < plans.size(); ++i) {
    const bool is_norm = plans[i].name.ends_with("norm.weight");
    if (is_norm) {
      const std::vector<float> ones(plans[i].dimensions[0], 1.0f);
      writer.write_tensor(i, std::as_bytes(std::span(ones)));
      continue;
    }
    const std::vector<std::byte> blocks = make_blocks(plans[i].format, spread);
    const uint64_t n_bytes = plans[i].n_bytes();
    for (uint64_t at = 0; at < n_bytes; at += blocks.size())
      writer.write_tensor_part(i, at,
                               std::span(blocks).first(std::min<uint64_t>(blocks.size(), n_bytes - at)));
  }
  writer.commit();
}

}  // namespace

bool is_synthetic(const std::string& reference) { return reference.starts_with(kPrefix); }

std::shared_ptr<const format::ModelFile> make_synthetic(const std::string& reference) {
  const Request request = parse(reference);
  // A file in memory, whose name goes as soon as it is mapped.
  const std::filesystem::path path = fmt::format("/dev/shm/ruvllm-synthetic-{}.gguf", getpid());
  write_synthetic(request, path);
  const std::shared_ptr<const format::ModelFile> file = format::open_model_file(path);
  std::filesystem::remove(path);
  return file;
}

void save_synthetic(const std::string& reference, const std::filesystem::path& path) {
  write_synthetic(parse(reference), path);
}

}  // namespace ruvllm::bench
