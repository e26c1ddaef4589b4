"""Brokers that do not keep to MQTT: each connection is answered by a script."""

import socket
import threading

CONNACK_3, CONNACK_5 = b"\x20\x02\x00\x00", b"\x20\x03\x00\x00\x00"
LIMIT_S = 30


def packet(connection):
    """The next packet of the client: (first byte, body)."""
    first, length, shift = exactly(connection, 1)[0], 0, 0
    while True:
        byte = exactly(connection, 1)[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return first, exactly(connection, length)


def exactly(connection, count):
    got = b""
    while len(got) < count:
        more = connection.recv(count - len(got))
        if not more:
            raise ConnectionError("the client has closed")
        got += more
    return got


class HostileBroker:
    """Reads CONNECT, then does what `script(connection)` does, and waits for the client to close."""

    def __init__(self, script):
        self._script = script
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.served = 0
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
                packet(connection)
                self.served += 1
                self._script(connection)
                while connection.recv(4096):
                    pass
            except OSError:
                pass

    def close(self):
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


def says(*answers):
    """Sends each, after one more packet of the client for each but the first."""
    def script(connection):
        for number, answer in enumerate(answers):
            if number > 0:
                request = packet(connection)[1]
                answer = answer.replace(b"@ID", request[:2])
            connection.sendall(answer)
    return script
