#include "format/gguf.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/random.h"
#include "gguf_image.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <limits>
#include <ranges>

using namespace ruvllm;
using format::Metadata;
using format::ValueType;
using test::Bytes;
using test::RawGguf;
using test::refusal;

namespace {

constexpr uint32_t kF32 = 0;

// Every type that metadata can hold, alone and in arrays, with the values that are easiest to get wrong.
Metadata every_type() {
  Metadata metadata;
  metadata.add("general.architecture", metadata.keep("test"));
  metadata.add("u8", uint8_t{255});
  metadata.add("i8", int8_t{-128});
  metadata.add("u16", uint16_t{65535});
  metadata.add("i16", int16_t{-32768});
  metadata.add("u32", std::numeric_limits<uint32_t>::max());
  metadata.add("i32", std::numeric_limits<int32_t>::min());
  metadata.add("u64", std::numeric_limits<uint64_t>::max());
  metadata.add("i64", std::numeric_limits<int64_t>::min());
  metadata.add("f32", -0.0f);
  metadata.add("f64", std::numeric_limits<double>::denorm_min());
  metadata.add("yes", true);
  metadata.add("no", false);
  metadata.add("empty text", metadata.keep(""));
  metadata.add("bytes", metadata.keep(std::string("a\0b\xFF", 4)));
  const std::array<std::byte, 48> bytes{};
  for (uint32_t id = 0; id <= static_cast<uint32_t>(ValueType::f64); ++id) {
    const auto type = static_cast<ValueType>(id);
    if (format::value_type_bytes(type) != 0)
      metadata.add(fmt::format("array of {}", value_type_name(type)), metadata.keep_array(type, bytes));
  }
  metadata.add("strings", metadata.keep_strings(std::vector<std::string>{"", "one", std::string(1000, 'x')}));
  metadata.add("no strings", metadata.keep_strings({}));
  return metadata;
}

void check_equal(const Metadata& a, const Metadata& b) {
  REQUIRE(a.entries().size() == b.entries().size());
  for (size_t i = 0; i < a.entries().size(); ++i) {
    CAPTURE(a.entries()[i].key);
    CHECK(a.entries()[i].key == b.entries()[i].key);
    CHECK(type_of(a.entries()[i].value) == type_of(b.entries()[i].value));
    CHECK(a.entries()[i].value == b.entries()[i].value);
  }
}

std::vector<format::TensorPlan> plans_of(const std::vector<format::Tensor>& tensors) {
  std::vector<format::TensorPlan> plans;
  for (const format::Tensor& tensor : tensors)
    plans.push_back({tensor.name, tensor.format, tensor.dimensions});
  return plans;
}

// One tensor of each format, three rows of one block each.
std::vector<format::TensorPlan> every_format() {
  std::vector<format::TensorPlan> plans;
  size_t n_formats = 0;
  const kernels::Traits* formats = kernels::all_formats(&n_formats);
  for (const kernels::Traits& traits : std::span(formats, n_formats))
    plans.push_back({traits.name, traits.format, {traits.block_values, 3}});
  return plans;
}

}  // namespace

TEST_CASE("what is written is what is read, for every type of metadata and every tensor format") {
  const Metadata metadata = every_type();
  const auto plans = every_format();
  Random random(test::test_seed());
  std::vector<Bytes> data;
  for (const auto& plan : plans) {
    Bytes& bytes = data.emplace_back(plan.n_bytes());
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.next());
  }
  for (const uint64_t alignment : {8, 32, 64, 4096}) {
    CAPTURE(alignment);
    const Bytes file = test::gguf_image(metadata, plans, data, alignment);
    const format::GgufImage image = format::parse_gguf(file, "test.gguf");
    CHECK(image.version == 3);
    CHECK(image.alignment == alignment);
    Metadata expected = metadata;
    if (alignment != 32) expected.add("general.alignment", static_cast<uint32_t>(alignment));
    check_equal(image.metadata, expected);
    REQUIRE(image.tensors.size() == plans.size());
    for (size_t i = 0; i < plans.size(); ++i) {
      CHECK(image.tensors[i].name == plans[i].name);
      CHECK(image.tensors[i].format == plans[i].format);
      CHECK(image.tensors[i].dimensions == plans[i].dimensions);
      CHECK(image.tensors[i].file_offset % alignment == 0);
      CHECK(std::ranges::equal(image.tensors[i].bytes, data[i]));
    }
  }
}

TEST_CASE("a file of the reference data that is read and written again is the same to the byte") {
  for (const char* name :
       {"stories260K/stories260K.gguf", "tiny/phi3.gguf", "tiny/quantised/llama-Q4_K_M.gguf"}) {
    const auto path = test::test_data(name);
    if (!path) return;
    const auto model = format::open_model_file(*path);
    const test::TemporaryFolder folder;
    format::GgufWriter writer(folder / "copy.gguf", model->metadata, plans_of(model->tensors),
                              model->alignment);
    for (size_t i = model->tensors.size(); i-- > 0;) {  // in any order, and in parts
      const auto bytes = model->tensors[i].bytes;
      const size_t half = bytes.size() / 2;
      writer.write_tensor_part(i, half, bytes.subspan(half));
      writer.write_tensor_part(i, 0, bytes.first(half));
    }
    CHECK_FALSE(std::filesystem::exists(folder / "copy.gguf"));
    writer.commit();
    CHECK(std::filesystem::file_size(folder / "copy.gguf") == writer.file_bytes());
    CHECK(read_file(folder / "copy.gguf", 1 << 26) == read_file(*path, 1 << 26));
  }
}

TEST_CASE("a model is opened with its tensors by name") {
  const auto path = test::test_data("stories260K/stories260K.gguf");
  if (!path) return;
  const auto model = format::open_model_file(*path);
  CHECK(model->kind == "GGUF v3");
  CHECK(model->tensors.size() == 47);
  CHECK(model->metadata.string("general.architecture") == "llama");
  CHECK(model->metadata.integer("llama.block_count") == 5);
  const format::Tensor* embeddings = model->find("token_embd.weight");
  REQUIRE(embeddings);
  CHECK(embeddings->dimensions == std::vector<uint64_t>{64, 512});
  CHECK(embeddings->n_rows() == 512);
  CHECK(embeddings->bytes.size() == 64 * 512 * 4);
  CHECK(model->find("token_embd") == nullptr);
  CHECK(model->file_bytes() == 1054720);
}

TEST_CASE("a file that is cut at any byte of its header is refused") {
  std::vector<Bytes> data;
  const auto plans = every_format();
  for (const auto& plan : plans) data.emplace_back(plan.n_bytes());
  const Bytes whole = test::gguf_image(every_type(), plans, data);
  REQUIRE_FALSE(refusal(whole));
  const uint64_t last_used =
      format::parse_gguf(whole, "t").tensors.back().file_offset + plans.back().n_bytes();
  for (size_t n_bytes = 0; n_bytes < last_used; ++n_bytes) {
    const Bytes cut(whole.begin(),
                    whole.begin() + static_cast<ptrdiff_t>(n_bytes));  // its end is known to ASan
    if (!refusal(cut)) FAIL("accepted when cut to " << n_bytes << " bytes");
  }
}

TEST_CASE("versions, byte orders and other files are told apart") {
  CHECK_FALSE(refusal(RawGguf(0, 0, 2).bytes()));
  CHECK_FALSE(refusal(RawGguf(0, 0, 3).bytes()));
  CHECK(refusal(RawGguf(0, 0, 1).bytes())->find("version 1") != std::string::npos);
  CHECK(refusal(RawGguf(0, 0, 0).bytes())->find("version 0") != std::string::npos);
  CHECK(refusal(RawGguf(0, 0, 4).bytes())->find("version 4") != std::string::npos);
  CHECK(refusal(RawGguf(0, 0, 0x03000000).bytes())->find("big-endian") != std::string::npos);
  CHECK(refusal(std::as_bytes(std::span("PK\3\4 a zip archive")))->find("not a GGUF file") !=
        std::string::npos);
}

TEST_CASE("a tensor is accepted just where its exact size fits into the file") {
  __extension__ using uint128 = unsigned __int128;
  constexpr uint64_t kDataBytes = 4096;
  constexpr std::array<uint64_t, 8> kLattice = {
      1, 32, 256, 1ull << 31, (1ull << 32) - 1, (1ull << 42) + 1, (1ull << 62) - 1, (1ull << 63) - 1};
  size_t n_formats = 0, n_accepted = 0;
  const kernels::Traits* formats = kernels::all_formats(&n_formats);
  for (const kernels::Traits& traits : std::span(formats, n_formats)) {
    for (size_t i = 0; i < kLattice.size() * kLattice.size() * kLattice.size() * kLattice.size(); ++i) {
      const std::vector<uint64_t> dimensions = {kLattice[i % 8], kLattice[i / 8 % 8], kLattice[i / 64 % 8],
                                                kLattice[i / 512]};
      const uint64_t left = dimensions[0] % traits.block_values;
      bool fits = left == 0 || traits.has_grid;
      uint128 n_bytes = uint128{dimensions[0] / traits.block_values} * traits.block_bytes;
      if (left > 0) n_bytes += kernels::row_bytes(traits, left);
      for (size_t d = 1; d < 4; ++d) n_bytes = std::min(n_bytes, uint128{1} << 64) * dimensions[d];
      fits = fits && n_bytes <= kDataBytes;
      RawGguf file(1, 0);
      file.tensor("t", dimensions, static_cast<uint32_t>(traits.format), 0).data(kDataBytes);
      n_accepted += fits;
      if (refusal(file.bytes()).has_value() == fits)
        FAIL(traits.name << ' ' << fmt::format("{}", fmt::join(dimensions, " x ")));
    }
  }
  CHECK(n_accepted > 100);
}

TEST_CASE("an offset is accepted just where the tensor's bytes lie in the file, aligned") {
  constexpr uint64_t kDataBytes = 4096;
  for (const uint64_t end : {kDataBytes, kDataBytes - 1}) {
    for (uint64_t offset = 0; offset <= 2 * kDataBytes; ++offset) {
      RawGguf file(1, 0);
      file.tensor("t", {64}, kF32, offset).data(end);
      CHECK(refusal(file.bytes()).has_value() != (offset % 32 == 0 && offset + 256 <= end));
    }
  }
  for (const uint64_t offset : {1ull << 40, 1ull << 63, 0ull - 32, 0ull - 256}) {
    RawGguf file(1, 0);
    file.tensor("t", {64}, kF32, offset).data(kDataBytes);
    CHECK(refusal(file.bytes()));
  }
}

TEST_CASE("no count or length is believed before the bytes are there") {
  std::vector<uint64_t> lies = {(1ull << 31) - 1, 1ull << 31,       (1ull << 32) - 1, 1ull << 32,
                                1ull << 62,       (1ull << 63) - 1, 1ull << 63,       ~0ull};
  for (uint64_t near = 40; near < 200; ++near) lies.push_back(near);
  for (const uint64_t lie : lies) {
    CAPTURE(lie);
    CHECK(refusal(RawGguf(lie, 0).data(32).bytes()));
    CHECK(refusal(RawGguf(0, lie).data(32).bytes()));
    CHECK(refusal(RawGguf(0, 1).number(lie).characters("key").bytes()));
    CHECK(refusal(RawGguf(0, 1).text("key").type(ValueType::string).number(lie).characters("value").bytes()));
    CHECK(refusal(RawGguf(1, 0).number(lie).characters("name").bytes()));
    for (uint32_t id = 0; id <= static_cast<uint32_t>(ValueType::f64); ++id) {
      RawGguf file(0, 1);
      file.text("key")
          .type(ValueType::array)
          .number(id)
          .number(lie)
          .characters("01234567012345670123456701234567");
      CHECK(refusal(file.bytes()));
    }
  }
}

TEST_CASE("general.alignment must be a u32 and a power of two of at least 8") {
  for (const uint32_t alignment : {0u, 1u, 3u, 4u, 12u, 13u, 33u, 65537u, 1u << 21, 1u << 31, ~0u}) {
    CAPTURE(alignment);
    RawGguf file(0, 1);
    CHECK(refusal(file.text("general.alignment").type(ValueType::u32).number(alignment).bytes()));
  }
  for (const uint32_t alignment : {8u, 32u, 64u, 4096u, 1u << 20}) {
    CAPTURE(alignment);
    RawGguf file(0, 1);
    CHECK_FALSE(refusal(file.text("general.alignment").type(ValueType::u32).number(alignment).bytes()));
  }
  CHECK(refusal(RawGguf(0, 1).text("general.alignment").type(ValueType::i32).number(int32_t{64}).bytes()));
  CHECK(refusal(RawGguf(0, 1).text("general.alignment").type(ValueType::string).text("64").bytes()));
}

TEST_CASE("names are printable UTF-8, unique, and of a bounded length") {
  const auto key = [](std::string_view name) {
    return refusal(RawGguf(0, 1).text(name).type(ValueType::u8).number(uint8_t{1}).bytes());
  };
  const auto tensor = [](std::string_view name) {
    return refusal(RawGguf(1, 0).tensor(name, {8}, kF32, 0).data(32).bytes());
  };
  for (const std::string& name :
       {std::string(), std::string("a\0b", 3), std::string("a\nb"), std::string("\x1b[2J"),
        std::string("\xff\xfe"), std::string("\xc0\x80"), std::string("\xed\xa0\x80"), std::string("\x7f")}) {
    for (const auto& message : {key(name), tensor(name)}) {
      REQUIRE(message);
      CHECK(std::ranges::all_of(*message, [](unsigned char c) { return c >= 0x20 && c < 0x7F; }));
    }
  }
  CHECK_FALSE(key(std::string(limits::kGgufKeyBytes, 'k')));
  CHECK(key(std::string(limits::kGgufKeyBytes + 1, 'k')));
  CHECK_FALSE(tensor(std::string(limits::kGgufNameBytes, 't')));
  CHECK(tensor(std::string(limits::kGgufNameBytes + 1, 't')));
  CHECK_FALSE(key("größe"));
  RawGguf twice(0, 2);
  for (int i = 0; i < 2; ++i) twice.text("key").type(ValueType::u8).number(uint8_t{1});
  CHECK(refusal(twice.bytes())->find("twice") != std::string::npos);
}

TEST_CASE("types, bools and nesting outside of the format are refused") {
  for (const uint32_t type : {13u, 255u, 1u << 31, ~0u}) {
    CHECK(refusal(RawGguf(0, 1).text("k").number(type).number(uint64_t{0}).number(uint64_t{0}).bytes()));
    CHECK(refusal(RawGguf(0, 1).text("k").type(ValueType::array).number(type).number(uint64_t{0}).bytes()));
  }
  CHECK(refusal(RawGguf(0, 1).text("k").type(ValueType::boolean).number(uint8_t{2}).bytes()));
  CHECK(refusal(RawGguf(0, 1)
                    .text("k")
                    .type(ValueType::array)
                    .type(ValueType::boolean)
                    .number(uint64_t{1})
                    .number(uint8_t{2})
                    .bytes()));
  CHECK(refusal(
      RawGguf(0, 1).text("k").type(ValueType::array).type(ValueType::array).number(uint64_t{0}).bytes()));
  for (const uint32_t format : {4u, 5u, 9u, 24u, 28u, 31u, 36u, 250u, ~0u})
    CHECK(refusal(RawGguf(1, 0).tensor("t", {256}, format, 0).data(4096).bytes()));
  CHECK(refusal(RawGguf(1, 0).tensor("t", {256}, 24, 0).data(4096).bytes())->find("I8") != std::string::npos);
  for (const uint32_t n_dimensions : {0u, 5u, 100u, 1u << 31, ~0u})
    CHECK(refusal(RawGguf(1, 0).text("t").number(n_dimensions).data(4096).bytes()));
  CHECK(refusal(RawGguf(1, 0).tensor("t", {0}, kF32, 0).data(64).bytes()));
  CHECK(refusal(RawGguf(1, 0).tensor("t", {8, 0}, kF32, 0).data(64).bytes()));
}

TEST_CASE("tensors may lie in any order with gaps, but never overlap") {
  const auto two = [](uint64_t first, uint64_t second) {
    return refusal(
        RawGguf(2, 0).tensor("a", {16}, kF32, first).tensor("b", {16}, kF32, second).data(256).bytes());
  };
  CHECK_FALSE(two(0, 64));
  CHECK_FALSE(two(64, 0));
  CHECK_FALSE(two(0, 128));
  CHECK(two(0, 0)->find("overlap") != std::string::npos);
  CHECK(two(0, 32));
  CHECK(two(32, 0));
}

TEST_CASE("trailing dimensions of one carry no meaning") {
  RawGguf file(1, 0);
  file.tensor("t", {8, 2, 1, 1}, kF32, 0).data(64);
  CHECK(format::parse_gguf(file.bytes(), "t").tensors[0].dimensions == std::vector<uint64_t>{8, 2});
  RawGguf single(1, 0);
  single.tensor("t", {1, 1}, kF32, 0).data(64);
  CHECK(format::parse_gguf(single.bytes(), "t").tensors[0].dimensions == std::vector<uint64_t>{1});
}

TEST_CASE("limits on counts and lengths hold to the unit") {
  const auto keys = [](uint64_t n_keys) {
    RawGguf file(0, n_keys);
    for (uint64_t i = 0; i < n_keys; ++i)
      file.text(fmt::format("{:06}", i)).type(ValueType::u8).number(uint8_t{0});
    return refusal(file.bytes());
  };
  CHECK_FALSE(keys(limits::kGgufKeys));
  CHECK(keys(limits::kGgufKeys + 1)->find("limit") != std::string::npos);
  const auto tensors = [](uint64_t n_tensors) {
    RawGguf file(n_tensors, 0);
    for (uint64_t i = 0; i < n_tensors; ++i) file.tensor(fmt::format("{:06}", i), {8}, kF32, i * 32);
    return refusal(file.data(n_tensors * 32).bytes());
  };
  CHECK_FALSE(tensors(limits::kGgufTensors));
  CHECK(tensors(limits::kGgufTensors + 1)->find("limit") != std::string::npos);
  const auto string = [](uint64_t n_bytes) {
    return refusal(RawGguf(0, 1).text("k").type(ValueType::string).text(std::string(n_bytes, 'x')).bytes());
  };
  CHECK_FALSE(string(limits::kGgufStringBytes));
  CHECK(string(limits::kGgufStringBytes + 1)->find("limit") != std::string::npos);
  const auto array = [](uint64_t n_elements) {
    RawGguf file(0, 1);
    file.text("k").type(ValueType::array).type(ValueType::u8).number(n_elements);
    return refusal(file.data(n_elements + 32).bytes());
  };
  CHECK_FALSE(array(limits::kGgufArrayElements));
  CHECK(array(limits::kGgufArrayElements + 1)->find("limit") != std::string::npos);
}

TEST_CASE("time is linear in keys, tensors and strings") {
  const auto best_seconds = [](std::span<const std::byte> file) {
    double best = 1e9;
    for (int i = 0; i < 5; ++i) {
      const std::clock_t before = std::clock();
      if (refusal(file)) return 0.0;
      best = std::min(best, static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC);
    }
    return best;
  };
  const auto keys = [](uint64_t n) {
    RawGguf file(0, n);
    for (uint64_t i = 0; i < n; ++i)
      file.text(fmt::format("key.{}", i)).type(ValueType::u8).number(uint8_t{0});
    return file;
  };
  const auto tensors = [](uint64_t n) {
    RawGguf file(n, 0);
    for (uint64_t i = 0; i < n; ++i) file.tensor(fmt::format("blk.{}.attn_q.weight", i), {8}, kF32, i * 32);
    return file.data(n * 32);
  };
  const auto strings = [](uint64_t n) {
    RawGguf file(0, 1);
    file.text("k").type(ValueType::array).type(ValueType::string).number(n);
    for (uint64_t i = 0; i < n; ++i) file.text("token");
    return file;
  };
  const auto ratio = [&](const RawGguf& small, const RawGguf& large) {
    return best_seconds(large.bytes()) / best_seconds(small.bytes());
  };
  // Linear gives 10, quadratic 100; caches and a busy machine take their share.
  CHECK(ratio(keys(6'000), keys(60'000)) < 40);
  CHECK(ratio(tensors(20'000), tensors(200'000)) < 80);  // whose memory comes from the kernel each time
  CHECK(ratio(strings(100'000), strings(1'000'000)) < 40);
}
