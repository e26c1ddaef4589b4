#!/usr/bin/env python3
"""The four scenes that other products were tried with, by hand: 10,000 readings of 100 vehicles (150,000 in the last).

    S1  250 readings/s, the gateway is SIGKILLed at 15 s and started 2 s later
    S2  120 readings/s, Kafka is away for 60 s
    S3  the same, and 30 s into it the gateway is SIGKILLed, started 2 s later
    S4  150,000 readings as fast as the gateway takes them, SIGKILLed in the middle of it, started 1 s later

The vehicles send again what was not acknowledged. Two judges: nothing lost, nothing doubled but by the vehicles
themselves, each vehicle's readings in order. Exactly once by default; at least once, what a kill doubles is told.

    python3 tests/system/peer_scenes.py --delivery exactly_once --scenes S1,S2,S3,S4
"""

import argparse
import time

from support import checks, forwarding, ledger
from support.checks import expect, say
import processes
import testbed

VEHICLES = 100
# readings a second and in all, seconds to the gateway's kill and until its start, seconds to Kafka's stop and of its outage
SCENES = {
    "S1": (250, 10_000, (15, 2), None),
    "S2": (120, 10_000, None, (10, 60)),
    "S3": (120, 10_000, (40, 2), (10, 60)),
    "S4": (30_000, 150_000, (2.5, 1), None),
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", default=",".join(SCENES), help="with commas")
    parser.add_argument("--delivery", choices=["exactly_once", "at_least_once"], default="exactly_once")
    return parser.parse_args()


def events(run, kill, away):
    """What happens, by the second."""
    found = []
    if kill:
        found += [(kill[0], run.gateway.kill), (kill[0] + kill[1], run.gateway.start)]
    if away:
        found += [(away[0], run.kafka.stop), (away[0] + away[1], run.kafka.start)]
    return sorted(found, key=lambda event: event[0])


def play(name, delivery, folder):
    rate, readings, kill, away = SCENES[name]
    folder.mkdir()
    with forwarding.Forwarding(folder, delivery) as run:
        run.gateway.start()
        run.warm_up()
        run.may_double = delivery == "at_least_once" and kill is not None
        run.ledgers.append(folder / "ledger")
        fleet = ledger.start_fleet(run.gateway.mqtt_port, run.ledgers[-1], folder / "fleet.log", vehicles=VEHICLES,
                                   rate=rate / VEHICLES, duration_s=round(readings / rate), prefix="P")
        try:
            began = time.monotonic()
            for at, act in events(run, kill, away):
                time.sleep(max(began + at - time.monotonic(), 0))  # the scene says when
                act()
                say(f"{time.monotonic() - began:.1f} s: {act.__self__.__class__.__name__}.{act.__name__}")
            expect(fleet.wait(120) == 0, "every vehicle has its acknowledgements")
        finally:
            processes.stop(fleet, grace_s=5)
        run.expect_well(f"{name}, {delivery}")
        run.reconcile(f"{name}, {delivery}")
        run.account()
        expect(run.gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0 within 10 s")


def main():
    size = arguments()
    testbed.require_kafka()
    with checks.scratch() as folder:
        for name in size.scenes.split(","):
            play(name, size.delivery, folder / name)


if __name__ == "__main__":
    checks.run(main)
