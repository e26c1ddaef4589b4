"""The few Kafka requests that a test asks often, spoken directly: a tool of Kafka's costs a JVM each time.

Message layouts: kafka.apache.org/protocol, Metadata v4, CreateTopics v2, ListOffsets v2, AlterConfigs v1,
CreatePartitions v1, AlterClientQuotas v0, OffsetFetch v1, FindCoordinator v1 (request header v1), DescribeTransactions v0
(header v2).
"""

import collections
import socket
import struct

METADATA, CREATE_TOPICS, LIST_OFFSETS, ALTER_CONFIGS, CREATE_PARTITIONS, ALTER_CLIENT_QUOTAS = 3, 19, 2, 33, 37, 49
OFFSET_FETCH, FIND_COORDINATOR, DESCRIBE_TRANSACTIONS = 9, 10, 65
GROUP, TRANSACTION = 0, 1  # what a broker coordinates
TOPIC_RESOURCE = 2
NO_TAGS = b"\0"
NOT_FOUND = 105  # a transactional id
TOPIC_ALREADY_EXISTS = 36
LATEST, EARLIEST = -1, -2


class KafkaError(Exception):
    pass


def _string(text):
    raw = text.encode()
    return struct.pack(">h", len(raw)) + raw


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, layout):
        values = struct.unpack_from(">" + layout, self.data, self.at)
        self.at += struct.calcsize(">" + layout)
        return values[0] if len(values) == 1 else values

    def string(self):
        length = self.take("h")
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def array(self, read):
        return [read() for _ in range(self.take("i"))]


def _receive(connection, count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise ConnectionError("the broker closed the connection")
        data += piece
    return data


def ask(address, api, version, body, timeout_s=5.0, after_header=b""):
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=timeout_s) as connection:
        message = struct.pack(">hhi", api, version, 7) + _string("milepost-tests") + after_header + body
        connection.sendall(struct.pack(">i", len(message)) + message)
        length = struct.unpack(">i", _receive(connection, 4))[0]
        reader = _Reader(_receive(connection, length))
        reader.take("i")
        return reader


# Of one partition: the node that leads it (-1: none), and those that have all of it.
Partition = collections.namedtuple("Partition", "leader in_sync")
# `nodes`: {node: "host:port"}; `topics`: {topic: {number: Partition}}.
Cluster = collections.namedtuple("Cluster", "nodes controller topics")


def describe(address, timeout_s=2.0):
    """What the broker at `address` knows of its Cluster."""
    reader = ask(address, METADATA, 4, struct.pack(">i?", -1, False), timeout_s)
    reader.take("i")

    def broker():
        node = reader.take("i")
        host, port = reader.string(), reader.take("i")
        reader.string()
        return node, f"{host}:{port}"

    def partition():
        _error, number, leader = reader.take("hii")
        _replicas, in_sync = (reader.array(lambda: reader.take("i")) for _ in range(2))
        return number, Partition(leader, in_sync)

    def topic():
        reader.take("h")
        name = reader.string()
        reader.take("?")
        return name, dict(reader.array(partition))

    nodes = dict(reader.array(broker))
    reader.string()
    controller = reader.take("i")
    return Cluster(nodes, controller, dict(reader.array(topic)))


def metadata(address, timeout_s=2.0):
    """(broker ids, {topic: {partition: leader or -1}})"""
    cluster = describe(address, timeout_s)
    return list(cluster.nodes), {name: {number: each.leader for number, each in partitions.items()}
                                 for name, partitions in cluster.topics.items()}


def _reachable(cluster, address):
    """A broker alone is asked where it was found: it may advertise a proxy."""
    return cluster.nodes if len(cluster.nodes) > 1 else dict.fromkeys(cluster.nodes, address)


def create_topic(address, name, partitions, replicas=1):
    """Creates a topic, by the controller; one that exists is left as it is."""
    cluster = describe(address)
    nodes = _reachable(cluster, address)
    body = struct.pack(">i", 1) + _string(name) + struct.pack(">ihii", partitions, replicas, 0, 0)
    reader = ask(nodes.get(cluster.controller, address), CREATE_TOPICS, 2,
                 body + struct.pack(">i?", 10000, False), 15.0)
    reader.take("i")
    for _ in range(reader.take("i")):
        reader.string()
        error, text = reader.take("h"), reader.string()
        if error not in (0, TOPIC_ALREADY_EXISTS):
            raise KafkaError(f"topic {name}: error {error} {text or ''}")


def _check(reader, what):
    """The answer of an administrative request: an error and a text for each thing that was asked for."""
    for _ in range(reader.take("i")):
        error, text = reader.take("h"), reader.string()
        if error:
            raise KafkaError(f"{what}: error {error} {text or ''}")
        return  # one thing is asked for at a time


def configure_topic(address, name, **settings):
    """These settings of a topic and no others; underscores stand for dots."""
    body = struct.pack(">ib", 1, TOPIC_RESOURCE) + _string(name) + struct.pack(">i", len(settings))
    for key, value in settings.items():
        body += _string(key.replace("_", ".")) + _string(str(value))
    reader = ask(address, ALTER_CONFIGS, 1, body + b"\0", 15.0)
    reader.take("i")
    _check(reader, f"settings of topic {name}")


def add_partitions(address, name, count):
    """So that it has `count`."""
    body = struct.pack(">i", 1) + _string(name) + struct.pack(">iii?", count, -1, 10000, False)
    reader = ask(address, CREATE_PARTITIONS, 1, body, 15.0)
    reader.take("ii")
    reader.string()
    error, text = reader.take("h"), reader.string()
    if error:
        raise KafkaError(f"partitions of {name}: error {error} {text or ''}")


def limit_producers(address, bytes_per_s):
    """A quota for every client id; None: no quota any more."""
    body = struct.pack(">ii", 1, 1) + _string("client-id") + struct.pack(">h", -1)
    body += struct.pack(">i", 1) + _string("producer_byte_rate")
    body += struct.pack(">d??", bytes_per_s or 0.0, bytes_per_s is None, False)
    reader = ask(address, ALTER_CLIENT_QUOTAS, 0, body, 15.0)
    reader.take("i")
    _check(reader, "a quota")


def offsets(address, topic, when=LATEST, is_committed=False):
    """{partition: offset} of a topic, as their leaders say; `when` is LATEST, EARLIEST or a timestamp in ms. `is_committed`:
    LATEST is before the first open transaction."""
    cluster = describe(address)
    if topic not in cluster.topics:
        raise KafkaError(f"no topic {topic}")
    led = collections.defaultdict(list)
    for number, partition in cluster.topics[topic].items():
        led[partition.leader].append(number)
    nodes = _reachable(cluster, address)
    found = {}
    for leader, numbers in led.items():
        if leader not in nodes:
            raise KafkaError(f"{topic}: {numbers} have no leader")
        found.update(_offsets_of(nodes[leader], topic, numbers, when, is_committed))
    return dict(sorted(found.items()))


def _offsets_of(leader, topic, numbers, when, is_committed):
    body = struct.pack(">ibi", -1, is_committed, 1) + _string(topic) + struct.pack(">i", len(numbers))
    body += b"".join(struct.pack(">iq", number, when) for number in numbers)
    reader = ask(leader, LIST_OFFSETS, 2, body)
    found = {}
    reader.take("ii")
    reader.string()
    for _ in range(reader.take("i")):
        number, error, _time, offset = reader.take("ihqq")
        if error:
            raise KafkaError(f"{topic}-{number}: error {error}")
        found[number] = offset
    return found


def group_offsets(address, group, topic, partitions):
    """{partition: what the group has committed; below 0: nothing}"""
    body = _string(group) + struct.pack(">i", 1) + _string(topic)
    body += struct.pack(">i", len(partitions)) + b"".join(struct.pack(">i", number) for number in partitions)
    reader = ask(address, OFFSET_FETCH, 1, body)
    found = {}
    reader.take("i")
    reader.string()
    for _ in range(reader.take("i")):
        number, offset = reader.take("iq")
        reader.string()
        error = reader.take("h")
        if error:
            raise KafkaError(f"group {group}: error {error}")
        found[number] = offset
    return found


def coordinator(address, name, what):
    """The number of the broker that coordinates the GROUP or TRANSACTION of that name."""
    reader = ask(address, FIND_COORDINATOR, 1, _string(name) + struct.pack(">b", what))
    reader.take("i")
    error, text = reader.take("h"), reader.string()
    if error:
        raise KafkaError(f"coordinator of {name}: error {error} {text or ''}")
    return reader.take("i")


def transaction_state(address, transactional_id):
    """"Ongoing", "CompleteCommit" …, "" when it has none. Only its coordinator knows: KafkaError from any other."""
    raw = transactional_id.encode()
    assert len(raw) < 127  # a length of one byte
    body = struct.pack(">BB", 2, len(raw) + 1) + raw + NO_TAGS
    reader = ask(address, DESCRIBE_TRANSACTIONS, 0, body, after_header=NO_TAGS)
    reader.take("Bi")  # the header's tags, throttling
    count, error = reader.take("Bh")
    if count != 2 or error not in (0, NOT_FOUND):
        raise KafkaError(f"transaction of {transactional_id}: error {error}")
    reader.take(f"{reader.take('B') - 1}s")
    return reader.take(f"{reader.take('B') - 1}s").decode()
