#!/usr/bin/env python3
"""Connections that break while vehicles publish: each reading still arrives whole, and no vehicle stays away.

The gateway is stopped for a moment, so that bytes lie unread in its sockets, and killed: the vehicles' next writes
fail. That is where Paho C 1.3.12 loses its hold on what is in flight.
"""

import collections
import json
import os
import pathlib
import signal
import time

from support import checks, gateway as gateway_module, ledger
from support.checks import expect, say

VEHICLES, RATE, DURATION_S = 100, 20, 8
RESETS = 3
UNREAD_S = 0.3


def reset(gateway):
    gateway.expect_running()
    os.kill(gateway.pid(), signal.SIGSTOP)
    time.sleep(UNREAD_S)
    gateway.kill()
    gateway.start()


def check_log(gateway, readings):
    """Everything acknowledged is there, nothing that is no reading, and each vehicle in order."""
    last = collections.defaultdict(int)
    seen, repeats = set(), 0
    for record in gateway.consume():
        payload = json.loads(record["payload"])
        vehicle, seq = payload["vehicle"], payload["seq"]
        if record["key"] != vehicle or (vehicle, seq) not in readings:
            raise checks.Failed(f"in the log, but of no vehicle: {record}")
        if (vehicle, seq) in seen:
            repeats += 1
            continue
        if seq < last[vehicle]:
            raise checks.Failed(f"{vehicle}: {seq} comes first after {last[vehicle]}")
        last[vehicle] = seq
        seen.add((vehicle, seq))
    say(f"{len(seen)} readings in the log, {repeats} of them again")
    expect(seen == set(readings), "every reading is in the log, whole and in order")


def main():
    checks.program("milepost-fleet")
    with checks.scratch() as folder, gateway_module.Gateway(pathlib.Path(folder)) as gateway:
        gateway.start()
        fleet = ledger.start_fleet(gateway.mqtt_port, folder / "ledger", folder / "fleet.log",
                                   vehicles=VEHICLES, rate=RATE, duration_s=DURATION_S)
        time.sleep(1)
        for _ in range(RESETS):
            reset(gateway)
            time.sleep(1)
        expect(fleet.wait(60) == 0, "milepost-fleet ends with exit 0, although its connections were reset")
        expect('closed "' not in (folder / "milepostd.log").read_text(), "the gateway had to close none of them")
        readings = ledger.read(folder / "ledger")
        expect(len(readings) == VEHICLES * RATE * DURATION_S and
               all(reading.acknowledged is not None for reading in readings.values()),
               f"all {len(readings)} readings are acknowledged")
        expect(gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0")
        check_log(gateway, readings)
        say(gateway.verify())


if __name__ == "__main__":
    checks.run(main)
