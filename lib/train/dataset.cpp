#include "train/dataset.h"

#include "base/error.h"
#include "base/random.h"
#include "hub/digest.h"
#include "train/chains.h"
#include "train/data_file.h"
#include "train/row_documents.h"

#include <algorithm>
#include <iterator>
#include <numeric>

namespace ruvllm::train {

bool Document::has_target() const {
  const auto is_set = [](uint8_t target) { return target != 0; };
  return is_target.size() > 1 && std::any_of(is_target.begin() + 1, is_target.end(), is_set);
}

std::vector<Document> read_documents(std::span<const std::filesystem::path> files,
                                     const text::Tokenizer& tokenizer, const ChatRenderer& render_chat,
                                     bool lines_are_steps, DataNotes& notes) {
  RowReader reader(tokenizer, render_chat, notes);
  std::vector<Document> documents;
  for (const std::filesystem::path& path : files) {
    const DataFile file(path);
    file.for_each_row(
        [&](const OrderedJson& row) { std::ranges::move(reader.read(row), std::back_inserter(documents)); });
    if (file.has_rows()) continue;
    Document document = reader.read_text(file.text());
    if (lines_are_steps) mark_lines(document, file.text(), tokenizer);
    if (document.tokens.size() >= 2) documents.push_back(std::move(document));
  }
  if (documents.empty()) {
    const std::vector<std::string> lines = notes.lines();
    throw Error(Errc::corrupt_file, "the data holds nothing to learn{}{}", lines.empty() ? "" : ": ",
                lines.empty() ? "" : lines[0]);
  }
  return documents;
}

std::vector<Document> hold_back(std::vector<Document>& documents, size_t sequence_tokens,
                                uint64_t most_tokens) {
  constexpr size_t kOneIn = 20;
  std::vector<Document> held_back;
  if (documents.size() == 1 && documents[0].steps.empty()) {
    Document& text = documents[0];
    const size_t n = std::min<uint64_t>(text.tokens.size() / kOneIn, most_tokens);
    if (n < sequence_tokens) return held_back;
    const auto first = static_cast<ptrdiff_t>(text.tokens.size() - n);
    held_back.push_back({{text.tokens.begin() + first, text.tokens.end()},
                         {text.is_target.begin() + first, text.is_target.end()}});
    text.tokens.resize(text.tokens.size() - n);
    text.is_target.resize(text.tokens.size());
    return held_back;
  }
  uint64_t n_tokens = 0;
  std::vector<bool> is_taken(documents.size());
  for (size_t i = kOneIn - 1; i < documents.size() && n_tokens < most_tokens; i += kOneIn) {
    n_tokens += documents[i].tokens.size();
    is_taken[i] = true;
  }
  if (n_tokens < sequence_tokens) return held_back;
  std::vector<Document> kept;
  for (size_t i = 0; i < documents.size(); ++i)
    (is_taken[i] ? held_back : kept).push_back(std::move(documents[i]));
  documents = std::move(kept);
  return held_back;
}

std::string read_plain_text(std::span<const std::filesystem::path> files) {
  std::string text;
  const auto add = [&](const std::string& said) {
    if (!said.empty()) text += said + "\n";
  };
  for (const std::filesystem::path& path : files) {
    const DataFile file(path);
    if (!file.has_rows()) text += file.text();
    file.for_each_row([&](const OrderedJson& json) {
      const Row row = read_row(json, true);
      for (const OrderedJson& message : row.conversation.messages)
        if (message["content"].is_string()) add(message["content"].get<std::string>());
      if (row.kind == Row::Kind::chain) {
        for_each_part(row.chain, add);
      } else {
        add(row.prompt);
        add(row.text);
      }
    });
  }
  return text;
}

std::string read_plain_text(const std::filesystem::path& file) {
  return read_plain_text(std::span(&file, 1));
}

std::vector<Document> window_documents(std::string_view text, const text::Tokenizer& tokenizer,
                                       size_t context) {
  const auto tokens = tokenizer.encode(text, {.add_special = false, .parse_special = false});
  if (tokens.empty()) throw Error(Errc::corrupt_file, "the text has no token");
  const size_t n = context - 1;
  std::vector<Document> documents;
  for (size_t first = 0; first < tokens.size(); first += n) {
    Document& document = documents.emplace_back();
    if (tokenizer.bos()) document.tokens.push_back(*tokenizer.bos());
    const auto window = std::span(tokens).subspan(first, std::min(n, tokens.size() - first));
    document.tokens.insert(document.tokens.end(), window.begin(), window.end());
    document.is_target.assign(document.tokens.size(), 1);
  }
  return documents;
}

namespace {

// The steps of a document that end in the piece from token `first` on: its last token is no input. An answer
// is the piece's where the piece holds all of it.
void take_steps(const Document& document, size_t first, Document& piece) {
  const size_t n = piece.tokens.size() - 1;
  for (const StepMark& step : document.steps)
    if (step.row >= first && step.row < first + n)
      piece.steps.push_back({step.row - static_cast<uint32_t>(first), step.weight});
  if (document.answer_begin == document.answer_end || document.answer_begin <= first ||
      document.answer_end > first + piece.tokens.size())
    return;
  piece.answer_begin = document.answer_begin - static_cast<uint32_t>(first);
  piece.answer_end = document.answer_end - static_cast<uint32_t>(first);
}

void append_chain(const Document& piece, uint32_t first_row, Batch& batch) {
  if (piece.steps.empty()) return;
  Chain chain;
  chain.first_step = static_cast<uint32_t>(batch.steps.size());
  for (const StepMark& step : piece.steps) batch.steps.push_back({first_row + step.row, step.weight});
  chain.end_step = static_cast<uint32_t>(batch.steps.size());
  if (piece.answer_begin < piece.answer_end) {  // a token is predicted by the row before it
    chain.answer_begin = first_row + piece.answer_begin - 1;
    chain.answer_end = first_row + piece.answer_end - 1;
  }
  batch.chains.push_back(chain);
}

}  // namespace

BatchMaker::BatchMaker(std::vector<Document> documents, size_t sequence_tokens, size_t batch_tokens,
                       uint64_t seed)
    : batch_tokens_(batch_tokens), seed_(seed) {
  RUVLLM_ASSERT(sequence_tokens >= 2 && batch_tokens >= sequence_tokens);
  // A piece predicts each of its tokens but the first, so pieces of one document overlap by one token.
  for (const Document& document : documents) {
    const auto first_target =
        std::ranges::find_if(document.is_target, [](uint8_t target) { return target != 0; });
    const auto n_before = static_cast<size_t>(first_target - document.is_target.begin());
    n_cut_prompts_ += n_before > sequence_tokens;
    for (size_t first = 0; first + 1 < document.tokens.size(); first += sequence_tokens) {
      const auto begin = static_cast<ptrdiff_t>(first);
      const auto end = static_cast<ptrdiff_t>(std::min(first + sequence_tokens + 1, document.tokens.size()));
      pieces_.push_back({{document.tokens.begin() + begin, document.tokens.begin() + end},
                         {document.is_target.begin() + begin, document.is_target.begin() + end},
                         {},
                         0,
                         0});
      take_steps(document, first, pieces_.back());
      if (pieces_.back().has_target() || !pieces_.back().steps.empty()) continue;
      pieces_.pop_back();  // nothing to learn
      ++n_idle_pieces_;
    }
  }
}

uint64_t BatchMaker::n_tokens() const {
  return std::accumulate(pieces_.begin(), pieces_.end(), uint64_t{0},
                         [](uint64_t sum, const Document& piece) { return sum + piece.tokens.size() - 1; });
}

std::string BatchMaker::sha256() const {
  uint64_t n_bytes = 0;
  for (const Document& piece : pieces_)
    n_bytes += piece.tokens.size() * sizeof(int32_t) + piece.is_target.size();
  hub::ContentHasher hasher(hub::DigestKind::sha256, n_bytes);
  for (const Document& piece : pieces_) {
    hasher.update(std::as_bytes(std::span(piece.tokens)));
    hasher.update(std::as_bytes(std::span(piece.is_target)));
  }
  return hasher.finish().hex();
}

const std::vector<Batch>& BatchMaker::epoch(uint64_t number) {
  if (number == current_) return batches_;
  current_ = number;
  batches_.clear();
  std::vector<size_t> order(pieces_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  Random random = Random(seed_).split(number);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  for (const size_t which : order) {
    const Document& piece = pieces_[which];
    const size_t n = piece.tokens.size() - 1;
    if (batches_.empty() || batches_.back().tokens.size() + n > batch_tokens_)
      batches_.push_back({{}, {}, {0}, {}, {}, {}});
    Batch& batch = batches_.back();
    batch.pieces.push_back(static_cast<uint32_t>(which));
    append_chain(piece, static_cast<uint32_t>(batch.tokens.size()), batch);
    for (size_t i = 0; i < n; ++i) {
      batch.tokens.push_back(piece.tokens[i]);
      batch.targets.push_back(piece.is_target[i + 1] ? piece.tokens[i + 1] : -1);
    }
    batch.starts.push_back(static_cast<uint32_t>(batch.tokens.size()));
  }
  return batches_;
}

}  // namespace ruvllm::train
