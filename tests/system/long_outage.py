#!/usr/bin/env python3
"""An outage of hours while vehicles drive, in real time: nothing changes but the lag. Afterwards all of it arrives, each
reading once, each vehicle's in order. By hand; a unit test passes 24 hours with an injected clock.

    python3 tests/system/long_outage.py --minutes 120                                 the broker is gone
    python3 tests/system/long_outage.py --minutes 120 --kind black_hole --delivery at_least_once
"""

import argparse
import os
import time

from support import checks, forwarding, ledger
from support.checks import expect, say
import processes
import testbed
from proxy import Way

SAMPLES = 12  # of what must not change, over the outage
WARM_UP_PARTS = 2  # of them: the memory beside the ring fills once
GROWTH_MAX_BYTES = 4 << 20  # of resident memory, from its first third to its last
FILES_SPREAD = 8  # attempts to reach a broker come and go, and this script's own questions
THREADS_SPREAD = 3  # likewise: librdkafka has one for each broker that it tries
P99_FACTOR_MAX = 3  # between the first and the last part's acks, on a machine that does other things too


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--kind", choices=["gone", "black_hole"], default="gone")
    parser.add_argument("--delivery", choices=["exactly_once", "at_least_once"], default="exactly_once")
    parser.add_argument("--rate", type=float, default=4, help="readings a second of each of ten vehicles")
    parser.add_argument("--keep", action="store_true", help="keep the folder of the run")
    return parser.parse_args()


def sample(run):
    """What must stay as it is, and the lag."""
    pid = run.gateway.pid()
    with open(f"/proc/{pid}/status") as lines:
        fields = dict(line.split(":", 1) for line in lines)
    upstream = run.status()["upstream"]
    log = (run.gateway.folder / "milepostd.log").read_text(errors="replace")
    return {"resident_bytes": int(fields["VmRSS"].split()[0]) * 1024, "threads": int(fields["Threads"]),
            "files": len(os.listdir(f"/proc/{pid}/fd")), "log_lines": log.count("\n"), "state": upstream["state"],
            "lag": upstream["backlog_records"]}


def hold(run, seconds):
    """The samples of an outage that lasts so long, and when it began, in Unix milliseconds."""
    began, began_ms = time.monotonic(), time.time() * 1000
    samples = []
    for part in range(1, SAMPLES + 1):
        while time.monotonic() < began + seconds * part / SAMPLES:
            run.gateway.expect_running()
            time.sleep(0.5)  # the outage lasts so long
        samples.append(sample(run))
        say(f"{seconds * part / SAMPLES / 60:.0f} min: {samples[-1]}")
        expect(run.gateway.ready()[0] == 200, "/readyz is 200")
    return samples, began_ms


def caught_up(run, rate):
    """Less than a second's readings wait, and nothing is complained of."""
    status = run.status()
    return (status["upstream"]["backlog_records"] <= rate and status["upstream"]["state"] == "up"
            and not status["degraded"])


def expect_unchanged(samples, rate, seconds):
    settled = samples[WARM_UP_PARTS - 1:]
    for name, spread in (("threads", THREADS_SPREAD), ("files", FILES_SPREAD)):
        seen = [one[name] for one in settled]
        expect(max(seen) - min(seen) <= spread, f"{name}: {min(seen)} to {max(seen)}")
    peaks = [max(one["resident_bytes"] for one in part)  # a ring that fills and is freed makes it go up and down
             for part in (settled[:SAMPLES // 3], settled[-SAMPLES // 3:])]
    expect(peaks[1] - peaks[0] <= GROWTH_MAX_BYTES, f"resident memory: at most {peaks[0] >> 20} MiB at first, "
                                                    f"{peaks[1] >> 20} MiB at last")
    expect(all(one["state"] != "up" for one in settled), f"the status says {settled[-1]['state']} all the while")
    lags = [one["lag"] for one in samples]
    expect(lags == sorted(lags) and lags[-1] >= 0.95 * rate * seconds, f"the lag grows with what is taken in: {lags}")
    lines = settled[-1]["log_lines"] - settled[0]["log_lines"]
    minutes = seconds * (SAMPLES - WARM_UP_PARTS) / SAMPLES / 60
    say(f"{lines / minutes:.1f} log lines a minute")


def expect_same_latency(readings, began_ms, seconds):
    parts = [ledger.ack_latencies(readings, began_ms + seconds * 1000 * first / SAMPLES,
                                  began_ms + seconds * 1000 * (first + 2) / SAMPLES) for first in (0, SAMPLES - 2)]
    first, last = [ledger.quantile(part, 0.99) for part in parts]
    say(f"acks, p50 / p99 in ms: at first {ledger.quantile(parts[0], 0.5)} / {first}, at last "
        f"{ledger.quantile(parts[1], 0.5)} / {last}")
    expect(last <= P99_FACTOR_MAX * max(first, 10), "acks take as long at the end as at the beginning")


def main():
    size = arguments()
    testbed.require_kafka()
    seconds = size.minutes * 60
    with checks.scratch(keep=size.keep) as folder, forwarding.Forwarding(folder, size.delivery) as run:
        run.gateway.start()
        run.warm_up()
        fleet = run.fleet(0, size.rate)
        try:
            if size.kind == "gone":
                run.kafka.kill()
            else:
                run.proxy.way = Way.BLACK_HOLE
            samples, began_ms = hold(run, seconds)
            run.proxy.way = Way.OPEN
            if size.kind == "gone":
                run.kafka.start()
            began = time.monotonic()
            processes.wait_until(lambda: caught_up(run, 10 * size.rate), within_s=forwarding.SETTLE_S,
                                 what="what waited is forwarded, while vehicles drive on")
            say(f"ok: what waited is forwarded {time.monotonic() - began:.1f} s after it was over")
            fleet.terminate()
            expect(fleet.wait(60) == 0, "every vehicle has its acknowledgements")
        finally:
            processes.stop(fleet, grace_s=5)
        expect_unchanged(samples, 10 * size.rate, seconds)
        run.expect_well("the end")
        run.reconcile(f"{size.minutes:g} minutes of outage")
        run.account()
        # Last: other programs on the machine show in it.
        expect_same_latency(ledger.read(run.ledgers[-1]), began_ms, seconds)
        expect(run.gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0 within 10 s")


if __name__ == "__main__":
    checks.run(main)
