#!/usr/bin/env python3
"""Clients that are not ours: mosquitto_pub, 3.1.1 and 5.0; and by raw packets what is refused."""

import struct
import subprocess

from support import checks, gateway as gateway_module, mqtt
from support.checks import expect, say

VERSIONS = {"mqttv311": "3.1.1", "mqttv5": "5.0"}
SUBACK_FAILURE_311, SUBACK_SHARED_5 = 0x80, 0x9E


def mosquitto(name, port, version, *arguments, timeout_s=10):
    command = [checks.foreign(name, "mosquitto-clients"), "-h", "127.0.0.1", "-p", str(port), "-V", version, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)


def publish_all_ways(port):
    """{payload: (topic, headers that must be there)} of what was published and has to be in the log."""
    expected = {}
    for version, name in VERSIONS.items():
        for qos in ("0", "1", "2"):
            payload, topic = f"{name} QoS {qos}", f"vehicles/{version}/telemetry"
            done = mosquitto("mosquitto_pub", port, version, "-q", qos, "-t", topic, "-m", payload,
                             "-i", f"{version}-{qos}")
            expect(done.returncode == 0, f"mosquitto_pub {name} QoS {qos} succeeds")
            expected[payload] = ("vehicle.telemetry", {})
        payload = f"{name} retained"
        done = mosquitto("mosquitto_pub", port, version, "-q", "1", "-r", "-t", "site/state", "-m", payload)
        expect(done.returncode == 0, f"mosquitto_pub {name} with RETAIN succeeds")
        expected[payload] = ("mqtt.other", {"mqtt.retain": "1", "mqtt.topic": "site/state"})
    done = mosquitto("mosquitto_pub", port, "mqttv5", "-q", "1", "-t", "site/props", "-m", "with properties",
                     "-D", "publish", "user-property", "shift", "night", "-D", "publish", "content-type", "text/plain")
    expect(done.returncode == 0, "mosquitto_pub 5.0 with properties succeeds")
    expected["with properties"] = ("mqtt.other", {"shift": "night", "content-type": "text/plain"})
    return expected


def wills(port):
    expected = {}
    for version, name in ((mqtt.V311, "3.1.1"), (mqtt.V5, "5.0")):
        payload = f"will of {name}"
        client = mqtt.Client(port, f"mortal-{version}", version, will=("site/wills", payload.encode(), 1, False))
        client.abort()
        expected[payload] = ("mqtt.other", {"mqtt.will": "1"})
        with mqtt.Client(port, f"polite-{version}", version, will=("site/wills", b"never", 1, False)) as polite:
            polite.publish("site/polite", b"goodbye")
    return expected


def refusals(port):
    for version, code in ((mqtt.V311, SUBACK_FAILURE_311), (mqtt.V5, SUBACK_SHARED_5)):
        with mqtt.Client(port, "curious", version) as client:
            client.send(mqtt.subscribe("$share/group/a", packet_id=77, version=version))
            answer = client.expect(mqtt.SUBACK).body
            expect(struct.unpack(">H", answer[:2])[0] == 77 and answer[-1] == code, f"SUBACK says {code:#x}")
            expect(client.publish("site/after", b"still connected") > 0, "and the connection goes on")


def main():
    with checks.scratch() as folder, gateway_module.Gateway(folder) as gateway:
        gateway.start()
        port = gateway.mqtt_port
        expected = publish_all_ways(port)
        expected.update(wills(port))
        refusals(port)
        expect(gateway.ready()[0] == 200, "/readyz is 200 after all that")
        expect(gateway.terminate() == 0, "SIGTERM ends it with exit 0")
        records = {record["payload"]: record for record in gateway.consume()}
        for payload, (topic, headers) in expected.items():
            record = records.get(payload)
            expect(record is not None and record["topic"] == topic, f"in the log: {payload!r} in {topic}")
            flat = record.get("headers") or []
            there = dict(zip(flat[::2], flat[1::2]))
            expect(headers.items() <= there.items(), f"with headers {headers}" if headers else "and needs no header")
        expect("never" not in records, "no will of a client that said DISCONNECT is in the log")
        say(gateway.verify())


if __name__ == "__main__":
    checks.run(main)
