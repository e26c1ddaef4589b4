#!/usr/bin/env python3
"""A broker that forgets a group's positions a minute after the last commit (offsets.retention.minutes=1): the copy in
meta.db takes over. Nothing is lost, nothing is doubled, and a line in the log says what happened.

    python3 tests/system/lost_positions.py            about three minutes
"""

import argparse

from support import checks, forwarding
from support.checks import expect, say
from support.forwarding import TOPIC
import processes
import testbed
import wire

FORGETFUL = "offsets.retention.minutes=1\noffsets.retention.check.interval.ms=1000\n"
FORGOTTEN_WITHIN_S = 180


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    testbed.require_kafka()
    with checks.scratch() as folder, \
            forwarding.Forwarding(folder, "exactly_once", properties=FORGETFUL) as run:
        gateway = run.gateway
        gateway.start()
        group = f"milepost-{run.status()['gateway_id']}"

        def positions():
            return wire.group_offsets(run.kafka.bootstrap, group, TOPIC, range(4))

        def drive(what):
            expect(run.fleet(3).wait(60) == 0, "every vehicle has its acknowledgements")
            run.reconcile(what)

        def forget():
            expect(max(positions().values()) > 0, f"Kafka keeps the positions {positions()}")
            processes.wait_until(lambda: max(positions().values()) < 0, within_s=FORGOTTEN_WITHIN_S, every_s=1,
                                 what="Kafka has forgotten the positions")
            say("Kafka has forgotten the positions")

        drive("before")
        expect(gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0")
        forget()
        gateway.start()
        drive("forgotten while the gateway was off")
        expect("Kafka has no position any more for" in gateway.log_tail(200), "a line in the log says so")
        forget()
        drive("forgotten while the gateway ran and had nothing to send")
        forget()
        gateway.kill()
        gateway.start()
        drive("forgotten, and then a SIGKILL")
        run.account()
        expect(gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0")


if __name__ == "__main__":
    checks.run(main)
