#!/usr/bin/env python3
"""The demo's play, once everything is built: see packaging/demo.sh, which starts it."""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "kafka"))
import processes  # noqa: E402

BIN = pathlib.Path(os.environ.get("MILEPOST_BIN") or ROOT / "build" / "release" / "bin")
VEHICLES, RATE, DURATION_S = 10, 10, 30
TOPICS = {"vehicle.telemetry": 4, "vehicle.events": 4, "mqtt.other": 4}
AWAY_S, BACK_S = 8, 20  # the upstream
KILL_S, RESTART_S = 14, 16  # the gateway
SETTLE_S = 30
BAR_CELLS = 30

COLOURS = {"event": "\033[1;33m", "good": "\033[1;32m", "bad": "\033[1;31m", "dim": "\033[2m"}


def styled(kind, text):
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR")
    return text if plain else f"{COLOURS[kind]}{text}\033[0m"


def start(*command, log):
    with open(log, "ab") as out:
        return processes.start([str(part) for part in command], stdout=out, stderr=out)


# The three upstreams. Each has `address`, `about`, `can_leave`, `keys`, leave(), come_back(), close().

class MockUpstream:
    about = "librdkafka's mock cluster: a Kafka in memory, for the demo only (--kafka takes a real one)"
    can_leave = True
    # The mock forgets what a transaction's positions were and shows what was aborted.
    keys = ['delivery = "at_least_once"']

    def __init__(self, folder):
        topics = [f"{name}:{partitions}" for name, partitions in TOPICS.items()]
        with open(folder / "upstream.log", "wb") as log:
            self._process = processes.start([str(BIN / "milepost-demo-upstream"), *topics],
                                            stdout=subprocess.PIPE, stderr=log, text=True)
        self.address = self._process.stdout.readline().strip()
        if not self.address:
            raise RuntimeError(f"the mock upstream did not start: see {folder}/upstream.log")

    def leave(self):
        self._process.send_signal(signal.SIGUSR1)

    def come_back(self):
        self._process.send_signal(signal.SIGUSR2)

    def close(self):
        processes.stop(self._process)


class KafkaUpstream:
    about = "a real Apache Kafka, one broker"
    can_leave = True
    keys = []

    def __init__(self, folder):
        import jars
        from broker import Broker
        print("Starting Apache Kafka", jars.KAFKA_VERSION, flush=True)
        self._broker = Broker(folder / "kafka")
        self._broker.prepare()
        self._broker.start()
        for name, partitions in TOPICS.items():
            self._broker.create_topic(name, partitions)
        self.address = self._broker.bootstrap

    def leave(self):
        self._broker.stop()

    def come_back(self):
        self._broker.start()

    def close(self):
        self._broker.close()


class OwnUpstream:
    can_leave = False
    keys = []

    def __init__(self, address):
        self.address = address
        # A topic of this run: what an earlier demo left there has the same vehicles and sequence numbers.
        self.topic = f"milepost-demo-{int(time.time())}"
        self.about = f"your own; topic {self.topic} is created there, and stays"

    def close(self):
        pass


class Gateway:
    def __init__(self, folder, upstream):
        self.folder = folder
        self.mqtt_port, admin_port = processes.free_ports(2)
        self.url = f"http://127.0.0.1:{admin_port}"
        lines = [f'data_dir = "{folder}/data"', "[upstream]", f'bootstrap_servers = "{upstream.address}"',
                 *upstream.keys]
        if not upstream.can_leave:
            lines += ["create_topics = true"]
        lines += ["[[mqtt.listener]]", f"port = {self.mqtt_port}", "[admin]", f"port = {admin_port}"]
        if not upstream.can_leave:
            lines += ["[[route]]", 'filter = "vehicles/{vehicle_id}/#"', f'topic = "{upstream.topic}"']
        (folder / "milepost.toml").write_text("\n".join(lines) + "\n")
        self.process = None

    def launch(self):
        self.process = start(BIN / "milepostd", "--config", self.folder / "milepost.toml",
                             log=self.folder / "milepostd.log")

    def wait_ready(self):
        processes.wait_until(lambda: self.get("/readyz") is not None, within_s=20, what="milepostd is ready")

    def get(self, path):
        """The body, or None when it does not answer with 200."""
        if self.process.poll() not in (None, -signal.SIGKILL):
            raise RuntimeError(f"milepostd ended with {self.process.returncode}: see {self.folder}/milepostd.log")
        try:
            with urllib.request.urlopen(self.url + path, timeout=2) as answer:
                return answer.read()
        except OSError:
            return None

    def offsets(self):
        """(durable, forwarded), summed over the partitions; None while it is away."""
        body = self.get("/api/v1/status")
        if body is None:
            return None
        partitions = json.loads(body)["partitions"]
        return sum(each["durable"] for each in partitions), sum(each["forwarded"] or 0 for each in partitions)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        return 0 if self.process is None else processes.stop(self.process, grace_s=12)


class Ledger:
    """Follows the fleet's ledger as it grows."""

    def __init__(self, path):
        self.path = path
        self._at = 0
        self._readings = collections.defaultdict(set)

    def counts(self):
        """(sampled, published, acknowledged) readings so far."""
        if self.path.exists():
            with open(self.path, "rb") as file:
                file.seek(self._at)
                whole, newline, _torn = file.read().rpartition(b"\n")
            self._at += len(whole) + len(newline)
            for line in whole.split(b"\n"):
                fields = line.split(b"\t")
                if len(fields) >= 4:
                    self._readings[fields[3]].add((fields[1], fields[2]))
        return tuple(len(self._readings[name]) for name in (b"sampled", b"published", b"acknowledged"))


class Screen:
    """One line a second, and a line for each event."""

    def __init__(self):
        self.began = time.monotonic()
        self.most_lag = VEHICLES * RATE * (BACK_S - AWAY_S)

    def head(self):
        print(styled("dim", f"{'s':>4}{'published':>11}{'acknowledged':>14}{'durable':>9}{'forwarded':>11}{'lag':>7}"))

    def event(self, text):
        print(styled("event", f"{time.monotonic() - self.began:4.0f}  -- {text}"), flush=True)

    def line(self, counts, offsets):
        _sampled, published, acknowledged = counts
        text = f"{time.monotonic() - self.began:4.0f}{published:>11}{acknowledged:>14}"
        if offsets is None:
            print(text + styled("bad", f"{'(the gateway is down)':>27}"), flush=True)
            return
        durable, forwarded = offsets
        lag = durable - forwarded
        self.most_lag = max(self.most_lag, lag)
        cells = -(-lag * BAR_CELLS // self.most_lag)
        print(f"{text}{durable:>9}{forwarded:>11}{lag:>7}  " + styled("dim", "#" * cells), flush=True)


def script(upstream, gateway, screen, stage_hand):
    """([(second, what happens)] in order, the stage hand's moves so far).

    A real Kafka takes seconds to go and to come: the stage hand, a thread, does that. It lives to the end, because
    a child process ends with the thread that started it.
    """
    moves = []

    def leave():
        screen.event("the upstream goes away; vehicles are acknowledged all the same")
        moves.append(stage_hand.submit(upstream.leave))

    def come_back():
        def bring():
            upstream.come_back()
            screen.event("the upstream is back; the backlog goes out, oldest first")
        moves.append(stage_hand.submit(bring))

    def kill():
        screen.event("milepostd is killed (SIGKILL); vehicles keep what is not acknowledged")
        gateway.kill()

    def restart():
        screen.event("milepostd starts again, with everything it had acknowledged")
        gateway.launch()

    outage = [(AWAY_S, leave), (BACK_S, come_back)] if upstream.can_leave else []
    return sorted(outage + [(KILL_S, kill), (RESTART_S, restart)], key=lambda scene: scene[0]), moves


def play(upstream, gateway, folder, fleet, ledger, stage_hand):
    screen = Screen()
    scenes, moves = script(upstream, gateway, screen, stage_hand)
    screen.head()
    second = 0
    while True:
        second += 1
        time.sleep(max(0.0, screen.began + second - time.monotonic()))
        screen.line(ledger.counts(), gateway.offsets())
        while scenes and scenes[0][0] <= second:
            scenes.pop(0)[1]()
        if fleet.poll() is not None and not scenes and all(move.done() for move in moves):
            break
        if second > 4 * DURATION_S:
            raise RuntimeError(f"the vehicles do not come to an end: see {folder}/fleet.log")
    for move in moves:
        move.result()  # what went wrong in it
    screen.event(f"the vehicles have arrived (milepost-fleet: exit {fleet.returncode})")
    while second < 4 * DURATION_S + SETTLE_S:
        second += 1
        time.sleep(1)
        offsets = gateway.offsets()
        screen.line(ledger.counts(), offsets)
        if offsets is not None and offsets[0] == offsets[1]:
            break


def reconcile(gateway, ledger):
    """Prints the account and returns the exit code of `milepost reconcile`."""
    print("\nmilepost reconcile: the vehicles' own ledger against the log and the upstream", flush=True)
    done = subprocess.run([str(BIN / "milepost"), "reconcile", "--ledger", str(ledger.path), "--url", gateway.url,
                           "--wait", f"{SETTLE_S}s"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    figures = dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)
    for name, value in figures.items():
        print(f"  {name:<22}{value:>8}")
    print()
    if done.returncode == 0:
        print(styled("good", "Nothing that was acknowledged is missing, and every vehicle's readings are in order."))
        if any(int(value) for name, value in figures.items() if name.startswith("duplicated_") and value != "-"):
            print("What is duplicated was sent again because of the kill: delivery is at least once.")
    else:
        print(styled("bad", f"Readings are lost, out of order or unaccounted for (exit {done.returncode})."))
    return done.returncode


def arguments():
    parser = argparse.ArgumentParser(prog="demo.sh")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--kafka", action="store_true", help="a real Apache Kafka as the upstream")
    which.add_argument("--upstream", metavar="HOST:PORT", help="your own Kafka as the upstream")
    return parser.parse_args()


def main():
    chosen = arguments()
    processes.raise_on_signals()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="milepost-demo-"))
    stage_hand = concurrent.futures.ThreadPoolExecutor(1)
    ends = []
    status = 1
    try:
        if chosen.upstream:
            upstream = OwnUpstream(chosen.upstream)
        else:
            upstream = (KafkaUpstream if chosen.kafka else MockUpstream)(folder)
        ends.append(upstream.close)
        gateway = Gateway(folder, upstream)
        ends.append(gateway.close)
        gateway.launch()
        gateway.wait_ready()
        print(f"upstream   {upstream.address}  {upstream.about}")
        print(f"milepostd  MQTT on 127.0.0.1:{gateway.mqtt_port}, HTTP on {gateway.url}, data in {folder}/data")
        print(f"vehicles   {VEHICLES}, each {RATE} readings a second for {DURATION_S} s\n", flush=True)
        ledger = Ledger(folder / "ledger")
        fleet = start(BIN / "milepost-fleet", "--host", "127.0.0.1", "-p", gateway.mqtt_port, "--vehicles", VEHICLES,
                      "--rate", RATE, "--duration", f"{DURATION_S}s", "--ledger", ledger.path, "--seed", 1,
                      log=folder / "fleet.log")
        ends.append(lambda: processes.stop(fleet))
        play(upstream, gateway, folder, fleet, ledger, stage_hand)
        status = reconcile(gateway, ledger)
    except (RuntimeError, TimeoutError, OSError) as what:
        print(styled("bad", f"demo: {what}"), file=sys.stderr)
    finally:
        for end in reversed(ends):
            end()
        stage_hand.shutdown()
        if status == 0:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"The run's files are kept in {folder}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
