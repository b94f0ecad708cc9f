// Writing GGUF: the layout is planned whole before a byte is written (see gguf.h).
#include "base/bytes.h"
#include "base/checked.h"
#include "format/gguf.h"

#include <array>
#include <bit>
#include <type_traits>

namespace ruvllm::format {
namespace {

constexpr std::string_view kAlignmentKey = "general.alignment";

void write_string(ByteWriter& writer, std::string_view text) {
  writer.number<uint64_t>(text.size());
  writer.text(text);
}

void write_array(ByteWriter& writer, const MetadataArray& array) {
  writer.number(static_cast<uint32_t>(array.type));
  writer.number<uint64_t>(array.n_elements);
  writer.append(array.bytes);
  for (const std::string_view text : array.strings) write_string(writer, text);
}

void write_entry(ByteWriter& writer, std::string_view key, const MetadataValue& value) {
  write_string(writer, key);
  writer.number(static_cast<uint32_t>(type_of(value)));
  std::visit(
      [&](const auto& alternative) {
        using T = std::decay_t<decltype(alternative)>;
        if constexpr (std::is_same_v<T, MetadataArray>)
          write_array(writer, alternative);
        else if constexpr (std::is_same_v<T, std::string_view>)
          write_string(writer, alternative);
        else
          writer.number(alternative);
      },
      value);
}

void write_metadata(ByteWriter& writer, const Metadata& metadata, uint64_t alignment) {
  const auto aligned = static_cast<uint32_t>(alignment);
  for (const Metadata::Entry& entry : metadata.entries())
    write_entry(writer, entry.key, entry.key == kAlignmentKey ? MetadataValue(aligned) : entry.value);
  if (!metadata.find(kAlignmentKey) && alignment != kGgufDefaultAlignment)
    write_entry(writer, kAlignmentKey, aligned);
}

}  // namespace

uint64_t TensorPlan::n_bytes() const {
  uint64_t n_bytes = tensor::row_bytes(format, dimensions.at(0));
  for (size_t i = 1; i < dimensions.size(); ++i)
    n_bytes = checked_mul(n_bytes, dimensions[i], "size of data");
  return n_bytes;
}

GgufLayout plan_gguf(const Metadata& metadata, std::span<const TensorPlan> tensors, uint64_t alignment) {
  RUVLLM_ASSERT(std::has_single_bit(alignment));
  GgufLayout layout;
  ByteWriter writer;
  writer.text("GGUF");
  writer.number<uint32_t>(3);
  writer.number<uint64_t>(tensors.size());
  const bool adds_alignment = !metadata.find(kAlignmentKey) && alignment != kGgufDefaultAlignment;
  writer.number<uint64_t>(metadata.entries().size() + (adds_alignment ? 1 : 0));
  write_metadata(writer, metadata, alignment);
  uint64_t offset = 0;
  for (const TensorPlan& tensor : tensors) {
    write_string(writer, tensor.name);
    writer.number(static_cast<uint32_t>(tensor.dimensions.size()));
    for (const uint64_t dimension : tensor.dimensions) writer.number(dimension);
    writer.number(static_cast<uint32_t>(tensor.format));
    writer.number(offset);
    layout.offsets.push_back(offset);
    const uint64_t end = checked_add(offset, tensor.n_bytes(), "size of file");
    offset = checked_round_up(end, alignment, "size of file");
  }
  writer.pad_to(alignment);
  layout.header = std::move(writer).take();
  for (uint64_t& place : layout.offsets) place += layout.header.size();
  layout.file_bytes = checked_add<uint64_t>(layout.header.size(), offset, "size of file");
  return layout;
}

GgufWriter::GgufWriter(std::filesystem::path path, const Metadata& metadata, std::vector<TensorPlan> tensors,
                       uint64_t alignment)
    : tensors_(std::move(tensors)), file_(std::move(path)) {
  GgufLayout layout = plan_gguf(metadata, tensors_, alignment);
  offsets_ = std::move(layout.offsets);
  file_bytes_ = layout.file_bytes;
  for (const TensorPlan& tensor : tensors_) bytes_missing_ += tensor.n_bytes();
  file_.write(layout.header);
  // The last byte may be padding that no tensor writes: it gives the file its length.
  if (file_bytes_ > layout.header.size()) file_.write_at(file_bytes_ - 1, std::array{std::byte{0}});
}

void GgufWriter::write_tensor(size_t i, std::span<const std::byte> bytes) {
  RUVLLM_ASSERT(i < tensors_.size() && bytes.size() == tensors_[i].n_bytes());
  write_tensor_part(i, 0, bytes);
}

void GgufWriter::write_tensor_part(size_t i, uint64_t offset, std::span<const std::byte> bytes) {
  RUVLLM_ASSERT(i < tensors_.size() && offset <= tensors_[i].n_bytes() &&
                bytes.size() <= tensors_[i].n_bytes() - offset);
  RUVLLM_ASSERT(bytes_missing_.fetch_sub(bytes.size()) >= bytes.size());
  file_.write_at(offsets_[i] + offset, bytes);
}

void GgufWriter::commit() {
  RUVLLM_ASSERT(bytes_missing_ == 0);
  file_.commit();
}

}  // namespace ruvllm::format
