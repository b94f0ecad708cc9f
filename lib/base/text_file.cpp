#include "base/text_file.h"

#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"

#include <zlib.h>

#include <algorithm>

namespace ruvllm {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kGzip = "\x1F\x8B"sv;

/// First bytes of what is no text, and what to do about it.
struct Kind {
  std::string_view magic;
  std::string_view name;
  std::string_view hint;
};
constexpr std::string_view kUnpack = "unpack it first";
constexpr std::string_view kConvert = "write its rows as JSON lines first";
constexpr Kind kKinds[] = {
    {"GGUF"sv, "a GGUF model", "it goes where a MODEL is asked for"},
    {"PK\x03\x04"sv, "a zip archive", kUnpack},
    {"\x28\xB5\x2F\xFD"sv, "packed with zstd", kUnpack},
    {"BZh"sv, "packed with bzip2", kUnpack},
    {"\xFD\x37zXZ\x00"sv, "packed with xz", kUnpack},
    {"\x04\x22\x4D\x18"sv, "packed with lz4", kUnpack},
    {"PAR1"sv, "a Parquet table", kConvert},
    {"ARROW1"sv, "an Arrow table", kConvert},
    {"SQLite format 3"sv, "an SQLite database", kConvert},
    {"%PDF-"sv, "a PDF document", "take its text out first"},
    {"\x7F\x45LF"sv, "a program", "expected text"},
    {"\xFF\xFE\x00\x00"sv, "UTF-32", "save it as UTF-8"},
    {"\x00\x00\xFE\xFF"sv, "UTF-32", "save it as UTF-8"},
};

// bzip2's three letters may begin a text; its fourth byte is a digit, and then comes the number pi.
bool is_kind(const Kind& kind, std::string_view bytes) {
  if (!bytes.starts_with(kind.magic)) return false;
  return kind.magic != "BZh"sv || bytes.substr(std::min<size_t>(4, bytes.size())).starts_with("1AY&SY"sv);
}

[[noreturn]] void refuse_packing(std::string_view name, std::string_view what) {
  throw Error(Errc::corrupt_file, "{}: gzip data that {}", name, what);
}

// Members of a gzip file one after the other, as gzip -d does.
std::string gunzip(std::string_view packed, std::string_view name, uint64_t max_bytes) {
  struct Stream : z_stream {
    Stream() : z_stream{} {
      constexpr int kGzipOnly = 15 + 16;  // the largest window; a gzip header must be there
      if (inflateInit2(this, kGzipOnly) != Z_OK) throw Error(Errc::no_resources, "zlib cannot start");
    }
    ~Stream() { inflateEnd(this); }
  } stream;
  std::string text;
  char buffer[1 << 16];
  while (packed.starts_with(kGzip)) {
    inflateReset(&stream);
    for (int state = Z_OK; state != Z_STREAM_END;) {
      const size_t n_in = std::min<size_t>(packed.size(), 1u << 30);
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
      stream.avail_in = static_cast<uInt>(n_in);
      stream.next_out = reinterpret_cast<Bytef*>(buffer);
      stream.avail_out = sizeof buffer;
      state = inflate(&stream, Z_NO_FLUSH);
      if (state == Z_BUF_ERROR) refuse_packing(name, "ends in the middle");
      if (state != Z_OK && state != Z_STREAM_END) refuse_packing(name, "is damaged");
      packed.remove_prefix(n_in - stream.avail_in);
      text.append(buffer, sizeof buffer - stream.avail_out);
      if (text.size() > max_bytes)
        throw Error(Errc::corrupt_file, "{}: unpacked, larger than the limit of {} bytes", name, max_bytes);
    }
  }
  return text;
}

// UTF-16 after its byte order mark. A half of a pair that stands alone is no character.
std::string from_utf16(std::string_view bytes, bool is_big_endian, std::string_view name) {
  if (bytes.size() % 2 != 0)
    throw Error(Errc::corrupt_file, "{}: UTF-16 of {} bytes, an odd number", name, bytes.size() + 2);
  const auto unit = [&](size_t at) {
    const auto first = static_cast<uint8_t>(bytes[at]), second = static_cast<uint8_t>(bytes[at + 1]);
    return static_cast<uint32_t>(is_big_endian ? first << 8 | second : second << 8 | first);
  };
  std::string text;
  text.reserve(bytes.size());
  for (size_t at = 0; at < bytes.size(); at += 2) {
    uint32_t point = unit(at);
    const bool is_high = point >= 0xD800 && point < 0xDC00;
    const uint32_t low = is_high && at + 2 < bytes.size() ? unit(at + 2) : 0;
    if (is_high && low >= 0xDC00 && low < 0xE000) {
      point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
      at += 2;
    } else if (point >= 0xD800 && point < 0xE000) {
      throw Error(Errc::corrupt_file, "{}: half a character at byte {} of UTF-16", name, at + 2);
    }
    append_utf8(text, point);
  }
  return text;
}

size_t line_of(std::string_view text, size_t at) {
  return 1 + static_cast<size_t>(std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(at), '\n'));
}

// Text cut in the middle of its last character is text all the same.
void check_text(std::string_view text, std::string_view name) {
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos)
    throw Error(Errc::corrupt_file, "{}: no text: byte {} is 0; expected UTF-8, or UTF-16 with its mark",
                name, nul);
  const std::string_view whole = text.substr(0, text.size() - unfinished_utf8_tail(text));
  if (is_utf8(whole)) return;
  size_t at = 0;
  for (CodePoint point{}; at < whole.size(); at += point.n_bytes)
    if (point = first_code_point(whole.substr(at, 4)); !point.valid) break;
  throw Error(Errc::corrupt_file, "{}: not UTF-8: byte 0x{:02X} in line {}; save it as UTF-8, with iconv say",
              name, static_cast<uint8_t>(whole[at]), line_of(whole, at));
}

}  // namespace

std::string decode_text(std::string bytes, std::string_view name, uint64_t max_bytes) {
  if (bytes.starts_with(kGzip)) bytes = gunzip(bytes, name, max_bytes);
  for (const Kind& kind : kKinds)
    if (is_kind(kind, bytes))
      throw Error(Errc::corrupt_file, "{}: {}, no text; {}", name, kind.name, kind.hint);
  if (bytes.starts_with("\xEF\xBB\xBF"sv)) bytes.erase(0, 3);
  if (bytes.starts_with("\xFF\xFE"sv) || bytes.starts_with("\xFE\xFF"sv))
    bytes = from_utf16(std::string_view(bytes).substr(2), bytes[0] == '\xFE', name);
  check_text(bytes, name);
  return bytes;
}

std::string read_text_file(const std::filesystem::path& path, uint64_t max_bytes) {
  return decode_text(read_file(path, max_bytes), path.string(), max_bytes);
}

}  // namespace ruvllm
