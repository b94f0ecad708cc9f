#include "base/error.h"
#include "hub/file_choice.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace ruvllm;
using namespace ruvllm::hub;

namespace {

Listing listing_of(std::initializer_list<const char*> names) {
  Listing listing;
  uint64_t n_bytes = 1000;
  for (const char* name : names) listing.files.push_back({*SafePath::parse(name), n_bytes++, std::nullopt});
  return listing;
}

std::string main_file(const Listing& listing, const char* reference) {
  return choose_files(listing, parse_repo_ref(reference)).files.at(0).path.text();
}

}  // namespace

TEST_CASE("the type of a file is told by its name") {
  const std::vector<std::pair<const char*, const char*>> rows = {
      {"Llama-3.2-3B-Instruct-Q4_K_M.gguf", "Q4_K_M"},
      {"qwen2.5-0.5b-instruct-q4_k_m.gguf", "Q4_K_M"},
      {"model.Q8_0.gguf", "Q8_0"},
      {"model-f16.gguf", "F16"},
      {"model-BF16.gguf", "BF16"},
      {"model-fp16.gguf", "F16"},
      {"Phi-3-mini-4k-instruct-q4.gguf", "Q4"},
      {"x-IQ3_XXS.gguf", "IQ3_XXS"},
      {"x-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"},
      {"x-TQ1_0.gguf", "TQ1_0"},
      {"x-PIQ3.gguf", "PIQ3"},
      {"gpt-oss-mxfp4.gguf", "MXFP4"},
      {"Q6_K/x-00001-of-00002.gguf", "Q6_K"},
      {"model_q5_k_s.gguf", "Q5_K_S"},
      {"plain.gguf", ""},
      {"qwen2.gguf", ""},
      {"x-Q8_0-v2.gguf", "Q8_0"},
      {"ruvltra-small-0.5b-q4_k_m.gguf", "Q4_K_M"},
      {"x-Q3_K_P.gguf", "Q3_K_P"},
      {"x-Q6_K_L.gguf", "Q6_K_L"},
      {"x-UD-Q8_K_XL.gguf", "UD-Q8_K_XL"},
      {"x-MXFP4_MOE.gguf", "MXFP4_MOE"},
      {"x-NVFP4.gguf", "NVFP4"},
      {"x-Q1_0.gguf", "Q1_0"},
      {"iq.gguf", ""}};
  for (const auto& [name, quant] : rows) CHECK_MESSAGE(quant_of(name) == quant, name);
}

TEST_CASE("a type is chosen without regard to case, and never a longer one of the same beginning") {
  const Listing listing =
      listing_of({"m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "m-Q4_K.gguf", "m-UD-Q4_K_XL.gguf", "m-IQ4_NL.gguf"});
  CHECK(main_file(listing, "a/b:q4_k_m") == "m-Q4_K_M.gguf");
  CHECK(main_file(listing, "a/b:Q4_K") == "m-Q4_K.gguf");
  CHECK(main_file(listing, "a/b:q4_k_xl") == "m-UD-Q4_K_XL.gguf");
  CHECK(main_file(listing, "a/b:iq4_nl") == "m-IQ4_NL.gguf");
  CHECK_THROWS_WITH_AS(main_file(listing, "a/b:Q8_0"), doctest::Contains("it has"), Error);
  CHECK_THROWS_WITH_AS(main_file(listing, "a/b"), doctest::Contains("choose one"), Error);
}

TEST_CASE("projectors and importance matrices are no models, unless asked for by name") {
  const Listing listing = listing_of({"mmproj-F16.gguf", "m-imatrix.gguf", "m-F16.gguf", "imatrix.dat"});
  CHECK(main_file(listing, "a/b") == "m-F16.gguf");
  CHECK(main_file(listing, "a/b:f16") == "m-F16.gguf");
  CHECK(main_file(listing, "a/b/mmproj-F16.gguf") == "mmproj-F16.gguf");
}

TEST_CASE("what helps a model beside it is not the model, unless nothing else is there") {
  const Listing listing =
      listing_of({"m-Q4_K_M.gguf", "m-Q4_K_M-mtp.gguf", "mtp-m-Q8_0.gguf", "mmproj-m-Q4_K_M.gguf"});
  CHECK(main_file(listing, "a/b:Q4_K_M") == "m-Q4_K_M.gguf");
  CHECK(main_file(listing, "a/b") == "m-Q4_K_M.gguf");
  CHECK(main_file(listing, "a/b/m-Q4_K_M-mtp.gguf") == "m-Q4_K_M-mtp.gguf");
  CHECK_THROWS_WITH_AS(main_file(listing, "a/b:Q8_0"), doctest::Contains("no Q8_0"), Error);
  CHECK(main_file(listing_of({"MiMo-MTP-Q4_K_M.gguf"}), "a/b:Q4_K_M") == "MiMo-MTP-Q4_K_M.gguf");
  CHECK(main_file(listing_of({"m-eagle3-Q8_0.gguf", "beagle-Q8_0.gguf"}), "a/b:Q8_0") == "beagle-Q8_0.gguf");
}

TEST_CASE("MXFP4 is found under its longer name, where there is no plain one") {
  CHECK(main_file(listing_of({"m-MXFP4_MOE.gguf", "m-Q8_0.gguf"}), "a/b:mxfp4") == "m-MXFP4_MOE.gguf");
  CHECK(main_file(listing_of({"m-MXFP4_MOE.gguf", "m-MXFP4.gguf"}), "a/b:MXFP4") == "m-MXFP4.gguf");
  CHECK(main_file(listing_of({"m-Q3_K_P.gguf", "m-Q3_K_M.gguf"}), "a/b:Q3_K_P") == "m-Q3_K_P.gguf");
}

TEST_CASE("two files of one type are a question that names both") {
  const Listing listing = listing_of({"one-Q8_0.gguf", "two-Q8_0.gguf"});
  CHECK_THROWS_WITH_AS(main_file(listing, "a/b:Q8_0"), doctest::Contains("one-Q8_0.gguf"), Error);
}

TEST_CASE("shards are one model in order, and an incomplete set is refused only where it is wanted") {
  const Listing listing = listing_of(
      {"q8/m-Q8_0-00002-of-00002.gguf", "q8/m-Q8_0-00001-of-00002.gguf", "m-Q4_0-00001-of-00002.gguf"});
  const Choice choice = choose_files(listing, parse_repo_ref("a/b:Q8_0"));
  REQUIRE(choice.files.size() == 2);
  CHECK(choice.files[0].path.text() == "q8/m-Q8_0-00001-of-00002.gguf");
  CHECK_THROWS_WITH_AS(choose_files(listing, parse_repo_ref("a/b:Q4_0")), doctest::Contains("missing"),
                       Error);
}

TEST_CASE("without GGUF the safetensors set is the model, pickles and other folders left out") {
  const Listing listing =
      listing_of({"config.json", "tokenizer.json", "model-00001-of-00002.safetensors",
                  "model-00002-of-00002.safetensors", "model.safetensors.index.json",
                  "consolidated.safetensors", "pytorch_model.bin", "x.pth", "original/consolidated.00.pth",
                  "onnx/model.safetensors", "evil.py", "README.md"});
  const Choice choice = choose_files(listing, parse_repo_ref("a/b"));
  CHECK(choice.is_folder);
  std::vector<std::string> names;
  for (const HubFile& file : choice.files) names.push_back(file.path.text());
  std::sort(names.begin(), names.end());
  CHECK(names == std::vector<std::string>{"config.json", "model-00001-of-00002.safetensors",
                                          "model-00002-of-00002.safetensors", "model.safetensors.index.json",
                                          "tokenizer.json"});
  CHECK_THROWS_AS(choose_files(listing_of({"config.json", "pytorch_model.bin"}), parse_repo_ref("a/b")),
                  Error);
  CHECK_THROWS_AS(choose_files(listing_of({"model-00001-of-00002.safetensors"}), parse_repo_ref("a/b")),
                  Error);
}

TEST_CASE("a model file with an unsafe name makes the listing unfit; another such file is only left out") {
  Listing listing = listing_of({"m-Q8_0.gguf"});
  listing.refused = {"'../readme.md' has a part that is '.' or '..'"};
  CHECK_NOTHROW(choose_files(listing, parse_repo_ref("a/b")));
  listing.refused = {"'../m.gguf' has a part that is '.' or '..'"};
  CHECK_THROWS_AS(choose_files(listing, parse_repo_ref("a/b")), Error);
}
