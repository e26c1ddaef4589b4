#!/usr/bin/env python3
"""The harness proves itself: planted faults are found, and its MQTT client works with a broker that is not ours."""

import json
import pathlib
import threading
import time

from support import account, checks, gateway as gateway_module, ledger, mqtt
from support.checks import expect
import processes
import tools

VEHICLES, READINGS = 3, 50


def readings():
    return {(f"V{v}", seq): ledger.Reading(1, 1, 2, None) for v in range(VEHICLES) for seq in range(1, READINGS + 1)}


def upstream():
    """What a console consumer would give: one partition a vehicle."""
    return [tools.Consumed("t", v, seq - 1, 0, [], f"V{v}", json.dumps({"vehicle": f"V{v}", "seq": seq}))
            for v in range(VEHICLES) for seq in range(1, READINGS + 1)]


def planted_faults():
    sound = account.of(upstream(), readings())
    expect(sound == account.Account(VEHICLES * READINGS, 0, 0, 0, 0, 0, 0), "a sound run has nothing to report")
    dropped = upstream()
    del dropped[20]
    expect(account.of(dropped, readings()).lost == 1, "a dropped reading is found")
    doubled = upstream()
    doubled.append(doubled[10]._replace(offset=READINGS))
    found = account.of(doubled, readings())
    expect(found.duplicates == 1 and found.out_of_order == 0, "a doubled reading is found, and is not disorder")
    swapped = upstream()
    swapped[4], swapped[5] = swapped[4]._replace(offset=5), swapped[5]._replace(offset=4)
    expect(account.of(swapped, readings()).out_of_order == 1, "two swapped readings are found")
    invented = upstream()
    invented[7] = invented[7]._replace(value=json.dumps({"vehicle": "V9", "seq": 1}))
    found = account.of(invented, readings())
    expect(found.phantom == 1 and found.lost == 1 and found.wrong_key == 1, "an altered reading is found")


def ledger_file(folder):
    path = folder / "ledger"
    path.write_text("milepost-ledger 1\n100\tV1\t1\tsampled\t\n101\tV1\t1\tpublished\t\n109\tV1\t1\tpublished\t\n"
                    "140\tV1\t1\tacknowledged\t\n150\tV1\t2\tsampled\t\n151\tV1\t2\tdropped\tbuffer full\n"
                    "160\tV1\t3\tsam")
    read = ledger.read(path)
    expect(read["V1", 1] == ledger.Reading(100, 101, 140, None), "the ledger gives each state's first moment")
    expect(read["V1", 2].dropped == 151 and ("V1", 3) not in read, "a torn last line is ignored")
    expect(ledger.ack_latencies(read, 0, 1000) == [39], "latency is from publish to acknowledgement")


def histograms():
    def grown(*counts):
        return {f'h_bucket{{le="{bound}"}}': float(count) for bound, count in zip(("0.001", "0.01", "+Inf"), counts)}
    before = gateway_module.histogram(grown(10, 10, 10), "h")
    after = gateway_module.histogram(grown(10, 110, 110), "h")
    expect(gateway_module.histogram_quantile({}, before, 0.99) == 0.001, "p99 of a histogram is its bucket's bound")
    expect(gateway_module.histogram_quantile(before, after, 0.5) == 0.01, "and of what came between two")


def mqtt_client(folder):
    """Against mosquitto."""
    program = checks.foreign("mosquitto", "mosquitto")
    port = processes.free_ports(1)[0]
    (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    with open(folder / "mosquitto.log", "wb") as log:
        broker = processes.start([program, "-c", str(folder / "mosquitto.conf")], stdout=log, stderr=log)
    try:
        processes.wait_until(lambda: connected(port), within_s=10, what="mosquitto answers")
        for version in (mqtt.V311, mqtt.V5):
            with mqtt.Client(port, "harness", version) as client:
                expect(client.publish("a/b", b"x") > 0, "a publish is acknowledged")
                client.send(mqtt.subscribe("c/#", packet_id=9, version=version))
                expect(client.expect(mqtt.SUBACK).body[:2] == b"\x00\x09", "a subscription is answered")
            load_run(port, version)
        load = mqtt.Load("kill/{c}", 5, 10)
        load.connect(port)
        threading.Timer(0.2, broker.kill).start()
        expect(not load.run(lambda: False), "the load ends when the broker is killed")
        expect(load.count() == len(load.take_new_acks()) > 0, "and knows what was acknowledged")
    finally:
        processes.stop(broker)


def connected(port):
    try:
        mqtt.Client(port, "probe").abort()
        return True
    except (OSError, mqtt.Closed):
        return False


def load_run(port, version):
    load = mqtt.Load("load/{c}", 20, 20, version=version)
    load.timed = True
    load.connect(port)
    began = time.monotonic()
    expect(load.run(lambda: load.count() >= 4000), "20 connections 20 deep publish")
    took = time.monotonic() - began
    checks.say(f"{load.count() / took:.0f} acks a second")
    expect(all(acked == set(range(len(acked))) for acked in load.acked), "acks cover a prefix of each connection")
    expect(min(load.acked_at[key] - load.sent_times[key] for key in load.acked_at) > 0, "after their publishes")
    load.close()


def main():
    planted_faults()
    histograms()
    with checks.scratch() as folder:
        ledger_file(pathlib.Path(folder))
        mqtt_client(pathlib.Path(folder))


if __name__ == "__main__":
    checks.run(main)
