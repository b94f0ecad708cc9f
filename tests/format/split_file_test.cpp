#include "format/split_file.h"

#include "base/limits.h"
#include "format/gguf.h"
#include "gguf_image.h"
#include "test_support.h"

#include <doctest/doctest.h>

using namespace ruvllm;
using format::Metadata;

namespace {

constexpr uint32_t kShards = 3;

struct Lie {
  const char* key = nullptr;
  int64_t value = 0;
};

// Writes shard i (from 0) with tensors t<2i> and t<2i+1> of eight floats, whose first byte is the tensor's
// number.
void write_shard(const std::filesystem::path& path, uint32_t i, const Lie& lie = {}) {
  Metadata metadata;
  if (i == 0) metadata.add("general.architecture", metadata.keep("test"));
  metadata.add("split.no", static_cast<uint16_t>(i));
  metadata.add("split.count", static_cast<uint16_t>(kShards));
  metadata.add("split.tensors.count", static_cast<int32_t>(2 * kShards));
  if (lie.key) metadata.set(lie.key, lie.value);
  std::vector<format::TensorPlan> plans;
  for (uint32_t t = 2 * i; t < 2 * i + 2; ++t)
    plans.push_back({fmt::format("t{}", t), tensor::Format::F32, {8}});
  format::GgufWriter writer(path, metadata, plans);
  for (uint32_t t = 0; t < 2; ++t) {
    test::Bytes bytes(32);
    bytes[0] = static_cast<std::byte>(2 * i + t);
    writer.write_tensor(t, bytes);
  }
  writer.commit();
}

void write_shards(const test::TemporaryFolder& folder) {
  for (uint32_t i = 0; i < kShards; ++i) write_shard(folder / format::split_name("m", i + 1, kShards), i);
}

std::string refusal_of(const std::filesystem::path& path, Errc code = Errc::corrupt_file) {
  try {
    format::open_model_file(path);
  } catch (const Error& error) {
    CHECK(error.code() == code);
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("names of shards are made and read") {
  CHECK(format::split_name("model", 2, 13) == "model-00002-of-00013.gguf");
  const auto name = format::parse_split_name("a-b-00002-of-00013.gguf");
  REQUIRE(name);
  CHECK(name->stem == "a-b");
  CHECK(name->number == 2);
  CHECK(name->n_shards == 13);
  for (const char* bad :
       {"model.gguf", "m-00000-of-00003.gguf", "m-00004-of-00003.gguf", "m-0001-of-00003.gguf",
        "m-00001-of-00003.bin", "m-0000a-of-00003.gguf", "m_00001-of-00003.gguf", "-00001-of-00003.gguf"})
    CHECK_FALSE(format::parse_split_name(bad));
}

TEST_CASE("a split model is whole from any of its shards") {
  const test::TemporaryFolder folder;
  write_shards(folder);
  for (uint32_t i = 1; i <= kShards; ++i) {
    const auto model = format::open_model_file(folder / format::split_name("m", i, kShards));
    CHECK(model->files.size() == kShards);
    CHECK(model->metadata.string("general.architecture") == "test");
    CHECK(model->metadata.find("split.no") == nullptr);
    CHECK(model->metadata.find("split.count") == nullptr);
    REQUIRE(model->tensors.size() == 2 * kShards);
    for (uint32_t t = 0; t < 2 * kShards; ++t) {
      const format::Tensor* tensor = model->find(fmt::format("t{}", t));
      REQUIRE(tensor);
      CHECK(tensor->file_index == t / 2);
      CHECK(tensor->bytes[0] == static_cast<std::byte>(t));
    }
  }
}

TEST_CASE("a missing shard is named") {
  const test::TemporaryFolder folder;
  write_shards(folder);
  std::filesystem::remove(folder / format::split_name("m", 2, kShards));
  CHECK(refusal_of(folder / format::split_name("m", 3, kShards), Errc::not_found)
            .find("m-00002-of-00003.gguf") != std::string::npos);
}

TEST_CASE("shards that don't belong together are refused") {
  const Lie lies[] = {{"split.no", 1},
                      {"split.no", -1},
                      {"split.no", 2},
                      {"split.count", 2},
                      {"split.count", 65535},
                      {"split.count", int64_t{1} << 31},
                      {"split.tensors.count", 5},
                      {"split.tensors.count", -1}};
  for (const Lie& lie : lies) {
    CAPTURE(lie.key);
    CAPTURE(lie.value);
    const test::TemporaryFolder folder;
    write_shards(folder);
    const auto path = folder / format::split_name("m", 1, kShards);
    write_shard(path, 0, lie);
    CHECK_FALSE(refusal_of(path).empty());
    CHECK_FALSE(refusal_of(folder / format::split_name("m", 3, kShards)).empty());
  }
  const test::TemporaryFolder folder;
  write_shards(folder);
  std::filesystem::copy_file(folder / format::split_name("m", 1, kShards), folder / "renamed.gguf");
  CHECK(refusal_of(folder / "renamed.gguf").find("NAME-00001-of-00003.gguf") != std::string::npos);
  std::filesystem::copy_file(folder / format::split_name("m", 1, kShards),
                             folder / format::split_name("m", 2, kShards),
                             std::filesystem::copy_options::overwrite_existing);
  CHECK(refusal_of(folder / format::split_name("m", 1, kShards)).find("shard 1 of 3") != std::string::npos);
}

TEST_CASE("a name that claims more shards than the limit is refused before any is opened") {
  const test::TemporaryFolder folder;
  const auto path = folder / format::split_name("m", 1, limits::kSplitFiles + 1);
  write_shard(path, 0);
  CHECK(refusal_of(path).find("not named like") != std::string::npos);
}

TEST_CASE("counts of 0 and 1 mean a whole model, as merging leaves them") {
  for (const uint16_t count : {0, 1}) {
    const test::TemporaryFolder folder;
    Metadata metadata;
    metadata.add("split.count", count);
    format::GgufWriter(folder / "m.gguf", metadata, {}).commit();
    CHECK(format::open_model_file(folder / "m.gguf")->tensors.empty());
  }
}
