// Asio's TLS, compiled once, as the rest of Asio is in gateway/asio.cpp.
#include <boost/asio/ssl/impl/src.hpp>
