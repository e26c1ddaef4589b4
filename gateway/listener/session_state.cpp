#include "gateway/listener/session_state.hpp"

#include "gateway/broker/message.hpp"

namespace milepost::listener {

namespace {

// The first byte of a change. Never renumbered.
constexpr std::uint8_t header_tag = 1;
constexpr std::uint8_t published_tag = 2;
constexpr std::uint8_t received_tag = 3;
constexpr std::uint8_t released_tag = 4;
constexpr std::uint8_t accepted_tag = 10;  // 5 to 9: subscriber_state

constexpr std::size_t header_bytes = 13;
constexpr std::size_t publish_bytes = 11;
constexpr std::size_t released_bytes = 3;
constexpr std::size_t accepted_bytes = 9;
static_assert(header_bytes == session_change_bytes_max);

// The length of the change at the front; 0: there is none.
std::size_t change_bytes(Bytes bytes) {
    switch (std::to_integer<std::uint8_t>(bytes.front())) {
        case header_tag: return header_bytes;
        case published_tag:
        case received_tag: return publish_bytes;
        case released_tag: return released_bytes;
        case accepted_tag: return accepted_bytes;
        default: return subscriber_change_bytes(bytes);
    }
}

// Takes changes off the front of `rest`, one at a time.
class ChangeCursor {
public:
    explicit ChangeCursor(Bytes rest)
        : rest_(rest) {}

    // Empty at the end, or where no change of ours is.
    Bytes next() {
        if (rest_.empty()) return {};
        const std::size_t size = change_bytes(rest_);
        if (size == 0 || size > rest_.size()) return {};
        const Bytes change = rest_.first(size);
        rest_ = rest_.subspan(size);
        return change;
    }

    [[nodiscard]] bool is_at_end() const { return rest_.empty(); }

private:
    Bytes rest_;
};

Remembered publish_of(Bytes change) {
    return {
        .hash = load_little<std::uint64_t>(change.data() + 3),
        .packet_id = load_little<std::uint16_t>(change.data() + 1)};
}

struct Folding {
    SessionState state;
    bool has_header = false;
    std::size_t skipped_publishes = 0;  // older ones that the window would forget anyway

    // False: something in it is no change.
    bool take(Bytes bytes) {
        ChangeCursor changes{bytes};
        while (true) {
            const Bytes change = changes.next();
            if (change.empty()) return changes.is_at_end();
            take_one(change);
        }
    }

    void take_one(Bytes change) {
        switch (std::to_integer<std::uint8_t>(change.front())) {
            case header_tag:
                state.expiry_s = load_little<std::uint32_t>(change.data() + 1);
                state.disconnected_at = Timestamp{load_little<std::int64_t>(change.data() + 5)};
                has_header = true;
                break;
            case published_tag:
                if (skipped_publishes > 0) {
                    --skipped_publishes;
                } else {
                    state.memory.window.add_again(publish_of(change));
                }
                break;
            case received_tag: state.memory.unreleased.put(publish_of(change)); break;
            case released_tag:
                state.memory.unreleased.erase(load_little<std::uint16_t>(change.data() + 1));
                break;
            case accepted_tag:
                state.accepted = load_little<std::uint64_t>(change.data() + 1);
                break;
            default: apply_subscriber_change(state.subscriber, change);
        }
    }
};

std::size_t count_published(Bytes bytes) {
    std::size_t count = 0;
    ChangeCursor changes{bytes};
    for (Bytes change = changes.next(); !change.empty(); change = changes.next()) {
        if (std::to_integer<std::uint8_t>(change.front()) == published_tag) ++count;
    }
    return count;
}

}  // namespace

template <std::integral T>
SessionChangeBytes& SessionChangeBytes::add(T value) {
    store_little(bytes_.data() + size_, value);
    size_ += sizeof value;
    return *this;
}

SessionChangeBytes SessionChangeBytes::header(std::uint32_t expiry_s, Timestamp disconnected_at) {
    return SessionChangeBytes{}.add(header_tag).add(expiry_s).add(disconnected_at.value());
}

SessionChangeBytes SessionChangeBytes::published(Remembered publish) {
    return SessionChangeBytes{}.add(published_tag).add(publish.packet_id).add(publish.hash);
}

SessionChangeBytes SessionChangeBytes::received(Remembered publish) {
    return SessionChangeBytes{}.add(received_tag).add(publish.packet_id).add(publish.hash);
}

SessionChangeBytes SessionChangeBytes::accepted(std::uint64_t count) {
    return SessionChangeBytes{}.add(accepted_tag).add(count);
}

SessionChangeBytes SessionChangeBytes::released(mqtt::PacketId packet_id) {
    return SessionChangeBytes{}.add(released_tag).add(packet_id);
}

Buffer encode_session_state(const SessionState& state) {
    Buffer bytes;
    const auto add = [&bytes](const SessionChangeBytes& change) {
        append_bytes(bytes, change.bytes());
    };
    const PublishMemory& memory = state.memory;
    bytes.reserve(header_bytes + publish_bytes * (memory.window.size() + memory.unreleased.size()));
    add(SessionChangeBytes::header(state.expiry_s, state.disconnected_at));
    memory.window.for_each([&](const Remembered& publish) {
        add(SessionChangeBytes::published(publish));
    });
    for (const Remembered& publish : memory.unreleased.entries()) {
        add(SessionChangeBytes::received(publish));
    }
    append_subscriber_state(bytes, state.subscriber);
    if (state.accepted > 0) add(SessionChangeBytes::accepted(state.accepted));
    return bytes;
}

std::optional<SessionState> decode_session_state(Bytes bytes) {
    Folding folding;
    if (!folding.take(bytes) || !folding.has_header) return std::nullopt;
    return std::move(folding.state);
}

Buffer merge_session_states(Bytes state, std::span<const Bytes> changes) {
    if (!changes.empty() && broker::is_message(changes.back())) {
        return {changes.back().begin(), changes.back().end()};
    }
    Folding folding;
    static_cast<void>(folding.take(state));
    std::size_t published = 0;
    for (const Bytes change : changes) {
        published += count_published(change);
    }
    if (published > DuplicateWindow::entries_max) {
        folding.skipped_publishes = published - DuplicateWindow::entries_max;
    }
    for (const Bytes change : changes) {
        static_cast<void>(folding.take(change));
    }
    return encode_session_state(folding.state);
}

Buffer fold_session_state(Bytes state, Bytes delta) {
    return delta.empty() ? Buffer{} : merge_session_states(state, {&delta, 1});
}

}  // namespace milepost::listener
