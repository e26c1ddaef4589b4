"""Brokers that do not keep to MQTT: each connection is answered by a script."""

import socket
import threading

from . import mqtt

CONNACK_3, CONNACK_5 = b"\x20\x02\x00\x00", b"\x20\x03\x00\x00\x00"
LIMIT_S = 30


def packets(connection):
    """Each packet of the client, until it closes."""
    buffer = bytearray()
    while piece := connection.recv(4096):
        buffer += piece
        yield from mqtt.split(buffer)


class HostileBroker:
    """Reads CONNECT, then does what `script(connection, packets)` does, and waits for the client to close."""

    def __init__(self, script):
        self._script = script
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        with connection:
            connection.settimeout(LIMIT_S)
            try:
                requests = packets(connection)
                next(requests, None)
                self._script(connection, requests)
                for _ in requests:
                    pass
            except OSError:
                pass

    def close(self):
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


def says(*answers, then=None):
    """Sends each, after one more packet of the client for each but the first. What the client sends after that is put
    into the list `then`."""
    def script(connection, requests):
        connection.sendall(answers[0])
        for answer, request in zip(answers[1:], requests):
            connection.sendall(answer.replace(b"@ID", request.body[:2]))
        if then is not None:
            for request in requests:
                then.append(request)
    return script
