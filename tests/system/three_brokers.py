#!/usr/bin/env python3
"""Three real brokers, replication factor 3, min.insync.replicas=2: a read_committed consumer sees each reading once, and
each vehicle's in order, whatever is killed or cut, and whenever.

    python3 tests/system/three_brokers.py            50,000 readings at least
    python3 tests/system/three_brokers.py --full     1,000,000 readings; 10 SIGKILLs of the gateway, 10 of brokers, 5 cuts
    python3 tests/system/three_brokers.py --kafka 3.9-zk    the brokers before Kafka 4, with ZooKeeper; 3.9-kraft: without

First what is planned: the coordinator of the gateway's transaction is killed, and a topic wants more replicas than there
are; the coordinator of its positions, a leader, is killed, and another broker, both come back; all three are restarted one
by one. Then what happens by chance while a fleet drives. Last, both judges are shown planted faults.
"""

import argparse
import concurrent.futures
import json
import random
import subprocess
import time

from support import checks, gateway as gateway_module, ledger, mqtt, uplink, verdict
from support.checks import expect, say
import jars
import processes
import testbed
import wire

TOPIC = "vehicle.telemetry"
TOPICS = {TOPIC: 4, "vehicle.events": 4, "mqtt.other": 4}
UPSTREAM = {"delivery": "exactly_once", "producers": 2}
GATEWAY_ID = "gw-three"
GROUP = f"milepost-{GATEWAY_ID}"  # of the positions; the first producer's transactional id is the same
TRANSACTIONAL_IDS = (GROUP, f"{GROUP}/2")
DELAY_S = 0.01  # each way: a transaction then takes most of its 100 ms
AIMED = 0.7  # of the kills of the gateway: at a moment when a transaction is open
AIM_S = 10  # for so long; then at whatever moment it is
OPEN_LOOK_S = 0.3  # what is still open after that was not just being ended
HELD_S = 1.0
KINDS = ("gateway", "broker", "cut")
KAFKAS = {"4.3": ("4.3", False), "3.9-kraft": ("3.9", False), "3.9-zk": ("3.9", True)}  # release, with ZooKeeper


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka", choices=KAFKAS, default="4.3")
    parser.add_argument("--delivery", choices=["exactly_once", "at_least_once"], default="exactly_once",
                        help="at_least_once: the gateway is not killed, which alone may double")
    parser.add_argument("--vehicles", type=int, default=100)
    parser.add_argument("--rate", type=float, default=50, help="readings a second of each vehicle")
    parser.add_argument("--duration", type=int, default=10, help="seconds at least")
    parser.add_argument("--gateway-kills", type=int, default=2)
    parser.add_argument("--broker-kills", type=int, default=1)
    parser.add_argument("--cuts", type=int, default=1)
    parser.add_argument("--least-open", type=int, default=0, help="kills that have to fall inside an open transaction")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--keep", action="store_true", help="keep the folder of the run")
    chosen = parser.parse_args()
    if chosen.full:
        chosen.rate, chosen.duration = 40, 250
        chosen.gateway_kills, chosen.broker_kills, chosen.cuts, chosen.least_open = 10, 10, 5, 5
    if chosen.delivery == "at_least_once":
        chosen.gateway_kills = chosen.least_open = 0
    return chosen


def total(gateway, position):
    """The sum of all partitions' `forwarded`, `durable` or `lag`."""
    return sum(partition[position] or 0 for partition in gateway.status()["partitions"])


def forwarded(gateway):
    return total(gateway, "forwarded")


def problem(gateway):
    """Why the status says that forwarding is not as it should be; empty when all is well."""
    upstream = gateway.status()["upstream"]
    return "" if upstream["state"] == "up" else f"{upstream['state']}: {upstream['reason']}"


class Run:
    def __init__(self, size, kafka, way, gateway, folder):
        self.size, self.kafka, self.way, self.gateway, self.folder = size, kafka, way, gateway, folder
        self.random = random.Random(size.seed)
        self.ledgers = []
        self.kills_inside = 0

    def fleet(self, duration_s, *, vehicles=20, rate=20):
        """Vehicles of their own, with a ledger of their own."""
        letter = chr(ord("A") + len(self.ledgers))
        self.ledgers.append(self.folder / f"ledger-{letter}")
        return ledger.start_fleet(self.gateway.mqtt_port, self.ledgers[-1], self.folder / "fleet.log", seed=self.size.seed,
                                  vehicles=vehicles, rate=rate, duration_s=duration_s, prefix=letter)

    def expect_forwarding(self, what, within_s=30):
        before = forwarded(self.gateway)
        began = time.monotonic()
        processes.wait_until(lambda: forwarded(self.gateway) > before, within_s=within_s, what=what)
        say(f"ok: {what} ({time.monotonic() - began:.1f} s)")

    # What is planned

    def scenes(self):
        fleet = self.fleet(0)
        try:
            self.expect_forwarding("forwarding goes")
            self.transactions_lost()
            self.two_lost(self.leader_killed())
            self.rolling_restart()
            fleet.terminate()
            code = fleet.wait(120)
        finally:
            processes.stop(fleet, grace_s=5)
        expect(code == 0, "milepost-fleet ends with exit 0 when it is told to")

    def transactions_lost(self):
        """The coordinator of the first producer's transaction is killed; then a topic wants the replica that was there."""
        node = self.coordinator(wire.TRANSACTION)
        node.kill()
        self.coordinator(wire.TRANSACTION, lost=node)
        self.expect_forwarding("the transaction's coordinator was killed: forwarding goes on with another one")
        self.not_enough_replicas()
        node.start()
        self.kafka.wait_in_sync()
        self.expect_forwarding("there are three replicas again: forwarding goes on", within_s=60)
        wire.configure_topic(self.kafka.bootstrap, TOPIC)

    def coordinator(self, what, lost=None):
        """At least once, the gateway has none: then that which there would be."""
        def found():
            node = self.kafka.coordinator(GROUP, what)
            return node if node is not lost else None
        return processes.wait_until(found, within_s=20, what="a broker coordinates")

    def not_enough_replicas(self):
        """One of three is away."""
        wire.configure_topic(self.kafka.bootstrap, TOPIC, min_insync_replicas=3)
        held = processes.wait_until(self.held, within_s=20, what="nothing is confirmed")
        lag = total(self.gateway, "lag")
        if self.size.full:
            said = processes.wait_until(lambda: problem(self.gateway), within_s=60, what="the status says what is wrong")
            expect("nothing was confirmed for" in said, f"the status says {said}")
        processes.wait_until(lambda: total(self.gateway, "lag") > lag + 300, within_s=30, what="the log grows")
        expect(self.gateway.ready()[0] == 200, f"{TOPIC} wants three replicas in sync: it stands at {held}, the log grows, "
                                               "readings are taken in")

    def held(self):
        """Where forwarding of the topic stands, if it stands still for as long as several transactions take."""
        before = self.gateway.forwarded(TOPIC)
        time.sleep(HELD_S)
        return before if self.gateway.forwarded(TOPIC) == before else None

    def leader_killed(self):
        """It coordinates the positions, too."""
        node = self.coordinator(wire.GROUP)
        led = self.led_by(node)
        node.kill()
        processes.wait_until(lambda: self.led_by(node) == [], within_s=20, what="others lead")
        self.coordinator(wire.GROUP, lost=node)
        self.expect_forwarding(f"the coordinator of the positions, leader of {TOPIC} {led}, was killed: forwarding goes on")
        return node

    def led_by(self, node):
        """The partitions of the topic that it leads; None: no broker says so now."""
        try:
            partitions = wire.describe(self.kafka.bootstrap).topics[TOPIC]
        except OSError:
            return None
        return [number for number, partition in partitions.items() if partition.leader == node.number]

    def two_lost(self, first):
        """A second one beside that which is lost already."""
        second = self.random.choice([node for node in self.kafka.nodes if node is not first])
        second.kill()
        said = processes.wait_until(lambda: self.problem_of_loss(), within_s=40, what="the status says what is wrong")
        say(f"the status says {said}")
        before, lag = forwarded(self.gateway), total(self.gateway, "lag")
        processes.wait_until(lambda: total(self.gateway, "lag") > lag + 500, within_s=30, what="the log grows")
        expect(forwarded(self.gateway) == before, "two of three are lost: nothing counts as forwarded, the log grows")
        expect(self.gateway.ready()[0] == 200, "and /readyz stays 200: readings are taken in")
        for node in (first, second):
            node.launch()
        for node in (first, second):
            node.wait_started()
        self.kafka.wait_in_sync()
        self.expect_forwarding("both are back: forwarding goes on", within_s=60)
        processes.wait_until(lambda: not problem(self.gateway), within_s=60, what="the status says that all is well")

    def rolling_restart(self):
        for node in self.kafka.nodes:
            node.stop()
            node.start()
            self.kafka.wait_in_sync()
        self.expect_forwarding("all three were restarted, one after the other: forwarding goes on")

    def problem_of_loss(self):
        """With --full what it says; else it is enough that it counts fewer brokers."""
        said = problem(self.gateway)
        fewer = self.gateway.status()["upstream"]["brokers_up"] == 1 and not self.size.full
        return said or (fewer and "brokers_up 1")

    # What happens by chance

    def drive(self):
        size = self.size
        events = [kind for kind, count in zip(KINDS, (size.gateway_kills, size.broker_kills, size.cuts))
                  for _ in range(count)]
        self.random.shuffle(events)
        moments = sorted(self.random.uniform(0.05, 0.9) * size.duration for _ in events)
        began = time.monotonic()
        fleet = self.fleet(0, vehicles=size.vehicles, rate=size.rate)  # until all has happened, however long that takes
        try:
            for moment, event in [*zip(moments, events), (size.duration, "")]:
                time.sleep(max(0.0, began + moment - time.monotonic()))
                if event:
                    getattr(self, f"_{event}")()
            expect(fleet.poll() is None, "the fleet drove all the while")
            fleet.terminate()
            code = fleet.wait(120)
        finally:
            processes.stop(fleet, grace_s=5)
        expect(code == 0, "milepost-fleet ends with exit 0")
        say(f"{size.gateway_kills} SIGKILLs of the gateway, {self.kills_inside} of them inside an open transaction; "
            f"{size.broker_kills} of brokers; {size.cuts} cuts of the network; {time.monotonic() - began:.0f} s")
        expect(self.kills_inside >= size.least_open,
               f"at least {size.least_open} kills of the gateway fell inside an open transaction ({self.kills_inside})")

    def _gateway(self):
        self.gateway.expect_running()
        if self.random.random() < AIMED:
            self._wait_open()
        self.gateway.kill()
        self.kills_inside += self._was_open()
        self.gateway.start()

    def _wait_open(self):
        """Until a transaction of either producer is open, as far as looks can tell: each takes as long as a small one.
        """
        end = time.monotonic() + AIM_S
        while time.monotonic() < end:
            if "Ongoing" in (self.kafka.transaction_state(name) for name in TRANSACTIONAL_IDS):
                return
        say(f"no transaction was seen open within {AIM_S} s; {problem(self.gateway)}")

    def _was_open(self):
        """Whether the gateway that was killed left a transaction that nobody ended, as its coordinator says."""
        time.sleep(OPEN_LOOK_S)
        states = {name: processes.wait_until(lambda name=name: self.kafka.transaction_state(name), within_s=20,
                                             what=f"a broker says how the transaction of {name} stands")
                  for name in TRANSACTIONAL_IDS}
        say(f"the gateway was killed; its transactions: {', '.join(states.values())}")
        return "Ongoing" in states.values()

    def _broker(self):
        node = self.random.choice(self.kafka.nodes)
        node.kill()
        time.sleep(self.random.uniform(0, 2))
        node.start()
        self.kafka.wait_in_sync()
        say(f"broker {node.number} was killed and is back in sync")

    def _cut(self):
        state = self.random.choice((uplink.CLOSED, uplink.HANGING))
        seconds = self.random.uniform(1, 5 if self.size.full else 2)
        self.way.cut(state, seconds)
        say(f"the way to the brokers was {state} for {seconds:.1f} s")


class Planted:
    """A gateway with a topic of its own, in whose readings somebody plants faults: each judge must find all of them."""

    TOPIC = "planted"
    ROUTES = [{"filter": "planted/{vehicle}", "topic": TOPIC, "key": "{vehicle}", "partitions": 1}]
    READINGS = 20

    def __init__(self, kafka, folder):
        self.kafka, self.folder = kafka, folder
        self.ledger = folder / "planted-ledger"
        self.lines = [ledger.FIRST_LINE]

    def run(self):
        self.kafka.create_topic(self.TOPIC, 1)
        with gateway_module.Gateway(self.folder / "planted", upstream=self.kafka.gateway_bootstrap,
                                    upstream_keys=UPSTREAM, routes=self.ROUTES,
                                    extra_first='gateway_id = "planted"\n') as gateway:
            gateway.start()
            self.publish(gateway, "SOUND", range(1, self.READINGS + 1))
            verdict.figures(gateway, [self.ledger])
            self.publish(gateway, "SWAPPED", (1, 3, 2))
            processes.wait_until(lambda: total(gateway, "lag") == 0, within_s=30, what="the swapped ones are upstream")
            records = verdict.consumed(self.kafka.bootstrap, [self.TOPIC])
            self.produce(records[5])
            self.produce(records[6]._replace(key="STRANGER", headers=[], value=self.payload("STRANGER", 1)))
            self.delete_first()
            said = verdict.figures(gateway, [self.ledger], allowed=(1,))
            found = verdict.by_consumer(verdict.consumed(self.kafka.bootstrap, [self.TOPIC]), [self.ledger])
            for what, name in zip(("lost", "doubled", "reordered", "foreign"),
                                  ("lost", "duplicated_upstream", "out_of_order", "unexplained")):
                expect(said[name] == 1, f"reconcile finds the one that was {what}")
            for what, count in zip(("lost", "doubled", "reordered", "foreign"),
                                   (found.lost, found.duplicates, found.out_of_order, found.phantom)):
                expect(count == 1, f"Kafka's consumer finds the one that was {what}")

    @staticmethod
    def payload(vehicle, seq):
        return json.dumps({"v": 1, "vss": "6.0", "vehicle": vehicle, "seq": seq, "ts": 1795393770000 + seq,
                           "signals": {"Vehicle.Speed": seq}})

    def publish(self, gateway, vehicle, order):
        """Readings of a vehicle whose ledger says that it took and published them one after the other."""
        for seq in sorted(order):
            self.lines += [f"{1000 + seq}\t{vehicle}\t{seq}\t{state}\t"
                           for state in ("sampled", "published", "acknowledged")]
        self.ledger.write_text("\n".join(self.lines) + "\n")
        with mqtt.Client(gateway.mqtt_port, vehicle) as client:
            for seq in order:
                client.publish(f"planted/{vehicle}", self.payload(vehicle, seq).encode())

    def produce(self, record):
        headers = [word for header in record.headers for word in ("-H", header.replace(":", "=", 1))]
        subprocess.run(["kcat", "-P", "-b", self.kafka.bootstrap, "-t", self.TOPIC, "-p", "0", "-k", record.key, *headers],
                       input=record.value.encode(), check=True, timeout=60)

    def delete_first(self):
        """Kafka's own tool: what is before offset 1 is gone."""
        wanted = self.folder / "delete.json"
        wanted.write_text(json.dumps({"version": 1, "partitions": [
            {"topic": self.TOPIC, "partition": 0, "offset": 1}]}))
        subprocess.run(jars.java_command(128, "tools") +
                       ["org.apache.kafka.tools.DeleteRecordsCommand", "--bootstrap-server", self.kafka.bootstrap,
                        "--offset-json-file", str(wanted)], check=True, timeout=60, stdout=subprocess.DEVNULL)


def main():
    size = arguments()
    for name in ("milepostd", "milepost", "milepost-fleet"):
        checks.program(name)
    checks.foreign("kcat", "kcat")
    release, zookeeper = KAFKAS[size.kafka]
    jars.use(release)
    testbed.require_kafka()
    say(f"--seed {size.seed}")
    with testbed.Cluster(zookeeper) as kafka, uplink.Uplink(kafka.nodes, DELAY_S) as way, \
            checks.scratch(keep=size.keep) as folder, concurrent.futures.ThreadPoolExecutor(1) as pool:
        say(f"three brokers, Kafka {jars.release().version}{' with ZooKeeper' if zookeeper else ''}: {kafka.bootstrap} …")
        for topic, partitions in TOPICS.items():
            kafka.create_topic(topic, partitions)
        with gateway_module.Gateway(folder / "gw", upstream=kafka.gateway_bootstrap,
                                    upstream_keys={**UPSTREAM, "delivery": size.delivery},
                                    extra_first=f'gateway_id = "{GATEWAY_ID}"\n') as gateway:
            gateway.start()
            run = Run(size, kafka, way, gateway, folder)
            run.scenes()
            run.drive()
            # Both take the judges' time more than the machine's.
            planted = pool.submit(Planted(kafka, folder).run)
            arrived = verdict.expect_once_in_order(gateway, kafka.bootstrap, TOPICS, run.ledgers, "all of it")
            wanted = size.vehicles * size.rate * size.duration
            expect(arrived >= 0.99 * wanted, f"{arrived} readings came through")
            aborted = len(verdict.consumed(kafka.bootstrap, TOPICS, "read_uncommitted")) - arrived if size.full else 0
            say(f"{aborted} records of transactions that were aborted" if size.full else "")
            expect(gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0 within 10 s")
            say(gateway.verify())
        planted.result()


if __name__ == "__main__":
    checks.run(main)
