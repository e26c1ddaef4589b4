#include "gateway/mqtt/topic_aliases.hpp"

namespace milepost::mqtt {

Errc TopicAliases::set(std::uint16_t alias, std::string_view topic) {
    if (alias == 0 || alias > aliases_max_) return Errc::topic_alias_invalid;
    if (alias > topics_.size()) topics_.resize(alias);
    std::string& known = topics_[alias - 1];
    if (known == topic) return Errc::none;
    const std::size_t bytes = bytes_ - known.size() + topic.size();
    if (bytes > bytes_max_) return Errc::topic_aliases_too_long;
    std::string{topic}.swap(known);  // a shorter one must not keep the room of the one before
    bytes_ = bytes;
    return Errc::none;
}

Errc TopicAliases::find(std::uint16_t alias, std::string_view& topic) const {
    if (alias == 0 || alias > aliases_max_) return Errc::topic_alias_invalid;
    if (alias > topics_.size() || topics_[alias - 1].empty()) return Errc::topic_alias_unknown;
    topic = topics_[alias - 1];
    return Errc::none;
}

std::size_t TopicAliases::held_bytes() const {
    const std::size_t inside = std::string{}.capacity();  // no heap up to there
    std::size_t bytes = 0;
    for (const std::string& topic : topics_)
        bytes += topic.capacity() > inside ? topic.capacity() : topic.size();
    return bytes;
}

}  // namespace milepost::mqtt
