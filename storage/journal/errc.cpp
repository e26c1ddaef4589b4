#include "storage/journal/errc.hpp"

#include <string>

namespace milepost::storage {
namespace {

class Category final : public boost::system::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "milepost.journal"; }

    [[nodiscard]] std::string message(int value) const override {
        switch (static_cast<JournalErrc>(value)) {
            case JournalErrc::poisoned:
                return "an earlier write to this journal failed; it is not used again";
            case JournalErrc::newer_version:
                return "the journal was written by a newer version of Milepost";
            case JournalErrc::header_damaged:
                return "both copies of the journal's header are damaged";
            case JournalErrc::torn: return "not a whole frame or slot";
            case JournalErrc::malformed:
                return "a whole frame or slot whose fields contradict each other";
            case JournalErrc::unknown_section:
                return "a journal section of a type this version does not know";
            case JournalErrc::slot_too_large:
                return "more partitions than a checkpoint slot can hold";
            case JournalErrc::bad_size: return "a journal size outside the limits";
        }
        return "unknown journal error";
    }
};

}  // namespace

ErrorCode make_error_code(JournalErrc error) {
    static const Category category;
    return {static_cast<int>(error), category};
}

}  // namespace milepost::storage
