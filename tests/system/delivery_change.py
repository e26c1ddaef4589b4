#!/usr/bin/env python3
"""`delivery` is changed to and fro against a real Kafka: a read_committed consumer sees each reading once, whichever of
the two forwarded it.

    python3 tests/system/delivery_change.py

The fleet drives all the time. exactly_once, at_least_once, exactly_once and so on, each stopped with SIGTERM; after
each change to exactly_once the gateway is killed with SIGKILL at its start some times, most of them before its first
transaction, and comes with another number of producers. At last both are killed in the middle: then nothing may
be lost, and what comes twice is what at_least_once may send twice.
"""

import argparse
import random
import re
import time

from support import checks, forwarding
from support.checks import expect, say
from support.forwarding import TOPIC
import processes
import testbed
import wire

KILLS = 4  # after each change to exactly_once
KILLED_WITHIN_S = 0.3  # of the start; a first transaction takes about that long


class Run(forwarding.Forwarding):
    producers = 1

    def change(self, delivery, *, kills=0):
        """Of the stopped gateway, which starts."""
        self.producers = 3 - self.producers
        text = self.gateway.config.read_text()
        text = re.sub(r'delivery = "\w+"', f'delivery = "{delivery}"', text)
        self.gateway.config.write_text(re.sub(r"producers = \d", f"producers = {self.producers}", text))
        self.gateway.start()
        for _ in range(kills):
            time.sleep(self.random.uniform(0, KILLED_WITHIN_S))
            self.gateway.kill()
            self.gateway.start()
        self.wait_forwarded(f"{delivery} forwards")

    def wait_forwarded(self, what):
        """More is forwarded than was when this was called."""
        before = self.gateway.forwarded(TOPIC)
        processes.wait_until(lambda: self.gateway.forwarded(TOPIC) > before + 200, within_s=60, what=what)

    def terminate(self):
        expect(self.gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0")

    def positions(self, group):
        return wire.group_offsets(self.kafka.bootstrap, group, TOPIC, range(4))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    seed = parser.parse_args().seed
    say(f"seed {seed}")
    testbed.require_kafka()
    with checks.scratch() as folder, Run(folder, "exactly_once", producers=1) as run:
        run.random = random.Random(seed)
        gateway = run.gateway
        gateway.start()
        run.warm_up()
        group = f"milepost-{run.status()['gateway_id']}"
        fleet = run.fleet(0)
        try:
            for _ in range(2):
                run.wait_forwarded("exactly_once forwards")
                run.terminate()
                held = run.positions(group)
                run.change("at_least_once")
                run.terminate()
                expect(run.positions(group) == held, "at_least_once moves no position of Kafka's")
                run.change("exactly_once", kills=KILLS)
            expect(sum(run.positions(group).values()) > sum(held.values()), "exactly_once moves them on")
        finally:
            fleet.terminate()
            code = fleet.wait(120)
        expect(code == 0, "milepost-fleet ends with exit 0 when it is told to")
        run.reconcile("changed to and fro, and killed at the change")
        run.account()
        expect("at_least_once has forwarded more of" in gateway.log_tail(1000), "a line in the log says so")
        expect("is behind the copy here" not in gateway.log_tail(1000), "and none of a Kafka that was set back")

        run.may_double = True
        fleet = run.fleet(0)
        try:
            for delivery in ("at_least_once", "exactly_once") * 2:
                run.wait_forwarded("it forwards")
                gateway.kill()
                run.change(delivery)
        finally:
            fleet.terminate()
            code = fleet.wait(120)
        expect(code == 0, "milepost-fleet ends with exit 0 when it is told to")
        run.reconcile("killed in the middle, and changed")
        run.account()
        run.terminate()


if __name__ == "__main__":
    checks.run(main)
