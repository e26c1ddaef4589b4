#!/usr/bin/env python3
"""A large fleet on one machine beside the gateway, ledger on: each reading is acknowledged, logged once, in order.

    python3 tests/system/fleet_10000.py            1,000 vehicles for 15 s
    python3 tests/system/fleet_10000.py --full     10,000 vehicles for 5 minutes, and what the fleet costs
"""

import argparse
import json
import os
import subprocess

from support import checks, gateway as gateway_module
from support.checks import expect, say

CONNECTIONS = 12_000  # a gateway's own limits are lower, and all of the vehicles come from one address
START_AND_DRAIN_S = 90
MEMORY_MAX_KB_PER_VEHICLE = 32  # half a 512 MiB machine for 10,000


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vehicles", type=int, default=1000)
    parser.add_argument("--duration", type=int, default=15, help="seconds")
    parser.add_argument("--full", action="store_true")
    chosen = parser.parse_args()
    if chosen.full:
        chosen.vehicles, chosen.duration = 10_000, 300
    return chosen


def drive(gateway, folder, size):
    """Runs the fleet: its summary, its processor time in seconds and its peak memory in KiB."""
    command = [checks.program("milepost-fleet"), "-p", gateway.mqtt_port, "--vehicles", size.vehicles, "--rate", 1,
               "--duration", f"{size.duration}s", "--drain", "60s", "--ledger", folder / "ledger", "--json"]
    with open(folder / "fleet.json", "wb") as out:
        fleet = subprocess.Popen([*map(str, command)], stdout=out)
    try:
        _, status, usage = os.wait4(fleet.pid, 0)
        fleet.returncode = os.waitstatus_to_exitcode(status)
    finally:
        if fleet.returncode is None:
            fleet.kill()
    expect(fleet.returncode == 0, "the fleet ends with every reading settled")
    return json.loads((folder / "fleet.json").read_text()), usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def main():
    size = arguments()
    limits = f"[mqtt]\nmax_connections = {CONNECTIONS}\nmax_connections_per_address = {CONNECTIONS}\n"
    readings = size.vehicles * size.duration
    with checks.scratch() as folder, gateway_module.Gateway(folder / "gateway", extra=limits) as gateway:
        gateway.start()
        summary, processor_s, memory_kb = drive(gateway, folder, size)
        say(f"the fleet took {processor_s / summary['seconds']:.2f} cores and {memory_kb / 1024:.0f} MiB; "
            f"ack p50 {summary['ack_latency_p50_ms']} ms, p99 {summary['ack_latency_p99_ms']} ms")
        expect(summary["sampled"] == readings, f"{size.vehicles} vehicles took {readings} readings")
        expect(summary["acknowledged"] == readings and summary["dropped"] == 0, "every one of them is acknowledged")
        expect(memory_kb / size.vehicles < MEMORY_MAX_KB_PER_VEHICLE,
               f"a vehicle takes less than {MEMORY_MAX_KB_PER_VEHICLE} KiB")
        said = gateway.tool("reconcile", "--ledger", folder / "ledger", "--url", gateway.url, "--json", limit_s=300)
        found = json.loads(said.stdout)
        expect(found["logged"] == readings, "every one of them is in the log")
        for figure in ("lost", "duplicated_in_log", "out_of_order", "unexplained"):
            expect(found[figure] == 0, f"{figure} 0")
        expect(gateway.terminate() == 0, "the gateway stops cleanly")


if __name__ == "__main__":
    checks.run(main)
