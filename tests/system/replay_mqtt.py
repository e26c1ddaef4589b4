#!/usr/bin/env python3
"""milepost replay over MQTT, to the gateway itself and to Mosquitto: what the sensors had sent is sent again, whatever is
killed in between.

    python3 tests/system/replay_mqtt.py            small
    python3 tests/system/replay_mqtt.py --full     20 kills each
"""

import argparse
import json
import random
import re
import subprocess
import time

from support import authority, checks, gateway as gateway_module
from support.checks import expect, say
from support.mosquitto import Mosquitto
import processes

WINDOW = 100
VEHICLES = 100
LIMIT_S = 120
REPEATS = re.compile(r"(\d+) publishes were sent again")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--full", action="store_true")
    chosen = parser.parse_args()
    if chosen.full:
        chosen.kills = 20
    return chosen


def recording(folder, records):
    data = folder / f"recording-{records}"
    subprocess.run([checks.program("make_recording"), data, str(records), "3600000", "100"], check=True)
    return data


def replay(*words, code=0):
    done = subprocess.run([checks.program("milepost"), "replay", "--speed", "max", *map(str, words)], capture_output=True,
                          text=True, timeout=LIMIT_S, check=False)
    if done.returncode != code:
        raise checks.Failed(f"replay {' '.join(map(str, words))}: exit {done.returncode} {done.stderr[-500:]}")
    return done.stderr


class Subscriber:
    """mosquitto_sub: `numbers` are those of the records, as they come."""

    def __init__(self, broker, folder):
        self.path = folder / "subscriber"
        with open(self.path, "wb") as out:
            self.process = processes.start(
                [checks.foreign("mosquitto_sub", "mosquitto-clients"), "-h", "127.0.0.1", "-p", str(broker.port),
                 "-V", "mqttv311", "-q", "1", "-t", "#", "-F", "%t %p"], stdout=out, stderr=out)
        processes.wait_until(lambda: self._heard(broker), within_s=10, what="the subscriber hears")

    def _heard(self, broker):
        broker.publish("hello", ["x"], qos=0)
        return "hello" in self.path.read_text()

    def stop(self):
        processes.stop(self.process)

    def lines(self):
        return [line.split() for line in self.path.read_text().splitlines() if line.startswith("vehicles/")]

    def wait_for(self, count):
        processes.wait_until(lambda: len(self.lines()) >= count, within_s=LIMIT_S, every_s=0.1,
                             what=f"the subscriber has {count} records")


def killed_replay(folder, data, url, qos, size, records, draw):
    """Killed so many times, and then run to its end; what the last run says."""
    state = folder / f"state-{qos}-{draw.random()}"
    command = [str(checks.program("milepost")), "replay", "--data-dir", str(data), "--to", url, "-q", str(qos), "--window",
               str(WINDOW), "--resume", str(state), "--speed"]
    done = 0
    for _ in range(size.kills):
        process = subprocess.Popen([*command, f"{records // size.kills}/s"], stderr=subprocess.DEVNULL)
        time.sleep(draw.uniform(0.2, 0.8))
        process.kill()
        done += process.wait() == -9
    expect(done == size.kills, f"QoS {qos} to {url}: killed {done} times")
    last = subprocess.run([*command, "max"], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    expect(last.returncode == 0, f"the same command goes on: {' '.join(last.stderr.split())}")
    goes_on = re.search(r"goes on behind (\d+) records", last.stderr)
    expect(goes_on and 0 < int(goes_on[1]) < records, "it did not begin anew")
    again = subprocess.run([*command, "max"], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    expect(again.returncode == 0 and "done already" in again.stderr, "what is done is not sent again")
    expect(not state.with_name(state.name + ".publishes").exists(), "its journal is gone")
    found = REPEATS.search(last.stderr)
    return int(found[1]) if found else 0


def expect_records(found, records, qos, repeats, size):
    """`found`: the numbers, as they came."""
    doubled = len(found) - len(set(found))
    expect(set(found) == set(range(records)), f"all {records} records arrived, {doubled} twice; told of {repeats}")
    firsts = {}
    for number in found:
        firsts.setdefault(number % VEHICLES, {}).setdefault(number)
    expect(all(list(one) == sorted(one) for one in firsts.values()), "each vehicle's in order")
    if qos == 2:
        expect(found == list(range(records)) and repeats == 0, "QoS 2: each once")
    else:
        expect(doubled <= repeats <= size.kills * WINDOW, f"QoS 1: no more repeats than told, and than {size.kills} windows")


def kills_to_mosquitto(folder, data, records, size, draw):
    for qos in (2, 1):
        place = folder / f"mosquitto-{qos}"
        broker = Mosquitto(place)
        broker.start()
        try:
            subscriber = Subscriber(broker, place)
            repeats = killed_replay(folder, data, f"mqtt://127.0.0.1:{broker.port}", qos, size, records, draw)
            subscriber.wait_for(records)
            broker.publish("vehicles/end", ["-1 "], qos=1)
            processes.wait_until(lambda: subscriber.lines()[-1][0] == "vehicles/end", within_s=LIMIT_S, what="and the last")
            subscriber.stop()
            expect_records([int(line[1]) for line in subscriber.lines()[:-1]], records, qos, repeats, size)
        finally:
            broker.stop()


def kills_to_gateway(folder, data, records, size, draw):
    for qos in (2, 1):
        with gateway_module.Gateway(folder / f"gateway-{qos}") as gateway:
            gateway.start()
            killed_replay(folder, data, f"mqtt://127.0.0.1:{gateway.mqtt_port}", qos, size, records, draw)
            expect(gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0")
            found = [int(record["payload"].split()[0]) for record in gateway.consume()]
            by_vehicle = {}
            for number in found:
                by_vehicle.setdefault(number % VEHICLES, []).append(number)
            expect(all(one == list(range(vehicle, records, VEHICLES)) for vehicle, one in by_vehicle.items())
                   and len(found) == records, f"QoS {qos}: the gateway's log has all {records} records once, each vehicle's in order")


def broker_restarts(folder, data, records):
    """Mosquitto is killed while records flow, and has forgotten the session: nothing is lost, and it is said."""
    place = folder / "restarted"
    broker = Mosquitto(place, "persistence false\n")
    broker.start()
    try:
        process = subprocess.Popen(
            [checks.program("milepost"), "replay", "--data-dir", data, "--to", f"mqtt://127.0.0.1:{broker.port}", "--speed",
             f"{records // 2}/s"], stderr=subprocess.PIPE, text=True)
        time.sleep(0.7)
        broker.process.kill()
        broker.process.wait()
        broker.start()
        said = process.communicate(timeout=LIMIT_S)[1]
        expect(process.returncode == 0 and "connects again" in said, f"a broker that comes back is found: {' '.join(said.split())}")
    finally:
        broker.stop()


def round_trip(folder):
    """What a client published with everything that MQTT has is in a second gateway's log as in the first's."""
    routes = [{"filter": "vehicles/{vehicle_id}/telemetry", "topic": "vehicle.telemetry"}, {"filter": "#", "topic": "other"}]
    with gateway_module.Gateway(folder / "first", routes=routes) as first, \
            gateway_module.Gateway(folder / "second", routes=routes) as second:
        first.start()
        second.start()
        publish = [checks.foreign("mosquitto_pub", "mosquitto-clients"), "-h", "127.0.0.1", "-p", str(first.mqtt_port), "-V",
                   "mqttv5", "-q", "1"]
        for words in (["-t", "site/a", "-r", "-m", "one", "-D", "PUBLISH", "content-type", "text/plain", "-D", "PUBLISH",
                       "user-property", "k", "v 1", "-D", "PUBLISH", "user-property", "k", "v 2", "-D", "PUBLISH",
                       "message-expiry-interval", "600", "-D", "PUBLISH", "response-topic", "back", "-D", "PUBLISH",
                       "correlation-data", "c"], ["-t", "vehicles/V7/telemetry", "-n"]):
            subprocess.run([*publish, *words], check=True, timeout=10)
        replay("--url", first.url, "--to", f"mqtt://127.0.0.1:{second.mqtt_port}")

        def seen(gateway):
            lines = gateway.tool("export", "--url", gateway.url).stdout.decode().splitlines()
            records = [json.loads(line) for line in lines]
            return [(one["topic"], one["key"] if one["topic"] != "other" else "", one["value"],
                     [(header["name"], header["value"]) for header in one["headers"] if header["name"] != "mp.id"])
                    for one in records]
        expect(len(seen(first)[0][3]) == 9 and seen(first) == seen(second), f"the same in both logs: {seen(second)}")


def security(folder, data):
    ours, foreign = authority.Authority(folder, "ours"), authority.Authority(folder, "foreign")
    ours.issue("broker")
    (folder / "right").write_text("right\n")
    (folder / "wrong").write_text("wrong\n")
    subprocess.run([checks.foreign("mosquitto_passwd", "mosquitto"), "-b", "-c", str(folder / "users"), "depot", "right"],
                   check=True, capture_output=True, timeout=10)
    tls_port = processes.free_ports(1)[0]
    broker = Mosquitto(folder / "secure", f"password_file {folder / 'users'}\nlistener {tls_port} 127.0.0.1\n"
                       f"certfile {ours.path('broker.crt')}\nkeyfile {ours.path('broker.key')}\n")
    broker.start()
    try:
        words = ["--data-dir", data, "-o", "0..10", "--to", f"mqtts://localhost:{tls_port}", "-u", "depot"]
        replay(*words, "--cafile", ours.certificate, "--password-file", folder / "right")
        say("ok: over TLS, with a password")
        said = replay(*words, "--cafile", foreign.certificate, "--password-file", folder / "right", code=69)
        expect("certificate verify failed" in said, f"a foreign certificate: {said.strip()}")
        said = replay(*words, "--cafile", ours.certificate, "--password-file", folder / "wrong", code=1)
        expect("not authorised" in said, f"a wrong password: {said.strip()}")
    finally:
        broker.stop()


def main():
    size = arguments()
    draw = random.Random(size.seed)
    say(f"--seed {size.seed} --kills {size.kills}")
    with checks.scratch() as folder:
        records = 1000 * size.kills
        data = recording(folder, records)
        round_trip(folder)
        security(folder, data)
        broker_restarts(folder, data, records)
        kills_to_gateway(folder, data, records, size, draw)
        kills_to_mosquitto(folder, data, records, size, draw)


if __name__ == "__main__":
    checks.run(main)
