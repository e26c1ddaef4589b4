#!/usr/bin/env python3
"""What a newcomer meets (goal 20): programs, lines of configuration, from start to the first reading in a real Kafka, idle
memory. The broker is warm, the data folder exists; several starts, the median counts.

    tests/bench/run.sh --newcomer [--starts 7]
"""

import argparse
import pathlib
import re
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "kafka"))
sys.path.insert(0, str(ROOT / "tests" / "system"))
# pylint: disable=wrong-import-position
from support import checks, gateway as gateway_module, mqtt  # noqa: E402
from upstream import confirmed  # noqa: E402
import processes  # noqa: E402
import testbed  # noqa: E402

# The whole configuration; delivery is exactly_once then. Ports are the machine's default ones, if they are free.
CONFIGURATION = 'data_dir = "/var/lib/milepost"\n[upstream]\nbootstrap_servers = "kafka.example:9092"\n'
DELIVERIES = (("at_least_once", 0.4), ("exactly_once", 1.0))
RESIDENT_MAX_MIB = 16
LIMIT_S = 30


def first_reading_s(gateway):
    """From exec until Kafka has confirmed (in exactly_once: committed) a reading that was published as soon as possible."""
    began = time.monotonic()
    gateway.launch()

    def published():
        try:
            with mqtt.Client(gateway.mqtt_port, "V1") as client:
                return client.publish("vehicles/V1/telemetry", b"first") > 0
        except OSError:
            return False
    processes.wait_until(published, within_s=LIMIT_S, every_s=0.002, what="a reading is acknowledged")
    acknowledged = time.monotonic() - began
    processes.wait_until(lambda: confirmed(gateway) > 0, within_s=LIMIT_S, every_s=0.002, what="it is in Kafka")
    return acknowledged, time.monotonic() - began


def resident_mib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=7)
    starts = parser.parse_args().starts
    testbed.require_kafka()
    print(f"programs 1 (milepostd), lines of configuration {len(CONFIGURATION.splitlines())} (goal 3)")
    with tempfile.TemporaryDirectory(prefix="milepost-bench-") as folder, testbed.Broker() as kafka:
        for topic in ("vehicle.telemetry", "vehicle.events", "mqtt.other"):
            kafka.create_topic(topic, 4)
        for delivery, goal in DELIVERIES:
            with gateway_module.Gateway(pathlib.Path(folder) / delivery, upstream=kafka.bootstrap,
                                        upstream_keys={"delivery": delivery}, extra="[time]\nrequire_sync = false\n",
                                        extra_first=f'gateway_id = "{delivery.replace("_", "-")}"\n') as gateway:
                first_reading_s(gateway)  # makes the folder, warms the broker
                gateway.terminate()
                found, resident = [], []
                for _ in range(starts):
                    found.append(first_reading_s(gateway))
                    resident.append(resident_mib(gateway.pid()))
                    gateway.terminate()
            acknowledged, took = (statistics.median(column) for column in zip(*found))
            print(f"{delivery}: start -> acknowledged {acknowledged:.2f} s, -> in Kafka {took:.2f} s (worst "
                  f"{max(end for _, end in found):.2f}; goal {goal}{'' if took <= goal else ', MISSED'}); idle memory "
                  f"{statistics.median(resident):.1f} MiB (goal {RESIDENT_MAX_MIB}"
                  f"{'' if statistics.median(resident) <= RESIDENT_MAX_MIB else ', MISSED'})", flush=True)


if __name__ == "__main__":
    checks.run(main)
