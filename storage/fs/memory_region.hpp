#pragma once

#include "storage/base/bytes.hpp"

#include <cstddef>

namespace milepost::storage {

// Anonymous memory, page aligned, zero until written, and real only where it was touched. Throws
// std::bad_alloc when the address space is not to be had. Moves; does not copy.
class MemoryRegion {
public:
    MemoryRegion() = default;  // none
    explicit MemoryRegion(std::size_t bytes);
    ~MemoryRegion();
    MemoryRegion(MemoryRegion&& other) noexcept;
    MemoryRegion& operator=(MemoryRegion&& other) noexcept;
    MemoryRegion(const MemoryRegion&) = delete;
    MemoryRegion& operator=(const MemoryRegion&) = delete;

    [[nodiscard]] MutableBytes bytes() { return bytes_; }

    [[nodiscard]] Bytes bytes() const { return bytes_; }

    // Gives the memory behind [at, at + bytes) back; it reads as zeros from now on. Both multiples
    // of 4096.
    void release(std::size_t at, std::size_t bytes);

private:
    MutableBytes bytes_;
};

}  // namespace milepost::storage
