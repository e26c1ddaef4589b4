#!/usr/bin/env python3
"""Outages of every kind between a gateway and a real Kafka, one after the other, while vehicles drive: nothing is lost,
nothing is doubled, order is kept, readings are taken in all the while, and the operator is told what
gateway/forward/README.md says.

    python3 tests/system/outages.py            the most telling ones
    python3 tests/system/outages.py --full     every kind, long enough for time-outs, both ways of delivery
"""

import argparse
import random
import time

from support import checks, forwarding, mqtt
from support.checks import expect, say
from support.forwarding import TOPIC
import processes
import testbed
import wire
from proxy import Way

QUOTA_BYTES_PER_S = 4_000
SLOW_BYTES_PER_S = 15_000
OTHER = "mqtt.other"  # where readings go that no vehicle sent
MADE = "made"
PARTITIONS = 4  # of each topic in a gateway that is told no other number
LARGEST_BYTES = 20_000
REFUSED_AGE_S = 3
NO_PROGRESS_S = 30  # after which the gateway says so


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", nargs="*", help="names of outages")
    parser.add_argument("--delivery", choices=["exactly_once", "at_least_once"])
    return parser.parse_args()


class Outages:
    def __init__(self, run, full):
        self.run, self.full = run, full
        self.proxy, self.kafka, self.gateway = run.proxy, run.kafka, run.gateway
        self.config = run.gateway.config.read_text()

    def outage(self, what, begin, end, *, says=(), hold_s=0.0, within_s=10, rate=50):
        """`begin` … `end` while vehicles drive; meanwhile the status says all of `says`."""
        say(f"--- {what}")
        fleet = self.run.fleet(0, rate)
        try:
            processes.wait_until(lambda: self.gateway.metrics()["milepost_mqtt_connections"] >= 10, within_s=10,
                                 what="the vehicles are connected")
            begin()
            began = time.monotonic()
            self.run.expect_said(*says, within_s=within_s)
            while time.monotonic() < began + hold_s:
                time.sleep(0.1)  # the outage lasts so long
            expect(self.gateway.ready()[0] == 200, "readings are taken in meanwhile: /readyz is 200")
            end()
            time.sleep(0.5)  # readings come while it is over, too
            fleet.terminate()
            expect(fleet.wait(60) == 0, "every vehicle has its acknowledgements")
        finally:
            processes.stop(fleet, grace_s=5)
        self.run.expect_well(what)
        self.run.reconcile(what)

    def set_way(self, way):
        def change():
            self.proxy.way = way
        return change

    # The kinds

    def topic_missing(self):
        exactly_once = self.run.delivery == "exactly_once"

        def add():
            self.kafka.create_topic(TOPIC, 2)
            if exactly_once:
                self.run.expect_said(f"topic {TOPIC}: it has 2 partitions upstream and 4 here: exactly_once needs as "
                                     "many there", within_s=40)
            wire.add_partitions(self.kafka.bootstrap, TOPIC, 4)
        self.outage("the topic is missing, then has too few partitions", lambda: None, add,
                    says=[f"topic {TOPIC}: the upstream says: ", "Unknown topic"])

    def topic_made(self):
        """A new route's, with as many partitions as it has here."""
        routes = {"made/#": MADE, "vehicles/{vehicle_id}/telemetry": TOPIC, "#": OTHER}
        self.restart("create_topics = true", "".join(f'[[route]]\nfilter = "{filter}"\ntopic = "{topic}"\n'
                                                     for filter, topic in routes.items()))

        def made():
            processes.wait_until(lambda: len(wire.metadata(self.kafka.bootstrap)[1].get(MADE, ())) == PARTITIONS, within_s=20,
                                 what=f"{MADE} is there with {PARTITIONS} partitions")
            log = (self.gateway.folder / "milepostd.log").read_text()
            expect(f"topic {MADE} was created" in log, f"{MADE} is there with {PARTITIONS} partitions, and the log says so")
        self.outage("a topic is missing, and the gateway may create it",
                    lambda: self.publish("made/here", [f"reading {number}" for number in range(20)]), made)
        self.restart()

    def restart(self, key="", routes=""):
        """With this more in [upstream] and at the end; without: as it was."""
        expect(self.gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0")
        self.gateway.config.write_text(self.config.replace("[upstream]", f"[upstream]\n{key}", 1) + routes)
        self.gateway.start()

    def publish(self, where, values):
        """Readings of no vehicle."""
        with mqtt.Client(self.gateway.mqtt_port, "stranger") as client:
            for value in values:
                client.publish(where, value.encode())
        self.run.strangers += len(values)

    def refused(self):
        self.outage("connections are refused", self.set_way(Way.REFUSED), self.set_way(Way.OPEN),
                    says=["no broker is connected", "Connection refused"], hold_s=20 if self.full else 1)

    def torn(self):
        def tear():
            self.proxy.torn = 5
            processes.wait_until(lambda: self.proxy.torn == 0, within_s=60, what="five answers were torn")
        self.outage("answers are torn and reset in the middle", tear, lambda: None)

    def too_large(self):
        """One record that the broker refuses between others of its topic, whose batches it refuses at first, too."""
        broker = self.kafka.bootstrap
        self.kafka.create_topic(f"{OTHER}.dead-letter", 1)
        wire.configure_topic(broker, OTHER, max_message_bytes=LARGEST_BYTES)
        self.run.may_double = self.run.delivery == "at_least_once"
        values = [f"reading {number}" for number in range(100)]
        values[50] += " is too large: " + "".join(random.choices("0123456789abcdef", k=4 * LARGEST_BYTES))

        def publish():
            self.publish("other/large", values)
            self.run.strangers += 1  # a copy
        self.outage(f"a record is larger than the topic's max.message.bytes of {LARGEST_BYTES}", publish, lambda: None)
        wire.configure_topic(broker, OTHER)
        expect(f"the record at {OTHER}-" in (self.gateway.folder / "milepostd.log").read_text(), "the log says which it was")
        found = list(dict.fromkeys(record.value for record in self.printed(OTHER, len(values) - 1)))
        expect(found == values[:50] + values[51:], f"the {len(found)} others came, each once, in order")
        dead = self.printed(f"{OTHER}.dead-letter", 1)
        expect([record.value for record in dead] == [values[50]],
               f"it is in the dead-letter topic, whole {[len(record.value) for record in dead]}")
        expect(any(header.startswith("mp.dead.reason:") for header in dead[0].headers), f"with the reason: {dead[0].headers}")

    def printed(self, topic, count):
        """By Kafka's console consumer, which on a busy machine may give up before it has begun."""
        return processes.wait_until(lambda: testbed.consume(self.kafka.bootstrap, topic, count=count), within_s=60,
                                    what=f"something is in {topic}")

    def wrong_clock(self):
        """The broker takes nothing that is older than some seconds, and an outage lasts longer: as if its clock was ahead.
        (Less than a second and it would refuse its own transaction markers.)"""
        self.run.may_double = self.run.delivery == "at_least_once"

        def begin():
            wire.configure_topic(self.kafka.bootstrap, TOPIC, message_timestamp_before_max_ms=REFUSED_AGE_S * 1000)
            self.proxy.way = Way.REFUSED
            time.sleep(REFUSED_AGE_S + 2)
            self.proxy.way = Way.OPEN
        self.outage("the broker's clock and ours differ, it refuses what is from right now", begin,
                    lambda: wire.configure_topic(self.kafka.bootstrap, TOPIC), within_s=40,
                    says=["is the clock right, here and at the brokers?"])

    def slow(self):
        def slow():
            self.proxy.bytes_per_s = SLOW_BYTES_PER_S

        def fast():
            self.proxy.bytes_per_s = 0
        self.outage(f"a way that carries {SLOW_BYTES_PER_S} bytes a second", slow, fast,
                    hold_s=60 if self.full else 2, rate=100)

    def throttled(self):
        self.outage("a quota throttles the client",
                    lambda: wire.limit_producers(self.kafka.bootstrap, QUOTA_BYTES_PER_S),
                    lambda: wire.limit_producers(self.kafka.bootstrap, None),
                    says=["the upstream throttles"], hold_s=20 if self.full else 0, within_s=30, rate=100)

    def hanging(self):
        self.outage("the broker accepts and never answers", self.set_way(Way.HANGING), self.set_way(Way.OPEN),
                    hold_s=2, within_s=NO_PROGRESS_S + 15,
                    says=["nothing was confirmed for"] if self.full else [])

    def black_hole(self):
        self.outage("packets go nowhere", self.set_way(Way.BLACK_HOLE), self.set_way(Way.OPEN), within_s=NO_PROGRESS_S + 15,
                    says=["nothing was confirmed for"])

    def half_open(self):
        def still_forgotten():
            expect(self.run.lag() > 0, "nothing passes on connections that a router forgot")
        self.outage("connections that are there go nowhere for ever, new ones pass", self.proxy.half_open, still_forgotten,
                    hold_s=1)


SHORT = ["topic_missing", "topic_made", "refused", "torn", "slow", "hanging", "throttled", "too_large"]
# NOT_ENOUGH_REPLICAS is for three brokers: to one replica min.insync.replicas = 2 is as good as 1, since Kafka 3.9 at the latest.
LONG = ["black_hole", "half_open", "wrong_clock"]


def main():
    size = arguments()
    testbed.require_kafka()
    deliveries = [size.delivery] if size.delivery else ["exactly_once", "at_least_once"] if size.full else ["exactly_once"]
    kinds = size.only or (SHORT + LONG if size.full else SHORT)
    for delivery in deliveries:
        say(f"=== {delivery}")
        topics = dict(forwarding.TOPICS)
        if "topic_missing" in kinds:
            del topics[TOPIC]
        with checks.scratch() as folder, forwarding.Forwarding(folder, delivery, topics=topics) as run:
            run.gateway.start()
            outages = Outages(run, size.full)
            for kind in kinds:
                getattr(outages, kind)()
            if size.full:
                run.account()
            expect(run.gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0 within 10 s")


if __name__ == "__main__":
    checks.run(main)
