// The malformed files of the reference data: a good model with edits, each with what a loader must do. Some
// faults are beyond a reader of files (an unknown architecture, a tensor of the wrong shape); those are named
// here, and held against the whole program elsewhere.
#include "base/file.h"
#include "base/json.h"
#include "gguf_image.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <set>

using namespace ruvllm;
using test::Bytes;

namespace {

Bytes from_hex(const std::string& hex) {
  Bytes bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoul(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

void append_piece(Bytes& file, const Json& piece, const Bytes& base) {
  if (piece.contains("hex")) {
    const Bytes more = from_hex(piece["hex"]);
    file.insert(file.end(), more.begin(), more.end());
  } else if (piece.contains("fill")) {
    file.insert(file.end(), piece["fill"][1].get<size_t>(),
                static_cast<std::byte>(piece["fill"][0].get<int>()));
  } else {
    const auto first = base.begin() + piece["copy"][0].get<ptrdiff_t>();
    file.insert(file.end(), first, first + piece["copy"][1].get<ptrdiff_t>());
  }
}

Bytes build(const Json& test_case, const Bytes& base) {
  Bytes file;
  size_t copied = 0;
  for (const Json& edit : test_case["edits"]) {
    const auto at = edit["at"].get<size_t>();
    file.insert(file.end(), base.begin() + static_cast<ptrdiff_t>(copied),
                base.begin() + static_cast<ptrdiff_t>(at));
    for (const Json& piece : edit["put"]) append_piece(file, piece, base);
    copied = at + edit["delete"].get<size_t>();
  }
  file.insert(file.end(), base.begin() + static_cast<ptrdiff_t>(copied), base.end());
  if (test_case.contains("truncate")) file.resize(test_case["truncate"].get<size_t>());
  return file;
}

// Parses as read_gguf does, duplicate names included.
format::ModelFile load(const Bytes& file) {
  format::GgufImage image = format::parse_gguf(file, "bad.gguf");
  format::ModelFile model;
  model.source = "bad.gguf";
  model.metadata = std::move(image.metadata);
  model.tensors = std::move(image.tensors);
  model.index_tensors();
  return model;
}

// Well-formed files whose fault lies in what they mean: the model and the tokenizer refuse them.
bool is_well_formed(const std::string& id, const std::string& category) {
  constexpr std::array kPrefixes = {"wrongtype-",     "vocab-",         "tensor-count-0", "tensor-count-46",
                                    "missing-tensor", "renamed-tensor", "dims-swapped",   "dims-norm-",
                                    "dim-1",          "dim-31"};
  return category == "hparam" ||
         std::ranges::any_of(kPrefixes, [&](const char* prefix) { return id.starts_with(prefix); });
}

void check_message(const std::string& message) {
  CHECK(message.starts_with("bad.gguf: "));
  CHECK(message.size() < 500);
  CHECK(std::ranges::all_of(message, [](unsigned char c) { return c >= 0x20 && c != 0x7F; }));
}

}  // namespace

TEST_CASE("every malformed file of the reference data is refused or accepted as its line says") {
  const auto cases_path = test::test_data("malformed/cases.json");
  const auto base_path = test::test_data("stories260K/stories260K.gguf");
  if (!cases_path || !base_path) return;
  const std::string base_text = read_file(*base_path, 1 << 24);
  const auto base_bytes = std::as_bytes(std::span(base_text));
  const Bytes base(base_bytes.begin(), base_bytes.end());
  const format::ModelFile good = load(base);
  size_t n_refused = 0;
  const Json cases = parse_json(read_file(*cases_path, 1 << 24), "cases.json");
  for (const Json& test_case : cases["cases"]) {
    const std::string id = test_case["id"], category = test_case["category"], expect = test_case["expect"];
    CAPTURE(id);
    try {
      const Bytes file = build(test_case, base);
      const format::ModelFile model = load(file);
      if (expect == "reject") CHECK(is_well_formed(id, category));
      if (expect != "accept") continue;
      CHECK(model.tensors.size() == good.tensors.size());
      for (const format::Tensor& tensor : good.tensors) {
        const format::Tensor* found = model.find(tensor.name);
        REQUIRE(found);
        CHECK(found->dimensions == tensor.dimensions);
        if (found->format == tensor.format) CHECK(std::ranges::equal(found->bytes, tensor.bytes));
      }
    } catch (const Error& error) {
      CHECK(error.code() == Errc::corrupt_file);
      CHECK(expect != "accept");
      check_message(error.what());
      ++n_refused;
    }
  }
  CHECK(n_refused > 150);
}
