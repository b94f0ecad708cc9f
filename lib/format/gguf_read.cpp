// Reading GGUF: one function a part of the file, in the order of the file (see gguf.h).
#include "base/bytes.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "format/gguf.h"
#include "format/own_formats.h"
#include "format/split_file.h"
#include "format/tensor_scales.h"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

namespace ruvllm::format {
namespace {

constexpr std::string_view kMagic = "GGUF";
// The least a key takes (length, one character, type, one byte) and a tensor (length, one character, number
// of dimensions, one of them, type, offset): a count that the bytes left can't hold is refused before the
// first is read.
constexpr uint64_t kLeastKeyBytes = 8 + 1 + 4 + 1;
constexpr uint64_t kLeastTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;

// Tensor types that ggml names and this program doesn't read: told by name rather than by number.
struct ForeignFormat {
  uint32_t id;
  std::string_view name;
};
constexpr std::array<ForeignFormat, 14> kForeignFormats = {{{4, "Q4_2, withdrawn"},
                                                            {5, "Q4_3, withdrawn"},
                                                            {9, "Q8_1"},
                                                            {24, "I8"},
                                                            {25, "I16"},
                                                            {26, "I32"},
                                                            {27, "I64"},
                                                            {28, "F64"},
                                                            {31, "Q4_0_4_4, withdrawn"},
                                                            {32, "Q4_0_4_8, withdrawn"},
                                                            {33, "Q4_0_8_8, withdrawn"},
                                                            {36, "IQ4_NL_4_4, withdrawn"},
                                                            {37, "IQ4_NL_4_8, withdrawn"},
                                                            {38, "IQ4_NL_8_8, withdrawn"}}};

uint32_t read_version(ByteReader& reader) {
  const std::string_view magic = reader.text(kMagic.size(), "magic number");
  if (magic != kMagic)
    throw Error(Errc::corrupt_file, "not a GGUF file: it begins with '{}', not '{}'", printable(magic),
                kMagic);
  const auto version = reader.number<uint32_t>("version");
  if (version != 0 && (version & 0xFFFF) == 0)
    throw Error(Errc::corrupt_file, "this is a big-endian GGUF file; convert it to little-endian");
  if (version == 1)
    throw Error(Errc::corrupt_file, "GGUF version 1 is not supported; convert the model again");
  if (version != 2 && version != 3)
    throw Error(Errc::corrupt_file, "GGUF version {} is not supported (2 and 3 are)", version);
  return version;
}

uint64_t checked_count(const ByteReader& reader, uint64_t count, uint64_t limit, uint64_t least_bytes,
                       std::string_view what) {
  if (count > reader.remaining() / least_bytes)
    throw Error(Errc::corrupt_file, "{} {} are declared, {} bytes are left", count, what, reader.remaining());
  if (count > limit)
    throw Error(Errc::corrupt_file, "{} {} are more than the limit of {}", count, what, limit);
  return count;
}

// Text that serves as a name: not empty, not longer than `max_bytes`, UTF-8 without control characters.
std::string read_name(ByteReader& reader, uint64_t max_bytes, std::string_view what) {
  const std::string_view name = reader.text(reader.number<uint64_t>(what), what);
  if (name.empty()) throw Error(Errc::corrupt_file, "a {} is empty", what);
  if (name.size() > max_bytes)
    throw Error(Errc::corrupt_file, "a {} has {} bytes, the limit is {}", what, name.size(), max_bytes);
  const auto is_control = [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7F; };
  if (!is_utf8(name) || std::ranges::any_of(name, is_control))
    throw Error(Errc::corrupt_file, "{} '{}' is no printable UTF-8", what, printable(name));
  return std::string(name);
}

std::string_view read_string(ByteReader& reader) {
  const std::string_view text = reader.text(reader.number<uint64_t>("string length"), "string");
  if (text.size() > limits::kGgufStringBytes)
    throw Error(Errc::corrupt_file, "a string of {} bytes is over the limit of {}", text.size(),
                limits::kGgufStringBytes);
  return text;
}

ValueType read_type(ByteReader& reader, std::string_view what) {
  const auto type = reader.number<uint32_t>(what);
  if (type > static_cast<uint32_t>(ValueType::f64))
    throw Error(Errc::corrupt_file, "{} {} is unknown", what, type);
  return static_cast<ValueType>(type);
}

bool read_bool(ByteReader& reader) {
  const auto value = reader.number<uint8_t>("bool");
  if (value > 1) throw Error(Errc::corrupt_file, "a bool is {}, not 0 or 1", value);
  return value == 1;
}

MetadataArray read_array(ByteReader& reader) {
  MetadataArray array;
  array.type = read_type(reader, "type of array elements");
  const auto declared = reader.number<uint64_t>("array length");
  if (array.type == ValueType::array) throw Error(Errc::corrupt_file, "arrays of arrays are not supported");
  const uint64_t element_bytes = value_type_bytes(array.type);
  // A string takes at least its length field.
  const uint64_t least_bytes = array.type == ValueType::string ? sizeof(uint64_t) : element_bytes;
  array.n_elements =
      checked_count(reader, declared, limits::kGgufArrayElements, least_bytes, "array elements");
  if (array.type == ValueType::string) {
    array.strings.reserve(array.n_elements);
    for (uint64_t i = 0; i < array.n_elements; ++i) array.strings.push_back(read_string(reader));
    return array;
  }
  array.bytes = reader.take(array.n_elements * element_bytes, "array");
  if (array.type == ValueType::boolean &&
      std::ranges::any_of(array.bytes, [](std::byte value) { return value > std::byte{1}; }))
    throw Error(Errc::corrupt_file, "an element of a bool array is neither 0 nor 1");
  return array;
}

MetadataValue read_value(ByteReader& reader) {
  switch (read_type(reader, "value type")) {
    case ValueType::u8:
      return reader.number<uint8_t>("value");
    case ValueType::i8:
      return reader.number<int8_t>("value");
    case ValueType::u16:
      return reader.number<uint16_t>("value");
    case ValueType::i16:
      return reader.number<int16_t>("value");
    case ValueType::u32:
      return reader.number<uint32_t>("value");
    case ValueType::i32:
      return reader.number<int32_t>("value");
    case ValueType::u64:
      return reader.number<uint64_t>("value");
    case ValueType::i64:
      return reader.number<int64_t>("value");
    case ValueType::f32:
      return reader.number<float>("value");
    case ValueType::f64:
      return reader.number<double>("value");
    case ValueType::boolean:
      return read_bool(reader);
    case ValueType::string:
      return read_string(reader);
    case ValueType::array:
      return read_array(reader);
  }
  RUVLLM_ASSERT(!"read_type() returns known types");
  return {};
}

void read_metadata(ByteReader& reader, uint64_t n_keys, Metadata& metadata) {
  for (uint64_t i = 0; i < n_keys; ++i) {
    std::string key;
    try {
      key = read_name(reader, limits::kGgufKeyBytes, "key");
      if (!metadata.add(key, read_value(reader))) throw Error(Errc::corrupt_file, "appears twice");
    } catch (const Error& error) {
      throw with_context(error,
                         fmt::format("metadata key {} ({})", i, key.empty() ? "unread" : printable(key)));
    }
  }
}

uint64_t read_alignment(const Metadata& metadata) {
  const MetadataValue* value = metadata.find("general.alignment");
  if (!value) return kGgufDefaultAlignment;
  const uint32_t* alignment = std::get_if<uint32_t>(value);
  if (!alignment)
    throw Error(Errc::corrupt_file, "general.alignment is of type {}, expected u32",
                value_type_name(type_of(*value)));
  if (*alignment < 8 || !std::has_single_bit(*alignment) || *alignment > limits::kGgufAlignment)
    throw Error(Errc::corrupt_file, "general.alignment is {}, expected a power of two from 8 to {}",
                *alignment, limits::kGgufAlignment);
  return *alignment;
}

tensor::Format read_format(ByteReader& reader) {
  const auto id = reader.number<uint32_t>("tensor type");
  if (const kernels::Traits* found = kernels::find_format(id)) return found->format;
  for (const ForeignFormat& foreign : kForeignFormats)
    if (foreign.id == id)
      throw Error(Errc::corrupt_file, "tensor type {} ({}) is not supported", id, foreign.name);
  throw Error(Errc::corrupt_file, "tensor type {} is unknown", id);
}

std::vector<uint64_t> read_dimensions(ByteReader& reader) {
  const auto n_dimensions = reader.number<uint32_t>("number of dimensions");
  if (n_dimensions < 1 || n_dimensions > limits::kGgufDimensions)
    throw Error(Errc::corrupt_file, "{} dimensions, expected 1 to {}", n_dimensions, limits::kGgufDimensions);
  std::vector<uint64_t> dimensions;
  for (uint32_t i = 0; i < n_dimensions; ++i) {
    dimensions.push_back(reader.number<uint64_t>("dimension"));
    if (dimensions.back() == 0) throw Error(Errc::corrupt_file, "dimension {} is 0", i);
  }
  while (dimensions.size() > 1 && dimensions.back() == 1) dimensions.pop_back();
  return dimensions;
}

// A tensor as declared: `bytes` is still empty, `file_offset` still counts from the beginning of the data.
Tensor read_tensor_info(ByteReader& reader, uint64_t i) {
  Tensor tensor;
  try {
    tensor.name = read_name(reader, limits::kGgufNameBytes, "tensor name");
    tensor.dimensions = read_dimensions(reader);
    tensor.format = read_format(reader);
    tensor.file_offset = reader.number<uint64_t>("tensor offset");
  } catch (const Error& error) {
    throw with_context(
        error, fmt::format("tensor {} ({})", i, tensor.name.empty() ? "unread" : printable(tensor.name)));
  }
  return tensor;
}

void place_tensor(Tensor& tensor, std::span<const std::byte> file, uint64_t data_start, uint64_t alignment) {
  try {
    uint64_t n_bytes = tensor::row_bytes(tensor.format, tensor.dimensions[0]);
    for (size_t i = 1; i < tensor.dimensions.size(); ++i)
      n_bytes = checked_mul(n_bytes, tensor.dimensions[i], "size of data");
    tensor.n_values();  // must fit, too: formats of less than 8 bits have more values than bytes
    if (tensor.file_offset % alignment != 0)
      throw Error(Errc::corrupt_file, "offset {} is no multiple of the alignment {}", tensor.file_offset,
                  alignment);
    tensor.file_offset = checked_add(data_start, tensor.file_offset, "offset");
    const uint64_t end = checked_add(tensor.file_offset, n_bytes, "end of data");
    if (end > file.size())
      throw Error(Errc::corrupt_file, "its data end at byte {}, the file ends at {}", end, file.size());
    tensor.bytes = file.subspan(tensor.file_offset, n_bytes);
  } catch (const Error& error) {
    throw with_context(error, fmt::format("tensor {}", printable(tensor.name)));
  }
}

void refuse_overlap(const std::vector<Tensor>& tensors) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return tensors[i].file_offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    const Tensor& before = tensors[order[i - 1]];
    const Tensor& after = tensors[order[i]];
    if (before.file_offset + before.bytes.size() > after.file_offset)
      throw Error(Errc::corrupt_file, "tensors {} and {} overlap at byte {}", printable(before.name),
                  printable(after.name), after.file_offset);
  }
}

}  // namespace

GgufImage parse_gguf(std::span<const std::byte> bytes, const std::string& name) try {
  GgufImage image;
  ByteReader reader(bytes);
  image.version = read_version(reader);
  const auto n_tensors = reader.number<uint64_t>("number of tensors");
  const auto n_keys = reader.number<uint64_t>("number of metadata keys");
  checked_count(reader, n_keys, limits::kGgufKeys, kLeastKeyBytes, "metadata keys");
  checked_count(reader, n_tensors, limits::kGgufTensors, kLeastTensorBytes, "tensors");
  read_metadata(reader, n_keys, image.metadata);
  image.alignment = read_alignment(image.metadata);
  checked_count(reader, n_tensors, limits::kGgufTensors, kLeastTensorBytes, "tensors");
  for (uint64_t i = 0; i < n_tensors; ++i) image.tensors.push_back(read_tensor_info(reader, i));
  const uint64_t data_start = checked_round_up(reader.offset(), image.alignment, "beginning of data");
  for (Tensor& tensor : image.tensors) place_tensor(tensor, bytes, data_start, image.alignment);
  refuse_overlap(image.tensors);
  return image;
} catch (const Error& error) {
  throw with_context(error, name);
}

std::shared_ptr<const ModelFile> read_gguf(const std::filesystem::path& path) {
  auto model = std::make_shared<ModelFile>();
  model->source = path.string();
  MappedFile file(path);
  GgufImage image = parse_gguf(file.bytes(), path.string());
  model->kind = fmt::format("GGUF v{}", image.version);
  if (is_split(image.metadata)) {
    join_shards(path, *model);
  } else {
    model->files.push_back(std::move(file));
    model->metadata = std::move(image.metadata);
    model->tensors = std::move(image.tensors);
    model->alignment = image.alignment;
  }
  assign_scales(*model);
  model->index_tensors();
  assign_own_formats(*model);
  return model;
}

}  // namespace ruvllm::format
