#pragma once

#include "gateway/access/acl.hpp"
#include "gateway/access/password_file.hpp"

#include <memory>

namespace milepost::listener {

class TlsServer;

// Who is let in at one endpoint and what they may do there. Exchanged as a whole while it serves:
// TLS and passwords hold for new connections, access lists for all from the next packet on.
struct EndpointRules {
    std::shared_ptr<const TlsServer> tls;                   // null: plain
    std::shared_ptr<const access::PasswordFile> passwords;  // null: none is asked for
    std::shared_ptr<const access::Acl> acl;                 // null: everything is allowed
    bool anonymous = true;             // lets in whom neither certificate nor password vouches for
    bool certificate_is_user = false;  // a client certificate's name is the user; no password then
    bool client_id_is_user = false;    // no other client id than the user's name
};

}  // namespace milepost::listener
