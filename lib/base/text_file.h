// Text as people and programs save it: files that are read to be understood, and not as bytes.
//
// What a file is, its first bytes say and not its name: gzip is unpacked, UTF-16 with a byte order mark is
// decoded, UTF-8's mark is dropped. What is no text (a model, an archive, a table, anything with a NUL in it)
// is refused with a hint, so that nothing is trained on or measured that no one wrote. Tested by
// tests/base/text_file_test.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace ruvllm {

/// A whole file as UTF-8. Throws as read_file() does, and corrupt_file where it is no text or, unpacked,
/// larger than `max_bytes`.
std::string read_text_file(const std::filesystem::path& path, uint64_t max_bytes);

/// The same of bytes that have been read, from a pipe say; `name` stands in messages.
std::string decode_text(std::string bytes, std::string_view name, uint64_t max_bytes);

}  // namespace ruvllm
