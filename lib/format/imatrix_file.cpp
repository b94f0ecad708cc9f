#include "format/imatrix_file.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/finite.h"
#include "base/limits.h"
#include "base/mapped_file.h"
#include "base/utf8.h"
#include "format/gguf.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ruvllm::format {
namespace {

constexpr std::string_view kSums = ".in_sum2";
constexpr std::string_view kCounts = ".counts";
constexpr uint64_t kMaxColumns = 1ull << 24;

/// Sums of squares are numbers, and not below 0.
void check_sums(const ImatrixFile& file) {
  for (const auto& [name, entry] : file.entries) {
    require_finite(entry.sums, fmt::format("the importance of {}", printable(name)));
    for (size_t i = 0; i < entry.sums.size(); ++i)
      if (entry.sums[i] < 0)
        throw Error(Errc::corrupt_file, "the importance of {} is {} at number {}, expected 0 or more",
                    printable(name), entry.sums[i], i);
  }
}

std::vector<float> floats_of(std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

/// A length or count that must not be negative.
uint64_t read_count(ByteReader& reader, std::string_view what, uint64_t limit) {
  const int32_t number = reader.number<int32_t>(what);
  if (number < 0 || static_cast<uint64_t>(number) > limit)
    throw Error(Errc::corrupt_file, "{} is {}", what, number);
  return static_cast<uint64_t>(number);
}

ImatrixFile read_dat(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  ImatrixFile file;
  const uint64_t n_entries = read_count(reader, "number of matrices", limits::kGgufTensors);
  for (uint64_t i = 0; i < n_entries; ++i) {
    const uint64_t name_bytes = read_count(reader, "length of a name", limits::kGgufKeyBytes);
    std::string name(reader.text(name_bytes, "name of a matrix"));
    const uint64_t n_calls = read_count(reader, "number of calls", INT32_MAX);
    const uint64_t n_values = read_count(reader, "number of values", kMaxColumns);
    ImatrixEntry entry;
    entry.sums = floats_of(reader.take(n_values * sizeof(float), "values of a matrix"));
    entry.counts = {std::max<uint64_t>(1, n_calls)};
    if (!file.entries.emplace(std::move(name), std::move(entry)).second)
      throw Error(Errc::corrupt_file, "matrix {} of {} has the name of another", i + 1, n_entries);
  }
  if (reader.remaining() == 0) return file;  // the first files ended here
  file.n_chunks = read_count(reader, "number of chunks", INT32_MAX);
  if (reader.remaining() == 0) return file;
  file.dataset =
      reader.text(read_count(reader, "length of the data set's name", limits::kGgufKeyBytes), "data set");
  return file;
}

void write_dat(const std::filesystem::path& path, const ImatrixFile& file) {
  ByteWriter writer;
  const auto count = [&](uint64_t n) {
    writer.number(static_cast<int32_t>(std::min<uint64_t>(n, INT32_MAX)));
  };
  count(file.entries.size());
  for (const auto& [name, entry] : file.entries) {
    count(name.size());
    writer.text(name);
    const uint64_t n_calls = std::max<uint64_t>(1, file.n_chunks);
    count(n_calls);
    const std::vector<float> means = entry.means();
    count(means.size());
    for (const float mean : means) writer.number(mean * static_cast<float>(n_calls));
  }
  count(file.n_chunks);
  count(file.dataset.size());
  writer.text(file.dataset);
  AtomicFile output(path);
  output.write(writer.bytes());
  output.commit();
}

ImatrixFile read_imatrix_gguf(const GgufImage& image) {
  if (image.metadata.string("general.type").value_or("") != "imatrix")
    throw Error(Errc::corrupt_file,
                "this GGUF file holds no importance matrix (general.type is not \"imatrix\")");
  ImatrixFile file;
  if (const MetadataArray* datasets = image.metadata.array("imatrix.datasets", ValueType::string))
    for (const std::string_view name : datasets->strings)
      file.dataset += (file.dataset.empty() ? "" : ", ") + std::string(name);
  file.n_chunks =
      static_cast<uint64_t>(std::max<int64_t>(0, image.metadata.integer("imatrix.chunk_count").value_or(0)));
  file.chunk_tokens =
      static_cast<uint64_t>(std::max<int64_t>(1, image.metadata.integer("imatrix.chunk_size").value_or(512)));

  std::map<std::string_view, const Tensor*> counts;
  for (const Tensor& tensor : image.tensors)
    if (std::string_view(tensor.name).ends_with(kCounts)) counts.emplace(tensor.name, &tensor);
  for (const Tensor& tensor : image.tensors) {
    const std::string_view name = tensor.name;
    if (!name.ends_with(kSums)) continue;
    const std::string matrix(name.substr(0, name.size() - kSums.size()));
    const auto found = counts.find(matrix + std::string(kCounts));
    if (found == counts.end() || tensor.format != tensor::Format::F32 ||
        found->second->format != tensor::Format::F32 || found->second->n_values() != tensor.n_rows())
      throw Error(Errc::corrupt_file, "{} has no counts that fit it", printable(name));
    ImatrixEntry entry;
    entry.sums = floats_of(tensor.bytes);
    for (const float n : floats_of(found->second->bytes)) {
      if (!(n >= 0.0f && n <= 0x1p62f))
        throw Error(Errc::corrupt_file, "{}: a count is {}", printable(name), n);
      entry.counts.push_back(static_cast<uint64_t>(n));
    }
    if (!file.entries.emplace(matrix, std::move(entry)).second)
      throw Error(Errc::corrupt_file, "{} is there twice", printable(name));
  }
  return file;
}

void write_imatrix_gguf(const std::filesystem::path& path, const ImatrixFile& file) {
  Metadata metadata;
  metadata.set("general.type", std::string_view("imatrix"));
  MetadataArray datasets;
  datasets.type = ValueType::string;
  datasets.n_elements = 1;
  datasets.strings = {metadata.keep(file.dataset)};
  metadata.set("imatrix.datasets", datasets);
  metadata.set("imatrix.chunk_count", static_cast<uint32_t>(file.n_chunks));
  metadata.set("imatrix.chunk_size", static_cast<uint32_t>(file.chunk_tokens));

  std::vector<TensorPlan> tensors;
  for (const auto& [name, entry] : file.entries) {
    const uint64_t n_experts = entry.counts.size();
    tensors.push_back({name + std::string(kSums), tensor::Format::F32, {entry.n_columns(), n_experts}});
    tensors.push_back({name + std::string(kCounts), tensor::Format::F32, {1, n_experts}});
  }
  GgufWriter writer(path, metadata, tensors);
  size_t i = 0;
  for (const auto& [name, entry] : file.entries) {
    writer.write_tensor(i++, std::as_bytes(std::span(entry.sums)));
    const std::vector<float> counts(entry.counts.begin(), entry.counts.end());
    writer.write_tensor(i++, std::as_bytes(std::span(counts)));
  }
  writer.commit();
}

}  // namespace

std::vector<float> ImatrixEntry::means() const {
  std::vector<float> values = sums;
  for (size_t i = 0; i < values.size(); ++i) {
    const uint64_t count = counts[i / n_columns()];
    values[i] = count > 0 ? values[i] / static_cast<float>(count) : 0.0f;
  }
  return values;
}

ImatrixFile read_imatrix(const std::filesystem::path& path) {
  const MappedFile mapped(path);
  const std::span<const std::byte> bytes = mapped.bytes();
  try {
    const bool is_gguf = bytes.size() >= 4 && std::memcmp(bytes.data(), "GGUF", 4) == 0;
    ImatrixFile file = is_gguf ? read_imatrix_gguf(parse_gguf(bytes, path.string())) : read_dat(bytes);
    check_sums(file);
    return file;
  } catch (const Error& error) {
    throw with_context(error, printable(path.string()));
  }
}

void write_imatrix(const std::filesystem::path& path, const ImatrixFile& file) {
  if (path.extension() == ".dat") {
    write_dat(path, file);
  } else {
    write_imatrix_gguf(path, file);
  }
}

}  // namespace ruvllm::format
