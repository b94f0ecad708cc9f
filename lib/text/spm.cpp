// SentencePiece BPE. See subwords.h.
#include "base/utf8.h"
#include "text/subwords.h"

#include <bit>
#include <utility>

namespace ruvllm::text {
namespace {

// A rank that orders as scores do, the highest first.
uint32_t rank_of(float score) {
  const auto bits = std::bit_cast<uint32_t>(score + 0.0f);  // -0 ranks with 0
  const uint32_t ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return ~ascending;
}

class Spm final : public Subwords {
 public:
  explicit Spm(std::shared_ptr<const Vocab> vocab) : vocab_(std::move(vocab)) {}

  void encode_word(std::string_view word, Merger& merger, std::vector<TokenId>& tokens) const override {
    merger.clear();
    for (size_t at = 0; at < word.size();) {
      const uint32_t n_bytes = first_code_point(word.substr(at, 4)).n_bytes;
      const auto token = vocab_->find_text(word.substr(at, n_bytes));
      merger.add(static_cast<uint32_t>(at), n_bytes, token.value_or(kNoToken));
      at += n_bytes;
    }
    merger.run([&](const Symbol& left, const Symbol& right) -> std::optional<Join> {
      const auto token = vocab_->find_text(word.substr(left.begin, left.n_bytes + right.n_bytes));
      return token ? std::optional(Join{rank_of(vocab_->score(*token)), *token}) : std::nullopt;
    });
    merger.for_each([&](const Symbol& symbol) {
      if (symbol.token != kNoToken) {
        tokens.push_back(symbol.token);
      } else {
        vocab_->append_unknown(word.substr(symbol.begin, symbol.n_bytes), tokens);
      }
    });
  }

 private:
  std::shared_ptr<const Vocab> vocab_;
};

}  // namespace

std::unique_ptr<const Subwords> make_spm(std::shared_ptr<const Vocab> vocab) {
  return std::make_unique<Spm>(std::move(vocab));
}

}  // namespace ruvllm::text
