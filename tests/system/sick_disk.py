#!/usr/bin/env python3
"""Disks that fill up, fail, hang and cannot be written, each a real ext4 of its own; needs root and loop devices.

    python3 tests/system/sick_disk.py                     all, in their short forms
    python3 tests/system/sick_disk.py --only hung --hang 60

Whatever the disk does: no PUBACK for what is not on it, what is on it is served and forwarded, /readyz and /healthz say
why, and after it everything acknowledged is in the log, which `milepost verify` calls sound.
"""

import argparse
import contextlib
import json
import subprocess
import time

from support import checks, disks, gateway as gateway_module, mqtt
from support.checks import expect, say
import processes

CONNECTIONS, DEPTH = 8, 10
PARTITIONS = 4
TOPIC = "sick"
ROUTES = [{"filter": "sick/#", "topic": TOPIC, "partitions": PARTITIONS}]
MIB = 1 << 20
LOG = {"ring_bytes": MIB, "limit_bytes": 24 * MIB}
DISK_MIB = 64
RESUME_S = 5  # after the disk is well again
PADDING = 400  # bytes a reading


class Upstream:
    """librdkafka's mock cluster."""

    def __init__(self, folder):
        self._process = processes.start([str(checks.program("milepost-demo-upstream")), f"{TOPIC}:{PARTITIONS}"],
                                        stdout=subprocess.PIPE, stderr=open(folder / "upstream.log", "wb"))
        self.address = self._process.stdout.readline().decode().strip()

    def close(self):
        processes.stop(self._process)


class Site:
    """A gateway whose data folder is on a sick disk, its sensors, and its upstream."""

    def __init__(self, folder, root):
        self.upstream = Upstream(folder)
        self.gateway = gateway_module.Gateway(folder, data=root / "data", upstream=self.upstream.address, log=LOG,
                                              routes=ROUTES)
        self.load = mqtt.Load("sick/{c}", CONNECTIONS, DEPTH, padding=PADDING)

    def close(self):
        self.load.close()
        if self.gateway.process is not None:
            self.gateway.kill()
        self.upstream.close()

    def connect(self):
        self.load.connect(self.gateway.mqtt_port)

    def run_for(self, seconds):
        """Publishes for that long; how many were acknowledged."""
        before, end = self.load.count(), time.monotonic() + seconds
        self.load.run(lambda: time.monotonic() > end)
        return self.load.count() - before

    def acks_within(self, seconds):
        """How long until the next PUBACK."""
        before, began = self.load.count(), time.monotonic()
        self.load.run(lambda: self.load.count() > before or time.monotonic() > began + seconds)
        return time.monotonic() - began if self.load.count() > before else None

    def until_no_ack(self, quiet_s, within_s):
        """Publishes until none was acknowledged for that long."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            if self.run_for(quiet_s) == 0:
                return True
        return False

    def positions(self):
        """(start, forwarded, durable), summed over the partitions."""
        rows = [row for row in json.loads(self.gateway.get("/api/v1/status")[1])["partitions"] if row["topic"] == TOPIC]
        return tuple(sum(row[key] for row in rows) for key in ("start", "forwarded", "durable"))

    def expect_serving(self):
        """What is durable is read and forwarded, whatever the disk does."""
        durable = self.positions()[2]
        lines = self.gateway.tool("consume", "--url", self.gateway.url, "-t", TOPIC, "-o", "beginning", "-e", "-f",
                                  "%s\\n").stdout.decode().splitlines()
        start = self.positions()[0]  # what Kafka has confirmed makes room on a full disk
        expect(len(lines) >= durable - start,
               f"what is durable is served: {len(lines)} readings of {durable}, {start} made room")
        processes.wait_until(lambda: self.positions()[1] >= durable, within_s=15, what="what is durable is forwarded")
        say("ok: and forwarded")

    def expect_all_there(self):
        """Of the stopped gateway's folder; what was forwarded may have made room for more."""
        say(self.gateway.verify())
        records = self.gateway.consume()
        there = {record["payload"].split(" ", 1)[0] for record in records}
        starts = {}
        for record in records:
            starts.setdefault(record["partition"], record["offset"])
        gone = sum(starts.values())
        missing = [f"{c}-{n}" for c, acked in enumerate(self.load.acked) for n in acked if f"{c}-{n}" not in there]
        expect(len(missing) <= gone, f"all {self.load.count()} acknowledged readings are in the log, but for {len(missing)} of "
               f"the {gone} that were forwarded and made room {missing[:3]}")


@contextlib.contextmanager
def site(folder, root):
    made = Site(folder, root)
    try:
        with made.gateway:
            yield made
    finally:
        made.close()


def fill_up(root):
    """Another process takes all the space there is; the file it is in."""
    path = root / "somebody's"
    with open(path, "wb", buffering=0) as out:
        for size in (MIB, 4096):
            with contextlib.suppress(OSError):
                while True:
                    out.write(b"\1" * size)
    return path


def full(folder, chosen):
    """Twice: with the ring behind and with segments about to roll, a full disk; the second time cut off in it."""
    with disks.small_disk(folder, DISK_MIB) as root, site(folder, root) as at:
        at.gateway.start()
        at.connect()
        for turn in range(chosen.turns):
            expect(at.run_for(0.7) > 0, f"turn {turn + 1}: readings are acknowledged")
            filler = fill_up(root)
            expect(at.until_no_ack(1.0, within_s=30), "with the disk full the acks stop")
            status, reasons = at.gateway.ready()
            expect(status == 503, f"/readyz is 503: {reasons}")
            at.expect_serving()
            filler.unlink()
            took = at.acks_within(RESUME_S + 1)
            expect(took is not None and took <= RESUME_S, f"after {took} s with space again there are acks again")
            processes.wait_until(lambda: at.gateway.ready()[0] == 200, within_s=5, what="/readyz is 200 again")
        expect(at.gateway.terminate() == 0, "it stops well")
        at.load.drain()
        at.expect_all_there()
        fill_up(root)
        start_on_sick(at, "a full disk")


def start_on_sick(at, what):
    """What a start needs is there already: it starts, serves and forwards."""
    at.load.close()
    at.gateway.launch()
    processes.wait_until(lambda: at.gateway.get("/healthz")[0] == 200, within_s=15, what=f"it starts on {what}")
    say(f"ok: it starts on {what}")
    at.expect_serving()
    status, reasons = at.gateway.ready()
    expect(status == 503, f"/readyz is 503: {reasons}")
    at.gateway.kill()


def failing(folder, chosen):
    """Every write fails from a moment on (EIO, ext4 gives up its journal); the disk is well again after a restart."""
    disks.need_nbd()
    image, errors = folder / "disk.img", folder / "errors"
    with open(image, "wb") as out:
        out.truncate(DISK_MIB * MIB)
    plugin = ["file", image, "error=EIO", "error-pwrite-rate=100%", f"error-file={errors}"]
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(disks.nbd_file(folder, *plugin, filters=["error"]))
        device = stack.enter_context(disks.loop(file))
        disks.run(*disks.MKFS["ext4"], device)
        with contextlib.ExitStack() as inner:
            root = inner.enter_context(disks.mounted(device, folder / "disk"))
            at = inner.enter_context(site(folder, root))
            at.gateway.start()
            at.connect()
            expect(at.run_for(1.0) > 0, "readings are acknowledged")
            errors.touch()
            expect(at.until_no_ack(1.0, within_s=10), "once writes fail the acks stop")
            expect(at.run_for(chosen.broken) == 0, f"and none comes for {chosen.broken} s")
            status, reasons = at.gateway.ready()
            expect(status == 503, f"/readyz is 503: {reasons}")
            at.expect_serving()
            expect(at.gateway.terminate() == 74, "stopped in that state it exits 74")
            at.load.drain()
            errors.unlink()
        # The page cache goes with the mount: what is read now was on the disk.
        disks.run("e2fsck", "-p", "-f", device, allowed=(0, 1))
        with disks.mounted(device, folder / "disk"):
            at.expect_all_there()
            at.gateway.start()
            at.connect()
            expect(at.run_for(1.0) > 0, "started on the disk that is well again it acknowledges")
            at.gateway.terminate()
            at.load.drain()
            at.load.close()
            at.expect_all_there()


def hung(folder, chosen):
    """Nothing is written for a while, and nothing fails."""
    checks.foreign("fsfreeze", "util-linux")
    with disks.small_disk(folder, DISK_MIB) as root, site(folder, root) as at:
        at.gateway.start()
        at.connect()
        expect(at.run_for(1.0) > 0, "readings are acknowledged")
        disks.run("fsfreeze", "-f", root)
        try:
            at.run_for(0.5)
            expect(at.run_for(chosen.hang) == 0, f"no PUBACK while the disk does not answer, {chosen.hang} s")
            alive = json.loads(at.gateway.get("/healthz")[1])
            expect(alive.get("disk_waits_seconds", 0) > chosen.hang / 2, f"/healthz says since when: {alive}")
        finally:
            disks.run("fsfreeze", "-u", root)
        took = at.acks_within(RESUME_S)
        expect(took is not None, f"{took} s after it answers there are acks again, on the same connections")
        expect("disk_waits_seconds" not in at.gateway.get("/healthz")[1], "and /healthz has nothing to say")
        expect(at.gateway.terminate() == 0, "it stops well")
        at.load.drain()
        at.expect_all_there()


def read_only(folder, chosen):
    """Made read-only under it, and then at its start."""
    with disks.small_disk(folder, DISK_MIB) as root, site(folder, root) as at:
        at.gateway.start()
        at.connect()
        expect(at.run_for(1.0) > 0, "readings are acknowledged")
        at.gateway.kill()
        at.load.drain()
        disks.run("mount", "-o", "remount,ro", root)
        start_on_sick(at, "a read-only disk")
        disks.run("mount", "-o", "remount,rw", root)
        at.expect_all_there()


PARTS = {"full": full, "failing": failing, "hung": hung, "read_only": read_only}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--turns", type=int, default=2, help="times that the disk fills up")
    parser.add_argument("--broken", type=float, default=3, help="seconds with a failing disk")
    parser.add_argument("--hang", type=float, default=7, help="seconds without an answer")
    chosen = parser.parse_args()
    disks.need_loop()
    for name in chosen.only.split(","):
        say(f"-- {name}")
        with checks.scratch() as folder:
            PARTS[name](folder, chosen)


if __name__ == "__main__":
    checks.run(main)
