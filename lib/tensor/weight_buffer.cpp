// Memory for weights and scratch, straight from the system: aligned, in huge pages where it has them.
#include "base/error.h"
#include "tensor/matmul.h"

#include <sys/mman.h>

#include <cerrno>

namespace ruvllm::tensor {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

}  // namespace

WeightBuffer::WeightBuffer(size_t n_bytes) {
  if (n_bytes == 0) return;
  void* address = mmap(nullptr, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) throw system_error(errno, fmt::format("{} bytes for weights", n_bytes));
  if (n_bytes >= kHugePage) madvise(address, n_bytes, MADV_HUGEPAGE);  // only a wish
  bytes_ = std::unique_ptr<std::byte[], Unmap>(static_cast<std::byte*>(address), Unmap{n_bytes});
}

void WeightBuffer::Unmap::operator()(std::byte* address) const { munmap(address, n_bytes); }

}  // namespace ruvllm::tensor
