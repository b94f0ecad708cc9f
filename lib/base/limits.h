// The table of limits on everything that is read from outside. One row a limit, so that one test can walk it
// and the documentation can print it; nothing else in the code repeats these numbers.
#pragma once

#include <cstdint>

namespace ruvllm::limits {

// GGUF
inline constexpr uint64_t kGgufStringBytes = 16ull << 20;
inline constexpr uint64_t kGgufArrayElements = 64ull << 20;
inline constexpr uint64_t kGgufKeys = 65'536;
inline constexpr uint64_t kGgufTensors = 262'144;
inline constexpr uint32_t kGgufDimensions = 4;
inline constexpr uint64_t kGgufKeyBytes = 65'535;
inline constexpr uint64_t kGgufNameBytes = 64;
inline constexpr uint32_t kGgufAlignment = 1u << 20;
inline constexpr uint32_t kSplitFiles = 65'535;

// Models
inline constexpr uint64_t kSafetensorsHeaderBytes = 100'000'000;
inline constexpr uint64_t kSafetensorsTensors = 262'144;
inline constexpr uint32_t kSafetensorsDimensions = 8;
inline constexpr uint32_t kVocabularyTokens = 4u << 20;
inline constexpr uint32_t kMerges = 8u << 20;
inline constexpr uint64_t kMatchedTokenBytes = 512;
inline constexpr uint32_t kLayers = 1024;
inline constexpr uint32_t kExperts = 1024;
inline constexpr uint64_t kContextTokens = 16ull << 20;

// Text
inline constexpr int kJsonDepth = 64;
inline constexpr uint64_t kJsonFileBytes = 256ull << 20;
inline constexpr uint64_t kPromptBytes = 64ull << 20;
inline constexpr uint64_t kTemplateBytes = 1ull << 20;
inline constexpr uint64_t kTemplateSteps = 10'000'000;
inline constexpr uint64_t kTemplateOutputBytes = 8ull << 20;
inline constexpr int kTemplateDepth = 64;
inline constexpr uint64_t kTemplateRange = 1'000'000;

// Generation
inline constexpr int kStopStrings = 16;
inline constexpr uint64_t kStopStringBytes = 1024;

// Hub
inline constexpr uint64_t kHubJsonBytes = 64ull << 20;
inline constexpr int kHubRedirects = 10;
inline constexpr int kHubRetryAfterSeconds = 300;
inline constexpr int kHubRetries = 8;
inline constexpr uint64_t kHubListing = 1'000'000;   // files of a repository
inline constexpr uint64_t kHubListingPages = 2'000;  // they come a thousand a page

}  // namespace ruvllm::limits
