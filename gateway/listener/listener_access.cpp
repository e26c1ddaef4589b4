// The part of the listener that deals with who may come in and what they may do there.
#include "gateway/listener/listener.hpp"

#include <utility>

namespace milepost::listener {

namespace {

std::unique_ptr<StoredWill> stored(const std::optional<mqtt::Will>& will) {
    if (!will) return nullptr;
    auto stored = std::make_unique<StoredWill>();
    stored->topic = will->topic;
    stored->payload.assign(will->payload.begin(), will->payload.end());
    stored->properties.assign(will->properties.begin(), will->properties.end());
    stored->delay_s = will->delay_s;
    stored->qos = will->qos;
    stored->retain = will->retain;
    return stored;
}

std::optional<mqtt::ReasonCode> reason_of(access::Login login) {
    switch (login) {
        case access::Login::right: return mqtt::ReasonCode::success;
        case access::Login::wrong: return mqtt::ReasonCode::bad_user_name_or_password;
        case access::Login::disabled: return mqtt::ReasonCode::banned;
        case access::Login::busy: return mqtt::ReasonCode::server_busy;
        case access::Login::pending: break;
    }
    return std::nullopt;
}

std::string_view text_of(mqtt::ReasonCode reason) {
    switch (static_cast<unsigned>(reason)) {
        case static_cast<unsigned>(mqtt::ReasonCode::bad_user_name_or_password):
            return "wrong user name or password";
        case static_cast<unsigned>(mqtt::ReasonCode::banned): return "the user is disabled";
        case static_cast<unsigned>(mqtt::ReasonCode::server_busy):
            return "too many passwords wait to be verified";
        case static_cast<unsigned>(mqtt::ReasonCode::client_identifier_not_valid):
            return "the client id is not the user's name";
        default: return "neither password nor certificate";
    }
}

}  // namespace

void Listener::set_rules(std::size_t endpoint, EndpointRules rules) {
    options_.endpoints[endpoint].rules = std::move(rules);
}

// CONNECT -----------------------------------------------------------------------------------------

void Listener::connected(Connection& connection, const mqtt::Connect& connect) {
    const auto reason = authenticate(connection, connect);
    if (!reason) {
        PendingLogin& pending = pending_logins_[tag_of(connection)];
        pending.client_id = connect.client_id;
        pending.user = connect.user_name.value_or(std::string_view{});
        pending.will = stored(connect.will);
        pending.connect = connect;
        pending.connect.client_id = pending.client_id;
        pending.connect.will.reset();
        pending.connect.user_name.reset();
        pending.connect.password.reset();
        pending.connect.properties = {};
        return;
    }
    if (*reason != mqtt::ReasonCode::success) {
        return turn_away(connection, *reason, connect.user_name.value_or(std::string_view{}));
    }
    enter(connection, connect, stored(connect.will));
}

// nullopt: on_login() will say. Sets the connection's user.
std::optional<mqtt::ReasonCode> Listener::authenticate(
    Connection& connection,
    const mqtt::Connect& connect
) {
    using enum mqtt::ReasonCode;
    const EndpointRules& rules = rules_of(connection);
    if (connection.is_certified && rules.certificate_is_user) {
        if (connection.user.empty()) return not_authorized;
        const auto* known = rules.passwords ? rules.passwords->find(connection.user) : nullptr;
        return known != nullptr && known->is_disabled ? banned : success;
    }
    if (!rules.passwords && connection.is_certified) return success;
    if (!rules.passwords || !connect.user_name) return rules.anonymous ? success : not_authorized;
    const auto login = logins_.check(
        *rules.passwords,
        *connect.user_name,
        connect.password.value_or(Bytes{}),
        tag_of(connection),
        turn_now_
    );
    if (login == access::Login::right) connection.user = *connect.user_name;
    return reason_of(login);
}

void Listener::on_login(std::uint64_t tag, access::Login login) {
    auto pending = pending_logins_.extract(tag);
    Connection* connection = find(tag);
    if (pending.empty() || connection == nullptr) return;
    turn_now_ = monotonic_now();
    wall_now_ = wall_now();
    events_->on_turn(wall_now_);
    PendingLogin& waited = pending.mapped();
    const auto reason = reason_of(login).value_or(mqtt::ReasonCode::server_busy);
    if (reason == mqtt::ReasonCode::success) {
        connection->user = std::move(waited.user);
        enter(*connection, waited.connect, std::move(waited.will));
    } else {
        turn_away(*connection, reason, waited.user);
    }
    if (connection->session.is_closed()) {
        finish(*connection);
    } else {
        queue(*connection);
    }
    turn_soon();
}

void Listener::forget_login(std::uint64_t tag) {
    if (pending_logins_.erase(tag) > 0) logins_.cancel(tag);
}

void Listener::enter(
    Connection& connection,
    const mqtt::Connect& connect,
    std::unique_ptr<StoredWill> will
) {
    const bool has_own_id = !connect.client_id.empty() && connect.client_id != connection.user;
    if (rules_of(connection).client_id_is_user && (has_own_id || connection.user.empty())) {
        const auto reason = mqtt::ReasonCode::client_identifier_not_valid;
        return turn_away(connection, reason, connection.user);
    }
    if (will) {
        will->user = connection.user;
        will->endpoint = connection.endpoint();
    }
    open_session(connection, connect, std::move(will));
}

void Listener::turn_away(Connection& connection, mqtt::ReasonCode reason, std::string_view user) {
    stats_.refused_connects.add();
    std::string line = "CONNECT refused";
    if (!user.empty()) line.append(" for user \"").append(user.substr(0, 80)).append("\"");
    events_->on_notice("connect_refused", line.append(": ").append(text_of(reason)));
    refuse(connection, reason);
}

// What they may do --------------------------------------------------------------------------------

mqtt::Taken Listener::offer(
    Connection& connection,
    const mqtt::Publish& publish,
    AckToken token,
    Bytes change
) {
    const std::string& client_id = connection.entry->first;
    const access::Acl* acl = rules_of(connection).acl.get();
    if (acl == nullptr || acl->may_publish({client_id, connection.user}, publish.topic)) {
        if (deliveries_.concerns(publish)) {
            return deliveries_.publish(publish, client_id, token, change);
        }
        return events_->on_publish(publish, client_id, token, change);
    }
    note_forbidden(connection, "publish to", publish.topic);
    events_->on_forbidden(publish, token);
    return mqtt::Taken::refused;
}

bool Listener::may_subscribe(const Connection& connection, std::string_view filter) {
    const access::Acl* acl = rules_of(connection).acl.get();
    const bool may = acl == nullptr ||
                     acl->may_subscribe({connection.entry->first, connection.user}, filter);
    if (!may) note_forbidden(connection, "subscribe to", filter);
    return may;
}

bool Listener::may_receive(const Connection& connection, std::string_view topic) {
    const access::Acl* acl = rules_of(connection).acl.get();
    return acl == nullptr || acl->may_receive({connection.entry->first, connection.user}, topic);
}

void Listener::note_forbidden(
    const Connection& connection,
    std::string_view deed,
    std::string_view topic
) {
    const std::string& client_id = connection.entry->first;
    std::string line = '"' + client_id + '"';
    if (!connection.user.empty()) line.append(" (user \"").append(connection.user).append("\")");
    line.append(" may not ").append(deed).append(" \"").append(topic).append("\"");
    events_->on_notice("acl " + client_id, line);
}

// By the rules of the moment at which it is due. False: not now.
bool Listener::offer_will(const StoredWill& will, std::string_view client_id) {
    const access::Acl* acl = options_.endpoints[will.endpoint].rules.acl.get();
    if (acl == nullptr || acl->may_publish({client_id, will.user}, will.topic)) {
        return deliveries_.will(will, client_id);
    }
    const std::string name{client_id};
    events_->on_notice(
        "acl " + name,
        '"' + name + "\" may not have its will published to \"" + will.topic + '"'
    );
    events_->on_forbidden_will();
    return true;
}

}  // namespace milepost::listener
