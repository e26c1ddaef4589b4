#include "storage/meta/errc.hpp"

#include <string>

namespace milepost::storage {

namespace {

class MetaCategory final : public boost::system::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "milepost.meta"; }

    [[nodiscard]] std::string message(int value) const override {
        switch (static_cast<MetaErrc>(value)) {
            case MetaErrc::busy: return "meta.db is locked by another process";
            case MetaErrc::corrupt: return "meta.db is damaged";
            case MetaErrc::not_ours: return "meta.db is not a file that milepost made";
            case MetaErrc::newer_format: return "meta.db was written by a newer milepost";
            case MetaErrc::disk_full: return "no space left on the disk for meta.db";
            case MetaErrc::read_only: return "meta.db cannot be written";
            case MetaErrc::cannot_open: return "meta.db cannot be opened";
            case MetaErrc::io_error: return "reading or writing meta.db failed";
            case MetaErrc::no_memory: return "out of memory in meta.db";
            case MetaErrc::unexpected: return "meta.db does not take a statement";
        }
        return "unknown error";
    }
};

}  // namespace

const boost::system::error_category& meta_category() {
    static const MetaCategory category;
    return category;
}

}  // namespace milepost::storage
