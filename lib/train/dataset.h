// Training text: files to documents, documents to batches.
//
// A document is one text (a file of plain text cut at --sequence tokens, or a row); attention never crosses
// from one to the next. Order and packing depend on nothing but the seed and the epoch, so that a resumed run
// sees the batches that an uninterrupted one would have. Tested by tests/train/dataset_test.cpp.
#pragma once

#include "text/tokenizer.h"
#include "train/chat_turns.h"
#include "train/data_notes.h"
#include "train/network.h"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::train {

/// Tokens, and which of them are to be learned: loss[i] says whether token i is a target.
struct Document {
  std::vector<int32_t> tokens;
  std::vector<uint8_t> is_target;
  std::vector<StepMark> steps = {};           ///< of a chain of reasoning steps: their last tokens
  uint32_t answer_begin = 0, answer_end = 0;  ///< tokens of its answer; equal: none

  /// Whether any token that can be predicted is to be learned; the first has nothing before it.
  bool has_target() const;
};

/// Reads files of rows (rows.h) and plain text; where `lines_are_steps`, the lines of plain text are the
/// steps of a chain. Throws Errc::corrupt_file naming file and line, and where there is nothing to learn.
std::vector<Document> read_documents(std::span<const std::filesystem::path> files,
                                     const text::Tokenizer& tokenizer, const ChatRenderer& render_chat,
                                     bool lines_are_steps, DataNotes& notes);

/// A text to measure on, as `bench --perplexity` cuts it: windows of `context` - 1 tokens, with BOS
/// before each where the tokenizer has one. Throws Errc::corrupt_file where the text has no token.
std::vector<Document> window_documents(std::string_view text, const text::Tokenizer& tokenizer,
                                       size_t context);

/// Takes text away that is to be judged by, and not trained on: every twentieth document, or of a single one
/// its last twentieth, `most_tokens` at most. Nothing where that is less than a sequence.
std::vector<Document> hold_back(std::vector<Document>& documents, size_t sequence_tokens,
                                uint64_t most_tokens);

/// What files say, without JSON and roles: the text to train a vocabulary on, or to measure a model on.
std::string read_plain_text(std::span<const std::filesystem::path> files);
std::string read_plain_text(const std::filesystem::path& file);

/// Deals documents out in batches.
class BatchMaker {
 public:
  /// Documents longer than `sequence_tokens` are cut, and pieces without a target left out; a batch holds at
  /// most `batch_tokens` (>= sequence_tokens).
  BatchMaker(std::vector<Document> documents, size_t sequence_tokens, size_t batch_tokens, uint64_t seed);

  /// Batches of an epoch; the number differs little between epochs.
  const std::vector<Batch>& epoch(uint64_t number);
  /// Batches of epoch 0: how a schedule is planned.
  size_t n_batches() { return epoch(0).size(); }
  uint64_t n_tokens() const;
  /// Documents whose prompt alone is longer than a sequence: their answers are learned without all of it.
  uint64_t n_cut_prompts() const { return n_cut_prompts_; }
  /// Pieces that were left out.
  uint64_t n_idle_pieces() const { return n_idle_pieces_; }
  /// What documents were cut to; batches say which they hold.
  size_t n_pieces() const { return pieces_.size(); }
  /// Rows of a piece in a batch.
  uint64_t piece_rows(size_t piece) const { return pieces_[piece].tokens.size() - 1; }
  /// Of all tokens and of which of them are targets, in the order of the data, in hex.
  std::string sha256() const;

 private:
  std::vector<Document> pieces_;
  uint64_t n_cut_prompts_ = 0, n_idle_pieces_ = 0;
  size_t batch_tokens_;
  uint64_t seed_;
  uint64_t current_ = UINT64_MAX;
  std::vector<Batch> batches_;
};

}  // namespace ruvllm::train
