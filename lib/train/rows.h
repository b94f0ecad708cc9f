// Rows of training data: what the JSON objects of a file ask a model to learn. Data comes in a few shapes,
// each known by its keys (a table in rows.cpp); they become a text, a text to go on from and how, a chain of
// reasoning steps, or a conversation. A shape that is none of them is refused, with the keys that it has.
// Tested by tests/train/rows_test.cpp.
#pragma once

#include "base/json.h"

#include <optional>
#include <string>
#include <vector>

namespace ruvllm::train {

/// Messages as chat templates take them: a role, and content that is one text or, beside tool calls, null.
struct Conversation {
  OrderedJson messages = OrderedJson::array();
  std::vector<bool> is_learned;  ///< of each message: is it an answer that the model is to give?
  std::optional<OrderedJson> tools = {};
};

/// What a row asks a model to learn.
struct Row {
  enum class Kind { text, completion, chain, conversation };
  Kind kind = Kind::text;
  std::string prompt = {};         ///< of a completion: what comes before it
  std::string text = {};           ///< what is learned
  OrderedJson chain = {};          ///< the row itself (chains.h)
  Conversation conversation = {};  ///< its messages
};

/// Whether a row has the keys of a shape that is known.
bool has_known_shape(const OrderedJson& row);

/// Reads a row. Instructions become a conversation where the model has a chat template, and else a
/// completion. Throws Errc::corrupt_file saying what was found and what is wanted.
Row read_row(const OrderedJson& row, bool has_template);

}  // namespace ruvllm::train
