// From rows and texts to tokens, and to which of them are learned. The tokens before an answer are those that
// a program that chats feeds (text/prompt_tokens.h); those of the answer go on from them, up to the token
// that ends it.
//
// Special tokens that a text spells out are taken for what they are: a rendered conversation is one. But <s>,
// </s> are also marks of HTML, and <unk> stands in old corpora: these are letters, <s> and </s> unless the
// text begins with BOS. Tested by tests/train/dataset_test.cpp.
#pragma once

#include "train/chat_turns.h"
#include "train/dataset.h"

#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::train {

class RowReader {
 public:
  /// All outlive the reader. `render_chat` may be empty.
  RowReader(const text::Tokenizer& tokenizer, const ChatRenderer& render_chat, DataNotes& notes);

  /// The documents of a row; none where it has nothing to learn. Throws Errc::corrupt_file.
  std::vector<Document> read(const OrderedJson& row);
  /// A text as it is, with no end.
  Document read_text(std::string_view text);

 private:
  Document text_document(std::string_view text);
  Document completion(const Row& row);
  std::vector<Document> conversation(const Conversation& conversation);
  std::vector<text::ByteRange> letters(std::string_view text, bool is_begun) const;
  bool begins_with_bos(std::string_view text) const;
  bool ends(const Document& document) const;
  void append(std::span<const int32_t> tokens, bool are_targets, Document& document) const;
  void append_end(Document& document) const;
  void note_marks(std::span<const int32_t> tokens, std::string_view text,
                  std::span<const text::ByteRange> letters);

  const text::Tokenizer& tokenizer_;
  const ChatRenderer& render_chat_;
  DataNotes& notes_;
  std::vector<std::string> unknown_, html_;  // spellings of special tokens that other texts have, too
};

}  // namespace ruvllm::train
