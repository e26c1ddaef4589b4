#!/usr/bin/env python3
"""The log is Kafka's own format: DumpLogSegments finds our files clean, and a real broker serves them as its own."""

import collections
import hashlib

from support import checks, gateway as gateway_module, mqtt
from support.checks import expect, say
import testbed

CLIENTS, PUBLISHES = 4, 2500
PAYLOAD_BYTES = 600
# Small limits, so that segments roll: a segment is at most 1/8 of the log's limit.
LOG = {"limit_bytes": 8 * 1024 * 1024, "ring_bytes": 512 * 1024}
ROUTES = [{"filter": "sensors/{device}/#", "topic": "judged", "key": "{device}", "partitions": 3}]


def payload(client, number):
    """Looks random, so that compression does not make one small segment of it all."""
    text = "".join(hashlib.sha512(f"{client}/{number}/{part}".encode()).hexdigest()
                   for part in range(PAYLOAD_BYTES // 128 + 1))
    return f"{client} {number} {text[:PAYLOAD_BYTES - number % 50]} µ".encode()


def publish_all(port):
    """Pipelined QoS 1, some with properties of 5.0 and one empty payload."""
    for client in range(CLIENTS):
        with mqtt.Client(port, f"judge{client}", mqtt.V5) as sensor:
            waiting = 0
            for number in range(PUBLISHES):
                properties = b""
                if number % 10 == 0:
                    properties = mqtt.content_type("text/plain") + mqtt.user_property("site", "Zürich")
                body = b"" if number == 7 else payload(client, number)
                sensor.send(mqtt.publish(f"sensors/device-{client}/a/{number % 3}", body, packet_id=number + 1,
                                         version=mqtt.V5, properties=properties))
                waiting += 1
                while waiting >= 15:
                    sensor.expect(mqtt.PUBACK)
                    waiting -= 1
            for _ in range(waiting):
                sensor.expect(mqtt.PUBACK)


def ours(gateway):
    """What `milepost consume` reads of the folder: {partition: [(offset, key, value, headers)]}."""
    found = collections.defaultdict(list)
    for record in gateway.consume("-t", "judged", "-o", "beginning"):
        headers = record.get("headers") or []
        pairs = [f"{name}:{value}" for name, value in zip(headers[::2], headers[1::2])]
        found[record["partition"]].append((record["offset"], record["key"], record["payload"] or "", pairs))
    return found


def theirs(kafka):
    found = collections.defaultdict(list)
    for record in testbed.consume(kafka.bootstrap, "judged"):
        found[record.partition].append((record.offset, record.key, record.value or "", record.headers))
    return found


def judge_files(gateway):
    """The segments by partition, once DumpLogSegments has nothing to say against them or their indexes."""
    folders = sorted(gateway.data.glob("judged-*"))
    files = [path for folder in folders for path in sorted(folder.iterdir())
             if path.suffix in (".log", ".index", ".timeindex") and path.stat().st_size > 0]
    expect(any(path.suffix == ".index" for path in files), "segments have indexes")
    verdict = testbed.judge(files)
    for problem in verdict.problems[:20]:
        say(problem)
    expect(not verdict.problems, f"DumpLogSegments finds {len(files)} files clean ({dict(verdict.codecs)} batches)")
    expect(verdict.records == CLIENTS * PUBLISHES, f"the segments hold all {verdict.records} records after SIGTERM")
    return {int(folder.name.rsplit("-", 1)[1]): sorted(folder.glob("*.log")) for folder in folders}


def main():
    checks.program("milepostd")
    testbed.require_kafka()
    with checks.scratch() as folder, \
            gateway_module.Gateway(folder, log=LOG, routes=ROUTES) as gateway:
        gateway.start()
        publish_all(gateway.mqtt_port)
        gateway.kill()
        gateway.start()
        expect(gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0")
        say(gateway.verify())
        segments = judge_files(gateway)
        say(f"segments: { {number: len(files) for number, files in segments.items()} }")
        expect(max(len(files) for files in segments.values()) > 1, "at least one partition has several segments")
        with testbed.Broker() as kafka:
            testbed.hand_over(kafka, "judged", segments)
            read, served = ours(gateway), theirs(kafka)
            expect(sum(map(len, served.values())) == CLIENTS * PUBLISHES, "a real broker serves every record")
            expect(served == read, "with the offsets, keys, values and headers that milepost consume reads")


if __name__ == "__main__":
    checks.run(main)
