#!/usr/bin/env python3
"""From PUBLISH until a consumer sees the record, live traffic, both deliveries: 990 readings a second from `mqtt_load` and
ten probes of a hundred, whose values say when they were sent; kcat reads them (read_committed) and this program takes
the time. Everything is on one machine, over loopback.

    tests/bench/run.sh --visible [--seconds 20] [--rounds 3] [--rates 1000,10000]
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "kafka"))
sys.path.insert(0, str(ROOT / "tests" / "system"))
# pylint: disable=wrong-import-position
from support import checks, gateway as gateway_module, mqtt  # noqa: E402
from upstream import cpu_s, lag  # noqa: E402
import processes  # noqa: E402
import testbed  # noqa: E402

TOPIC, PARTITIONS = "vehicle.telemetry", 4
PROBES_PER_S = 100
PROBE = b"probe "
DELIVERIES = ("at_least_once", "exactly_once")
GOAL_MS = 250


class Reader:
    """kcat at the end of the topic; milliseconds from each probe's PUBLISH to its line."""

    def __init__(self, bootstrap):
        self.found = []
        self.process = processes.start(
            ["kcat", "-C", "-q", "-u", "-b", bootstrap, "-t", TOPIC, "-o", "end", "-f", "%s\n", "-X",
             "isolation.level=read_committed"], stdout=subprocess.PIPE)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            now = time.monotonic_ns()
            if line.startswith(PROBE):
                self.found.append((now - int(line[len(PROBE):])) / 1e6)

    def close(self):
        processes.stop(self.process)
        self.thread.join()


def publish_probes(client, seconds):
    """At fixed times, whatever the gateway does; one that is late is counted from when it was due."""
    began = time.monotonic_ns()
    for number in range(int(seconds * PROBES_PER_S)):
        due = began + number * 1_000_000_000 // PROBES_PER_S
        time.sleep(max(0, due - time.monotonic_ns()) / 1e9)
        client.publish("vehicles/probe/telemetry", PROBE + str(due).encode())
    return number + 1


def measure(kafka, folder, delivery, rate, seconds):
    name = f"visible{len(list(folder.iterdir()))}"
    with gateway_module.Gateway(folder / name, upstream=kafka.bootstrap, upstream_keys={"delivery": delivery},
                                extra_first=f'gateway_id = "{name}"\n', extra="[time]\nrequire_sync = false\n") as gateway:
        gateway.start()
        load = processes.start([checks.program("mqtt_load"), "--port", str(gateway.mqtt_port), "--connections", "100",
                                "--window", "100", "--warmup", "0", "--seconds", str(seconds + 4), "--rate",
                                str(rate - PROBES_PER_S)], stdout=subprocess.DEVNULL)
        reader = Reader(kafka.bootstrap)
        with mqtt.Client(gateway.mqtt_port, "probe") as client:
            publish_probes(client, 2)  # all is connected and warm then
            processes.wait_until(lambda: len(reader.found) > PROBES_PER_S // 2, within_s=20, what="kcat reads")
            before = len(reader.found), cpu_s(gateway.pid())
            sent = publish_probes(client, seconds)
            used = (cpu_s(gateway.pid()) - before[1]) / seconds
        load.wait()
        processes.wait_until(lambda: lag(gateway) == 0, within_s=60, what="all is forwarded")
        processes.wait_until(lambda: len(reader.found) >= before[0] + sent, within_s=10, what="kcat has read all probes")
        reader.close()
        gateway.terminate()
    return sorted(reader.found[-sent:]), used


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rates", default="1000,10000", help="readings a second, all together")
    chosen = parser.parse_args()
    testbed.require_kafka()
    checks.foreign("kcat", "kcat")
    print("from PUBLISH to visible, ms     |     rate |    p50    p99    max | CPU, of a core")
    with tempfile.TemporaryDirectory(prefix="milepost-bench-") as folder, testbed.Broker() as kafka:
        for topic in (TOPIC, "vehicle.events", "mqtt.other"):
            kafka.create_topic(topic, PARTITIONS)
        for rate in map(int, chosen.rates.split(",")):
            p99s = {delivery: [] for delivery in DELIVERIES}
            for _ in range(chosen.rounds):
                for delivery in DELIVERIES:
                    found, used = measure(kafka, pathlib.Path(folder), delivery, rate, chosen.seconds)
                    p50, p99 = (found[int(len(found) * part)] for part in (0.5, 0.99))
                    p99s[delivery].append(p99)
                    print(f"{delivery:<31} | {rate:>8,} | {p50:>6.1f} {p99:>6.1f} {found[-1]:>6.1f} | {used:.3f}", flush=True)
            for delivery, of_rounds in p99s.items():
                middle = statistics.median(of_rounds)
                print(f"{delivery}, {rate:,}/s: median p99 {middle:.1f} ms (goal {GOAL_MS}{'' if middle <= GOAL_MS else ', MISSED'})",
                      flush=True)


if __name__ == "__main__":
    checks.run(main)
