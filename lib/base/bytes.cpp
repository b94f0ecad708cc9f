#include "base/bytes.h"

namespace ruvllm {

// Not inline: GCC 12 warns of an overflow that isn't there where it sees through these.
void ByteWriter::append(std::span<const std::byte> more) {
  const size_t n_before = bytes_.size();
  bytes_.resize(n_before + more.size());
  if (!more.empty()) std::memcpy(bytes_.data() + n_before, more.data(), more.size());
}

void ByteWriter::pad_to(uint64_t unit) { bytes_.resize((bytes_.size() + unit - 1) / unit * unit); }

}  // namespace ruvllm
