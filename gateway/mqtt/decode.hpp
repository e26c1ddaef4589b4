#pragma once

#include "gateway/mqtt/errc.hpp"
#include "gateway/mqtt/frame_reader.hpp"
#include "gateway/mqtt/packet.hpp"

#include <cstddef>

// Packet bodies → structs; MQTT 3.1.1 and 5.0, section 3. Pure: no allocation, no copy; everything
// is checked that one packet alone can break, and what is checked here need not be checked again.
// The result goes into `into` because a Result of a struct of views costs more than the decoding;
// it means something only after Errc::none (but see decode_connect).
namespace milepost::mqtt {

// `into.level` is right as soon as it was readable, also after an error: the answer depends on it.
// A user name and password are read and not judged; so is the length of the client id.
[[nodiscard]] Errc decode_connect(const Frame& frame, Connect& into);

// Sets everything but ticket.weight, which counts the header too.
[[nodiscard]] Errc decode_publish(const Frame& frame, ProtocolLevel level, Publish& into);

[[nodiscard]] Errc decode_ack(const Frame& frame, ProtocolLevel level, Ack& into);
[[nodiscard]] Errc decode_subscribe(const Frame& frame, ProtocolLevel level, Subscribe& into);
[[nodiscard]] Errc decode_unsubscribe(const Frame& frame, ProtocolLevel level, Subscribe& into);
[[nodiscard]] Errc decode_pingreq(const Frame& frame);
[[nodiscard]] Errc decode_disconnect(const Frame& frame, ProtocolLevel level, Disconnect& into);

// For a client's side: tests and tools.
[[nodiscard]] Errc decode_connack(const Frame& frame, ProtocolLevel level, Connack& into);

// Takes the next filter of a checked SUBSCRIBE from the front of `filters`, which must not be
// empty.
[[nodiscard]] Subscription take_subscription(Bytes& filters);

// Takes the next filter of a checked UNSUBSCRIBE from the front of `filters`, which must not be
// empty.
[[nodiscard]] std::string_view take_filter(Bytes& filters);

}  // namespace milepost::mqtt
