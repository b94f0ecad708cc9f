// Reading safetensors: the header goes through a SAX handler that knows its one shape, so that no document is
// built and repeated keys are seen (see safetensors.h).
#include "base/bytes.h"
#include "base/checked.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "format/safetensors.h"

#include <algorithm>
#include <array>
#include <optional>

namespace ruvllm::format {
namespace {

struct TypeRow {
  SafetensorsType type;
  std::string_view name;
  uint64_t n_bits;
};
using enum SafetensorsType;
constexpr std::array<TypeRow, 22> kTypes = {{{BOOL, "BOOL", 8},
                                             {F4, "F4", 4},
                                             {F6_E2M3, "F6_E2M3", 6},
                                             {F6_E3M2, "F6_E3M2", 6},
                                             {U8, "U8", 8},
                                             {I8, "I8", 8},
                                             {F8_E4M3, "F8_E4M3", 8},
                                             {F8_E5M2, "F8_E5M2", 8},
                                             {F8_E8M0, "F8_E8M0", 8},
                                             {F8_E4M3FNUZ, "F8_E4M3FNUZ", 8},
                                             {F8_E5M2FNUZ, "F8_E5M2FNUZ", 8},
                                             {I16, "I16", 16},
                                             {U16, "U16", 16},
                                             {F16, "F16", 16},
                                             {BF16, "BF16", 16},
                                             {I32, "I32", 32},
                                             {U32, "U32", 32},
                                             {F32, "F32", 32},
                                             {I64, "I64", 64},
                                             {U64, "U64", 64},
                                             {F64, "F64", 64},
                                             {C64, "C64", 64}}};

constexpr std::string_view kMetadataKey = "__metadata__";

// A tensor as the header declares it; each of the three fields must come, once.
struct Declared {
  std::string name;
  std::optional<SafetensorsType> type;
  std::optional<std::vector<uint64_t>> shape;
  std::optional<std::vector<uint64_t>> range;
};

// The header is an object of objects: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
// ...,
// "__metadata__": {"key": "text"}}. Anything else ends the parse with a message.
class HeaderHandler : public nlohmann::json_sax<Json> {
 public:
  std::vector<Declared> tensors;
  std::map<std::string, std::string> metadata;

  /// What was wrong, if parsing returned false.
  std::string message() const {
    if (tensors.empty() || depth_ < 2 || in_metadata_) return message_;
    return fmt::format("tensor {}: {}", printable(tensors.back().name), message_);
  }

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a bool"); }
  bool number_float(number_float_t, const string_t&) override { return unexpected("a fraction"); }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool binary(binary_t&) override { return unexpected("bytes"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (!numbers_) return unexpected("a number");
    if (numbers_->size() >= limits::kSafetensorsDimensions)
      return fail("more than {} numbers", numbers_->size());
    numbers_->push_back(value);
    return true;
  }

  bool string(string_t& value) override {
    if (depth_ != 2) return unexpected("a string");
    if (in_metadata_)
      return metadata.emplace(key_, value).second || fail("metadata key {} appears twice", printable(key_));
    if (key_ != "dtype") return unexpected("a string");
    const auto* row =
        std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeRow& r) { return r.name == value; });
    if (row == kTypes.end()) return fail("type {} is unknown", printable(value, 40));
    if (tensors.back().type) return fail("dtype appears twice");
    tensors.back().type = row->type;
    return true;
  }

  bool key(string_t& value) override {
    key_ = value;
    if (depth_ == 2)
      return in_metadata_ || value == "dtype" || value == "shape" || value == "data_offsets" ||
             fail("field {} is unknown", printable(value, 40));
    in_metadata_ = value == kMetadataKey;
    if (in_metadata_) return !std::exchange(has_metadata_, true) || fail("{} appears twice", kMetadataKey);
    if (value.empty()) return fail("a tensor has no name");
    if (tensors.size() >= limits::kSafetensorsTensors) return fail("more than {} tensors", tensors.size());
    tensors.push_back({value, {}, {}, {}});
    return true;
  }

  bool start_object(size_t) override { return (++depth_ <= 2 && !numbers_) || unexpected("an object"); }

  bool end_object() override {
    if (--depth_ == 0 || in_metadata_) return true;
    const Declared& tensor = tensors.back();
    if (tensor.type && tensor.shape && tensor.range) return true;
    ++depth_;  // the message names the tensor
    return fail("dtype, shape or data_offsets is missing");
  }

  bool start_array(size_t) override {
    if (depth_ != 2 || in_metadata_ || numbers_) return unexpected("an array");
    auto& list = key_ == "shape" ? tensors.back().shape : tensors.back().range;
    if (key_ == "dtype") return unexpected("an array");
    if (list) return fail("{} appears twice", key_);
    numbers_ = &list.emplace();
    return true;
  }

  bool end_array() override {
    if (key_ == "data_offsets" && numbers_->size() != 2) return fail("data_offsets are not two numbers");
    numbers_ = nullptr;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return fail("no valid JSON at byte {} of the header", position);
  }

 private:
  template <typename... Args>
  bool fail(fmt::format_string<Args...> format, Args&&... args) {
    message_ = fmt::format(format, std::forward<Args>(args)...);
    return false;
  }
  bool unexpected(std::string_view what) { return fail("{} where the header can't have one", what); }

  int depth_ = 0;
  std::string key_;
  bool in_metadata_ = false;
  bool has_metadata_ = false;
  std::vector<uint64_t>* numbers_ = nullptr;  // the array that is open
  std::string message_;
};

SafetensorsEntry place(Declared&& declared, std::span<const std::byte> data, uint64_t data_start) {
  SafetensorsEntry entry{std::move(declared.name), *declared.type, std::move(*declared.shape), {}, 0};
  try {
    uint64_t n_bits = safetensors_type_bits(entry.type);
    for (const uint64_t dimension : entry.shape) n_bits = checked_mul(n_bits, dimension, "size of data");
    if (n_bits % 8 != 0)
      throw Error(Errc::corrupt_file, "its {} bits of type {} are no whole bytes", n_bits,
                  safetensors_type_name(entry.type));
    const uint64_t n_bytes = n_bits / 8;
    const uint64_t begin = declared.range->at(0), end = declared.range->at(1);
    if (begin > end || end > data.size())
      throw Error(Errc::corrupt_file, "its bytes {} to {} don't lie in the {} that there are", begin, end,
                  data.size());
    if (end - begin != n_bytes)
      throw Error(Errc::corrupt_file, "it has {} bytes, its type and shape take {}", end - begin, n_bytes);
    entry.bytes = data.subspan(begin, n_bytes);
    entry.file_offset = data_start + begin;
  } catch (const Error& error) {
    throw with_context(error, fmt::format("tensor {}", printable(entry.name)));
  }
  return entry;
}

void check_cover(const std::vector<SafetensorsEntry>& tensors, uint64_t data_start, uint64_t file_bytes) {
  uint64_t end = data_start;
  for (const SafetensorsEntry& tensor : tensors) {
    if (tensor.file_offset != end)
      throw Error(Errc::corrupt_file, "tensor {} begins at byte {}, the one before it ends at {}",
                  printable(tensor.name), tensor.file_offset, end);
    end += tensor.bytes.size();
  }
  if (end != file_bytes)
    throw Error(Errc::corrupt_file, "the tensors end at byte {}, the file at {}", end, file_bytes);
}

void refuse_duplicates(const std::vector<SafetensorsEntry>& tensors) {
  std::vector<std::string_view> names;
  for (const SafetensorsEntry& tensor : tensors) names.push_back(tensor.name);
  std::ranges::sort(names);
  if (const auto twice = std::ranges::adjacent_find(names); twice != names.end())
    throw Error(Errc::corrupt_file, "tensor {} appears twice", printable(*twice));
}

std::string_view read_header(ByteReader& reader) {
  const auto n_bytes = reader.number<uint64_t>("header length");
  if (n_bytes > limits::kSafetensorsHeaderBytes)
    throw Error(Errc::corrupt_file,
                "a header of {} bytes is over the limit of {}; is this a safetensors file?", n_bytes,
                limits::kSafetensorsHeaderBytes);
  const std::string_view header = reader.text(n_bytes, "header");
  if (!header.starts_with('{'))
    throw Error(Errc::corrupt_file, "not a safetensors file: the header is no JSON object");
  return header;
}

}  // namespace

std::string_view safetensors_type_name(SafetensorsType type) {
  return kTypes[static_cast<size_t>(type)].name;
}
uint64_t safetensors_type_bits(SafetensorsType type) { return kTypes[static_cast<size_t>(type)].n_bits; }

SafetensorsImage parse_safetensors(std::span<const std::byte> bytes, const std::string& name) try {
  ByteReader reader(bytes);
  HeaderHandler header;
  if (!Json::sax_parse(read_header(reader), &header)) throw Error(Errc::corrupt_file, "{}", header.message());
  const uint64_t data_start = reader.offset();
  const auto data = bytes.subspan(data_start);
  SafetensorsImage image;
  image.metadata = std::move(header.metadata);
  for (Declared& declared : header.tensors)
    image.tensors.push_back(place(std::move(declared), data, data_start));
  refuse_duplicates(image.tensors);
  // Empty tensors share an offset with a neighbour: they sort before it.
  std::ranges::stable_sort(image.tensors, {}, [](const SafetensorsEntry& entry) {
    return std::pair(entry.file_offset, entry.bytes.size());
  });
  check_cover(image.tensors, data_start, bytes.size());
  return image;
} catch (const Error& error) {
  throw with_context(error, name);
}

}  // namespace ruvllm::format
