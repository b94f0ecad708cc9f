// SentencePiece's precompiled table of replacements: a double array of 32-bit units (Darts), then the
// replacements, each with a zero byte behind it. See normalise.h.
//
//   u32 bytes of the double array | units | "replacement\0replacement\0..."
//
// A unit holds, from bit 0: the byte that leads to it (8), whether a value hangs below it (1), whether its
// offset counts in 256s (1), the offset to its children (22). Bit 31 marks a value: an offset into the
// replacements.
#include "base/bytes.h"
#include "base/utf8.h"
#include "text/normalise.h"

#include <memory>
#include <optional>
#include <vector>

namespace ruvllm::text {
namespace {

class Charsmap {
 public:
  Charsmap(std::span<const std::byte> table, std::string_view where) {
    ByteReader reader(table);
    const auto n_bytes = reader.number<uint32_t>(where);
    if (n_bytes % 4 != 0 || n_bytes == 0 || n_bytes > reader.remaining())
      throw Error(Errc::corrupt_file, "{}: a double array of {} bytes in {} bytes", where, n_bytes,
                  table.size());
    for (uint32_t i = 0; i < n_bytes / 4; ++i) units_.push_back(reader.number<uint32_t>(where));
    replacements_ = reader.text(reader.remaining(), where);
    if (!replacements_.empty() && replacements_.back() != '\0')
      throw Error(Errc::corrupt_file, "{}: the last replacement does not end", where);
  }

  std::string apply(std::string_view text) const {
    std::string result;
    while (!text.empty()) {
      if (const auto found = longest_match(text)) {
        limit_growth(result += found->replacement);
        text.remove_prefix(found->n_bytes);
      } else {
        const CodePoint point = first_code_point(text.substr(0, 4));
        result += text.substr(0, point.n_bytes);
        text.remove_prefix(point.n_bytes);
      }
    }
    return result;
  }

 private:
  struct Found {
    std::string_view replacement;
    size_t n_bytes;
  };

  static uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }

  // Walks the double array along the text; what points outside it matches nothing.
  std::optional<Found> longest_match(std::string_view text) const {
    std::optional<Found> found;
    uint32_t at = offset_of(units_[0]);
    for (size_t n = 0; n < text.size(); ++n) {
      const auto byte = static_cast<uint8_t>(text[n]);
      at ^= byte;
      if (at >= units_.size() || (units_[at] & (1u << 31 | 0xFF)) != byte) break;
      const bool has_value = units_[at] >> 8 & 1;
      at ^= offset_of(units_[at]);
      if (!has_value) continue;
      if (at >= units_.size()) break;
      const size_t begin = units_[at] & ~(1u << 31);
      if (begin >= replacements_.size()) break;
      found = Found{std::string_view(replacements_).substr(begin, replacements_.find('\0', begin) - begin),
                    n + 1};
    }
    return found;
  }

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace

Normaliser precompiled_charsmap(std::span<const std::byte> table, std::string_view where) {
  return [charsmap = std::make_shared<const Charsmap>(table, where)](std::string_view text) {
    return charsmap->apply(text);
  };
}

}  // namespace ruvllm::text
