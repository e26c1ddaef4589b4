#!/usr/bin/env python3
"""What the log costs, as ratios of what is measured beside it in the same run: one table, goal beside figure.

    python3 tests/bench/log.py --bin build/release/bin                     everything, about ten minutes
    python3 tests/bench/log.py --bin build/release/bin --only start,tail   some of it

Needs root for a device of its own (written bytes), the blkio controller (100 IOPS) and cold caches; without it those lines
say so. --folder must have 25 GB free on the disk that is to be measured.
"""

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

GB = 1 << 30
MIB = 1 << 20
RING_BYTES = 64 * MIB


class Unable(Exception):
    """This machine does not allow it."""


def run(*command, limit_s=600):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=limit_s)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.returncode} {done.stderr.strip()}")
    return done.stdout


def drop_caches():
    if os.geteuid() != 0:
        raise Unable("cold caches need root")
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3\n")


@contextlib.contextmanager
def own_device(folder, gibibytes):
    """A folder on an ext4 of its own, on a loop device: its counters are nobody else's."""
    if os.geteuid() != 0 or not os.path.exists("/dev/loop-control"):
        raise Unable("a device of its own needs root and loop devices")
    image, root = folder / "device.img", folder / "device"
    root.mkdir()
    with open(image, "wb") as out:
        out.truncate(gibibytes * GB)
    device = run("losetup", "-f", "--show", "--direct-io=on", image).strip()
    try:
        run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", device)
        run("mount", device, root)
        try:
            yield root
        finally:
            run("umount", root)
    finally:
        run("losetup", "-d", device)
        image.unlink()
        root.rmdir()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gateway:
    """milepostd on a data folder, timed to its first CONNACK."""

    CONNECT = bytes.fromhex("100c00044d5154540402003c0000")

    def __init__(self, bench, data):
        self.port, self.admin_port = free_port(), free_port()
        config = bench.folder / "milepost.toml"
        config.write_text(
            f'data_dir = "{data}"\n[time]\nrequire_sync = false\n[[mqtt.listener]]\nport = {self.port}\n'
            f"[admin]\nport = {self.admin_port}\n")
        self.began = time.monotonic()
        self.process = subprocess.Popen([bench.bin / "milepostd", "--config", config],
                                        stderr=open(bench.folder / "milepostd.log", "w"))

    def first_connack_s(self):
        while time.monotonic() - self.began < 60:
            if self.process.poll() is not None:
                raise RuntimeError(f"milepostd ended with {self.process.returncode}")
            try:
                with socket.create_connection(("127.0.0.1", self.port), 5) as client:
                    client.sendall(self.CONNECT)
                    if client.recv(4)[:1] == b"\x20":
                        return time.monotonic() - self.began
            except OSError:
                time.sleep(0.001)
        raise RuntimeError("no CONNACK within 60 s")

    def resident_peak_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Bench:
    def __init__(self, chosen, folder):
        self.chosen, self.folder = chosen, folder
        self.bin = pathlib.Path(chosen.bin).resolve()
        self.rows = []

    def row(self, what, value, goal, *, at_most=False, unit=""):
        """Goal None: only beside."""
        reached = "" if goal is None else "yes" if (value <= goal if at_most else value >= goal) else "NO"
        sign = "" if goal is None else f"{'≤' if at_most else '≥'} {goal:g}{unit}"
        line = f"{what:<64} {value:>8.2f}{unit:<2} {sign:>10}  {reached}"
        self.rows.append(line)
        print(line, flush=True)

    def note(self, what, why):
        self.rows.append(f"{what:<64} not measured: {why}")
        print(self.rows[-1], flush=True)

    def log_bench(self, mode, *options, prefix=()):
        """{name: value} of its figure lines; what it says to people goes to stderr."""
        chosen = ["--dir", self.folder / "bench", "--rounds", self.chosen.rounds, "--seconds", self.chosen.seconds]
        for name, value in zip(options[::2], options[1::2]):
            if name in chosen:
                chosen[chosen.index(name) + 1] = value
            else:
                chosen += [name, value]
        out = run(*prefix, self.bin / "log_bench", mode, *chosen)
        print(re.sub(r"(?m)^figure .*\n", "", out), end="", file=sys.stderr, flush=True)
        return {name: float(value) for name, value in re.findall(r"^figure (\S+) (\S+)$", out, re.M)}

    # performance.md 6
    def groups(self):
        found = self.log_bench("groups")
        for group, goal in ((1, 0.95), (10, 0.95), (100, 0.90), (1000, 0.80)):
            self.row(f"6  journal alone, {group} waiting: acks/s of the bare loop's", found[f"journal/{group}"], goal)
            self.row(f"   the log with its checkpoints, {group} waiting", found[f"log/{group}"], None)

    # 7
    def partitions(self):
        found = self.log_bench("partitions")
        for count, goal in ((64, 0.80), (256, 0.65)):
            self.row(f"7  {count} partitions, groups of 1,000: acks/s of one partition's",
                     found[f"partitions-log/{count}"], goal)
            self.row("   the journal alone", found[f"partitions-journal/{count}"], None)

    # 9
    def backlog(self):
        found = self.log_bench("backlog")
        self.row("9  10,000,000 records waiting: acks/s of an empty log's", found["backlog"], 0.95)

    # 13
    def device(self):
        goals = {"one_a_commit": 24, "P=16,G=10": 2.5, "P=64,G=1000": 1.3, "journal_alone,G=100": 1.2,
                 "journal_alone,G=1000": 1.2}
        with own_device(self.folder, 4) as root:
            found = self.log_bench("device", "--dir", root / "bench", "--seconds", 2)
        for name, goal in goals.items():
            self.row(f"13 device bytes a byte of payload: {name.replace('_', ' ')}", found[f"device/{name}"], goal,
                     at_most=True)

    # 13, a card of 100 write IOPS
    def iops(self):
        control = pathlib.Path("/sys/fs/cgroup/blkio")
        if not (control / "blkio.throttle.write_iops_device").exists():
            raise Unable("no blkio controller (cgroup v1)")
        group = control / "milepost-bench"
        group.mkdir(exist_ok=True)
        try:
            with own_device(self.folder, 2) as root:
                device = os.stat(root).st_dev
                (group / "blkio.throttle.write_iops_device").write_text(f"{os.major(device)}:{os.minor(device)} 100")
                enter = ["sh", "-c", f"echo $$ > {group}/cgroup.procs && exec \"$@\"", "sh"]
                found = self.log_bench("commits", "--dir", root / "bench", "--partitions", 16, "--group", 10,
                                       "--seconds", 5, "--rounds", 2, prefix=enter)
        finally:
            group.rmdir()
        self.row("   commits/s at 100 write IOPS, P=16, G=10 (bare loop)", found["commits/bare"], None)
        self.row("   the log with its checkpoints", found["commits/log"], None)
        self.row("13 of the bare loop's", found["commits/log"] / found["commits/bare"], None)

    # design.md: a checkpoint raises the commit's p99 by no more than 20 %
    def tail(self):
        for name, prefix in (("", []), (", on one core", ["taskset", "-c", str(os.cpu_count() - 1)])):
            found = self.log_bench("tail", "--partitions", 4, "--seconds", 1, prefix=prefix)
            for group in (1, 10, 100, 1000):
                self.row(f"   commit p99 during a checkpoint, {group} waiting{name}: of that without",
                         found[f"tail99/{group}"], 1.2, at_most=True)

    # Starts, memory, verify and readers share two folders, of 1 and 10 GB.
    def start(self):
        times = {}
        for size, rings in ((1, (0.95, 0.5)), (self.chosen.large, (0.95, 0.5))):
            for ring in rings:
                times[size, ring] = self._start(size, ring)
        large = self.chosen.large
        self.row(f"12 first CONNACK after SIGKILL, {large} GB, a full ring", times[large, 0.95], 0.5, at_most=True, unit="s")
        self.row(f"12 first CONNACK after SIGKILL, {large} GB, half a ring", times[large, 0.5], 0.3, at_most=True, unit="s")
        for ring in (0.95, 0.5):
            self.row(f"12 {large} GB against 1 GB, ring {ring:.0%}", times[large, ring] / times[1, ring], 1.2, at_most=True)

    def _data(self, size):
        return self.folder / f"{size}GB" / "log"

    def _fill(self, size, ring):
        """Leaves a log of that size, with that share of its ring waiting, as a SIGKILL would."""
        folder = self._data(size).parent
        bytes_ = 0 if self._data(size).exists() else size * GB
        self.log_bench("fill", "--dir", folder, "--bytes", bytes_, "--ring", ring)

    def _start(self, size, ring):
        took = []
        for _ in range(3):
            self._fill(size, ring)
            gateway = Gateway(self, self._data(size))
            try:
                took.append(gateway.first_connack_s())
            finally:
                gateway.kill()
        return statistics.median(took)

    def memory(self):
        for size in (1, self.chosen.large):
            self._fill(size, 0.5)
            gateway = Gateway(self, self._data(size))
            try:
                gateway.first_connack_s()
                run(self.bin / "mqtt_load", "--port", gateway.port, "--connections", 10, "--window", 100, "--seconds", 5,
                    "--warmup", 0, "--pid", gateway.process.pid)
                run(self.bin / "milepost", "consume", "--url", f"http://127.0.0.1:{gateway.admin_port}", "-o", "beginning",
                    "-c", "300000", "-f", "%o")
                peak = gateway.resident_peak_bytes()
            finally:
                gateway.kill()
            self.row(f"   resident peak, {size} GB, full load and a reader of history: of 2 rings + 32 MiB",
                     peak / (2 * RING_BYTES + 32 * MIB), 1.0, at_most=True)

    def verify(self):
        self._fill(1, 0.1)
        files = sorted(self._data(1).rglob("*.log"))
        total = sum(file.stat().st_size for file in files)
        ratios = []
        for _ in range(3):
            drop_caches()
            began = time.monotonic()
            for file in files:
                with open(file, "rb", buffering=0) as source:
                    while source.read(MIB):
                        pass
            plain = time.monotonic() - began
            drop_caches()
            began = time.monotonic()
            run(self.bin / "milepost", "verify", self._data(1))
            checked = time.monotonic() - began
            ratios.append(plain / checked)
            print(f"read {total / plain / 1e6:.0f} MB/s, verify {total / checked / 1e6:.0f} MB/s", file=sys.stderr)
        self.row("   milepost verify, cold, of the disk's sequential read rate", statistics.median(ratios), 0.8)

    def reader(self):
        self._fill(self.chosen.large, 0.1)
        drop_caches()
        found = self.log_bench("reader", "--dir", self._data(self.chosen.large).parent, "--seconds", 2)
        self.row("   commit p99 beside a reader of history: of that without", found["reader/p99"], 1.2, at_most=True)
        self.row("   what the reader leaves in the page cache, of what it read", found["reader/cached_per_read"], 0.1,
                 at_most=True)


PARTS = ["groups", "partitions", "backlog", "device", "iops", "tail", "start", "memory", "verify", "reader"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="folder of log_bench, milepostd, milepost, mqtt_load")
    parser.add_argument("--folder", default=None, help="on the disk that is measured; a temporary one")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--large", type=int, default=10, help="GB of the large log")
    parser.add_argument("--only", default=",".join(PARTS), help="of " + ",".join(PARTS))
    chosen = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="milepost-bench-", dir=chosen.folder))
    bench = Bench(chosen, folder)
    began = time.monotonic()
    try:
        for part in chosen.only.split(","):
            try:
                getattr(bench, part)()
            except Unable as why:
                bench.note(part, why)
            except (RuntimeError, subprocess.TimeoutExpired) as why:
                bench.note(part, f"failed: {why}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{'what':<64} {'reached':>10} {'goal':>10}   ({time.monotonic() - began:.0f} s)")
    print("\n".join(bench.rows))
    return 1 if any("failed:" in row for row in bench.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
