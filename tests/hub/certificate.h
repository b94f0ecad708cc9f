// A TLS certificate that signs itself, and its key, made for a test.
#pragma once

#include "hub/fake_hub.h"

#include <filesystem>
#include <string>

namespace ruvllm::test {

/// Makes NAME.pem and NAME.key in `folder`, for these names ("DNS:localhost,IP:127.0.0.1"), good from
/// yesterday until `days` from now; where that is not positive, it has run out.
FakeHub::Tls make_certificate(const std::filesystem::path& folder, const std::string& name,
                              const std::string& names, long days);

}  // namespace ruvllm::test
