#include "hub/safe_path.h"

#include "base/strings.h"
#include "base/utf8.h"

#include <algorithm>
#include <array>

namespace ruvllm::hub {
namespace {

constexpr size_t kMaxPathBytes = 1024;
constexpr size_t kMaxSegmentBytes = 240;  // NAME_MAX is 255; temporary names add a suffix

// Names that Windows keeps for devices, with any extension.
bool is_device(std::string_view segment) {
  const std::string stem = to_lower(segment.substr(0, segment.find('.')));
  constexpr std::array<std::string_view, 4> kDevices = {"con", "prn", "aux", "nul"};
  if (std::find(kDevices.begin(), kDevices.end(), stem) != kDevices.end()) return true;
  return stem.size() == 4 && (stem.substr(0, 3) == "com" || stem.substr(0, 3) == "lpt") && stem[3] >= '0' &&
         stem[3] <= '9';
}

std::string_view fault_of_segment(std::string_view segment) {
  if (segment.empty()) return "has an empty part";
  if (segment == "." || segment == "..") return "has a part that is '.' or '..'";
  if (segment.size() > kMaxSegmentBytes) return "has a part that is too long";
  if (segment.back() == '.' || segment.back() == ' ' || segment.front() == ' ')
    return "has a part that begins or ends with a blank or a dot";
  if (is_device(segment)) return "has a part that is a device's name";
  const std::string lower = to_lower(segment);
  if (lower == ".git" || lower == "git~1") return "reaches into .git";
  return {};
}

std::string_view fault_of(std::string_view text) {
  if (text.empty()) return "is empty";
  if (text.size() > kMaxPathBytes) return "is too long";
  if (!is_utf8(text)) return "is not UTF-8";
  for (const unsigned char c : text) {
    if (c < 0x20 || c == 0x7f) return "holds a control character";
    if (std::string_view("\\:<>\"|?*").find(static_cast<char>(c)) != std::string_view::npos)
      return "holds a character that not every system allows";
  }
  for (const std::string_view segment : split(text, '/'))
    if (const std::string_view fault = fault_of_segment(segment); !fault.empty()) return fault;
  return {};
}

}  // namespace

std::optional<SafePath> SafePath::parse(std::string_view text, std::string* why) {
  const std::string_view fault = fault_of(text);
  if (fault.empty()) return SafePath(text);
  if (why) *why = fault;
  return std::nullopt;
}

std::string_view SafePath::file_name() const {
  const size_t slash = text_.rfind('/');
  return std::string_view(text_).substr(slash == std::string::npos ? 0 : slash + 1);
}

int SafePath::depth() const { return static_cast<int>(std::count(text_.begin(), text_.end(), '/')); }

}  // namespace ruvllm::hub
