// Training text: files to documents, documents to batches.
//
// A document is one text (a .txt file cut at --sequence tokens, or one line of a .jsonl file); attention
// never crosses from one to the next. Order and packing depend on nothing but the seed and the epoch, so that
// a resumed run sees the batches that an uninterrupted one would have. Tested by
// tests/train/dataset_test.cpp.
#pragma once

#include "base/json.h"
#include "text/tokenizer.h"
#include "train/network.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace ruvllm::train {

/// Tokens, and which of them are to be learned: loss[i] says whether token i is a target.
struct Document {
  std::vector<int32_t> tokens;
  std::vector<uint8_t> is_target;
  std::vector<StepMark> steps = {};           ///< of a chain of reasoning steps: their last tokens
  uint32_t answer_begin = 0, answer_end = 0;  ///< tokens of its answer; equal: none
};

/// Text in pieces: the model learns the pieces that are its own (a completion, the assistant's turns).
struct TextPiece {
  std::string text;
  bool is_target = true;
  bool parse_special = false;
  /// Where special tokens are not parsed for all that: what users wrote.
  std::vector<text::ByteRange> literal = {};
};

/// Renders chat messages ({"role":..,"content":..} objects) to pieces by the model's own template.
using ChatRenderer = std::function<std::vector<TextPiece>(const OrderedJson& messages)>;

/// Reads .jsonl (`text`, `prompt` and `completion`, `messages`, or `prompt` and `steps`: see chains.h) and
/// plain text files; where `lines_are_steps`, the lines of those are the steps of a chain. Throws
/// Errc::corrupt_file naming file and line.
std::vector<Document> read_documents(std::span<const std::filesystem::path> files,
                                     const text::Tokenizer& tokenizer, const ChatRenderer& render_chat,
                                     bool lines_are_steps = false);

/// A text to measure on, as `bench --perplexity` cuts it: windows of `context` - 1 tokens, with BOS
/// before each where the tokenizer has one. Throws Errc::corrupt_file where the text has no token.
std::vector<Document> window_documents(const std::filesystem::path& file, const text::Tokenizer& tokenizer,
                                       size_t context);

/// Takes text away that is to be judged by, and not trained on: every twentieth document, or of a single one
/// its last twentieth, `most_tokens` at most. Nothing where that is less than a sequence.
std::vector<Document> hold_back(std::vector<Document>& documents, size_t sequence_tokens,
                                uint64_t most_tokens);

/// What those files say, without JSON and roles: the text to train a vocabulary on.
std::string read_plain_text(std::span<const std::filesystem::path> files);

/// Deals documents out in batches.
class BatchMaker {
 public:
  /// Documents longer than `sequence_tokens` are cut; a batch holds at most `batch_tokens` (>=
  /// sequence_tokens).
  BatchMaker(std::vector<Document> documents, size_t sequence_tokens, size_t batch_tokens, uint64_t seed);

  /// Batches of an epoch; the number differs little between epochs.
  const std::vector<Batch>& epoch(uint64_t number);
  /// Batches of epoch 0: how a schedule is planned.
  size_t n_batches() { return epoch(0).size(); }
  uint64_t n_tokens() const;
  /// What documents were cut to; batches say which they hold.
  size_t n_pieces() const { return pieces_.size(); }
  /// Rows of a piece in a batch.
  uint64_t piece_rows(size_t piece) const { return pieces_[piece].tokens.size() - 1; }
  /// Of all tokens and of which of them are targets, in the order of the data, in hex.
  std::string sha256() const;

 private:
  std::vector<Document> pieces_;
  size_t batch_tokens_;
  uint64_t seed_;
  uint64_t current_ = UINT64_MAX;
  std::vector<Batch> batches_;
};

}  // namespace ruvllm::train
