// "ORG/NAME[@REVISION][:QUANT or /FILE]" in parts, each of which can only be had validated: repository ids
// and revisions become folder names and parts of addresses. Tested by tests/hub/names_test.cpp.
#pragma once

#include "hub/safe_path.h"

#include <optional>
#include <string>
#include <string_view>

namespace ruvllm::hub {

class RepoId {
 public:
  /// "ORG/NAME" by the hub's rules: 1 to 96 of [A-Za-z0-9-_.], no "--", "..", no '-' or '.' at the ends, no
  /// ".git".
  static std::optional<RepoId> parse(std::string_view text, std::string* why = nullptr);
  /// From a cache folder's name, "models--ORG--NAME".
  static std::optional<RepoId> from_folder(std::string_view folder);

  const std::string& text() const { return text_; }
  std::string folder() const;
  std::string_view organisation() const;
  std::string_view name() const;
  bool operator==(const RepoId&) const = default;

 private:
  explicit RepoId(std::string_view text) : text_(text) {}
  std::string text_;
};

class Revision {
 public:
  /// A branch, tag, commit or "refs/pr/N": [A-Za-z0-9._/-], no "..", no empty part, no '-' in front.
  static std::optional<Revision> parse(std::string_view text, std::string* why = nullptr);
  static Revision main();
  const std::string& text() const { return text_; }
  bool operator==(const Revision&) const = default;

 private:
  explicit Revision(std::string_view text) : text_(text) {}
  std::string text_;
};

struct RepoRef {
  RepoId repo;
  Revision revision = Revision::main();
  std::string quant;             ///< "Q4_K_M" as given, empty where none
  std::optional<SafePath> file;  ///< never together with quant

  /// The reference as a user would write it.
  std::string text() const;
};

/// Throws Errc::usage naming the part and what is wrong with it. In a REVISION, '/' is written as it is in
/// "refs/pr/N" and as "%2F" in branch names, since "/FILE" may follow.
RepoRef parse_repo_ref(std::string_view text);

/// Whether a text has the shape of a reference (ORG/NAME...) rather than of a path ("folder/file.gguf") or an
/// alias.
bool looks_like_repo_ref(std::string_view text);

}  // namespace ruvllm::hub
