// Who works on a temporary file: host, process and a random number, written into its name. A file whose owner
// is gone may be adopted or swept away; that must hold even where flock does nothing, as on some network file
// systems. Tested by tests/hub/partial_test.cpp.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace ruvllm::hub {

/// "HOST-PID-START-RANDOM" of this process; another random number each time.
std::string owner_tag();

/// The tag in "STEM.TAG.SUFFIX", e.g. of a partial file's name; nothing where the name is not of that form.
std::optional<std::string> tag_of(std::string_view file_name, std::string_view suffix);

/// Whether another process, that of a tag, still runs. Of another host's processes nothing is known but that
/// a file that was written to in the last minutes has one.
bool owner_is_alive(std::string_view tag, const std::filesystem::path& file);

}  // namespace ruvllm::hub
