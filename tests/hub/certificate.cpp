#include "hub/certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace ruvllm::test {
namespace {

constexpr long kDaySeconds = 86'400;

template <typename T, void (*release)(T*)>
struct Release {
  void operator()(T* pointer) const { release(pointer); }
};
template <typename T, void (*release)(T*)>
using Owned = std::unique_ptr<T, Release<T, release>>;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

void need(bool good) {
  if (!good) throw std::runtime_error("the OpenSSL library makes no certificate");
}

}  // namespace

FakeHub::Tls make_certificate(const std::filesystem::path& folder, const std::string& name,
                              const std::string& names, long days) {
  const Owned<EVP_PKEY, EVP_PKEY_free> key(EVP_EC_gen("P-256"));
  const Owned<X509, X509_free> certificate(X509_new());
  need(key && certificate);
  X509* const x509 = certificate.get();
  X509_set_version(x509, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
  X509_gmtime_adj(X509_getm_notBefore(x509), (std::min(days, 0L) - 1) * kDaySeconds);
  X509_gmtime_adj(X509_getm_notAfter(x509), days * kDaySeconds);
  X509_set_pubkey(x509, key.get());
  X509_NAME* const subject = X509_get_subject_name(x509);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1,
                             -1, 0);
  X509_set_issuer_name(x509, subject);
  for (const auto& [kind, value] :
       {std::pair{NID_subject_alt_name, names}, std::pair{NID_basic_constraints, std::string("CA:TRUE")}}) {
    const Owned<X509_EXTENSION, X509_EXTENSION_free> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str()));
    need(extension && X509_add_ext(x509, extension.get(), -1) == 1);
  }
  need(X509_sign(x509, key.get(), EVP_sha256()) > 0);
  const FakeHub::Tls made{(folder / (name + ".pem")).string(), (folder / (name + ".key")).string()};
  const std::unique_ptr<std::FILE, CloseFile> pem(std::fopen(made.certificate.c_str(), "w"));
  const std::unique_ptr<std::FILE, CloseFile> secret(std::fopen(made.key.c_str(), "w"));
  need(pem && secret && PEM_write_X509(pem.get(), x509) == 1 &&
       PEM_write_PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return made;
}

}  // namespace ruvllm::test
