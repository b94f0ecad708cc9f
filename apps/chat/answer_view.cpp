#include "answer_view.h"

#include <utility>

namespace ruvllm::chat {

AnswerView::AnswerView(cli::Style style, const std::optional<text::ReplyParser::Options>& marks)
    : style_(std::move(style)) {
  if (marks) parser_.emplace(*marks);
}

void AnswerView::push(std::string_view text) {
  if (!parser_) return show(text, false);
  for (const text::ReplyPart& part : parser_->push(text))
    show(part.text, part.kind == text::ReplyPart::Kind::reasoning);
}

void AnswerView::finish() {
  if (parser_)
    for (const text::ReplyPart& part : parser_->finish())
      show(part.text, part.kind == text::ReplyPart::Kind::reasoning);
  if (!ends_line_) cli::print("\n");
  cli::flush_output();
}

void AnswerView::show(std::string_view text, bool is_reasoning) {
  if (text.empty()) return;
  if (is_reasoning != in_reasoning_) {
    cli::print(ends_line_ ? "" : "\n");
    cli::print(style_.dim(is_reasoning ? "(thinking)" : "(answering)") + "\n");
    in_reasoning_ = is_reasoning;
  }
  const std::string safe = cli::terminal_safe(text);
  cli::print(is_reasoning ? style_.dim(safe) : safe);
  cli::flush_output();
  (is_reasoning ? reasoning_ : content_) += text;
  ends_line_ = text.ends_with('\n');
}

}  // namespace ruvllm::chat
