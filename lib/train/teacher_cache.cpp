#include "train/teacher_cache.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/largest.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ruvllm::train {
namespace {

constexpr std::string_view kMagic = "ruvllm teacher 1\n";
constexpr size_t kAlignment = 64;

// Magic and identity, filled up with zeros.
std::string header_of(const std::string& identity) {
  std::string header = std::string(kMagic) + identity + "\n";
  header.resize((header.size() + kAlignment - 1) / kAlignment * kAlignment, '\0');
  return header;
}

// One record: the k likeliest tokens by their log-probability at the temperature, and what is left.
void append_record(std::span<const float> logits, size_t k, float temperature, std::vector<int32_t>& order,
                   std::vector<std::byte>& out) {
  order.resize(logits.size());
  put_largest_first<float, int32_t>(logits, k, order);
  const auto scaled = [&](int32_t id) {
    return static_cast<double>(logits[static_cast<size_t>(id)]) / temperature;
  };
  const double largest = scaled(order[0]);
  double sum = 0, tail = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    const double weight = std::exp(scaled(order[i]) - largest);
    sum += weight;
    if (i >= k) tail += weight;
  }
  constexpr double kLeastTail = 1e-30;
  const auto put = [&](const auto& value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    out.insert(out.end(), bytes.begin(), bytes.end());
  };
  for (size_t i = 0; i < k; ++i) put(order[i]);
  for (size_t i = 0; i < k; ++i) put(static_cast<float>(scaled(order[i]) - largest - std::log(sum)));
  put(static_cast<float>(std::log(std::max(tail / sum, kLeastTail))));
}

}  // namespace

TeacherCache::TeacherCache(Network& teacher, const std::string& teacher_sha256, BatchMaker& batches,
                           const TeacherCacheOptions& options, ThreadPool& pool)
    : k_(options.k), n_vocabulary_(teacher.hparams().n_vocabulary) {
  if (k_ < 1 || k_ >= teacher.hparams().n_vocabulary)
    throw Error(Errc::usage, "--teacher-top-k is {}, expected 1 to {}", k_,
                teacher.hparams().n_vocabulary - 1);
  uint64_t n_tokens = 0;
  for (size_t piece = 0; piece < batches.n_pieces(); ++piece) {
    first_record_.push_back(n_tokens);
    n_tokens += batches.piece_rows(piece);
  }
  const std::string identity = dump_json(Json{{"data", batches.sha256()},
                                              {"teacher", teacher_sha256},
                                              {"k", k_},
                                              {"temperature", options.temperature}});
  if (open(options.path, identity, n_tokens)) return;
  write(teacher, batches, options, identity, pool);
  was_written_ = true;
  if (!open(options.path, identity, n_tokens))
    throw Error(Errc::failed, "{}: what was written is not what is read", options.path.string());
}

bool TeacherCache::open(const std::filesystem::path& path, const std::string& identity, uint64_t n_tokens) {
  if (!std::filesystem::exists(path)) return false;
  file_ = MappedFile(path);
  const std::string header = header_of(identity);
  if (file_.bytes().size() != header.size() + n_tokens * record_bytes() ||
      std::memcmp(file_.bytes().data(), header.data(), header.size()) != 0)
    return false;
  records_ = file_.bytes().subspan(header.size());
  return true;
}

void TeacherCache::write(Network& teacher, BatchMaker& batches, const TeacherCacheOptions& options,
                         const std::string& identity, ThreadPool& pool) {
  AtomicFile file(options.path);
  const std::string header = header_of(identity);
  file.write(header);
  Tape<float> tape(pool);
  std::vector<int32_t> order;
  std::vector<std::byte> records;
  for (const Batch& batch : batches.epoch(0)) {
    if (options.check) options.check();
    tape.clear();
    const NetworkOutput output = teacher.forward(tape, batch);
    const size_t n = tape.shape(output.logits).n_columns;
    for (size_t i = 0; i < batch.pieces.size(); ++i) {
      records.clear();
      for (uint32_t row = batch.starts[i]; row < batch.starts[i + 1]; ++row)
        append_record(tape.value(output.logits).subspan(row * n, n), k_, options.temperature, order, records);
      file.write_at(header.size() + first_record_[batch.pieces[i]] * record_bytes(), records);
    }
  }
  file.commit();
}

TopK<float> TeacherCache::of(const Batch& batch) {
  const size_t n_rows = batch.tokens.size();
  ids_.resize(n_rows * k_);
  log_probabilities_.resize(n_rows * k_);
  log_tails_.resize(n_rows);
  for (size_t i = 0; i < batch.pieces.size(); ++i)
    for (uint32_t row = batch.starts[i]; row < batch.starts[i + 1]; ++row) {
      const std::byte* record =
          records_.data() + (first_record_[batch.pieces[i]] + row - batch.starts[i]) * record_bytes();
      std::memcpy(&ids_[row * k_], record, k_ * sizeof(int32_t));
      for (size_t j = row * k_; j < (row + 1) * k_; ++j)
        if (ids_[j] < 0 || static_cast<uint32_t>(ids_[j]) >= n_vocabulary_)
          throw Error(Errc::corrupt_file, "{}: {} is no token; remove the file", file_.path().string(),
                      ids_[j]);
      std::memcpy(&log_probabilities_[row * k_], record + k_ * sizeof(int32_t), k_ * sizeof(float));
      std::memcpy(&log_tails_[row], record + 2 * k_ * sizeof(float), sizeof(float));
    }
  return {k_, ids_, log_probabilities_, log_tails_};
}

}  // namespace ruvllm::train
