#!/usr/bin/env python3
"""Answers that are lost after the broker acted on the request: the records are appended, the positions sent, the
transaction committed, and the gateway does not hear of it. No reading is doubled, none is lost, order is kept.

    python3 tests/system/cut_responses.py            30 answers, exactly_once
    python3 tests/system/cut_responses.py --full     1,000 answers, then 300 at_least_once
"""

import argparse

from support import checks, forwarding
from support.checks import expect, say
import processes
import testbed

TRANSACTIONAL = {"Produce": 0.4, "AddPartitionsToTxn": 0.2, "TxnOffsetCommit": 0.2, "EndTxn": 0.2}
PARTS = {"exactly_once": TRANSACTIONAL, "at_least_once": {"Produce": 1.0}}
EVERY = 3  # so that something arrives in between
SECONDS_EACH = 3


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=30, help="answers that are lost, exactly_once")
    parser.add_argument("--count-at-least-once", type=int, default=0)
    parser.add_argument("--full", action="store_true")
    chosen = parser.parse_args()
    if chosen.full:
        chosen.count, chosen.count_at_least_once = 1000, 300
    return chosen


def run(delivery, count):
    say(f"=== {delivery}, {count} answers")
    with checks.scratch() as folder, forwarding.Forwarding(folder, delivery) as run:
        run.gateway.start()
        fleet = run.fleet(0, rate=20)
        try:
            processes.wait_until(lambda: run.gateway.metrics().get('milepost_forward_events_total{event="confirmed"}'),
                                 within_s=30, what="forwarding goes")
            run.proxy.every = EVERY
            run.proxy.lose = {api: round(count * part) for api, part in PARTS[delivery].items()}
            processes.wait_until(lambda: sum(run.proxy.lost.values()) >= count, within_s=30 + count * SECONDS_EACH,
                                 what=f"{count} answers are lost")
            fleet.terminate()
            expect(fleet.wait(60) == 0, "every vehicle has its acknowledgements")
        finally:
            processes.stop(fleet, grace_s=5)
        say(f"lost answers: {dict(run.proxy.lost)}; transactions: {run.status()['upstream']['events']}")
        run.expect_well("lost answers")
        run.reconcile(f"{count} answers were lost")
        run.account()
        expect(run.gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0 within 10 s")


def main():
    size = arguments()
    testbed.require_kafka()
    run("exactly_once", size.count)
    if size.count_at_least_once:
        run("at_least_once", size.count_at_least_once)


if __name__ == "__main__":
    checks.run(main)
