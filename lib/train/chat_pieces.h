// Conversations as training text: a chat template's rendering, cut where the assistant's turns begin and end.
// Only those turns are learned, each up to and with the token that ends it; and each begins at the very
// tokens that a program which chats would have fed the model. Tested by tests/train/dataset_test.cpp.
#pragma once

#include "text/chat_template.h"
#include "train/dataset.h"

#include <vector>

namespace ruvllm::train {

/// The pieces of a conversation (see ChatRenderer). Where a template rewrites earlier turns (drops what the
/// model thought, say), only the turns from there on are learned. Throws Errc::corrupt_file where no turn is
/// the assistant's, or the template writes an answer otherwise than it asks for one.
std::vector<TextPiece> chat_pieces(const text::ChatTemplate& chat_template, const OrderedJson& messages);

}  // namespace ruvllm::train
