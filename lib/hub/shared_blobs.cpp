#include "hub/shared_blobs.h"

#include "base/error.h"
#include "base/file.h"
#include "hub/digest.h"

#include <unistd.h>

#include <string>

namespace ruvllm::hub {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStore = "blobs";
constexpr const char* kMarker = ".huggingface-shared-blobs";

fs::path beside(const fs::path& content, const char* suffix) { return content.string() + suffix; }

}  // namespace

std::optional<fs::path> shared_content(const fs::path& root, const fs::path& blob) {
  std::error_code error;
  const fs::path target = fs::read_symlink(blob, error);
  if (error) return std::nullopt;
  const fs::path content = (blob.parent_path() / target).lexically_normal();
  const std::string hash = content.filename().string();
  if (hash.size() != 64 || !Digest::parse(hash)) return std::nullopt;
  if (content.parent_path().filename() != hash.substr(0, 2)) return std::nullopt;
  const fs::path store = root / kStore;
  if (!fs::is_regular_file(fs::symlink_status(store / kMarker, error))) return std::nullopt;
  if (!fs::equivalent(content.parent_path().parent_path(), store, error) || error) return std::nullopt;
  return content;
}

std::vector<fs::path> blobs_sharing(const fs::path& root, const fs::path& content) {
  std::vector<fs::path> found;
  std::error_code ignored;
  for (const auto& repo : fs::directory_iterator(root, ignored)) {
    if (repo.path().filename().string().find("--") == std::string::npos) continue;
    for (const auto& blob : fs::directory_iterator(repo.path() / kStore, ignored)) {
      const auto linked = shared_content(root, blob.path());
      if (linked && linked->filename() == content.filename()) found.push_back(blob.path());
    }
  }
  return found;
}

uint64_t sweep_shared_content(const fs::path& root, const fs::path& content) {
  const FileDescriptor lock = lock_file(beside(content, ".lock"), true);
  std::error_code error;
  const uint64_t n_bytes = fs::file_size(content, error);
  if (error || !lock || !blobs_sharing(root, content).empty()) return 0;
  if (::unlink(content.c_str()) != 0) throw system_error(errno, content.string());
  ::unlink(beside(content, ".refs").c_str());
  return n_bytes;
}

}  // namespace ruvllm::hub
