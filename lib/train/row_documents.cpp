#include "train/row_documents.h"

#include "base/error.h"
#include "base/strings.h"
#include "text/prompt_tokens.h"
#include "train/chains.h"

#include <algorithm>

namespace ruvllm::train {
namespace {

constexpr std::string_view kHtmlMarks[] = {"<s>", "</s>"};

}  // namespace

RowReader::RowReader(const text::Tokenizer& tokenizer, const ChatRenderer& render_chat, DataNotes& notes)
    : tokenizer_(tokenizer), render_chat_(render_chat), notes_(notes) {
  for (text::TokenId id = 0; id < tokenizer.n_tokens(); ++id) {
    const std::string_view spelling = tokenizer.spelling(id);
    if (spelling.empty()) continue;
    if (tokenizer.kind(id) == text::TokenKind::unknown)
      unknown_.emplace_back(spelling);
    else if (tokenizer.kind(id) == text::TokenKind::control && std::ranges::count(kHtmlMarks, spelling) > 0)
      html_.emplace_back(spelling);
  }
}

bool RowReader::begins_with_bos(std::string_view text) const {
  return tokenizer_.bos() && trim(text).starts_with(tokenizer_.spelling(*tokenizer_.bos()));
}

// Where special tokens are spelled that are none.
std::vector<text::ByteRange> RowReader::letters(std::string_view text, bool is_begun) const {
  std::vector<text::ByteRange> ranges;
  const auto add = [&](const std::string& spelling) {
    for (size_t at = text.find(spelling); at != std::string_view::npos; at = text.find(spelling, at + 1))
      ranges.push_back({at, at + spelling.size()});
  };
  std::ranges::for_each(unknown_, add);
  if (!is_begun) std::ranges::for_each(html_, add);
  std::ranges::sort(ranges, {}, &text::ByteRange::begin);
  return ranges;
}

void RowReader::note_marks(std::span<const int32_t> tokens, std::string_view text,
                           std::span<const text::ByteRange> letters) {
  bool has_marks = false, is_spelled = false;
  for (const int32_t token : tokens)
    if (tokenizer_.kind(token) == text::TokenKind::control) {
      has_marks = true;
      notes_.marks.emplace(tokenizer_.spelling(token));
    }
  for (const text::ByteRange& range : letters) {
    const std::string spelling(text.substr(range.begin, range.end - range.begin));
    if (std::ranges::count(html_, spelling) == 0) continue;
    is_spelled = true;
    notes_.spelled.insert(spelling);
  }
  notes_.n_marked += has_marks;
  notes_.n_spelled += is_spelled;
}

void RowReader::append(std::span<const int32_t> tokens, bool are_targets, Document& document) const {
  document.tokens.insert(document.tokens.end(), tokens.begin(), tokens.end());
  document.is_target.resize(document.tokens.size(), are_targets);
}

// Whether the last thing that a document says is a token that ends a turn.
bool RowReader::ends(const Document& document) const {
  for (size_t i = document.tokens.size(); i > 0; --i) {
    const int32_t token = document.tokens[i - 1];
    if (std::ranges::count(tokenizer_.end_tokens(), token) > 0) return i > 1;
    if (!trim(tokenizer_.token_bytes(token, true)).empty()) return false;
  }
  return false;
}

// What the model is to write to its end learns the end, too.
void RowReader::append_end(Document& document) const {
  if (tokenizer_.eos() && !ends(document)) append({{*tokenizer_.eos()}}, true, document);
}

Document RowReader::read_text(std::string_view text) {
  const std::vector<text::ByteRange> ranges = letters(text, begins_with_bos(text));
  Document document;
  append(text::plain_prompt_tokens(tokenizer_, text, true, ranges), true, document);
  // What the tokenizer puts in front is given, and not learned.
  const bool has_bos = !document.tokens.empty() && tokenizer_.adds_bos();
  if (has_bos) document.is_target[0] = 0;
  note_marks(std::span(document.tokens).subspan(has_bos ? 1 : 0), text, ranges);
  return document;
}

Document RowReader::text_document(std::string_view text) {
  Document document = read_text(text);
  append_end(document);
  return document;
}

Document RowReader::completion(const Row& row) {
  Document document;
  append(text::plain_prompt_tokens(tokenizer_, row.prompt, true), false, document);
  const std::vector<text::ByteRange> ranges = letters(row.text, begins_with_bos(row.prompt));
  const std::vector<int32_t> answer = text::answer_tokens(tokenizer_, row.text, true, ranges);
  note_marks(answer, row.text, ranges);
  append(answer, true, document);
  append_end(document);
  return document;
}

// Turn after turn in one document, as long as the prompt of the next goes on from the answer before. Where
// the template rewrites what was said, the next turn is a document of its own.
std::vector<Document> RowReader::conversation(const Conversation& conversation) {
  if (!render_chat_)
    throw Error(Errc::corrupt_file,
                "\"messages\" need a chat template, and the model has none; --chat-template FILE gives one");
  std::vector<Document> documents;
  const std::span<const text::TokenId> ends = tokenizer_.end_tokens();
  for (const ChatTurn& turn : render_chat_(conversation, notes_)) {
    const std::vector<int32_t> asked = text::prompt_tokens(tokenizer_, turn.asked);
    std::vector<int32_t> answer =
        text::answer_tokens(tokenizer_, turn.answer.text, true, turn.answer.from_input);
    const auto end = std::ranges::find_first_of(answer, ends);
    if (end != answer.end())
      answer.erase(end + 1, answer.end());
    else if (turn.must_end)
      throw Error(Errc::corrupt_file,
                  "the chat template writes answers otherwise than it asks for them, and ends them with no "
                  "token that ends a turn");
    const bool goes_on =
        !documents.empty() && std::span(asked).size() > documents.back().tokens.size() &&
        std::ranges::equal(std::span(asked).first(documents.back().tokens.size()), documents.back().tokens);
    if (!goes_on) documents.emplace_back();
    append(std::span(asked).subspan(documents.back().tokens.size()), false, documents.back());
    append(answer, true, documents.back());
  }
  for (Document& document : documents) append_end(document);
  return documents;
}

std::vector<Document> RowReader::read(const OrderedJson& json) {
  const Row row = read_row(json, static_cast<bool>(render_chat_));
  ++notes_.n_rows;
  std::vector<Document> documents;
  switch (row.kind) {
    case Row::Kind::text:
      if (!row.text.empty()) documents.push_back(text_document(row.text));
      break;
    case Row::Kind::completion:
      if (!row.text.empty()) documents.push_back(completion(row));
      break;
    case Row::Kind::chain:
      documents.push_back(chain_document(row.chain, tokenizer_));
      append_end(documents.back());
      break;
    case Row::Kind::conversation:
      documents = conversation(row.conversation);
      break;
  }
  std::erase_if(documents, [](const Document& document) { return !document.has_target(); });
  notes_.n_empty += documents.empty();
  return documents;
}

}  // namespace ruvllm::train
