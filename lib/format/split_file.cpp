#include "format/split_file.h"

#include "base/error.h"
#include "base/limits.h"
#include "base/strings.h"
#include "format/gguf.h"

#include <algorithm>

namespace ruvllm::format {
namespace {

constexpr const char* kNumberKey = "split.no";
constexpr const char* kCountKey = "split.count";
constexpr const char* kTensorCountKey = "split.tensors.count";

int64_t required(const Metadata& metadata, const char* key) {
  if (const auto value = metadata.integer(key)) return *value;
  throw Error(Errc::corrupt_file, "metadata key {} is missing in a shard of a split model", key);
}

// Takes over the tensors (and for the first shard the metadata) of shard `i`, which must say that it is that
// one.
void take_shard(const std::filesystem::path& path, uint32_t i, uint32_t n_shards, ModelFile& model) {
  MappedFile file(path);
  GgufImage image = parse_gguf(file.bytes(), path.string());
  const int64_t number = required(image.metadata, kNumberKey);
  const int64_t count = required(image.metadata, kCountKey);
  if (number != i || count != n_shards)
    throw Error(Errc::corrupt_file, "it says to be shard {} of {}, its name says {} of {}", number + 1, count,
                i + 1, n_shards);
  const int64_t n_tensors = required(image.metadata, kTensorCountKey);
  if (i == 0) {
    model.metadata = std::move(image.metadata);
    model.alignment = image.alignment;
  } else if (n_tensors != required(model.metadata, kTensorCountKey)) {
    throw Error(Errc::corrupt_file, "it is of a model of {} tensors, the first shard of one of {}", n_tensors,
                required(model.metadata, kTensorCountKey));
  }
  for (Tensor& tensor : image.tensors) {
    tensor.file_index = i;
    model.tensors.push_back(std::move(tensor));
  }
  model.files.push_back(std::move(file));
}

}  // namespace

std::optional<SplitName> parse_split_name(const std::string& file_name) {
  constexpr std::string_view kForm = "-00001-of-00003.gguf";
  constexpr size_t kDigits = 5, kNumberAt = 1, kCountAt = 10;
  if (file_name.size() <= kForm.size()) return std::nullopt;
  const std::string_view tail = std::string_view(file_name).substr(file_name.size() - kForm.size());
  for (size_t i = 0; i < kForm.size(); ++i) {
    const bool is_digit = tail[i] >= '0' && tail[i] <= '9';
    const bool wants_digit =
        (i >= kNumberAt && i < kNumberAt + kDigits) || (i >= kCountAt && i < kCountAt + kDigits);
    if (wants_digit ? !is_digit : tail[i] != kForm[i]) return std::nullopt;
  }
  const auto number = static_cast<uint32_t>(*parse_integer(tail.substr(kNumberAt, kDigits)));
  const auto count = static_cast<uint32_t>(*parse_integer(tail.substr(kCountAt, kDigits)));
  if (number < 1 || number > count) return std::nullopt;
  return SplitName{file_name.substr(0, file_name.size() - kForm.size()), number, count};
}

std::string split_name(const std::string& stem, uint32_t number, uint32_t n_shards) {
  return fmt::format("{}-{:05}-of-{:05}.gguf", stem, number, n_shards);
}

bool is_split(const Metadata& metadata) { return metadata.integer(kCountKey).value_or(0) > 1; }

void join_shards(const std::filesystem::path& path, ModelFile& model) {
  const auto name = parse_split_name(path.filename().string());
  if (!name || name->n_shards > limits::kSplitFiles)
    throw Error(Errc::corrupt_file,
                "{}: it is part of a split model, but not named like 'NAME-00001-of-00003.gguf'",
                path.string());
  for (uint32_t i = 0; i < name->n_shards; ++i) {
    const auto shard = path.parent_path() / split_name(name->stem, i + 1, name->n_shards);
    try {
      take_shard(shard, i, name->n_shards, model);
    } catch (const Error& error) {
      const std::string_view message = error.what();
      throw message.starts_with(shard.string()) ? error : with_context(error, shard.string());
    }
  }
  const int64_t n_tensors = required(model.metadata, kTensorCountKey);
  if (std::cmp_not_equal(n_tensors, model.tensors.size()))
    throw Error(Errc::corrupt_file, "{}: the shards hold {} tensors, {} of them says {}", path.string(),
                model.tensors.size(), kTensorCountKey, n_tensors);
  for (const char* key : {kNumberKey, kCountKey, kTensorCountKey}) model.metadata.erase(key);
}

}  // namespace ruvllm::format
