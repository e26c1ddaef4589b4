#include "storage/fs/memory_region.hpp"

#include "storage/base/check.hpp"

#include <cstddef>
#include <new>
#include <utility>

#include <sys/mman.h>

namespace milepost::storage {
namespace {

void unmap(MutableBytes bytes) {
    if (!bytes.empty()) ::munmap(bytes.data(), bytes.size());
}

}  // namespace

MemoryRegion::MemoryRegion(std::size_t bytes) {
    if (bytes == 0) return;
    void* at = ::mmap(
        nullptr,
        bytes,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
        -1,
        0
    );
    if (at == MAP_FAILED) throw std::bad_alloc{};
    // Huge pages would make an idle ring 2 MiB larger for each frame that is left, and zeroing one
    // takes as long as a sync.
    ::madvise(at, bytes, MADV_NOHUGEPAGE);
    bytes_ = {static_cast<std::byte*>(at), bytes};
}

MemoryRegion::~MemoryRegion() {
    unmap(bytes_);
}

MemoryRegion::MemoryRegion(MemoryRegion&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})) {}

MemoryRegion& MemoryRegion::operator=(MemoryRegion&& other) noexcept {
    if (this != &other) {
        unmap(bytes_);
        bytes_ = std::exchange(other.bytes_, {});
    }
    return *this;
}

void MemoryRegion::release(std::size_t at, std::size_t bytes) {
    if (bytes == 0) return;
    const MutableBytes range = bytes_.subspan(at, bytes);
    MILEPOST_CHECK(::madvise(range.data(), range.size(), MADV_DONTNEED) == 0);
}

}  // namespace milepost::storage
