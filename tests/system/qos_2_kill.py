#!/usr/bin/env python3
"""SIGKILL at random moments while devices publish with QoS 2, and with QoS 1 and DUP: every reading is in the log exactly
once, in order.

    python3 tests/system/qos_2_kill.py               a few kills
    python3 tests/system/qos_2_kill.py --kills 400   for as long as one likes

A device keeps its session (clean start 0) and what it has in flight, as MQTT wants it, and sends again after each
kill: PUBLISH with DUP (QoS 2: at random without) under the same packet id, or PUBREL.
"""

import argparse
import collections
import json
import random
import struct
import threading
import time

from support import checks, gateway as gateway_module, mqtt
from support.checks import expect, say

PUBREC, PUBREL, PUBCOMP = 5, 6, 7
WINDOW = 10
PACKET_IDS = 30  # few, so that they are used again soon
ROUTES = [{"filter": "kill/+", "topic": "qos2", "partitions": 2}]


class Device(threading.Thread):
    """Publishes numbers from 1 on until it is told to stop, then finishes what is in flight."""

    def __init__(self, port, name, version, qos, seed):
        super().__init__(daemon=True)
        self.port, self.client_id, self.version, self.qos = port, name, version, qos
        self.random = random.Random(seed)
        self.in_flight = collections.OrderedDict()  # packet id: [number, is PUBREC here]
        self.number = 0
        self.stopping = threading.Event()
        self.retransmissions = 0
        self.failure = None

    def run(self):
        try:
            while not self.stopping.is_set() or self.in_flight:
                try:
                    self._connection()
                except (OSError, mqtt.Closed):
                    time.sleep(0.01)  # the gateway is down
        except Exception as failure:  # told by the main thread
            self.failure = failure

    def _connection(self):
        client = mqtt.Client(self.port, self.client_id, self.version, clean=False,
                             expiry_s=3600 if self.version == mqtt.V5 else None)
        try:
            if self.number and not client.session_present:
                raise RuntimeError(f"{self.client_id}: the session is gone")
            for packet_id, (number, received) in self.in_flight.items():
                self.retransmissions += 1
                if received:
                    self._release(client, packet_id)
                else:
                    self._publish(client, packet_id, number, dup=self.qos == 1 or self.random.random() < 0.5)
            while not self.stopping.is_set() or self.in_flight:
                while not self.stopping.is_set() and len(self.in_flight) < WINDOW:
                    self.number += 1
                    packet_id = self._free_id()
                    self.in_flight[packet_id] = [self.number, False]
                    self._publish(client, packet_id, self.number, dup=False)
                self._take(client)
        finally:
            client.abort()

    def _free_id(self):
        packet_id = self.number % PACKET_IDS + 1
        while packet_id in self.in_flight:
            packet_id = packet_id % PACKET_IDS + 1
        return packet_id

    def _publish(self, client, packet_id, number, dup):
        payload = f"{self.client_id} {number}".encode()
        client.send(mqtt.publish(f"kill/{self.client_id}", payload, qos=self.qos, packet_id=packet_id,
                                 version=self.version, dup=dup))

    def _release(self, client, packet_id):
        client.send(mqtt.packet(PUBREL, 2, struct.pack(">H", packet_id)))

    def _take(self, client):
        got = client.receive()
        packet_id = struct.unpack(">H", got.body[:2])[0]
        if got.type == PUBREC:
            self.in_flight[packet_id][1] = True
            self._release(client, packet_id)
        elif got.type in (mqtt.PUBACK, PUBCOMP):
            del self.in_flight[packet_id]
        else:
            raise RuntimeError(f"packet type {got.type}")


def check_log(gateway, devices):
    numbers = collections.defaultdict(list)
    for record in gateway.consume():
        name, number = record["payload"].split()
        numbers[name].append(int(number))
    for device in devices:
        found = numbers[device.client_id]
        lost = device.number - len(set(found))
        doubled = len(found) - len(set(found))
        if lost or doubled or found != sorted(found):
            raise checks.Failed(f"{device.client_id}: {lost} lost, {doubled} doubled, of {device.number}"
                                f"{'' if found == sorted(found) else ', not in order'}")
    return sum(map(len, numbers.values()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with checks.scratch() as folder, gateway_module.Gateway(folder, routes=ROUTES,
                                                            log={"ring_bytes": 1024 * 1024}) as gateway:
        gateway.start()
        devices = [Device(gateway.mqtt_port, f"V{version}{qos}{i}", version, qos, seed=i)
                   for version in (mqtt.V311, mqtt.V5) for qos in (1, 2) for i in range(3)]
        for device in devices:
            device.start()
        for _ in range(options.kills):
            time.sleep(chance.uniform(0.05, 0.5))
            gateway.expect_running()
            gateway.kill()
            gateway.start()
        time.sleep(0.3)
        for device in devices:
            device.stopping.set()
        for device in devices:
            device.join(30)
            if device.failure or device.is_alive():
                raise checks.Failed(f"{device.client_id}: {device.failure or 'does not come to its end'}")
        again = sum(device.retransmissions for device in devices)
        rejected = gateway.status()["totals"]["rejected"]
        expect(gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0")
        total = check_log(gateway, devices)
        say(f"{options.kills} kills, {total} readings, {again} retransmissions, "
            f"rejected since the last start: {json.dumps(rejected)}")
        expect(again > 0, "0 lost, 0 doubled, each device in order")
        say(gateway.verify())


if __name__ == "__main__":
    checks.run(main)
