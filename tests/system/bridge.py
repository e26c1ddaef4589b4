#!/usr/bin/env python3
"""Mosquitto in front of the gateway: SIGKILLs of the gateway while messages flow, Mosquitto restarted, or away at start.

    python3 tests/system/bridge.py          a few kills
    python3 tests/system/bridge.py --only failures   passwords, certificates and brokers that are wrong, beside good ones
    python3 tests/system/bridge.py --full   30 kills while 4,000 QoS 2 messages flow, with 3.1.1 and with 5.0

Every content is published twice, one after the other: neither a lost reading nor a doubled one can hide, and
two that are equal are two.
"""

import argparse
import collections
import json
import random
import shutil
import socket
import subprocess
import threading
import time

from support import authority, checks, gateway as gateway_module, mqtt
from support.checks import expect, say
from support.hostile_broker import CONNACK_3, CONNACK_5, HostileBroker, says
from support.mosquitto import FLOW_LIMIT_S, Mosquitto
import processes

ROUTES = [{"filter": "site/#", "topic": "site", "partitions": 1}]


def bridge_of(port, *, qos=2, version="3.1.1", reconnect=("20ms", "200ms")):
    return (f'[[bridge]]\nname = "site"\nurl = "mqtt://127.0.0.1:{port}"\nfilters = "site/#"\nqos = {qos}\n'
            f'version = "{version}"\nreconnect_min = "{reconnect[0]}"\nreconnect_max = "{reconnect[1]}"\n')


def state(gateway, index=0):
    return gateway.status()["bridges"][index]


def wait_up(gateway):
    processes.wait_until(lambda: state(gateway)["state"] == "up", within_s=20, every_s=0.01, what="the bridge is up")


def durable(gateway):
    return sum(one["durable"] for one in gateway.status()["partitions"] if one["topic"] == "site")


def wait_durable(gateway, count):
    processes.wait_until(lambda: durable(gateway) >= count, within_s=FLOW_LIMIT_S, every_s=0.02,
                         what=f"{count} records are durable")


def wait_quiet(gateway):
    """Until no record has come for a while."""
    seen = []

    def is_quiet():
        seen.append(durable(gateway))
        return len(seen) > 10 and len(set(seen[-10:])) == 1
    processes.wait_until(is_quiet, within_s=FLOW_LIMIT_S, every_s=0.05, what="nothing comes any more")


def account(gateway, where):
    """(all records, those that came through a bridge), as `milepost status --account` says."""
    said = json.loads(gateway.tool("status", "--account", "--json", *where).stdout)
    return said["accepted"], said["accepted_by_origin"]["bridge"]


def contents(count):
    return [f"{number // 2}" for number in range(count)]


def records(gateway):
    return [record["payload"] for record in gateway.consume()]


def kills(folder, version, qos, count, kill_count, seed):
    """A flow of `count` messages out of a full queue, the gateway killed meanwhile."""
    chance = random.Random(seed)
    broker = Mosquitto(folder / "mosquitto")
    broker.start()
    try:
        with gateway_module.Gateway(folder / "gateway", routes=ROUTES, log={"commit_interval_min": "1ms"},
                                    extra=bridge_of(broker.port, qos=qos, version=version)) as gateway:
            gateway.start()
            wait_up(gateway)
            expected = contents(count)
            publisher = threading.Thread(target=broker.publish, args=("site/a", expected), kwargs={"qos": 2})
            publisher.start()
            in_flow, accepted = 0, set()
            for _ in range(kill_count):
                begun = durable(gateway)
                time.sleep(chance.uniform(0.01, 0.12))
                in_flow += begun < durable(gateway) < count
                gateway.expect_running()
                gateway.kill()
                accepted.add(account(gateway, ("--data-dir", gateway.data)))
                gateway.start()
                wait_up(gateway)
            publisher.join(FLOW_LIMIT_S)
            wait_durable(gateway, count)
            wait_quiet(gateway)
            counted = state(gateway)["counts"]
            accepted.add(account(gateway, ("--url", gateway.url)))
            expect(gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0")
            found = records(gateway)
            say(f"{version} QoS {qos}: {kill_count} kills, {in_flow} of them in the flow, {len(found)} records; "
                f"since the last start {counted}")
            if qos == 2:
                expect(found == expected, f"{version}: exactly {count} records, in order")
            else:
                expect(is_at_least_once(found, expected), f"{version}: none lost, {len(found) - count} doubled")
            expect(accepted == {(all_of_them, all_of_them) for all_of_them, _ in accepted} and
                   max(accepted)[0] == len(found),
                   f"{version}: after each kill the account has every record as a bridge's: {sorted(accepted)[-5:]}")
            say(gateway.verify())
    finally:
        broker.stop()


def is_at_least_once(found, expected):
    return all(found.count(content) >= 2 for content in set(expected)) and set(found) == set(expected)


def account_of_both_doors(folder):
    """What comes in at either door is counted there, over kills; a log that is made anew counts from nothing."""
    broker = Mosquitto(folder / "mosquitto")
    broker.start()
    try:
        with gateway_module.Gateway(folder / "gateway", routes=ROUTES,
                                    extra=bridge_of(broker.port, qos=1)) as gateway:
            def goes_on(records, bridged, direct):
                """So many readings more through each door, then a SIGKILL: what the account says of all records."""
                gateway.start()
                wait_up(gateway)
                for qos in range(3):
                    broker.publish("site/a", [str(qos)] * bridged, qos=qos)
                subprocess.run([checks.foreign("mosquitto_pub", "mosquitto-clients"), "-p", str(gateway.mqtt_port),
                                "-q", "1", "-t", "site/b", "-l"], input="direct\n" * direct, text=True, check=True,
                               timeout=FLOW_LIMIT_S)
                wait_durable(gateway, records + 3 * bridged + direct)
                running = account(gateway, ("--url", gateway.url))
                origins = {key: value for key, value in gateway.metrics().items() if "accepted_total{" in key}
                gateway.kill()
                stopped = account(gateway, ("--data-dir", gateway.data))
                expect(running == stopped, f"running and killed the account is the same: {running}, {origins}")
                return running
            expect(goes_on(0, 20, 7) == (67, 60), "readings of all three QoS are counted at the door they came by")
            expect(goes_on(67, 10, 1) == (98, 90), "and after a kill")
            for name in ("journal", *(f"{path.name}" for path in gateway.data.glob("site-*"))):
                shutil.rmtree(gateway.data / name)
            gateway.start()
            gateway.kill()
            expect(goes_on(0, 0, 100) == (100, 0), "a new log beside the old meta.db has none of a bridge")
            expect(goes_on(100, 1, 0) == (103, 3), "and counts from there")
    finally:
        broker.stop()


def broker_restarts(folder, version):
    """Mosquitto is away at the gateway's start, and restarted in the flow, with its persistence."""
    broker = Mosquitto(folder / "mosquitto")
    with gateway_module.Gateway(folder / "gateway", routes=ROUTES,
                                extra=bridge_of(broker.port, version=version)) as gateway:
        gateway.start()
        processes.wait_until(lambda: state(gateway)["state"] == "down", within_s=10, what="the bridge says it is down")
        expect(state(gateway)["last_error"] != "" and gateway.ready()[0] == 200,
               f"{version}: a broker that is away is said, and the gateway serves: {state(gateway)['last_error']}")
        expect(any("bridge site" in reason for reason in gateway.status()["degraded"]), "and is called degraded")
        broker.start()
        try:
            wait_up(gateway)
            expected = []
            for part in range(3):
                lines = contents(200)
                broker.publish(f"site/{part}", lines, qos=2)
                expected += lines
                broker.stop()
                broker.start()
                wait_up(gateway)
            wait_durable(gateway, len(expected))
            wait_quiet(gateway)
            expect(gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0")
            found = collections.Counter(records(gateway))
            wanted = collections.Counter(expected)
            doubled = sum((found - wanted).values())
            # Mosquitto 2.0.11 may forget in a restart that it has sent PUBREL, and sends PUBLISH again after we have
            # released the packet id (against MQTT-4.3.3-6): that is another publish to every receiver.
            expect(not wanted - found, f"{version}: none of {len(expected)} lost over 3 restarts of Mosquitto in the "
                                       f"flow; it sent {doubled} again as new")
        finally:
            broker.stop()


def retained_once(folder, version):
    """A session that is still there is not subscribed again: that would bring retained messages again."""
    broker = Mosquitto(folder / "mosquitto")
    broker.start()
    try:
        # The SIGKILL is to come between two tries to connect: within one nobody knows how it ended.
        extra = bridge_of(broker.port, version=version, reconnect=("60s", "60s"))
        with gateway_module.Gateway(folder / "gateway", routes=ROUTES, extra=extra) as gateway:
            subprocess.run([checks.foreign("mosquitto_pub", "mosquitto-clients"), "-p", str(broker.port), "-q", "2", "-r",
                            "-t", "site/kept", "-m", "retained"], check=True, timeout=10)
            gateway.start()
            wait_durable(gateway, 1)
            for _ in range(2):
                expect(gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0")
                gateway.start()
                wait_up(gateway)
            expect(gateway.terminate() == 0, "and once more, for a start while the broker is away")
            broker.stop()
            gateway.start()
            processes.wait_until(lambda: state(gateway)["state"] == "down", within_s=10, what="the bridge is down")
            gateway.kill()
            broker.start()
            gateway.start()
            wait_up(gateway)
            broker.publish("site/a", ["last"], qos=2)
            wait_durable(gateway, 2)
            expect(gateway.terminate() == 0, "and again")
            expect(records(gateway) == ["retained", "last"], f"{version}: a retained message comes once")
    finally:
        broker.stop()


def session_in_doubt(folder, version):
    """After a CONNECT whose answer never came the broker may have a new session, without what was subscribed to."""
    is_v5 = version == "5.0"
    properties = b"\x00" if is_v5 else b""

    def connack(is_session_present, code=0):
        return mqtt.packet(mqtt.CONNACK, 0, bytes([is_session_present, code]) + properties)
    new, known, none, cut = connack(False), connack(True), "no answer", "closed"
    answers = [new, none, known, cut, known, connack(False, 0x88 if is_v5 else 3), known, known]
    connections, subscribes = [], []

    def script(connection, requests):
        number = len(connections)
        connections.append(connection)
        answer = answers[number]
        if answer == none:
            return
        if answer == cut:
            connection.shutdown(socket.SHUT_RDWR)
            return
        connection.sendall(answer)
        for request in requests:
            if request.type == mqtt.SUBSCRIBE:
                subscribes.append((number, request.body[-1]))
                connection.sendall(mqtt.packet(mqtt.SUBACK, 0, request.body[:2] + properties + b"\x02"))
    broker, other_broker = HostileBroker(script), HostileBroker(script)
    asked = 2 | (1 << 4 if is_v5 else 0)  # QoS 2; of 5.0: retained messages only when the subscription is new
    try:
        with gateway_module.Gateway(folder / "gateway", routes=ROUTES,
                                    extra=bridge_of(broker.port, version=version)) as gateway:
            def wait_connects(count):
                processes.wait_until(lambda: state(gateway)["counts"]["connects"] == count, within_s=20, every_s=0.01,
                                     what=f"the bridge is up, {count} times since the start")
            gateway.start()
            wait_connects(1)
            expect(subscribes == [(0, asked)], f"{version}: a session that is new is subscribed")
            gateway.kill()
            gateway.start()
            processes.wait_until(lambda: len(connections) == 2, within_s=20, every_s=0.01, what="there is a CONNECT")
            gateway.kill()
            gateway.start()
            wait_connects(1)
            expect(subscribes[1:] == [(2, asked)], f"{version}: killed after CONNECT it subscribes again")
            connections[2].shutdown(socket.SHUT_RDWR)
            wait_connects(2)
            expect(subscribes[2:] == [(4, asked)], f"{version}: and so it does after an answer that was lost")
            connections[4].shutdown(socket.SHUT_RDWR)
            wait_connects(3)
            expect(subscribes[3:] == [] and len(connections) == 7,
                   f"{version}: not after a CONNECT that was refused: that made no session")
            expect(gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0")
            gateway.config.write_text(gateway.config.read_text().replace(f":{broker.port}", f":{other_broker.port}"))
            gateway.start()
            wait_connects(1)
            expect(subscribes[3:] == [(7, asked)], f"{version}: another broker's session is subscribed, though it is old")
            expect(gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0")
    finally:
        broker.close()
        other_broker.close()


GRANTED_3 = b"\x90\x03@ID\x02"
QOS_3 = b"\x36\x08\x00\x04site\x00\x01"
NO_ROUTE_QOS_1 = b"\x32\x08\x00\x04none\x00\x02"
after_qos_3 = []  # what the bridge sends to the broker that sends QoS 3
# What a broker says, and what the line about it has to hold.
HOSTILE = {
    "refused3": ("3.1.1", says(CONNACK_3, b"\x90\x03@ID\x80"), "refuses filter `site/#`"),
    "refused5": ("5.0", says(CONNACK_5, b"\x90\x04@ID\x00\x87"), "refuses filter `site/#`"),
    "noise": ("3.1.1", says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "no answer to CONNECT"),
    "silent": ("3.1.1", says(b""), "no answer to CONNECT"),
    "length": ("3.1.1", says(CONNACK_3, GRANTED_3 + b"\x34\xff\xff\xff\xff\xff\xff"), "connection was lost"),
    "huge": ("3.1.1", says(CONNACK_3, GRANTED_3 + b"\x34\xff\xff\xff\x7f\x00\x04site"), None),
    "topic": ("3.1.1", says(CONNACK_3, GRANTED_3 + b"\x34\x08\xff\xffsite\x00\x01"), "connection was lost"),
    "qos3": ("3.1.1", says(CONNACK_3, GRANTED_3 + QOS_3 + NO_ROUTE_QOS_1 + QOS_3, then=after_qos_3), None),
    "strangers": ("3.1.1", says(CONNACK_3, GRANTED_3 + b"\x62\x02\x00\x09\x40\x02\x00\x00\xb0\x02\x77\x77"), None),
}


def failures(folder):
    """Every way a broker may be wrong at once, and two that are right, in one gateway."""
    ours, foreign = authority.Authority(folder, "ours"), authority.Authority(folder, "foreign")
    ours.issue("broker")
    (folder / "right").write_text("right\n")
    (folder / "wrong").write_text("wrong\n")
    subprocess.run([checks.foreign("mosquitto_passwd", "mosquitto"), "-b", "-c", str(folder / "users"), "depot", "right"],
                   check=True, capture_output=True, timeout=10)
    tls_port = processes.free_ports(1)[0]
    broker = Mosquitto(folder / "mosquitto", f"password_file {folder / 'users'}\nlistener {tls_port} 127.0.0.1\n"
                       f"certfile {ours.path('broker.crt')}\nkeyfile {ours.path('broker.key')}\n")
    hostile = {name: HostileBroker(script) for name, (_, script, _) in HOSTILE.items()}
    stays_down = 'reconnect_max = "60s"\nreconnect_min = "60s"\nconnect_timeout = 2\n'

    def bridge(name, port, more="", scheme="mqtt", version="3.1.1"):
        return (f'[[bridge]]\nname = "{name}"\nurl = "{scheme}://127.0.0.1:{port}"\nfilters = "site/#"\n'
                f'version = "{version}"\n{stays_down}{more}')

    def login(file):
        return f'user = "depot"\npassword_file = "{folder / file}"\n'

    def signed_by(who):
        return f'ca_file = "{who.certificate}"\n'

    expected = {"password": "refuses the connection: not authorised", "authority": "certificate verify failed",
                **{name: text for name, (_, _, text) in HOSTILE.items() if text is not None}}
    broker.start()
    try:
        extra = (bridge("right", broker.port, login("right"))
                 + bridge("tls", tls_port, signed_by(ours) + 'client_id = "over-tls"\n', "mqtts")
                 + bridge("password", broker.port, login("wrong"))
                 + bridge("authority", tls_port, signed_by(foreign), "mqtts")
                 + "".join(bridge(name, hostile[name].port, version=HOSTILE[name][0]) for name in HOSTILE))
        with gateway_module.Gateway(folder / "gateway", routes=ROUTES, extra=extra) as gateway:
            gateway.start()

            def lines(name):
                return [line for line in gateway.status()["degraded"] if line.startswith(f"bridge {name}: ")]

            def states():
                return {one["name"]: one["state"] for one in gateway.status()["bridges"]}
            processes.wait_until(lambda: all(states()[name] == "down" for name in expected)
                                 and states()["right"] == states()["tls"] == "up",
                                 within_s=20, every_s=0.05, what="the wrong ones are down, the right ones up")
            for name, text in expected.items():
                found = lines(name)
                expect(len(found) == 1 and text in found[0] and "\n" not in found[0], f"said once: {found}")
            for name in hostile:
                if name not in expected:
                    say(f"{name}: {states()[name]} {lines(name)}")
            expect(gateway.ready()[0] == 200, "and the gateway is ready")
            payloads = contents(100)
            broker.publish("site/a", payloads, qos=2)
            wait_durable(gateway, 2 * len(payloads))
            gateway.expect_running()
            expect([(packet.type, packet.body) for packet in after_qos_3] == [(mqtt.PUBACK, b"\x00\x02")],
                   "a PUBLISH with QoS 3 is answered by nothing, and what comes behind it is acknowledged")
            said = gateway.tool("status", "--url", gateway.url).stdout.decode()
            expect("\nbridge       right up (" in said and "\nbridge       password down (" in said,
                   "`milepost status` has a line for each")
            expect(gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0")
            found = collections.Counter(records(gateway))
            expect(found == collections.Counter(2 * payloads),
                   "what came over TCP and over TLS is there, once each, and nothing of the hostile brokers")
    finally:
        broker.stop()
        for one in hostile.values():
            one.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=["failures"])
    options = parser.parse_args()
    count, kill_count = (4000, 30) if options.full else (400, 4)
    with checks.scratch() as folder:
        failures(folder_of(folder, "failures"))
        if options.only:
            return
        for number, (version, qos) in enumerate((("3.1.1", 2), ("5.0", 2), ("3.1.1", 1), ("5.0", 1))):
            if qos == 1 and version == "5.0" and not options.full:
                continue
            kills(folder_of(folder, number), version, qos, count, kill_count, options.seed + number)
        for number, version in enumerate(("3.1.1", "5.0")):
            if version == "5.0" and not options.full:
                continue
            broker_restarts(folder_of(folder, f"restart{number}"), version)
        account_of_both_doors(folder_of(folder, "account"))
        retained_once(folder_of(folder, "retained"), "3.1.1")
        for number, version in enumerate(("3.1.1", "5.0")):
            session_in_doubt(folder_of(folder, f"doubt{number}"), version)


def folder_of(folder, name):
    made = folder / f"case{name}"
    made.mkdir()
    return made


if __name__ == "__main__":
    checks.run(main)
