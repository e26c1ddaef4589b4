#include "storage/log/errc.hpp"

#include <string>

namespace milepost::storage {

namespace {

class LogCategory final : public boost::system::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "milepost.log"; }

    [[nodiscard]] std::string message(int value) const override {
        switch (static_cast<LogErrc>(value)) {
            case LogErrc::record_too_large: return "the record is larger than the log takes";
            case LogErrc::group_full: return "the open group is full";
            case LogErrc::intake_closed: return "the log takes no readings in at the moment";
            case LogErrc::offset_out_of_range: return "the offset is not in the log";
            case LogErrc::unknown_partition: return "no such partition";
            case LogErrc::bad_topic: return "not a topic name, or not a number of partitions";
            case LogErrc::folder_in_use: return "the data folder is in use by another process";
            case LogErrc::not_a_log: return "there is no log in this folder";
            case LogErrc::read_only: return "the log is open for reading only";
            case LogErrc::foreign_ring: return "the journal holds rings of two different logs";
            case LogErrc::bad_config: return "the sizes of the log contradict each other";
        }
        return "unknown error";
    }
};

}  // namespace

const boost::system::error_category& log_category() {
    static const LogCategory category;
    return category;
}

}  // namespace milepost::storage
