"""A small MQTT client on raw sockets: it sees every byte and the moment it came, and breaks rules when told to.

Packets as in MQTT 3.1.1 (OASIS 2014) and 5.0 (OASIS 2019), sections 3.1 to 3.14.
"""

import collections
import selectors
import socket
import struct
import time

CONNACK, PUBLISH, PUBACK, PUBREC, SUBSCRIBE, SUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 5, 8, 9, 13, 14
V311, V5 = 4, 5

Packet = collections.namedtuple("Packet", "type flags body")


def _string(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return struct.pack(">H", len(raw)) + raw


def _varint(number):
    out = b""
    while True:
        number, digit = divmod(number, 128)
        out += bytes([digit | (0x80 if number else 0)])
        if not number:
            return out


def packet(kind, flags, body):
    return bytes([kind << 4 | flags]) + _varint(len(body)) + body


def connect(client_id, version=V311, *, keep_alive_s=60, clean=True, will=None, expiry_s=None):
    """`will` is (topic, payload, qos, retain); `expiry_s` the session expiry of 5.0."""
    flags = 0x02 if clean else 0
    if will is not None:
        flags |= 0x04 | will[2] << 3 | (0x20 if will[3] else 0)
    body = _string("MQTT") + bytes([version, flags]) + struct.pack(">H", keep_alive_s)
    if version == V5:
        properties = b"" if expiry_s is None else b"\x11" + struct.pack(">I", expiry_s)
        body += _varint(len(properties)) + properties
    body += _string(client_id)
    if will is not None:
        body += (b"\x00" if version == V5 else b"") + _string(will[0]) + _string(will[1])
    return packet(1, 0, body)


def publish(topic, payload, *, qos=1, packet_id=1, version=V311, dup=False, retain=False, properties=b""):
    """`properties` are encoded ones of 5.0."""
    body = _string(topic) + (struct.pack(">H", packet_id) if qos else b"")
    if version == V5:
        body += _varint(len(properties)) + properties
    return packet(3, (8 if dup else 0) | qos << 1 | retain, body + payload)


def user_property(name, value):
    return b"\x26" + _string(name) + _string(value)


def content_type(text):
    return b"\x03" + _string(text)


def subscribe(topic_filter, *, packet_id=1, version=V311):
    return packet(8, 2, struct.pack(">H", packet_id) + (b"\x00" if version == V5 else b"")
                  + _string(topic_filter) + b"\x01")


def split(buffer):
    """Takes the whole packets off the front of a bytearray."""
    found = []
    while len(buffer) >= 2:
        length = shift = 0
        at = 1
        while True:
            if at == len(buffer):
                return found
            length |= (buffer[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not buffer[at - 1] & 0x80:
                break
        if len(buffer) < at + length:
            return found
        found.append(Packet(buffer[0] >> 4, buffer[0] & 15, bytes(buffer[at:at + length])))
        del buffer[:at + length]
    return found


class Closed(Exception):
    """The gateway closed the connection."""


class Client:
    """One connection, blocking; use as a context manager. A clean end sends DISCONNECT, abort() does not."""

    def __init__(self, port, client_id, version=V311, *, timeout_s=10, **options):
        self.version = version
        self._buffer = bytearray()
        self._packets = collections.deque()
        self._packet_id = 0
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(connect(client_id, version, **options))
        self.connack = self.expect(CONNACK)
        self.session_present = bool(self.connack.body[0] & 1)
        if self.connack.body[1] != 0:
            raise Closed(f"CONNACK {self.connack.body[1]:#x}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.socket.sendall(packet(14, 0, b""))
        except OSError:
            pass
        self.socket.close()

    def abort(self):
        """Closes the socket without a DISCONNECT: the will is due."""
        self.socket.close()

    def send(self, raw):
        self.socket.sendall(raw)

    def receive(self, timeout_s=None):
        """The next packet. Raises Closed at the end, TimeoutError when none comes."""
        if timeout_s is not None:
            self.socket.settimeout(timeout_s)
        while not self._packets:
            try:
                piece = self.socket.recv(65536)
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise Closed("end of stream")
            self._buffer += piece
            self._packets.extend(split(self._buffer))
        return self._packets.popleft()

    def expect(self, kind, timeout_s=None):
        got = self.receive(timeout_s)
        if got.type != kind:
            raise Closed(f"packet type {got.type} instead of {kind}: {got.body[:8].hex()}")
        return got

    def publish(self, topic, payload, **options):
        """QoS 1, waits for its PUBACK: the seconds from sending to receiving it."""
        self._packet_id = self._packet_id % 65535 + 1
        raw = publish(topic, payload, packet_id=self._packet_id, version=self.version, **options)
        began = time.monotonic()
        self.send(raw)
        ack = self.expect(PUBACK)
        took = time.monotonic() - began
        if struct.unpack(">H", ack.body[:2])[0] != self._packet_id:
            raise Closed("PUBACK of another packet id")
        return took


class Load:
    """Many connections, each with a number of QoS 1 publishes in flight, on one thread.

    Reading n of connection c has the payload "c-n", or "c-n " and `padding` letters more; n rises by one and is never used again, also not after
    a reconnect. A PUBACK out of order is an error (MQTT-4.6.0).
    """

    def __init__(self, topic, connections, depth, version=V311, padding=0):
        """`topic` may contain {c}, the connection's number."""
        self.version = version
        self.topics = [topic.format(c=c) for c in range(connections)]
        self.depth = depth
        self._rest = b" " + b"x" * padding if padding else b""
        self.next_n = [0] * connections  # the next to be sent
        self.acked = [set() for _ in range(connections)]
        self.new_acks = []  # (c, n) since take_new_acks()
        self.timed = False  # whether to keep the two below
        self.sent_times = {}  # (c, n): monotonic seconds before the bytes went out
        self.acked_at = {}  # (c, n): monotonic seconds after the PUBACK was read
        self._links = []
        self._selector = None
        self._heads = [_string(topic) for topic in self.topics]
        self._properties = b"\x00" if version == V5 else b""

    def connect(self, port, client_prefix="load"):
        """All connections; raises OSError or Closed when the gateway goes away meanwhile."""
        self._selector = selectors.DefaultSelector()
        self._links = []
        for c in range(len(self.topics)):
            link = _Link(c)
            link.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
            self._links.append(link)
            link.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link.socket.sendall(connect(f"{client_prefix}{c}", self.version))
        for link in self._links:
            while True:
                answers = split(link.buffer)
                if answers:
                    break
                piece = link.socket.recv(1024)
                if not piece:
                    raise Closed("no CONNACK")
                link.buffer += piece
            if answers[0].type != CONNACK or answers[0].body[1] != 0:
                raise Closed("connection refused")
            link.socket.setblocking(False)
            self._selector.register(link.socket, selectors.EVENT_READ, link)

    def close(self):
        for link in self._links:
            link.socket.close()
        self._links = []
        if self._selector is not None:
            self._selector.close()
            self._selector = None

    def count(self):
        return sum(len(acked) for acked in self.acked)

    def take_new_acks(self):
        taken, self.new_acks = self.new_acks, []
        return taken

    def run(self, until):
        """Publishes and takes acks until `until()` is true (asked after each burst) or all connections broke.

        True when `until` ended it.
        """
        for link in self._links:
            self._fill(link)
        while self._links:
            if until():
                return True
            for key, _ in self._selector.select(0.002):
                self._read(key.data)
        return False

    def drain(self):
        """Reads what the gateway sent before it died: those acks count."""
        for link in list(self._links):
            link.socket.setblocking(True)
            link.socket.settimeout(1)
            try:
                while link in self._links:
                    self._take(link, link.socket.recv(65536), refill=False)
            except OSError:
                self._drop(link)

    def _read(self, link):
        try:
            self._take(link, link.socket.recv(65536), refill=True)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(link)

    def _take(self, link, data, refill):
        if not data:
            self._drop(link)
            return
        link.buffer += data
        for answer in split(link.buffer):
            if answer.type != PUBACK:
                raise Closed(f"packet type {answer.type} instead of a PUBACK")
            n = link.in_flight.popleft()
            if struct.unpack(">H", answer.body[:2])[0] != _packet_id(n):
                raise Closed(f"PUBACK out of order on connection {link.c}")
            self.acked[link.c].add(n)
            self.new_acks.append((link.c, n))
            if self.timed:
                self.acked_at[link.c, n] = time.monotonic()
        if refill:
            self._fill(link)

    def _fill(self, link):
        out = bytearray()
        c = link.c
        while len(link.in_flight) < self.depth:
            n = self.next_n[c]
            self.next_n[c] = n + 1
            link.in_flight.append(n)
            body = self._heads[c] + struct.pack(">H", _packet_id(n)) + self._properties + b"%d-%d" % (c, n) + self._rest
            out += packet(3, 2, body)
            if self.timed:
                self.sent_times[c, n] = time.monotonic()
        try:
            link.socket.setblocking(True)
            link.socket.sendall(out)
            link.socket.setblocking(False)
        except OSError:
            self._drop(link)

    def _drop(self, link):
        if link in self._links:
            self._links.remove(link)
            try:
                self._selector.unregister(link.socket)
            except KeyError:
                pass
            link.socket.close()


def _packet_id(n):
    return n % 65535 + 1


class _Link:
    def __init__(self, c):
        self.c = c
        self.socket = None
        self.buffer = bytearray()
        self.in_flight = collections.deque()
