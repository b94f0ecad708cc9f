#include "engine/written_model.h"

#include "base/error.h"
#include "format/gguf.h"
#include "test_support.h"

#include <doctest/doctest.h>

using namespace ruvllm;

namespace {

// A file of one tensor that no model is made of.
std::filesystem::path write_file(const test::TemporaryFolder& folder, const char* name, const char* kind) {
  format::Metadata metadata;
  metadata.set("general.architecture", std::string_view("llama"));
  metadata.set("general.name", metadata.keep(kind));
  const float value = 1.0f;
  format::GgufWriter writer(folder / name, metadata, {{"x", tensor::Format::F32, {1}}});
  writer.write_tensor(0, std::as_bytes(std::span(&value, 1)));
  writer.commit();
  return folder / name;
}

std::string refusal(const format::ModelFile* source, const std::filesystem::path& written) {
  try {
    engine::check_written_model(source, written);
  } catch (const Error& error) {
    CHECK(error.code() == Errc::failed);
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a file is as usable as its source; what is broken is said, and stays") {
  const test::TemporaryFolder folder;
  const auto source = format::open_model_file(write_file(folder, "source.gguf", "source"));
  const std::filesystem::path written = write_file(folder, "written.gguf", "written");
  CHECK(engine::why_unusable(*source).find("llama.block_count is missing") != std::string::npos);
  CHECK(refusal(source.get(), written) == "");  // the source was no better
  const std::string why = refusal(nullptr, written);
  CHECK(why.find("written.gguf was written, but it can't be used") != std::string::npos);
  CHECK(why.find("llama.block_count is missing") != std::string::npos);
  CHECK(std::filesystem::exists(written));
  CHECK(refusal(source.get(), folder / "absent.gguf").find("can't be opened again") != std::string::npos);
}

TEST_CASE("the reference model can be used, as a folder and as a file") {
  for (const char* name : {"stories260K/hf", "stories260K/stories260K.gguf"})
    if (const auto path = test::test_data(name))
      CHECK(engine::why_unusable(*format::open_model_file(*path)) == "");
}
