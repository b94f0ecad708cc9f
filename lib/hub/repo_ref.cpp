#include "hub/repo_ref.h"

#include "base/error.h"
#include "base/strings.h"
#include "base/utf8.h"

#include <algorithm>
#include <vector>

namespace ruvllm::hub {
namespace {

constexpr size_t kMaxRepoBytes = 96;
constexpr size_t kMaxRevisionBytes = 200;
constexpr std::string_view kFolderPrefix = "models--";

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.';
}

bool all_of(std::string_view text, bool (*allowed)(char)) {
  return std::all_of(text.begin(), text.end(), allowed);
}

std::string_view fault_of_half(std::string_view half) {
  if (half.empty()) return "has an empty part";
  if (!all_of(half, is_word)) return "may hold letters, digits, '-', '_' and '.' only";
  for (const char end : {half.front(), half.back()})
    if (end == '-' || end == '.') return "has a part that begins or ends with '-' or '.'";
  if (half.find("--") != std::string_view::npos || half.find("..") != std::string_view::npos)
    return "holds '--' or '..'";
  return {};
}

std::string_view fault_of_repo(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos || text.find('/', slash + 1) != std::string_view::npos)
    return "is not of the form ORG/NAME";
  if (text.size() > kMaxRepoBytes) return "is longer than 96 characters";
  if (const std::string_view fault = fault_of_half(text.substr(0, slash)); !fault.empty()) return fault;
  if (const std::string_view fault = fault_of_half(text.substr(slash + 1)); !fault.empty()) return fault;
  if (text.ends_with(".git")) return "ends with '.git'";
  return {};
}

std::string_view fault_of_revision(std::string_view text) {
  if (text.empty()) return "is empty";
  if (text.size() > kMaxRevisionBytes) return "is too long";
  if (text.front() == '-') return "begins with '-'";
  if (!all_of(text, [](char c) { return is_word(c) || c == '/' || c == '+'; }))
    return "may hold letters, digits and '-_.+/' only";
  for (const std::string_view part : split(text, '/')) {
    if (part.empty() || part.front() == '.') return "has a part that is empty or begins with '.'";
    if (part.ends_with(".lock") || part.find("..") != std::string_view::npos)
      return "holds '..' or ends with '.lock'";
  }
  return {};
}

// Where a revision that begins a text ends: "refs/pr/1" spans three parts, any other ends at the first '/'.
size_t revision_length(std::string_view text) {
  size_t end = text.find_first_of("/:");
  if (text.starts_with("refs/"))
    for (int part = 0; part < 2 && end != std::string_view::npos && text[end] == '/'; ++part)
      end = text.find_first_of("/:", end + 1);
  return std::min(end, text.size());
}

std::string with_slashes(std::string_view revision) {
  std::string text(revision);
  for (const std::string_view coded : {"%2F", "%2f"})
    for (size_t at = text.find(coded); at != std::string::npos; at = text.find(coded))
      text.replace(at, 3, "/");
  return text;
}

[[noreturn]] void refuse(std::string_view part, std::string_view text, std::string_view why) {
  throw Error(Errc::usage, "{} '{}' {}", part, printable(text, 100), why);
}

}  // namespace

std::optional<RepoId> RepoId::parse(std::string_view text, std::string* why) {
  const std::string_view fault = fault_of_repo(text);
  if (fault.empty()) return RepoId(text);
  if (why) *why = fault;
  return std::nullopt;
}

std::optional<RepoId> RepoId::from_folder(std::string_view folder) {
  if (!folder.starts_with(kFolderPrefix)) return std::nullopt;
  std::string text(folder.substr(kFolderPrefix.size()));
  const size_t joint = text.find("--");
  if (joint == std::string::npos) return std::nullopt;
  return parse(text.replace(joint, 2, "/"));
}

std::string RepoId::folder() const {
  std::string folder(kFolderPrefix);
  folder += organisation();
  folder += "--";
  folder += name();
  return folder;
}

std::string_view RepoId::organisation() const { return std::string_view(text_).substr(0, text_.find('/')); }
std::string_view RepoId::name() const { return std::string_view(text_).substr(text_.find('/') + 1); }

std::optional<Revision> Revision::parse(std::string_view text, std::string* why) {
  const std::string_view fault = fault_of_revision(text);
  if (fault.empty()) return Revision(text);
  if (why) *why = fault;
  return std::nullopt;
}

Revision Revision::main() { return Revision("main"); }

std::string RepoRef::text() const {
  std::string text = repo.text();
  if (revision != Revision::main()) text += "@" + revision.text();
  if (!quant.empty()) text += ":" + quant;
  if (file) text += "/" + file->text();
  return text;
}

RepoRef parse_repo_ref(std::string_view text) {
  const size_t slash = text.find('/');
  const size_t end = slash == std::string_view::npos ? text.size() : text.find_first_of("@:/", slash + 1);
  std::string why;
  const std::optional<RepoId> repo = RepoId::parse(text.substr(0, end), &why);
  if (!repo) refuse("repository", text.substr(0, end), why);
  RepoRef ref{*repo, Revision::main(), {}, std::nullopt};
  std::string_view rest = end == std::string_view::npos ? std::string_view() : text.substr(end);
  if (rest.starts_with('@')) {
    rest.remove_prefix(1);
    const size_t length = revision_length(rest);
    const std::optional<Revision> revision = Revision::parse(with_slashes(rest.substr(0, length)), &why);
    if (!revision) refuse("revision", rest.substr(0, length), why);
    ref.revision = *revision;
    rest.remove_prefix(length);
  }
  if (rest.starts_with(':')) {
    ref.quant = rest.substr(1);
    if (ref.quant.empty() || !all_of(ref.quant, is_word))
      refuse("type", ref.quant, "is not the name of a type");
  } else if (rest.starts_with('/')) {
    ref.file = SafePath::parse(rest.substr(1), &why);
    if (!ref.file) refuse("file name", rest.substr(1), why);
  }
  return ref;
}

bool looks_like_repo_ref(std::string_view text) {
  if (text.empty() || !is_word(text.front()) || text.front() == '.') return false;
  const auto n_slashes = std::count(text.begin(), text.end(), '/');
  return n_slashes > 1 || (n_slashes == 1 && !text.ends_with(".gguf") && !text.ends_with('/'));
}

}  // namespace ruvllm::hub
