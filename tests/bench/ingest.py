#!/usr/bin/env python3
"""Durable QoS 1 ingest: milepostd beside a bare loop that fsyncs before its PUBACKs, and beside Mosquitto, in turn, in
the same run. Servers on the second core, the generator on the first. It prints medians of the rounds' figures and
ratios, and asserts nothing: absolute rates drift by a factor on shared machines.

    python3 tests/bench/ingest.py --bin build/release/bin [--mosquitto volatile,persistent] [--loads 10x100,open]
    python3 tests/bench/ingest.py --bin build/release/bin --sync-delay-ms 5     a slow disk

volatile: Mosquitto acknowledges from memory. persistent: it saves its database after each message, for one session that
is away; it begins anew with each load, because it becomes slower with what has queued."""

import argparse
import contextlib
import getpass
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import time

from cores import CLIENTS, SERVERS, on_core
from support import checks, gateway as gateway_module, mqtt
import processes

LOADS = ("1x1", "10x1", "100x1", "1000x1", "10x100", "100x20", "open")
SMOKE_LOADS = ("1x1", "10x10", "open")
OPEN_CONNECTIONS, OPEN_WINDOW = 100, 64  # "open": publishes come at a fixed rate, whatever the server does
START_LIMIT_S = 20
LOAD_LIMIT_S = 120
SLOW_LOADS = ("10x1", "100x1", "1000x1")
KINDS = ("volatile", "persistent")

# Goals as (load, what, server beside it, figure, the wanted bound, whether the figure is at most that).
GOALS = (
    ("10x100", "rate", "bare", 0.50, False), ("10x100", "rate", "volatile", 15, False),
    ("100x1", "rate", "bare", 0.85, False), ("100x1", "rate", "volatile", 1.0, False),
    ("1000x1", "rate", "bare", 0.85, False), ("1000x1", "rate", "volatile", 1.2, False),
    ("1x1", "p50_us", "bare", 1.15, True), ("1x1", "p99_us", "bare", 1.4, True),
    ("open", "p50_us", "bare", 1.2, True), ("open", "p99_us", "bare", 1.5, True),
    ("10x100", "server_cpu_s_per_million", None, 0.85, True), ("100x1", "server_cpu_s_per_million", None, 9, True),
    ("open", "server_cpu_s_per_million", None, 46, True),
)
# The same on a disk that is slowed down, of the better of the bare loop's two ways.
SLOW_GOALS = (("10x1", "rate", "better", 1.7, False), ("1000x1", "rate", "better", 0.95, False))


def accepts(port, process):
    if process.poll() is not None:
        raise checks.Failed(f"{process.args[0]} ended with {process.returncode}")
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
        return True
    except OSError:
        return False


@contextlib.contextmanager
def slow_disk(arguments):
    """What is started within has a disk whose syncs take so much longer."""
    if not arguments.sync_delay_ms:
        yield
        return
    names = {"SLOW_SYNC_MS": str(arguments.sync_delay_ms),
             "LD_PRELOAD": str(pathlib.Path(arguments.bin).resolve() / "slow_sync.so")}
    os.environ.update(names)
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


class Server:
    """A program with a port; what is started through `within` ends with it, also when something fails."""

    def __init__(self, name, command, port, log, within):
        self.name, self.port, self.log = name, port, log
        with open(log, "ab") as out, on_core(SERVERS):
            self.process = processes.start([str(part) for part in command], stdout=out, stderr=out)
        within.callback(processes.stop, self.process)
        processes.wait_until(lambda: accepts(port, self.process), within_s=START_LIMIT_S, every_s=0.02,
                             what=f"{name} listens; its log: {log.read_text(errors='replace')[-2000:]}")


def mosquitto(kind, folder, within):
    """Debian's, as in peers' best settings; `persistent` has one session that is away and gets everything."""
    port = processes.free_ports(1)[0]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    saved = (f"persistence true\npersistence_location {folder}/\nautosave_on_changes true\nautosave_interval 1\n"
             if kind == "persistent" else "persistence false\n")
    (folder / "mosquitto.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n"
        f"set_tcp_nodelay true\nuser {getpass.getuser()}\n{saved}")
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    server = Server(kind, [program, "-c", folder / "mosquitto.conf"], port, folder / "mosquitto.log", within)
    if kind == "persistent":
        with socket.create_connection(("127.0.0.1", port), 5) as away:
            away.sendall(mqtt.connect("away", clean=False) + mqtt.subscribe("#"))
            answers = away.recv(4, socket.MSG_WAITALL) + away.recv(5, socket.MSG_WAITALL)
            if len(answers) != 9 or answers[-1] != 1:
                raise checks.Failed(f"mosquitto answered a subscription with {answers.hex()}")
            away.sendall(b"\xe0\0")
    return server


class Bench:
    def __init__(self, arguments, folder, within):
        self.arguments, self.folder, self.within = arguments, folder, within
        self.bin = pathlib.Path(arguments.bin).resolve()
        port = processes.free_ports(1)[0]
        with slow_disk(arguments):
            self.bare = Server("bare", [self.bin / "bare_loop", port, folder / "bare"], port, folder / "bare.log", within)
        self.threaded = None
        if arguments.sync_delay_ms:
            port = processes.free_ports(1)[0]
            with slow_disk(arguments):
                self.threaded = Server("threaded", [self.bin / "bare_loop", port, folder / "threaded", "thread"], port,
                                       folder / "threaded.log", within)
        self.volatile = None
        if "volatile" in arguments.mosquitto:
            self.volatile = mosquitto("volatile", folder / "volatile", within)
        more = "[time]\nrequire_sync = false\n" + arguments.config.replace("\\n", "\n") + "\n"
        self.gateway = within.enter_context(gateway_module.Gateway(folder / "gateway", extra=more))
        with on_core(SERVERS), slow_disk(arguments):
            self.gateway.start()

    def stop(self):
        if self.gateway.terminate() != 0:
            raise checks.Failed("milepostd did not stop well")

    def load(self, port, process, load):
        """One run of the generator: its figures."""
        a = self.arguments
        if load == "open":
            shape = ["--connections", OPEN_CONNECTIONS, "--window", OPEN_WINDOW, "--rate", a.open_rate]
        else:
            connections, window = load.split("x")
            shape = ["--connections", connections, "--window", window]
        command = [self.bin / "mqtt_load", "--port", port, *shape, "--seconds", a.seconds, "--warmup", a.warmup,
                   "--pid", process.pid]
        with on_core(CLIENTS):
            generator = processes.start([str(part) for part in command], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        try:
            out, said = generator.communicate(timeout=a.seconds + a.warmup + LOAD_LIMIT_S)
        except subprocess.TimeoutExpired:
            processes.stop(generator)
            raise checks.Failed(f"the generator did not end at {load}") from None
        if generator.returncode != 0:
            raise checks.Failed(f"the generator at {load}: {said.strip()}")
        figures = json.loads(out)
        if figures["messages"] == 0 and process is self.gateway.process:
            raise checks.Failed(f"nothing was acknowledged at {load}")
        return figures

    def ours(self, load):
        names = [f"milepost_log_records_per_sync_{part}" for part in ("sum", "count")]
        self.gateway.expect_running()
        before = self.gateway.metrics()
        figures = self.load(self.gateway.mqtt_port, self.gateway.process, load)
        after = self.gateway.metrics()
        records, syncs = (after[name] - before[name] for name in names)
        return figures | {"records_per_sync": records / syncs if syncs else 0}

    def round(self, load):
        """{server: figures}, one after the other."""
        found = {"bare": self.load(self.bare.port, self.bare.process, load), "ours": self.ours(load)}
        if self.threaded:
            found["threaded"] = self.load(self.threaded.port, self.threaded.process, load)
            found["better"] = max(found["bare"], found["threaded"], key=lambda figures: figures["rate"])
        if self.volatile:
            found["volatile"] = self.load(self.volatile.port, self.volatile.process, load)
        if "persistent" in self.arguments.mosquitto:
            with contextlib.ExitStack() as within:
                server = mosquitto("persistent", self.folder / "persistent", within)
                found["persistent"] = self.load(server.port, server.process, load)
                # What it queued is not wanted, and saving it once more takes its time.
                server.process.kill()
        return found


def middle(rounds, which, key):
    return statistics.median(found[which][key] for found in rounds)


def ratio(rounds, beside, key):
    values = [found["ours"][key] / found[beside][key] for found in rounds if found[beside][key]]
    return statistics.median(values) if values else float("nan")


def head(kinds):
    line = (f"{'conns x w':>9} | {'ours/s':>8} {'bare/s':>8} {'ratio':>5} | {'p50 µs':>7} {'bare':>7} {'ratio':>5} | "
            f"{'p99 µs':>7} {'bare':>7} {'ratio':>5} | {'CPU s/M':>7} {'bare':>6} | {'rec/sync':>8}")
    return line + "".join(f" | {kind + '/s':>12} {'ratio':>6} {'p50 µs':>7} {'p99 µs':>7} {'CPU':>6}" for kind in kinds)


def row(load, rounds, kinds):
    name = load.replace("x", " x ")
    line = f"{name:>9} | {middle(rounds, 'ours', 'rate'):>8.0f} {middle(rounds, 'bare', 'rate'):>8.0f} " \
           f"{ratio(rounds, 'bare', 'rate'):>5.2f}"
    for key in ("p50_us", "p99_us"):
        line += (f" | {middle(rounds, 'ours', key):>7.0f} {middle(rounds, 'bare', key):>7.0f} "
                 f"{ratio(rounds, 'bare', key):>5.2f}")
    cpu = "server_cpu_s_per_million"
    line += f" | {middle(rounds, 'ours', cpu):>7.2f} {middle(rounds, 'bare', cpu):>6.2f}"
    line += f" | {middle(rounds, 'ours', 'records_per_sync'):>8.1f}"
    for kind in kinds:
        line += f" | {middle(rounds, kind, 'rate'):>12.0f} {ratio(rounds, kind, 'rate'):>6.2f}"
        line += "".join(f" {middle(rounds, kind, key):>7.0f}" for key in ("p50_us", "p99_us"))
        line += f" {middle(rounds, kind, cpu):>6.2f}"
    return line


def goals(measured, wanted):
    """One line a goal that this run can tell."""
    words = {"rate": "msg/s", "p50_us": "p50", "p99_us": "p99", "server_cpu_s_per_million": "CPU s/M"}
    for load, key, beside, bound, at_most in wanted:
        rounds = measured.get(load)
        if not rounds or (beside and beside not in rounds[0]):
            continue
        value = ratio(rounds, beside, key) if beside else middle(rounds, "ours", key)
        reached = value <= bound if at_most else value >= bound
        of = {None: "", "bare": ", of bare's", "better": ", of the better bare's",
              "volatile": ", of Mosquitto's, volatile"}[beside]
        what = f"{load.replace('x', ' x ')}: {words[key]}{of}"
        yield f"{what:<50} {value:>7.2f}   {'≤' if at_most else '≥'} {bound:<5g} {'yes' if reached else 'NO'}"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="folder of milepostd, mqtt_load, bare_loop")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4,
                        help="measured, of each round; 30 to have checkpoints in it")
    parser.add_argument("--warmup", type=float, default=1)
    parser.add_argument("--loads", help="connections x window, or open")
    parser.add_argument("--open-rate", type=float, default=10_000, help="publishes a second of the load `open`")
    parser.add_argument("--mosquitto", default="", help="volatile, persistent, or both: beside Mosquitto, too")
    parser.add_argument("--sync-delay-ms", type=int, default=0,
                        help="every sync takes so much longer; the bare loop also with a thread for them")
    parser.add_argument("--config", default="", help="more lines of milepost.toml, \\n between them")
    parser.add_argument("--smoke", action="store_true", help="only see that it runs, with all that is installed")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.rounds, arguments.seconds, arguments.warmup = 1, 0.3, 0.1
        arguments.loads, arguments.open_rate = ",".join(SMOKE_LOADS), 1_000
    if arguments.loads is None:
        arguments.loads = ",".join(SLOW_LOADS if arguments.sync_delay_ms else LOADS)
    installed = shutil.which("mosquitto") or pathlib.Path("/usr/sbin/mosquitto").exists()
    if arguments.smoke and installed:
        arguments.mosquitto = ",".join(KINDS)
    arguments.loads = arguments.loads.split(",")
    arguments.mosquitto = [kind for kind in arguments.mosquitto.split(",") if kind]
    if not set(arguments.mosquitto) <= set(KINDS):
        parser.error("--mosquitto takes volatile, persistent, or both with a comma")
    if arguments.mosquitto and not installed:
        parser.error("no mosquitto here (packaging/install-build-deps.sh --tests)")
    if arguments.sync_delay_ms and not (pathlib.Path(arguments.bin) / "slow_sync.so").exists():
        parser.error("slow_sync.so is not built (tests/bench/run.sh builds it)")
    for load in arguments.loads:
        parts = load.split("x")
        if load != "open" and not (len(parts) == 2 and all(part.isdigit() and int(part) > 0 for part in parts)):
            parser.error(f"--loads: {load} is neither CONNECTIONSxWINDOW nor open")
    return arguments


def main():
    arguments = parse()
    os.environ["MILEPOST_BIN"] = str(pathlib.Path(arguments.bin).resolve())
    measured, began = {}, time.monotonic()
    with checks.scratch() as folder, contextlib.ExitStack() as within:
        bench = Bench(arguments, folder, within)
        print(f"{arguments.rounds} rounds of {arguments.seconds:g} s; 200-byte payloads; medians; ratio = milepostd / "
              f"the other; open = {arguments.open_rate:g}/s from {OPEN_CONNECTIONS} connections")
        kinds = ["threaded"] * bool(arguments.sync_delay_ms) + arguments.mosquitto
        print(head(kinds), flush=True)
        for load in arguments.loads:
            measured[load] = [bench.round(load) for _ in range(arguments.rounds)]
            print(row(load, measured[load], kinds), flush=True)
        bench.stop()
    if not arguments.smoke:
        print(f"\n{'goal':<50} {'figure':>7}   wanted", *goals(measured, SLOW_GOALS if arguments.sync_delay_ms else GOALS), sep="\n")
    print(f"({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    checks.run(main)
