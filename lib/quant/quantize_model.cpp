#include "quant/quantize_model.h"

#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "format/split_file.h"
#include "quant/encode_tensor.h"
#include "quant/partial_file.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>

namespace ruvllm::quant {
namespace {

/// The keys of the output: those given, less what speaks of files, with what was done to it.
format::Metadata describe_output(const format::Metadata& given, uint32_t file_type,
                                 const Importance& importance, const Provenance& provenance) {
  format::Metadata metadata;
  for (const format::Metadata::Entry& entry : given.entries())
    if (!entry.key.starts_with("split.") && entry.key != "general.alignment")
      metadata.add(entry.key, entry.value);
  metadata.set("general.quantization_version", uint32_t{2});
  metadata.set("general.file_type", file_type);
  metadata.set("ruvllm.quantize.version", metadata.keep(RUVLLM_VERSION));
  if (!importance.empty()) {
    metadata.set("quantize.imatrix.file", metadata.keep(provenance.importance_file));
    metadata.set("quantize.imatrix.dataset", metadata.keep(provenance.importance_dataset));
    metadata.set("quantize.imatrix.entries_count", static_cast<int32_t>(importance.n_tensors()));
    metadata.set("quantize.imatrix.chunks_count", static_cast<int32_t>(provenance.importance_chunks));
  }
  return metadata;
}

/// Everything that the bytes of the output depend on, in a line.
std::string describe_job(const Plan& plan, const Importance& importance, const RunOptions& options) {
  uint64_t sum = 0;
  for (const Shard& shard : plan.shards) sum = checksum(shard.layout.header, sum);
  for (const auto& [name, values] : importance.tensors())
    sum = checksum(std::as_bytes(std::span(values)), sum);
  std::string sources;
  for (const MappedFile& file : plan.source->files) {
    const auto time = std::filesystem::last_write_time(file.path()).time_since_epoch().count();
    sources += fmt::format(" {}@{}", file.bytes().size(), time);
  }
  return fmt::format("ruvllm quantize {} {:x} {} {}{}", RUVLLM_VERSION, sum,
                     options.effort == Search::best ? "best" : "fast", options.method, sources);
}

/// Consecutive tensors as long as their file stays within max_file_bytes (0: all), each with its header. The
/// first shard has the model's metadata; all say which they are.
std::vector<Shard> cut_into_shards(std::span<const format::TensorPlan> tensors, format::Metadata& metadata,
                                   uint64_t max_file_bytes) {
  if (max_file_bytes == 0) return {{0, tensors.size(), format::plan_gguf(metadata, tensors)}};
  std::vector<Shard> shards;
  const uint64_t metadata_bytes = format::plan_gguf(metadata, {}).header.size();
  uint64_t n_bytes = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    // In the file a tensor takes its bytes and padding, and in the header its name, dimensions, format and
    // place.
    const uint64_t more = tensors[i].n_bytes() + format::kGgufDefaultAlignment + tensors[i].name.size() + 64;
    if (shards.empty() || n_bytes + more > max_file_bytes) {
      shards.push_back({i, 0, {}});
      n_bytes = i == 0 ? metadata_bytes + 256 : 256;
    }
    n_bytes += more;
    ++shards.back().n_tensors;
  }
  if (shards.size() > limits::kSplitFiles)
    throw Error(Errc::usage, "{} files are too many; allow larger ones", shards.size());
  for (size_t s = 0; s < shards.size(); ++s) {
    format::Metadata later;
    format::Metadata& mine = s == 0 ? metadata : later;
    if (shards.size() > 1) {
      mine.set("split.no", static_cast<uint16_t>(s));
      mine.set("split.count", static_cast<uint16_t>(shards.size()));
      mine.set("split.tensors.count", static_cast<int32_t>(tensors.size()));
    }
    shards[s].layout = format::plan_gguf(mine, tensors.subspan(shards[s].first_tensor, shards[s].n_tensors));
  }
  return shards;
}

/// The file of a shard, its header written. Item 0 is the header; item k + 1 is the shard's tensor k.
std::unique_ptr<PartialFile> open_shard(const Plan& plan, const Shard& shard,
                                        const std::filesystem::path& path, const std::string& job,
                                        bool resume) {
  std::vector<FilePart> items = {{0, shard.layout.header.size()}};
  for (size_t k = 0; k < shard.n_tensors; ++k)
    items.push_back({shard.layout.offsets[k], plan.tensors[shard.first_tensor + k].n_bytes()});
  auto file = std::make_unique<PartialFile>(path, job, std::move(items), shard.layout.file_bytes, resume);
  if (!file->is_finished(0)) {
    file->write_at(0, shard.layout.header);
    file->finish(0);
  }
  return file;
}

/// Says how tensors in our own formats are to be read, in the plan and in the metadata, and nothing of
/// others.
void describe_own_formats(Plan& plan, format::OwnFormats own, format::Metadata& metadata) {
  bool is_any = false;
  for (const format::TensorPlan& tensor : plan.tensors) {
    const bool is_own = tensor::traits(tensor.format).has_grid;
    is_any |= is_own;
    if (!is_own) {
      own.rotated.erase(tensor.name);
      own.codebooks.erase(tensor.name);
    } else if (own.rotated.contains(tensor.name)) {
      plan.rotations.try_emplace(tensor.dimensions[0], own.rotation_seed, tensor.dimensions[0]);
    }
  }
  if (is_any)
    format::write_own_formats(own, metadata);
  else
    format::erase_own_formats(metadata);
  plan.own = std::move(own);
}

void refuse_to_overwrite_source(const format::ModelFile& source, const std::filesystem::path& output) {
  std::error_code ignored;
  for (const MappedFile& file : source.files)
    if (std::filesystem::equivalent(file.path(), output, ignored))
      throw Error(Errc::usage, "{} is the input; name another output", printable(output.string()));
}

}  // namespace

double Plan::bits_per_weight() const {
  double n_bytes = 0, n_values = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    n_bytes += static_cast<double>(tensors[i].n_bytes());
    n_values += static_cast<double>(source->tensors[i].n_values());
  }
  return n_values > 0 ? 8 * n_bytes / n_values : 0;
}

uint64_t Plan::file_bytes() const {
  uint64_t sum = 0;
  for (const Shard& shard : shards) sum += shard.layout.file_bytes;
  return sum;
}

uint64_t Plan::header_bytes() const {
  uint64_t sum = 0;
  for (const Shard& shard : shards) sum += shard.layout.header.size();
  return sum;
}

std::vector<std::filesystem::path> Plan::paths(const std::filesystem::path& output) const {
  if (shards.size() == 1) return {output};
  const std::string stem =
      output.extension() == ".gguf" ? output.stem().string() : output.filename().string();
  std::vector<std::filesystem::path> paths;
  for (uint32_t i = 1; i <= shards.size(); ++i)
    paths.push_back(output.parent_path() / format::split_name(stem, i, static_cast<uint32_t>(shards.size())));
  return paths;
}

const tensor::Rotation* Plan::rotation_of(size_t i) const {
  const format::Tensor& tensor = source->tensors[i];
  return own.rotated.contains(tensor.name) ? &rotations.at(tensor.n_columns()) : nullptr;
}

Plan plan_model(const format::ModelFile& source, std::vector<Choice> choices, const PlanOptions& options,
                const Importance& importance, const Provenance& provenance) {
  RUVLLM_ASSERT(choices.size() == source.tensors.size());
  importance.check_shapes(source);
  Plan plan;
  plan.source = &source;
  plan.choices = std::move(choices);
  for (size_t i = 0; i < source.tensors.size(); ++i) {
    const format::Tensor& tensor = source.tensors[i];
    const Format format = plan.choices[i].format;
    if (tensor::traits(tensor.format).is_quantised && format != tensor.format && !options.allow_requantize)
      throw Error(
          Errc::usage,
          "tensor {} is {} already, and errors add up; start from the original, or --allow-requantize",
          printable(tensor.name), tensor::format_name(tensor.format));
    plan.tensors.push_back({tensor.name, format, tensor.dimensions});
  }
  format::Metadata metadata = describe_output(options.metadata ? *options.metadata : source.metadata,
                                              options.file_type, importance, provenance);
  describe_own_formats(plan, options.own ? *options.own : format::read_own_formats(source.metadata),
                       metadata);
  plan.shards = cut_into_shards(plan.tensors, metadata, options.max_file_bytes);
  return plan;
}

void write_model(const Plan& plan, const Importance& importance, const std::filesystem::path& output,
                 ThreadPool& pool, const RunOptions& options) {
  const std::vector<std::filesystem::path> paths = plan.paths(output);
  for (const std::filesystem::path& path : paths) refuse_to_overwrite_source(*plan.source, path);
  // A piece needs its values, importance and decoded values as f32, and its bytes.
  const uint64_t n_threads = static_cast<uint64_t>(pool.n_threads());
  const uint64_t piece_values = std::min(kPieceValues, options.max_memory / n_threads / 16 / 1024 * 1024);
  if (piece_values == 0)
    throw Error(Errc::usage, "{} bytes are too few for {} threads; give --max-memory 16K for each",
                options.max_memory, n_threads);

  const std::string identity = describe_job(plan, importance, options);
  std::vector<std::unique_ptr<PartialFile>> files;
  for (size_t i = 0; i < paths.size(); ++i)
    files.push_back(open_shard(plan, plan.shards[i], paths[i], identity, options.resume));

  std::vector<Scratch> scratch(static_cast<size_t>(pool.n_threads()));
  std::atomic<uint64_t> written = plan.header_bytes();
  size_t n_finished = 0;
  /// Reads, encodes and writes tensor i, item `item` of a shard's file.
  const auto write_tensor = [&](PartialFile& file, size_t item, size_t i, uint64_t offset) {
    const format::Tensor& tensor = plan.source->tensors[i];
    const Format format = plan.tensors[i].format;
    const MappedFile& mapped = plan.source->files[tensor.file_index];
    const std::span<const float> scales =
        options.folding ? options.folding->of_tensor(i) : std::span<const float>();
    const TensorJob job = {tensor,
                           format,
                           plan.own.grid_of(format, tensor.name),
                           plan.rotation_of(i),
                           scales,
                           importance,
                           options.effort,
                           options.solver_for ? options.solver_for(i) : nullptr};
    const std::vector<Piece> pieces = job.cut(piece_values);
    std::vector<ErrorSums> parts(pieces.size());
    pool.for_each_tile(pieces.size(), [&](size_t p, int worker) {
      if (options.check) options.check();
      Scratch& buffers = scratch[static_cast<size_t>(worker)];
      parts[p] = encode_piece(job, pieces[p], buffers);
      file.write_at(offset + place_of(format, tensor, pieces[p]).offset, buffers.encoded);
      mapped.give_back(bytes_of(tensor, pieces[p]));
      written += buffers.encoded.size();
      if (worker == 0 && options.progress) options.progress(written, plan.file_bytes());
    });
    file.finish(item);
    return add_up(parts);
  };
  try {
    for (size_t s = 0; s < files.size(); ++s)
      for (size_t k = 0; k < plan.shards[s].n_tensors; ++k) {
        const size_t i = plan.shards[s].first_tensor + k;
        const bool resumed = files[s]->is_finished(k + 1);
        ErrorSums sums;
        if (resumed) {
          written += plan.tensors[i].n_bytes();
        } else {
          sums = write_tensor(*files[s], k + 1, i, plan.shards[s].layout.offsets[k]);
        }
        ++n_finished;
        if (options.on_tensor) options.on_tensor({i, sums.relative(), resumed});
      }
  } catch (const Error& error) {
    if (error.code() != Errc::interrupted) throw;
    for (const auto& file : files) file->keep();
    throw Error(Errc::resumable, "interrupted with {} of {} tensors written; go on with --resume", n_finished,
                plan.tensors.size());
  }
  for (const auto& file : files) file->commit();
}

std::vector<double> compare_tensors(const format::ModelFile& source, const format::ModelFile& written,
                                    const Folding& folding, ThreadPool& pool) {
  struct Buffers {
    std::vector<float> source, written;
  };
  std::vector<Buffers> buffers(static_cast<size_t>(pool.n_threads()));
  std::vector<double> errors;
  for (const format::Tensor& tensor : source.tensors) {
    const format::Tensor* other = written.find(tensor.name);
    if (other == nullptr || other->dimensions != tensor.dimensions)
      throw Error(Errc::corrupt_file, "{}: tensor {} is not what was written", printable(written.source),
                  printable(tensor.name));
    const std::vector<Piece> pieces = cut(tensor, kPieceValues, 65'536);
    std::vector<ErrorSums> parts(pieces.size());
    const std::span<const float> scales = folding.of_tensor(errors.size());
    pool.for_each_tile(pieces.size(), [&](size_t p, int worker) {
      Buffers& mine = buffers[static_cast<size_t>(worker)];
      const auto values = read_values(tensor, pieces[p], scales, mine.source);
      const auto decoded = read_values(*other, pieces[p], {}, mine.written);
      require_finite_piece(tensor, pieces[p], values);
      require_finite_piece(*other, pieces[p], decoded);
      parts[p] = compare(decoded, values);
    });
    errors.push_back(add_up(parts).relative());
  }
  return errors;
}

}  // namespace ruvllm::quant
