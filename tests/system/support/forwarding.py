"""A gateway that forwards to a real broker through a proxy, vehicles that drive, and two judges of what arrived."""

import collections
import json
import time

import processes
import proxy as kafka_proxy
import testbed
from . import account, checks, gateway as gateway_module, ledger
from .checks import expect, say

TOPIC = "vehicle.telemetry"
TOPICS = {TOPIC: 4, "vehicle.events": 4, "mqtt.other": 4}
SETTLE_S = 90


class Forwarding:
    """Use as a context manager: broker and proxy run then, and the gateway is prepared.

    `properties`: lines for the broker's configuration. `listener`: (protocol, host that it is advertised with)
    of a second one of the broker, which only the gateway uses, through the proxy: the broker's own connections (it
    writes the markers of transactions over them) and the judges' are not touched.
    """

    def __init__(self, folder, delivery, *, properties="", topics=None, listener=("PLAINTEXT", "127.0.0.1"), wrapper=(), extra="",
                 **upstream_keys):
        self.folder, self.delivery = folder, delivery
        self.kafka = testbed.Broker(folder / "kafka")
        self.topics = TOPICS if topics is None else topics
        self.proxy_port = processes.free_ports(1)[0]
        self._properties, self._listener = properties, listener
        self._wrapper, self._extra, self._upstream_keys = wrapper, extra, upstream_keys
        self.ledgers = []
        # at_least_once: a producer failed for good, or the gateway was killed, and what was sent is sent again
        self.may_double = False
        self.strangers = 0  # readings in log and upstream that no ledger has, because no vehicle sent them

    def __enter__(self):
        self.kafka.prepare()
        protocol, host = self._listener
        behind = processes.free_ports(1)[0]
        self._add_listener(protocol, behind, host)
        with open(self.kafka.folder / "server.properties", "a") as settings:
            settings.write(self._properties)
        self.proxy = kafka_proxy.Proxy(self.proxy_port, behind, frames=protocol == "PLAINTEXT")
        self.gateway = gateway_module.Gateway(
            self.folder / "gw", upstream=f"{host}:{self.proxy_port}", wrapper=self._wrapper, extra=self._extra,
            upstream_keys={"delivery": self.delivery, **self._upstream_keys})
        try:
            self.kafka.start()
            for topic, partitions in self.topics.items():
                self.kafka.create_topic(topic, partitions)
        except BaseException:
            self.kafka.close()
            raise
        self.proxy.__enter__()
        return self

    def __exit__(self, kind, *rest):
        self.gateway.__exit__(kind, *rest)
        self.proxy.__exit__(kind, *rest)
        self.kafka.close()

    def _add_listener(self, protocol, port, host):
        properties = self.kafka.folder / "server.properties"
        lines = []
        for line in properties.read_text().splitlines():
            if line.startswith("listeners="):
                line += f",OUTER://127.0.0.1:{port}"
            elif line.startswith("advertised.listeners="):
                line += f",OUTER://{host}:{self.proxy_port}"
            elif line.startswith("listener.security.protocol.map="):
                line += f",OUTER:{protocol}"
            lines.append(line)
        properties.write_text("\n".join(lines) + "\n")

    # Vehicles

    def fleet(self, seconds, rate=50):
        """10 vehicles of their own for some seconds; 0: until told."""
        letter = f"F{len(self.ledgers):03}V"
        self.ledgers.append(self.folder / f"ledger-{letter}")
        return ledger.start_fleet(self.gateway.mqtt_port, self.ledgers[-1], self.folder / "fleet.log",
                                  vehicles=10, rate=rate, duration_s=seconds, seed=len(self.ledgers), prefix=letter)

    def warm_up(self):
        """Forwarding goes, and the connections that it needs are there."""
        expect(self.fleet(1).wait(60) == 0, "the first readings")
        self.expect_well("the first readings")

    # What the operator sees

    def status(self):
        return json.loads(self.gateway.get("/api/v1/status")[1] or "{}")

    def lag(self):
        return self.status()["upstream"]["backlog_records"]

    def said(self, text):
        return text in self.gateway.get("/api/v1/status")[1]

    def expect_said(self, *texts, within_s=10):
        for text in texts:
            try:
                processes.wait_until(lambda: self.said(text), within_s=within_s, what=text)
            except TimeoutError:
                upstream = self.status()["upstream"]
                raise checks.Failed(f"the status says {text!r} within {within_s} s; it says {upstream} "
                                    f"{self.status()['degraded']}") from None
            say(f"ok: the status says {text!r}")

    def expect_well(self, what, within_s=SETTLE_S):
        """Everything is forwarded and nothing is complained of; the seconds it took."""
        began = time.monotonic()

        def well():
            status = self.status()
            return (status["upstream"]["backlog_records"] == 0 and status["upstream"]["state"] == "up"
                    and not status["degraded"])
        try:
            processes.wait_until(well, within_s=within_s, what="all is forwarded")
        except TimeoutError:
            raise checks.Failed(f"{what}: over within {within_s} s; the status says {self.status()['upstream']} "
                                f"{self.status()['degraded']}") from None
        took = time.monotonic() - began
        say(f"ok: {what}: all is forwarded and well {took:.1f} s after it was over")
        return took

    # The judges

    def reconcile(self, what):
        done = self.gateway.tool("reconcile", *(word for file in self.ledgers for word in ("--ledger", file)),
                                 "--url", self.gateway.url, "-b", self.kafka.bootstrap, "--wait", f"{SETTLE_S}s",
                                 "--json", allowed=None, limit_s=SETTLE_S + 60)
        if done.returncode != 0:
            say(done.stdout.decode() + done.stderr.decode())
        figures = json.loads(done.stdout)
        wrong = {name: figures[name] for name in ("lost", "duplicated_upstream", "out_of_order", "unexplained")}
        strangers = wrong.pop("unexplained")
        if self.may_double:
            say(f"{wrong.pop('duplicated_upstream')} came twice, as at_least_once may cause")
        expect(done.returncode in (0, 1) and not any(wrong.values()) and strangers == self.strangers,
               f"{what}: {figures['forwarded']} forwarded, {wrong}, {strangers} of nobody")

    def account(self):
        """Kafka's own console consumer, against the ledgers."""
        readings = {}
        for file in self.ledgers:
            readings.update(ledger.read(file))
        records = testbed.consume(self.kafka.bootstrap, TOPIC, count=self.gateway.forwarded(TOPIC))
        found = account.of(records, readings)
        ids = collections.Counter(header for record in records for header in record.headers
                                  if header.startswith("mp.id:"))
        doubled = [name for name, count in ids.items() if count > 1]
        expect(self.may_double or (len(ids) == len(records) and not doubled),
               f"Kafka's console consumer: {len(records)} records, {len(doubled)} mp.id twice {doubled[:3]}")
        expect(found.lost == found.out_of_order == found.phantom == 0,
               f"{found.arrived} readings, none missing, each vehicle's in order")
