// Importance matrices on disk: for each weight matrix the mean square of every column of its input, over some
// text.
//
// Two formats are in use. GGUF with general.type "imatrix": for each matrix a tensor NAME.in_sum2 (sums of
// squares, a row for each expert) and NAME.counts (how many rows were summed). And an older .dat:
// little-endian, for each matrix a name, a count of calls and values already multiplied by it; then the
// number of chunks and the data set's name. Both are read, told apart by their first bytes, and written.
// Tested by tests/format/imatrix_file_test.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace ruvllm::format {

/// What is known of one matrix.
struct ImatrixEntry {
  std::vector<float> sums;       ///< of squares: (n_experts, n_columns)
  std::vector<uint64_t> counts;  ///< rows summed, one for each expert
  size_t n_columns() const { return counts.empty() ? 0 : sums.size() / counts.size(); }
  /// The means, (n_experts, n_columns); 0 for an expert that was never asked.
  std::vector<float> means() const;
};

struct ImatrixFile {
  std::map<std::string, ImatrixEntry> entries;  ///< by tensor name
  std::string dataset;                          ///< what the text was called
  uint64_t n_chunks = 0;
  uint64_t chunk_tokens = 512;
};

/// Throws not_found, and corrupt_file: for importances that are no numbers or below 0, too.
ImatrixFile read_imatrix(const std::filesystem::path& path);

/// Atomically; as .dat where the name ends so, else as GGUF.
void write_imatrix(const std::filesystem::path& path, const ImatrixFile& file);

}  // namespace ruvllm::format
