#!/usr/bin/env python3
"""MQTT clients that are not ours publish while the gateway is killed, and while they are killed themselves: every reading
that was acknowledged is in the log, once, in order.

    python3 tests/system/foreign_clients.py CLIENT [--paho-cpp PROGRAM] [--count N]

CLIENT: one of those in CLIENTS below. What they need is fetched by tests/clients/fetch.py; where that is not possible
the test is skipped, or fails with MILEPOST_REQUIRE_CLIENTS=1. What each client promises, and how it is set, is in
README.md under "Once, and not twice".
"""

import argparse
import collections
import os
import re
import signal
import subprocess
import sys
import threading

from support import ROOT, checks, gateway as gateway_module
from support.checks import expect, say
import processes

sys.path.insert(0, str(ROOT / "tests" / "clients"))
import fetch

HERE = ROOT / "tests" / "clients"
WINDOW = 20
FINISH_S = 60
KILLS = 3
ROUTES = [{"filter": "clients/+", "topic": "clients", "partitions": 1}]

# What a client itself does not do, told in README.md; everything else is asked of all of them.
# mqtt_js sends QoS 1 again without DUP; paho_go_v3 sends a QoS 2 PUBLISH again after its PUBREL (MQTT-4.3.3-6).
DOUBLES = {("mqtt_js", "1"), ("paho_go_v3", "2")}
# Connected again, paho_go_v3 puts new publishes between those that it sends again; paho_go_v5 is used from several
# goroutines, because its Publish waits for the ack. mqtt_js, started again, sends what it has on disk behind new publishes.
NO_ORDER = {"paho_go_v3", "paho_go_v5", "mqtt_js"}
# After a failed write Paho C 1.3.12 goes on with memory that it has freed: publishes are never acknowledged, or come as
# garbage. So its gateway is not killed.
GATEWAY_STAYS = {"paho_cpp"}


class Run(threading.Thread):
    """One run of a client program; reads what it prints."""

    def __init__(self, command, arguments, feed=None):
        super().__init__(daemon=True)
        self.acked, self.taken, self.broken, self.said = set(), set(), set(), []
        self.process = processes.start([*map(str, command), *map(str, arguments)], stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True,
                                       stdin=subprocess.PIPE if feed else subprocess.DEVNULL)
        if feed:
            threading.Thread(target=self._feed, args=[feed], daemon=True).start()
        self.start()

    def _feed(self, lines):
        try:
            for line in lines:
                if line is None:  # the input does not end
                    return self.process.stdin.flush()
                self.process.stdin.write(line)
            self.process.stdin.close()
        except OSError:
            pass  # the program is gone

    def run(self):
        for line in self.process.stdout:
            kind, _, number = line.strip().partition(" ")
            if kind in ("acked", "taken", "broken") and number.isdigit():
                getattr(self, kind).add(int(number))
            elif match := re.search(r"received PUB(?:ACK|COMP) \(Mid: (\d+)", line):  # mosquitto_pub -d
                self.acked.add(int(match[1]))
            else:
                self.said.append(line.rstrip())

    def wait_for(self, count):
        processes.wait_until(lambda: len(self.acked) >= count or self.process.poll() is not None, within_s=FINISH_S,
                             every_s=0.005, what=f"{count} acknowledged, {len(self.acked)} are: {self.said[-3:]}")

    def finish(self):
        try:
            code = self.process.wait(FINISH_S)
        except subprocess.TimeoutExpired:
            raise checks.Failed(f"not at its end in {FINISH_S} s: {len(self.acked)} acknowledged") from None
        self.join()
        return code

    def kill(self):
        self.process.kill()
        self.finish()


class Paho:
    """A program of tests/clients."""

    def __init__(self, command, keeps, folder):
        self.command, self.keeps, self.folder = command, keeps, folder

    def version(self):
        if len(self.command) == 1 and not str(self.command[0]).endswith("paho_cpp_client"):
            return "(go.mod has its version)"
        done = subprocess.run([*map(str, self.command), "version"], capture_output=True, text=True, timeout=30)
        return done.stdout.strip()

    def publish(self, port, name, version, qos, count, start=1, store=False, will=False):
        arguments = ["publish", "--port", port, "--id", name, "--mqtt", version, "--qos", qos, "--start", start,
                     "--count", count]
        if store or self.keeps:
            folder = self.folder / f"store-{name}"
            folder.mkdir(exist_ok=True)
            arguments += ["--store", folder]
        return Run(self.command, arguments + (["--will"] if will else []))


class Mosquitto:
    """mosquitto_pub: a line of its input is a message, a packet id is a line's number."""

    keeps = False

    def __init__(self):
        self.program = checks.foreign("mosquitto_pub", "mosquitto-clients")

    def version(self):
        done = subprocess.run([self.program, "--help"], capture_output=True, text=True)
        return re.search(r"mosquitto_pub version (\S+)", done.stdout)[1]

    def publish(self, port, name, version, qos, count, start=1, will=False, **_):
        command = [self.program, "-h", "127.0.0.1", "-p", port, "-V", {"311": "mqttv311", "5": "mqttv5"}[version],
                   "-i", name, "-q", qos, "-t", f"clients/{name}", "-d"]
        if qos:  # "-c" is refused with QoS 0: there is nothing to keep
            command += ["-c", *(["-x", 3600] if version == "5" else [])]
        if will:
            command += ["--will-topic", f"clients/{name}", "--will-payload", f"{name} will", "--will-qos", qos]
        return Run(["stdbuf", "-oL", *command], ["-l"], feed=self._lines(name, start, count, will))

    @staticmethod
    def _lines(name, start, count, stays):
        for number in range(start, start + count):
            yield f"{name} {number}\n"
        if stays:
            yield None


def paho_cpp(options, folder):
    if options.paho_cpp is None:
        checks.skip("no --paho-cpp PROGRAM (built by the preset dev: bin/paho_cpp_client)")
    return Paho([options.paho_cpp], True, folder)


def from_part(name, keeps, *command):
    def make(_options, folder):
        there = part(name)
        filled = [str(each).replace("PART", str(there)) for each in command]
        client = Paho(filled, keeps, folder)
        if name == "npm":
            os.environ["NODE_PATH"] = str(there / "node_modules")
        return client
    return make


CLIENTS = {
    "mosquitto_pub": (lambda _options, _folder: Mosquitto(), ("311", "5")),
    "paho_cpp": (paho_cpp, ("311", "5")),
    "paho_python_1": (from_part("python-1", False, "PART/venv/bin/python", HERE / "paho_python.py"), ("311", "5")),
    "paho_python_2": (from_part("python-2", False, "PART/venv/bin/python", HERE / "paho_python.py"), ("311", "5")),
    "mqtt_js": (from_part("npm", True, "node", HERE / "mqtt_js.js"), ("311", "5")),
    "paho_go_v3": (from_part("go-v3", True, "PART/client"), ("311",)),
    "paho_go_v5": (from_part("go-v5", True, "PART/client"), ("5",)),
}


def part(name):
    try:
        return fetch.part(name)
    except fetch.Unavailable as why:
        required = os.environ.get("MILEPOST_REQUIRE_CLIENTS") == "1"
        print(f"{'FAILED' if required else 'skipped'}: {name} cannot be had here: {why}", flush=True)
        sys.exit(1 if required else checks.EXIT_SKIPPED)


def without_faults(gateway, client, version, options):
    """QoS 0: all of it, but for what the gateway says that it dropped because the disk did not keep up."""
    name = f"qos0-{version}"
    before = gateway.status()["totals"]
    run = client.publish(gateway.mqtt_port, name, version, 0, options.count)
    expect(run.finish() == 0, f"{version} QoS 0: {options.count} published {run.said[-1:] if run.process.returncode else ''}")

    def more(kind, which):
        return gateway.status()["totals"][kind][which] - before[kind][which]

    processes.wait_until(lambda: more("received", "qos0") == options.count, within_s=FINISH_S,
                         what=f"{options.count} QoS 0 publishes are received, {more('received', 'qos0')} are")
    dropped = more("rejected", "qos0_overload")
    every = set(range(1, options.count + 1))
    if not dropped:
        return {name: (every, set())}
    say(f"{dropped} of them were dropped and counted: the disk did not keep up")
    return {name: (set(), every, options.count - dropped)}


def gateway_killed(gateway, client, version, qos, options):
    """A library may say of a publish that its write failed, and send it again by itself: it has to arrive all the same."""
    name = f"gateway-killed-{version}-{qos}"
    run = client.publish(gateway.mqtt_port, name, version, qos, options.count)
    for i in range(KILLS):
        run.wait_for(options.count * (i + 1) // (KILLS + 2))
        gateway.expect_running()
        gateway.kill()
        gateway.start()
    code = run.finish()
    broken = run.broken - run.acked
    expect(code == 0 and len(run.acked | broken) == options.count and len(broken) <= KILLS * WINDOW,
           f"{version} QoS {qos}: {KILLS} SIGKILLs of the gateway, {len(run.acked)} of {options.count} acknowledged,"
           f" {len(broken)} with a failed write (exit {code}) {run.said[-2:] if code else ''}")
    return {name: (set(range(1, options.count + 1)), set())}


def client_killed(gateway, client, version, qos, options):
    name = f"client-killed-{version}-{qos}"
    must, may = set(), set()
    start = 1
    for _ in range(KILLS):
        run = client.publish(gateway.mqtt_port, name, version, qos, 10 * options.count, start=start, store=True)
        run.wait_for(options.count // KILLS)
        run.kill()
        must |= run.acked | run.taken  # killed, it may have had more acknowledged than it could say
        given = max(run.acked | run.taken)
        may |= set(range(start, given + 3 * WINDOW + 1))
        start = given + 3 * WINDOW + 1
    run = client.publish(gateway.mqtt_port, name, version, qos, options.count, start=start, store=True)
    expect(run.finish() == 0, f"{version} QoS {qos}: {KILLS} SIGKILLs of the client {run.said[-2:]}")
    return {name: (must | run.acked | run.taken, may)}


def with_will(gateway, client, version):
    name = f"will-{version}"
    run = client.publish(gateway.mqtt_port, name, version, 1, 1, will=True)
    if isinstance(client, Mosquitto):  # it says goodbye when its input ends: killed before that
        run.wait_for(1)
        run.kill()
    else:
        expect(run.finish() == -signal.SIGKILL, f"{version}: with a will, killed")
    return {name: ({1, "will"}, set())}


def check_log(records, expected, client):
    found = collections.defaultdict(list)
    for record in records:
        name, _, number = record["payload"].rpartition(" ")
        found[name].append(int(number) if number.isdigit() else number)
    for name, (must, may, *least) in expected.items():
        numbers = list(dict.fromkeys(found[name]))  # the first of each
        lost, phantom = len(must - set(numbers)), len(set(numbers) - must - may)
        doubled = len(found[name]) - len(numbers)
        counted = [number for number in numbers if number != "will"]
        in_order = counted == sorted(counted)
        doubles_are_the_clients = (client, name[-1]) in DOUBLES
        expect(not lost and not phantom and len(numbers) >= sum(least) and (not doubled or doubles_are_the_clients)
               and (in_order or client in NO_ORDER),
               f"{name}: {len(numbers)} in the log, {lost} lost, {doubled} doubled, {phantom} phantom"
               f"{'' if in_order else ', not in order'}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("--paho-cpp")
    parser.add_argument("--count", type=int, default=2000)
    options = parser.parse_args()
    make, versions = CLIENTS[options.client]
    with checks.scratch() as folder, gateway_module.Gateway(folder, routes=ROUTES) as gateway:
        client = make(options, folder)
        say(f"{options.client} {client.version()}")
        gateway.start()
        expected = {}
        for version in versions:
            expected.update(without_faults(gateway, client, version, options))
            expected.update(with_will(gateway, client, version))
            for qos in (1, 2):
                if options.client not in GATEWAY_STAYS:
                    expected.update(gateway_killed(gateway, client, version, qos, options))
                if client.keeps:
                    expected.update(client_killed(gateway, client, version, qos, options))
        expect(gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0")
        check_log(gateway.consume(), expected, options.client)
        say(gateway.verify())


if __name__ == "__main__":
    checks.run(main)
