#include "storage/format/errc.hpp"

#include <string>

namespace milepost::storage {

namespace {

class FormatCategory final : public boost::system::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "milepost.format"; }

    [[nodiscard]] std::string message(int value) const override {
        switch (static_cast<FormatErrc>(value)) {
            case FormatErrc::short_read: return "the bytes end too early";
            case FormatErrc::malformed_batch: return "the header of the batch contradicts itself";
            case FormatErrc::malformed_record: return "bytes that are no record";
            case FormatErrc::checksum_mismatch: return "the checksum does not match";
            case FormatErrc::unsupported_magic: return "not a record batch of version 2";
            case FormatErrc::unsupported_codec: return "a compression that is not served";
            case FormatErrc::too_large: return "larger than the limit";
            case FormatErrc::compression_failed: return "compressed bytes that are not valid";
        }
        return "unknown error";
    }
};

}  // namespace

const boost::system::error_category& format_category() {
    static const FormatCategory category;
    return category;
}

}  // namespace milepost::storage
