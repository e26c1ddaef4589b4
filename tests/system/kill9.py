#!/usr/bin/env python3
"""SIGKILL at random moments under load: nothing acknowledged is ever missing, no offset is used twice, every start
succeeds and `milepost verify` says sound each time.

    python3 tests/system/kill9.py                  a few cycles
    python3 tests/system/kill9.py --cycles 1000    the README's figure

Three kinds of kill: under load, while it recovers (the data folder is locked, no connection is taken yet), while a
checkpoint writes segments. One cycle in ten is killed in recovery and one in ten in a checkpoint: a cycle that misses
its moment counts as one under load, and the next one tries again.
"""

import argparse
import collections
import ctypes
import errno
import os
import random
import shutil
import time

from support import checks, gateway as gateway_module, mqtt
from support.checks import expect, say
import processes

CONNECTIONS, DEPTH = 20, 20
RING_BYTES = 1024 * 1024
PARTITIONS = 2
ACKS_WANTED = 100  # since the last start, in nine of ten cycles
OVERLAP = 200  # records per partition read again after each kill, to see that they are the same
CYCLES_PER_FOLDER = 100  # then a new folder, so that verify does not grow without end
START_LIMIT_S = 10
ROUTES = [{"filter": "kill/#", "topic": "kill9", "partitions": PARTITIONS}]
IN_MODIFY, IN_CREATE, IN_CLOEXEC = 0x2, 0x100, 0o2000000


class SegmentWatch:
    """Tells when a segment of the folder is written to: a checkpoint is under way."""

    def __init__(self, data):
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.inotify_init1(IN_CLOEXEC)
        for number in range(PARTITIONS):
            folder = data / f"kill9-{number}"
            if folder.is_dir():
                self._libc.inotify_add_watch(self._descriptor, os.fsencode(folder), IN_MODIFY | IN_CREATE)
        os.set_blocking(self._descriptor, False)

    def stirred(self):
        try:
            return bool(os.read(self._descriptor, 65536))
        except BlockingIOError:
            return False

    def close(self):
        os.close(self._descriptor)


class Kills:
    def __init__(self, folder, seed):
        self.folder = folder
        self.random = random.Random(seed)
        self.load = mqtt.Load("kill/{c}", CONNECTIONS, DEPTH)
        self.counts = collections.Counter()
        self.start_s = []  # launch to first connection
        self.recovering_s = []  # of it, since the lock
        self.gateway = None
        self._fresh()

    def _fresh(self):
        """A new gateway on an empty folder."""
        self.number = self.counts["folders"]
        self.counts["folders"] += 1
        if self.gateway is not None:
            shutil.rmtree(self.gateway.folder)
        self.gateway = gateway_module.Gateway(self.folder / f"{self.number}", routes=ROUTES,
                                              log={"ring_bytes": RING_BYTES})
        self.payload_at = [{} for _ in range(PARTITIONS)]  # offset: payload, all ever seen
        self.seen = set()
        self.acked_here = []

    def cycle(self, wanted):
        if self.counts["cycles"] and self.counts["cycles"] % CYCLES_PER_FOLDER == 0:
            self.check(whole=True)
            self._fresh()
        self.counts["cycles"] += 1
        kind = self._kind(wanted)
        self.gateway.launch()
        if kind == "recovery" and self._kill_while_recovering():
            self.counts["killed in recovery"] += 1
        else:
            self._kill_under_load(kind)
        self.check(whole=False)

    def lacks(self, wanted, loaded):
        """Whether a moment that must be hit was hit too seldom: the process is quick, and many miss it."""
        missed = any(self.counts[f"killed in {where}"] < wanted for where in ("recovery", "checkpoint"))
        return missed or self.counts["with 100 acks"] < loaded

    def _kind(self, wanted):
        """Twice as often as needed until there are enough, so that a miss does not matter."""
        chance = self.random.random()
        if chance < 0.2 and self.counts["killed in recovery"] < wanted:
            return "recovery"
        if 0.2 <= chance < 0.5 and self.counts["killed in checkpoint"] < wanted:
            return "checkpoint"
        return "load"

    def _kill_while_recovering(self):
        """Whether it was killed between the lock on its folder and its first connection."""
        usual = sorted(self.recovering_s)[len(self.recovering_s) // 4] if self.recovering_s else 0.01
        limit = time.monotonic() + START_LIMIT_S
        while not self._holds_lock():
            if time.monotonic() > limit:
                raise checks.Failed(f"no start within {START_LIMIT_S} s")
        end = time.monotonic() + self.random.uniform(0, usual)
        while time.monotonic() < end:
            time.sleep(0.0002)
        if self.gateway.accepts():
            return False
        self._kill()
        return True

    def _holds_lock(self):
        self.gateway.expect_running()
        folder = f"/proc/{self.gateway.process.pid}/fd"
        try:
            held = [os.readlink(f"{folder}/{name}") for name in os.listdir(folder)]
            return str(self.gateway.data / "lock") in held
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EACCES, errno.ESRCH):
                return False  # a descriptor was closed meanwhile
            raise

    def _kill_under_load(self, kind):
        self._wait_until_it_accepts()
        before = self.load.count()
        self.load.connect(self.gateway.mqtt_port)
        limit = time.monotonic() + 5

        def enough():
            return self.load.count() - before >= ACKS_WANTED or time.monotonic() > limit
        expect_quietly(self.load.run(enough), "the gateway keeps its connections until it is killed")
        if kind == "checkpoint":
            self._until_checkpoint()
        else:
            self._run_for(self.random.uniform(0, 0.1))
        self._kill()
        self.load.drain()
        self.load.close()
        self.counts["with 100 acks"] += self.load.count() - before >= ACKS_WANTED
        self.counts["acks"] += self.load.count() - before

    def _run_for(self, seconds):
        end = time.monotonic() + seconds
        self.load.run(lambda: time.monotonic() > end)

    def _until_checkpoint(self):
        """Load goes on in this thread until segments are written to, and a random moment more."""
        watch = SegmentWatch(self.gateway.data)
        limit = time.monotonic() + 5
        stirred = []
        self.load.run(lambda: stirred.append(watch.stirred()) or stirred[-1] or time.monotonic() > limit)
        self.counts["killed in checkpoint"] += stirred[-1]
        watch.close()
        time.sleep(self.random.uniform(0, 0.001))

    def _kill(self):
        self.gateway.expect_running()
        self.gateway.kill()

    def _wait_until_it_accepts(self):
        began = time.monotonic()
        processes.wait_until(self._holds_lock, within_s=START_LIMIT_S, every_s=0.0005, what="a start locks the folder")
        locked = time.monotonic()

        def accepting():
            self.gateway.expect_running()
            return self.gateway.accepts()
        processes.wait_until(accepting, within_s=START_LIMIT_S, every_s=0.001, what="a start succeeds")
        self.start_s.append(time.monotonic() - began)
        self.recovering_s.append(time.monotonic() - locked)

    # What must hold after each kill

    def check(self, *, whole):
        """verify is sound; the log's end, or the whole log, is what it was and holds everything acknowledged."""
        self.gateway.tool("verify", self.gateway.data)
        for number in range(PARTITIONS):
            self._read(number, whole)
        new = self.load.take_new_acks()
        self.acked_here += new
        missing = [reading for reading in (self.acked_here if whole else new) if reading not in self.seen]
        if missing:
            raise checks.Failed(f"cycle {self.counts['cycles']}: {len(missing)} acknowledged readings are not in the "
                                f"log, {missing[0]} first")

    def _read(self, number, whole):
        known = self.payload_at[number]
        start = 0 if whole else max(0, len(known) - OVERLAP)
        lines = self.gateway.tool("consume", "--data-dir", self.gateway.data, "-t", "kill9", "-p", number,
                                  "-o", start, "-e", "-f", "%o %s\\n", allowed=None).stdout.decode().splitlines()
        expected = start
        last = {}
        for line in lines:
            offset, payload = line.split(" ", 1)
            offset = int(offset)
            if offset != expected:
                raise checks.Failed(f"kill9-{number}: offset {offset} where {expected} was to come")
            expected += 1
            if known.setdefault(offset, payload) != payload:
                raise checks.Failed(f"kill9-{number}: offset {offset} was {known[offset]} and is now {payload}")
            c, n = map(int, payload.split("-"))
            if last.get(c, -1) >= n:
                raise checks.Failed(f"kill9-{number}: {payload} after {c}-{last[c]}: out of order")
            last[c] = n
            self.seen.add((c, n))
        if expected < len(known):
            raise checks.Failed(f"kill9-{number}: ends at {expected}, was at {len(known)}: durable records are gone")


def expect_quietly(fact, what):
    if not fact:
        raise checks.Failed(what)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    chosen = parser.parse_args()
    say(f"{chosen.cycles} cycles, --seed {chosen.seed}")
    with checks.scratch() as folder:
        kills = Kills(folder, chosen.seed)
        try:
            wanted = max(1, chosen.cycles // 10)
            while kills.counts["cycles"] < chosen.cycles or kills.lacks(wanted, chosen.cycles - wanted):
                kills.cycle(wanted)
                if kills.counts["cycles"] % 50 == 0:
                    say(f"{kills.counts['cycles']} cycles, {dict(kills.counts)}")
                if kills.counts["cycles"] == 2 * chosen.cycles:
                    break  # final() says what is missing
            kills.check(whole=True)
            final(kills.counts, sorted(kills.start_s), chosen.cycles)
        except BaseException:
            print(kills.gateway.log_tail(), flush=True)
            raise
        finally:
            if kills.gateway.process is not None:
                kills.gateway.kill()


def final(counts, starts, cycles):
    say(f"{dict(counts)}")
    say(f"start to first connection: p50 {starts[len(starts) // 2] * 1000:.0f} ms, "
        f"p99 {starts[int(len(starts) * 0.99)] * 1000:.0f} ms")
    wanted = max(1, cycles // 10)
    expect(counts["cycles"] >= cycles, f"{counts['cycles']} SIGKILLs: every start succeeds, every verify says sound")
    expect(counts["acks"] > 0, f"all {counts['acks']} acknowledged readings were in the log; no offset was used twice")
    expect(counts["with 100 acks"] >= cycles - wanted,
           f"{counts['with 100 acks']} cycles with at least {ACKS_WANTED} acks since the last start")
    for where in ("recovery", "checkpoint"):
        expect(counts[f"killed in {where}"] >= wanted, f"{counts[f'killed in {where}']} kills in {where}")


if __name__ == "__main__":
    checks.run(main)
