#include "gateway/mqtt/topic_aliases.hpp"

namespace milepost::mqtt {

Errc TopicAliases::set(std::uint16_t alias, std::string_view topic) {
    if (alias == 0 || alias > aliases_max_) return Errc::topic_alias_invalid;
    if (alias > topics_.size()) topics_.resize(alias);
    std::string& known = topics_[alias - 1];
    if (known == topic) return Errc::none;
    const std::size_t bytes = bytes_ - known.size() + topic.size();
    if (bytes > bytes_max_) return Errc::topic_aliases_too_long;
    known = topic;
    bytes_ = bytes;
    return Errc::none;
}

Errc TopicAliases::find(std::uint16_t alias, std::string_view& topic) const {
    if (alias == 0 || alias > aliases_max_) return Errc::topic_alias_invalid;
    if (alias > topics_.size() || topics_[alias - 1].empty()) return Errc::topic_alias_unknown;
    topic = topics_[alias - 1];
    return Errc::none;
}

}  // namespace milepost::mqtt
