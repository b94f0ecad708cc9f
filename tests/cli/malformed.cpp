#include "cli/malformed.h"

#include "base/file.h"
#include "base/json.h"
#include "test_support.h"

namespace ruvllm::test {
namespace {

std::string bytes_of_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

std::string piece_of(const Json& piece, const std::string& base) {
  if (piece.contains("hex")) return bytes_of_hex(piece.at("hex"));
  if (piece.contains("fill"))
    return std::string(piece.at("fill")[1].get<size_t>(), static_cast<char>(piece.at("fill")[0].get<int>()));
  return base.substr(piece.at("copy")[0].get<size_t>(), piece.at("copy")[1].get<size_t>());
}

// `at` counts in the base file; edits are in ascending order.
std::string edited(const std::string& base, const Json& recipe) {
  std::string bytes;
  size_t at = 0;
  for (const Json& edit : recipe.at("edits")) {
    const size_t next = edit.at("at").get<size_t>();
    bytes += base.substr(at, next - at);
    at = next + edit.at("delete").get<size_t>();
    for (const Json& piece : edit.at("put")) bytes += piece_of(piece, base);
  }
  bytes += base.substr(std::min(at, base.size()));
  if (recipe.contains("truncate")) bytes.resize(std::min(bytes.size(), recipe.at("truncate").get<size_t>()));
  return bytes;
}

}  // namespace

void for_each_malformed_case(const std::function<void(const MalformedCase&)>& on_case) {
  const auto model = test_data("stories260K/stories260K.gguf");
  const auto recipes = test_data("malformed/cases.json");
  if (!model || !recipes) return;
  const std::string base = read_file(*model, 1 << 24);
  const Json document = parse_json(read_file(*recipes, 1 << 26), "cases.json");
  for (const Json& recipe : document.at("cases"))
    on_case({recipe.at("id"), recipe.at("expect"), edited(base, recipe)});
}

}  // namespace ruvllm::test
