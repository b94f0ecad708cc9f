// What this machine has, and what fits in it.
#include "base/machine.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "cli/console.h"
#include "cli/table.h"
#include "info.h"
#include "tensor/instruction_set.h"

#include <unistd.h>

#include <array>
#include <string>
#include <vector>

namespace ruvllm::info {
namespace {

// Sizes that models come in, with the keys and values (16 bits) of one token in a model of that size.
struct ModelSize {
  std::string_view name;
  double n_parameters;
  uint64_t kv_bytes;
};
constexpr std::array<ModelSize, 7> kSizes = {{
    {"0.5B", 0.49e9, 12 << 10},  // 24 layers, 2 KV heads of 64
    {"1B", 1.24e9, 32 << 10},    // 16 layers, 8 of 64
    {"3B", 3.21e9, 112 << 10},   // 28 layers, 8 of 128
    {"8B", 8.03e9, 128 << 10},   // 32 layers, 8 of 128
    {"14B", 14.8e9, 192 << 10},  // 48 layers, 8 of 128
    {"32B", 32.8e9, 256 << 10},  // 64 layers, 8 of 128
    {"70B", 70.6e9, 320 << 10},  // 80 layers, 8 of 128
}};

struct WeightType {
  std::string_view name;
  double bits;  ///< of a weight, over a whole model
};
constexpr std::array<WeightType, 3> kTypes = {{{"Q4_K_M", 4.85}, {"Q8_0", 8.5}, {"F16", 16.0}}};

constexpr uint64_t kContext = 4096;

uint64_t memory_needed(const ModelSize& size, const WeightType& type) {
  return static_cast<uint64_t>(size.n_parameters * type.bits / 8) + kContext * size.kv_bytes;
}

Json to_json(const Machine& machine) {
  Json caches = Json::array();
  for (const CacheLevel& cache : machine.caches)
    caches.push_back({{"level", cache.level},
                      {"kind", cache.kind},
                      {"bytes", cache.n_bytes},
                      {"shared_by", cache.n_sharing}});
  Json fits = Json::array();
  for (const ModelSize& size : kSizes)
    for (const WeightType& type : kTypes)
      fits.push_back({{"size", size.name},
                      {"type", type.name},
                      {"context", kContext},
                      {"bytes", memory_needed(size, type)},
                      {"fits", memory_needed(size, type) <= machine.available_bytes}});
  return {{"processor", to_valid_utf8(machine.processor)},
          {"features", tensor::processor_features()},
          {"kernels", tensor::kernel_set_name()},
          {"logical_processors", machine.n_logical},
          {"cores", machine.n_physical},
          {"cpu_quota", machine.cpu_quota ? Json(*machine.cpu_quota) : Json()},
          {"threads", machine.default_threads()},
          {"numa_nodes", machine.n_numa_nodes},
          {"memory_bytes", machine.memory_bytes},
          {"available_bytes", machine.available_bytes},
          {"memory_limit", machine.memory_limit ? Json(*machine.memory_limit) : Json()},
          {"caches", std::move(caches)},
          {"fits", std::move(fits)}};
}

std::string caches_text(const Machine& machine) {
  std::string text;
  for (const CacheLevel& cache : machine.caches) {
    if (cache.kind == "instruction") continue;
    text += fmt::format("{}L{} {}", text.empty() ? "" : ", ", cache.level, format_bytes(cache.n_bytes));
    if (cache.n_sharing > 1) text += fmt::format(" (shared by {})", cache.n_sharing);
  }
  return text.empty() ? "unknown" : text;
}

void print_machine(const Machine& machine, const cli::Style& style) {
  const auto row = [&](std::string_view name, std::string_view text) {
    cli::print(fmt::format("{}  {}\n", style.cyan(fmt::format("{:<10}", name)), text));
  };
  row("processor", printable(machine.processor));
  row("features", tensor::processor_features());
  row("kernels", tensor::kernel_set_name());
  std::string cores = fmt::format("{} ({} logical)", machine.n_physical, machine.n_logical);
  if (machine.cpu_quota) cores += fmt::format(", limited to {:.3g} by the control group", *machine.cpu_quota);
  if (machine.n_numa_nodes > 1) cores += fmt::format(", {} memory nodes", machine.n_numa_nodes);
  row("cores", cores);
  row("threads", fmt::format("{} (change with -t)", machine.default_threads()));
  row("caches", caches_text(machine));
  std::string memory = fmt::format("{}, {} available", format_bytes(machine.memory_bytes),
                                   format_bytes(machine.available_bytes));
  if (machine.memory_limit)
    memory += fmt::format(", limited to {} by the control group", format_bytes(*machine.memory_limit));
  row("memory", memory);
}

void print_fits(const Machine& machine, const cli::Style& style) {
  std::vector<cli::Table::Column> columns = {{"model"}};
  for (const WeightType& type : kTypes) columns.push_back({std::string(type.name), cli::Table::Align::right});
  cli::Table table(columns);
  for (const ModelSize& size : kSizes) {
    std::vector<std::string> row = {std::string(size.name)};
    for (const WeightType& type : kTypes) {
      const uint64_t needed = memory_needed(size, type);
      const std::string text = format_bytes(needed);
      row.push_back(needed <= machine.available_bytes ? style.green(text + " fits")
                                                      : style.dim(text + "     "));
    }
    table.add_row(std::move(row));
  }
  cli::print(fmt::format("\nMemory for weights and {} tokens of context:\n{}", kContext, table.text(style)));
}

}  // namespace

int show_machine(const cli::CommonOptions& common) {
  const Machine machine = read_machine();
  if (common.json) {
    cli::print(dump_json(to_json(machine)) + "\n");
    return 0;
  }
  const cli::Style style(cli::use_color(STDOUT_FILENO, common.color));
  print_machine(machine, style);
  print_fits(machine, style);
  return 0;
}

}  // namespace ruvllm::info
