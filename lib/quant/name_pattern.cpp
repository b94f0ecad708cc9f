#include "quant/name_pattern.h"

#include "base/error.h"
#include "base/utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

namespace ruvllm::quant {

struct NamePattern::Compiled {
  pcre2_code* code = nullptr;
  pcre2_match_context* context = nullptr;
  ~Compiled() {
    pcre2_match_context_free(context);
    pcre2_code_free(code);
  }
};

NamePattern::NamePattern(std::string_view pattern) : text_(pattern), compiled_(std::make_unique<Compiled>()) {
  int error_number = 0;
  PCRE2_SIZE error_offset = 0;
  compiled_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text_.data()), text_.size(), PCRE2_UTF,
                                  &error_number, &error_offset, nullptr);
  if (compiled_->code == nullptr) {
    std::array<PCRE2_UCHAR, 128> message{};
    pcre2_get_error_message(error_number, message.data(), message.size());
    throw Error(Errc::usage, "pattern \"{}\": {} at character {}", printable(text_),
                reinterpret_cast<const char*>(message.data()), error_offset + 1);
  }
  compiled_->context = pcre2_match_context_create(nullptr);
  if (compiled_->context == nullptr) throw Error(Errc::no_resources, "no memory for a pattern");
  pcre2_set_match_limit(compiled_->context, 100'000);
}

NamePattern::~NamePattern() = default;
NamePattern::NamePattern(NamePattern&&) noexcept = default;
NamePattern& NamePattern::operator=(NamePattern&&) noexcept = default;

bool NamePattern::occurs_in(std::string_view name) const {
  const std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> data(
      pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
  if (data == nullptr) throw Error(Errc::no_resources, "no memory for a pattern");
  return pcre2_match(compiled_->code, reinterpret_cast<PCRE2_SPTR>(name.data()), name.size(), 0, 0,
                     data.get(), compiled_->context) >= 0;
}

bool NamePattern::is_name(std::string_view name) const {
  std::string_view rest = text_;
  if (rest.starts_with('^')) rest.remove_prefix(1);
  if (rest.ends_with('$')) rest.remove_suffix(1);
  std::string plain;
  for (size_t i = 0; i < rest.size(); ++i)
    if (!rest.substr(i).starts_with("\\.")) plain += rest[i];
  return plain == name;
}

}  // namespace ruvllm::quant
