// A value for every option of a training run that differs from the default: what tests of pairs and of random
// sets draw from. A word in capitals stands for a path in the test's folder, or for its model.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::test {

struct SettingSample {
  std::string_view option;
  std::vector<std::string_view> values;
};

inline const std::vector<SettingSample>& setting_samples() {
  static const std::vector<SettingSample> kSamples = {
      {"MODEL", {"MODEL"}},
      {"--from-scratch", {"SHAPE"}},
      {"--tokenizer", {"MODEL"}},
      {"--chat-template", {"TEMPLATE"}},
      {"--recipe", {"RECIPE"}},
      {"--recipe-out", {"WRITTEN"}},
      {"--data", {"MORE"}},
      {"--data-free", {"200"}},
      {"--eval", {"HELD_OUT"}},
      {"--sequence", {"48", "100"}},
      {"--batch-tokens", {"192", "256"}},
      {"--accumulate", {"2", "3"}},
      {"--target", {"Q5_1", "PIQ3", "Q8_0", "F16", "IQ4_NL", "Q4_0", "Q3_K_S"}},
      {"--out", {"OUT"}},
      {"--ste", {"clipped:0.02", "lsq", "ewgs:0.5", "ewgs-abs:3", "ewgs:0"}},
      {"--preset", {"piq3", "piq2"}},
      {"--bits", {"3", "2", "5", "8"}},
      {"--granularity", {"channel", "tensor", "token", "block:64"}},
      {"--pi-k", {"5", "2"}},
      {"--incoherence", {""}},
      {"--codebook", {""}},
      {"--asymmetric", {""}},
      {"--tensor", {"ffn_up=Q8_0", "attn_q=PIQ2"}},
      {"--output-type", {"F16"}},
      {"--embedding-type", {"Q5_0"}},
      {"--pure", {""}},
      {"--calibration-tokens", {"0", "48"}},
      {"--epochs", {"2"}},
      {"--lr", {"0.005"}},
      {"--warmup-epochs", {"0.5"}},
      {"--weight-decay", {"0.3"}},
      {"--grad-clip", {"0.05"}},
      {"--teacher", {"MODEL"}},
      {"--weights", {"distillation-heavy", "reasoning-focused"}},
      {"--lambda-task", {"0.25"}},
      {"--lambda-kd", {"0.9", "0"}},
      {"--lambda-reasoning", {"0.7", "0"}},
      {"--kd-temperature", {"1.5"}},
      {"--reasoning", {"math", "code"}},
      {"--reasoning-step", {"2"}},
      {"--reasoning-trajectory", {"2"}},
      {"--reasoning-answer", {"2"}},
      {"--reasoning-threshold", {"0.5"}},
      {"--reasoning-dims", {"8"}},
      {"--reasoning-raw", {""}},
      {"--line-steps", {""}},
      {"--precision", {"bf16"}},
      {"--teacher-cache", {"CACHE"}},
      {"--teacher-top-k", {"8"}},
      {"--lora-rank", {"2"}},
      {"--adapter-out", {"ADAPTER"}},
      {"--checkpoint-activations", {""}},
      {"--seed", {"7"}},
      {"--checkpoint-dir", {"CHECKPOINTS"}},
      {"--checkpoint-every", {"3"}},
      {"--resume", {""}},
      {"--log", {"LOG"}},
      {"--plot", {"PLOT.svg"}},
  };
  return kSamples;
}

/// Writing in which there are plain lines, and chains of reasoning: something for every option to act on.
inline std::string sample_story(int n_lines) {
  std::string text;
  for (int i = 0; i < n_lines; ++i)
    text += i % 3 == 0   ? "The cat sat on the mat.\n"
            : i % 3 == 1 ? "A dog ran to the cat!\n"
                         : "Then both slept.\n";
  return text;
}
inline std::string sample_chains(int n_lines) {
  std::string rows;
  for (int i = 0; i < n_lines; ++i)
    rows +=
        R"({"prompt":"Two and )" + std::to_string(i) +
        R"(?","steps":[{"text":"We add two.","type":"setup"},{"text":"It is more.","type":"calculation"}],)" +
        R"("answer":"Some )" + std::to_string(i + 2) + "\"}\n";
  return rows;
}

}  // namespace ruvllm::test
