#!/usr/bin/env python3
"""The main job on real parts: fleet, gateway, Apache Kafka; an outage of the broker and one SIGKILL of the gateway.

    python3 tests/system/main_job.py            small
    python3 tests/system/main_job.py --full     100 vehicles, 10 readings/s each, 60 s, 20 s of outage
"""

import argparse
import json
import pathlib
import time

from support import account, checks, gateway as gateway_module, ledger
from support.checks import expect, say
import processes
import testbed

TOPICS = {"vehicle.telemetry": 4, "vehicle.events": 4, "mqtt.other": 4}
SETTLE_S = 30  # after the fleet's end everything acknowledged is upstream
P99_RATIO_MAX = 1.5
P99_SLACK_MS = 3  # below this a ratio of two p99 on shared cores says nothing
LATENCY = "milepost_mqtt_ack_latency_seconds"
AFTER_RETURN_S = 1.0  # the gateway is killed this long after the broker is back, in the middle of catching up


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vehicles", type=int, default=20)
    parser.add_argument("--rate", type=float, default=10, help="readings a second of each vehicle")
    parser.add_argument("--duration", type=int, default=20, help="seconds")
    parser.add_argument("--outage", type=float, default=6, help="seconds without the broker")
    parser.add_argument("--broker-kill", action="store_true", help="SIGKILL the broker instead of SIGTERM")
    parser.add_argument("--no-gateway-kill", action="store_true")
    parser.add_argument("--full", action="store_true", help="the size that the README speaks of")
    parser.add_argument("--keep", action="store_true", help="keep the folder of the run")
    chosen = parser.parse_args()
    if chosen.full:
        chosen.vehicles, chosen.rate, chosen.duration, chosen.outage = 100, 10, 60, 20
    return chosen


def wait_for(moment):
    time.sleep(max(0.0, moment - time.monotonic()))


class MainJob:
    def __init__(self, size, kafka, gateway, folder):
        self.size, self.kafka, self.gateway = size, kafka, gateway
        self.ledger_file = folder / "ledger"
        self.fleet_log = folder / "fleet.log"
        self.outage_ms = (0, 0)
        self.histograms = []

    def play(self):
        """Everything that happens while the vehicles drive; returns when the fleet has ended."""
        size = self.size
        began, began_ms = time.monotonic(), time.time() * 1000
        fleet = ledger.start_fleet(self.gateway.mqtt_port, self.ledger_file, self.fleet_log,
                                   vehicles=size.vehicles, rate=size.rate, duration_s=size.duration)
        try:
            self.began_ms = began_ms
            wait_for(began + 0.3 * size.duration)
            self._outage()
            if not size.no_gateway_kill:
                time.sleep(AFTER_RETURN_S)
                self._kill_gateway()
            limit = size.duration + 60 - (time.monotonic() - began)
            code = fleet.wait(limit)
        finally:
            processes.stop(fleet, grace_s=5)
        expect(code == 0, "milepost-fleet ended by itself with exit 0")

    def _outage(self):
        self.histograms.append(gateway_module.histogram(self.gateway.metrics(), LATENCY))
        say(f"the broker goes away for {self.size.outage:g} s")
        away = time.monotonic()
        if self.size.broker_kill:
            self.kafka.kill()
        else:
            self.kafka.stop()
        begin_ms = time.time() * 1000
        wait_for(away + self.size.outage)
        self.outage_ms = (begin_ms, time.time() * 1000)
        self.histograms.append(gateway_module.histogram(self.gateway.metrics(), LATENCY))
        expect(self.gateway.ready()[0] == 200, "/readyz stays 200 while the upstream is away")
        self.kafka.start()
        say("the broker is back")

    def _kill_gateway(self):
        self.gateway.expect_running()
        self.gateway.kill()
        began = time.monotonic()
        self.gateway.start()
        say(f"the gateway was killed and is ready again after {time.monotonic() - began:.2f} s")

    def reconcile(self):
        began = time.monotonic()
        done = self.gateway.tool("reconcile", "--ledger", self.ledger_file, "--url", self.gateway.url,
                                 "--wait", f"{SETTLE_S}s", "--json", allowed=None, limit_s=SETTLE_S + 60)
        say(f"reconcile took {time.monotonic() - began:.1f} s and says:")
        print(done.stdout.decode().strip(), done.stderr.decode().strip(), sep="\n", flush=True)
        expect(done.returncode == 0, "milepost reconcile exits 0")
        figures = json.loads(done.stdout)
        expect(figures["lost"] == 0 and figures["out_of_order"] == 0, "reconcile: nothing lost, nothing out of order")
        expect(figures["unexplained"] == 0, "reconcile: nothing unexplained")
        expect(figures["acknowledged"] >= self.least_acknowledged(), f"reconcile: at least "
               f"{self.least_acknowledged()} acknowledged ({figures['acknowledged']})")
        return figures

    def least_acknowledged(self):
        """59,900 of the 60,000 of the full size, and in proportion."""
        return int(self.size.vehicles * self.size.rate * self.size.duration * 599 / 600)

    def account(self, readings):
        records = [record for topic in TOPICS
                   for record in testbed.consume(self.kafka.bootstrap, topic, count=self.gateway.forwarded(topic))]
        found = account.of(records, readings)
        say(f"Kafka's console consumer: {len(records)} records; {found}")
        expect(found.lost == 0, "every acknowledged reading is upstream")
        expect(found.out_of_order == 0, "each vehicle's readings are in order upstream")
        expect(found.phantom == 0, "nothing is upstream that no vehicle published")
        expect(found.wrong_key == 0, "the key of every record is its vehicle")
        if self.size.no_gateway_kill:
            expect(found.repeats == 0, "without a kill nothing is upstream twice")

    def latencies(self, readings):
        begin, end = self.outage_ms
        before = ledger.ack_latencies(readings, self.began_ms + 2000, begin - 200)
        away = ledger.ack_latencies(readings, begin, end)
        p99 = [ledger.quantile(values, 0.99) for values in (before, away)]
        say(f"ack p50/p99 by the ledger: before {ledger.quantile(before, 0.5)}/{p99[0]} ms ({len(before)} readings), "
            f"while the upstream is away {ledger.quantile(away, 0.5)}/{p99[1]} ms ({len(away)})")
        start, back = self.histograms
        by_metrics = [gateway_module.histogram_quantile({}, start, 0.99),
                      gateway_module.histogram_quantile(start, back, 0.99)]
        say(f"ack p99 by /metrics: before <= {by_metrics[0]} s, away <= {by_metrics[1]} s")
        expect(max(away) < self.size.outage * 1000 / 2,
               f"acks do not wait for the upstream: the longest took {max(away)} ms")
        if self.size.full:  # by hand, on a machine that does nothing else
            expect(p99[1] <= max(P99_RATIO_MAX * p99[0], p99[0] + P99_SLACK_MS), "its outage is not seen in the acks' p99")


def main():
    size = arguments()
    for name in ("milepostd", "milepost", "milepost-fleet"):
        checks.program(name)
    testbed.require_kafka()
    with testbed.Broker() as kafka, checks.scratch(keep=size.keep) as folder:
        for topic, partitions in TOPICS.items():
            kafka.create_topic(topic, partitions)
        with gateway_module.Gateway(pathlib.Path(folder), upstream=kafka.bootstrap) as gateway:
            gateway.start()
            say(f"Kafka on {kafka.bootstrap}, gateway on {gateway.mqtt_port}")
            job = MainJob(size, kafka, gateway, folder)
            job.play()
            job.reconcile()
            readings = ledger.read(job.ledger_file)
            job.account(readings)
            job.latencies(readings)
            expect(gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0 within 10 s")
            say(gateway.verify())


if __name__ == "__main__":
    checks.run(main)
