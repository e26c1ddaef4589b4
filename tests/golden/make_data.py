#!/usr/bin/env python3
"""Makes data-VERSION.tar.xz: a data folder as this version leaves it when it is killed. README.md says what is in it."""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))
from support import checks, gateway as gateway_module, mqtt  # noqa: E402
import processes  # noqa: E402

VEHICLES = 8
BEFORE, BEHIND = 60, 20  # the last checkpoint
LOG = {"limit_bytes": 4 * 1024 * 1024, "ring_bytes": 256 * 1024}
ROUTES = [{"filter": "vehicles/{vehicle_id}/telemetry", "topic": "vehicle.telemetry", "partitions": 2},
          {"filter": "#", "topic": "mqtt.other", "partitions": 1}]


def reading(sensor, number):
    vehicle = f"V{number % VEHICLES}"
    sensor.publish(f"vehicles/{vehicle}/telemetry", json.dumps({"vehicle": vehicle, "n": number}).encode())


def main():
    version = sys.argv[1]
    with checks.scratch() as folder:
        with gateway_module.Gateway(folder, log=LOG, routes=ROUTES) as gateway:
            gateway.start()
            with mqtt.Client(gateway.mqtt_port, "kept", clean=False) as sensor:
                for number in range(BEFORE):
                    reading(sensor, number)
                processes.wait_until(lambda: gateway.metrics()["milepost_log_checkpoints_total"] >= 1, within_s=20,
                                     what="a checkpoint")
                for number in range(BEFORE, BEFORE + BEHIND):
                    reading(sensor, number)
                sensor.publish("other/retained", b"kept", retain=True)
            gateway.kill()
        target = pathlib.Path(__file__).with_name(f"data-{version}.tar.xz")
        subprocess.run(["tar", "-C", folder / "data", "--sort=name", "--exclude=./meta.db-shm", "--owner=0", "--group=0",
                        "-cJf", target, "."], check=True)
        checks.say(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    checks.run(main)
