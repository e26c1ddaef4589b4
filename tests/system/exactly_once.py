#!/usr/bin/env python3
"""delivery = "exactly_once" against a real Kafka: whatever is killed, cut or taken away, and whenever, a read_committed
consumer sees each reading once, and each vehicle's in order.

    python3 tests/system/exactly_once.py            small
    python3 tests/system/exactly_once.py --full     more of everything: 40 kills of the gateway, 10 of the broker

While the fleet drives: SIGKILLs of the gateway, most of them inside an open transaction (a slow way to the broker
keeps one open nearly always), SIGKILLs of the broker, answers lost behind the broker's back; after the last kill the
gateway comes back with another number of producers. Afterwards: the group's positions are deleted, the positions are
moved by hand, and a second gateway comes with the same id.
"""

import argparse
import collections
import json
import random
import re
import subprocess
import time

from support import account, checks, gateway as gateway_module, ledger
from support.checks import expect, say
import jars
import processes
import proxy as kafka_proxy
import testbed
import wire

TOPICS = {"vehicle.telemetry": 4, "vehicle.events": 4, "mqtt.other": 4}
GATEWAY_ID = "gw-eos"
TRANSACTIONAL_ID = f"milepost-{GATEWAY_ID}"  # of the first producer; the group's name is the same
DELAY_S = 0.01  # each way: a transaction then takes most of its 100 ms
SETTLE_S = 60
KILLS_AT_MOST = 10  # until one leaves a transaction open
OPEN_LOOK_S = 0.3  # what is still open after that was not just being ended
UPSTREAM = {"delivery": "exactly_once"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5, help="of the gateway")
    parser.add_argument("--broker-kills", type=int, default=1)
    parser.add_argument("--cuts", type=int, default=20, help="answers of the broker that are lost")
    parser.add_argument("--producers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--keep", action="store_true", help="keep the folder of the run")
    chosen = parser.parse_args()
    if chosen.full:
        chosen.kills, chosen.broker_kills, chosen.cuts = 40, 10, 200
    return chosen


def transactions(gateway):
    """So many has the gateway committed since its start."""
    found = re.search(r'"transactions":\s*(\d+)', gateway.get("/api/v1/status")[1])
    return int(found[1]) if found else 0


class Run:
    def __init__(self, size, kafka, proxy, gateway, folder):
        self.size, self.kafka, self.proxy, self.gateway, self.folder = size, kafka, proxy, gateway, folder
        self.random = random.Random(size.seed)
        self.ledgers = []
        self.by_vehicles = 0

    def drive(self):
        """The fleet drives and things happen to it, in an order drawn by lot."""
        events = ["gateway"] * self.size.kills + ["broker"] * self.size.broker_kills
        self.random.shuffle(events)
        fleet = self._fleet(0)  # until it is told
        try:
            time.sleep(2)
            self.proxy.cut = self.size.cuts
            for event in events:
                time.sleep(self.random.uniform(0, 1))
                self._happen(event)
            self._change_producers()
            fleet.terminate()
            code = fleet.wait(120)
        finally:
            processes.stop(fleet, grace_s=5)
        expect(code == 0, "milepost-fleet ends with exit 0 when it is told to")
        expect(self.proxy.cuts_done == self.size.cuts, f"{self.size.cuts} answers of the broker were lost")

    def _fleet(self, duration_s):
        """Vehicles of their own, with a ledger of their own."""
        letter = chr(ord("A") + len(self.ledgers))
        self.ledgers.append(self.folder / f"ledger-{letter}")
        return ledger.start_fleet(self.gateway.mqtt_port, self.ledgers[-1], self.folder / "fleet.log",
                                  vehicles=20, rate=20, duration_s=duration_s, seed=self.size.seed, prefix=letter)

    def _happen(self, event):
        if event == "broker":
            self.kafka.kill()
            time.sleep(self.random.uniform(0, 2))
            self.kafka.start()
            return
        # Forwarding goes: with the long way to the broker a transaction is open most of the time now.
        before = transactions(self.gateway)
        processes.wait_until(lambda: transactions(self.gateway) > before + 1, within_s=60, what="forwarding goes")
        time.sleep(self.random.uniform(0, 0.1))
        self.gateway.expect_running()
        self.gateway.kill()
        self.gateway.start()

    def _change_producers(self):
        """The last kill: with a transaction open, after which the gateway comes back with another number of producers. The
        second one's transaction is nobody's then, if it does not end it first."""
        name = TRANSACTIONAL_ID + ("/2" if self.size.producers == 2 else "")
        for _ in range(KILLS_AT_MOST):
            processes.wait_until(lambda: self.is_open(name), within_s=30, every_s=0.001,
                                 what=f"a transaction of {name} is open, with records")
            self.gateway.kill()
            time.sleep(OPEN_LOOK_S)
            if self.is_open(name):
                break
            self.gateway.start()
        expect(self.is_open(name),
               f"the gateway was killed, a transaction of {name} stays open, with records")
        self.set_producers(3 - self.size.producers)
        self.gateway.start()
        processes.wait_until(lambda: transactions(self.gateway) > 1, within_s=60, what="forwarding goes")
        expect(self.state_of(name) != "Ongoing",
               f"with {3 - self.size.producers} of {self.size.producers} producers the gateway has ended it")

    def set_producers(self, count):
        """From the next start on."""
        text = self.gateway.config.read_text()
        self.gateway.config.write_text(re.sub(r"producers = \d", f"producers = {count}", text))

    def state_of(self, name):
        """None: the broker does not say so now."""
        try:
            return wire.transaction_state(self.kafka.bootstrap, name)
        except (OSError, wire.KafkaError):
            return None

    def is_open(self, name):
        """The transaction of that name, with records in it; the positions come before these."""
        if self.state_of(name) != "Ongoing":
            return False
        return any(wire.offsets(self.kafka.bootstrap, topic) != wire.offsets(self.kafka.bootstrap, topic, is_committed=True)
                   for topic in TOPICS)

    def reconcile(self, what):
        done = self.gateway.tool("reconcile", *(word for file in self.ledgers for word in ("--ledger", file)), "--url", self.gateway.url,
                                 "--wait", f"{SETTLE_S}s", "--json", allowed=None, limit_s=SETTLE_S + 60)
        print(done.stdout.decode().strip(), done.stderr.decode().strip(), sep="\n", flush=True)
        expect(done.returncode == 0, f"{what}: milepost reconcile exits 0")
        figures = json.loads(done.stdout)
        self.by_vehicles = figures["duplicated_by_vehicle"]  # its PUBACK was lost with the gateway
        wrong = {name: figures[name] for name in ("lost", "duplicated_upstream", "out_of_order", "unexplained")}
        expect(not any(wrong.values()), f"{what}: reconcile says {wrong}")

    def account(self):
        """The second judge: Kafka's own consumer, against the ledgers."""
        readings = {}
        for file in self.ledgers:
            readings.update(ledger.read(file))
        records = self.records("read_committed")
        found = account.of(records, readings)
        say(f"Kafka's console consumer: {found}")
        ids = collections.Counter(header for record in records for header in record.headers
                                  if header.startswith("mp.id:"))
        doubled = [name for name, count in ids.items() if count > 1]
        expect(len(ids) == len(records) and not doubled, f"{len(records)} records upstream, no mp.id twice {doubled[:3]}")
        expect(found.lost == found.out_of_order == found.phantom == 0,
               f"{found.arrived} readings upstream, none missing and each vehicle's in order")
        expect(found.repeats == self.by_vehicles, f"{found.repeats} doubled, all of them by the vehicles themselves")
        aborted = len(self.records("read_uncommitted")) - len(records)
        expect(aborted > 0, f"{aborted} records of transactions that a kill left open were not seen")

    def records(self, isolation):
        return [record for topic in TOPICS
                for record in testbed.consume(self.kafka.bootstrap, topic, isolation=isolation,
                                              count=self.gateway.forwarded(topic))]

    def more(self, seconds=3):
        fleet = self._fleet(seconds)
        code = fleet.wait(seconds + 60)
        expect(code == 0, "more readings")

    def groups(self, *command):
        done = subprocess.run(
            jars.java_command(128, "tools") +
            ["org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", self.kafka.bootstrap,
             "--group", TRANSACTIONAL_ID, *command], capture_output=True, text=True, timeout=60, check=False)
        expect(done.returncode == 0, f"kafka-consumer-groups {command[0]} {(done.stdout + done.stderr)[-300:].strip()}")

    def positions_gone(self):
        """Kafka forgets a group some days after its last commit; here by hand."""
        expect(self.gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0")
        self.groups("--delete")
        self.set_producers(self.size.producers)
        self.gateway.start()
        self.more()
        self.reconcile("the positions were deleted")

    def positions_moved(self):
        expect(self.gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0")
        self.groups("--reset-offsets", "--all-topics", "--to-offset", "1", "--execute")
        self.gateway.start()
        self.more()
        self.reconcile("the positions were moved by hand")
        expect("was set by something else" in self.gateway.get("/api/v1/status")[1],
               "and the status says so")

    def second_gateway(self):
        """With the same id and a log of its own: both are told, and nothing of the first is lost or doubled."""
        folder = self.folder / "second"
        with gateway_module.Gateway(folder, upstream=self.kafka.bootstrap, upstream_keys=UPSTREAM,
                                    extra_first=f'gateway_id = "{GATEWAY_ID}"\n') as second:
            second.start()
            processes.wait_until(lambda: transactions(second) > 0, within_s=30, what="the second gateway forwards")
            self.more()
            processes.wait_until(
                lambda: "another gateway forwards as" in self.gateway.get("/api/v1/status")[1],
                within_s=30, what="the first one says that there is a second")
            second.terminate()
        self.gateway.kill()
        self.gateway.start()
        self.reconcile("a second gateway came and went")


def main():
    size = arguments()
    for name in ("milepostd", "milepost", "milepost-fleet"):
        checks.program(name)
    testbed.require_kafka()
    say(f"--seed {size.seed} --producers {size.producers}")
    kafka = testbed.Broker()
    proxy_port = processes.free_ports(1)[0]
    try:
        kafka.prepare()
        kafka_proxy.advertise(kafka, proxy_port)
        with kafka_proxy.Proxy(proxy_port, kafka.port) as proxy, checks.scratch(keep=size.keep) as folder:
            kafka.start()
            for topic, partitions in TOPICS.items():
                kafka.create_topic(topic, partitions)
            proxy.delay_s = DELAY_S
            with gateway_module.Gateway(folder / "gw", upstream=f"127.0.0.1:{proxy_port}",
                                        upstream_keys={**UPSTREAM, "producers": size.producers},
                                        extra_first=f'gateway_id = "{GATEWAY_ID}"\n') as gateway:
                gateway.start()
                run = Run(size, kafka, proxy, gateway, folder)
                run.drive()
                run.reconcile("kills and cuts")
                run.account()
                proxy.delay_s = 0
                run.positions_gone()
                run.positions_moved()
                run.second_gateway()
                expect(gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0 within 10 s")
    finally:
        kafka.close()


if __name__ == "__main__":
    checks.run(main)
