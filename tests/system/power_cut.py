#!/usr/bin/env python3
"""Power cuts at the block level: every write and flush that ext4 sends to its device is recorded, and the device is put
together again as a cut would leave it: all that was flushed, and any part of what was not.

    python3 tests/system/power_cut.py                        a sample of the cut points
    python3 tests/system/power_cut.py --cuts 0 --states 3    all of them, three random remainders each
    python3 tests/system/power_cut.py --with-control         and then commits without their sync: must go red

The log (tests/crash/block_writer: 4 partitions and a session, checkpoints in SQLite, rolled segments) is opened in each
such state, read only and for writing: what was acknowledged before the cut is there, nothing else appears, no hole is
claimed, and it goes on. A state is told by (--seed, cut, number) and comes out the same each time.
"""

import argparse
import bisect
import collections
import concurrent.futures
import os
import pathlib
import random
import shutil
import struct
import subprocess
import tempfile

from support import ROOT, checks, disks
from support.checks import expect, say

DISK_BYTES = 32 << 20
SECTOR = 512
PROGRESS_FROM = 500  # cut points: then it says how far it is
ENTRY = struct.Struct("<cQI")  # support/block_recorder.py

Operation = collections.namedtuple("Operation", "kind at bytes end")  # `end`: of the recorder's file
Note = collections.namedtuple("Note", "size checkpoints reach")
Outcome = collections.namedtuple("Outcome", "cut number what")


def record(folder, writer, groups, control):
    """Runs the writer on a recorded disk: what the disk was told, and what the writer noted."""
    log, notes = folder / "recorded", folder / "notes"
    log.touch()
    plugin = disks.HERE / "block_recorder.py"
    with disks.nbd_file(folder, "python", plugin, f"size={DISK_BYTES}", f"log={log}") as file:
        with disks.loop(file) as device:
            disks.run(*disks.MKFS["ext4"], device)
            with disks.mounted(device, folder / "recorded.fs", "data=ordered") as root:
                begun = log.stat().st_size
                done = subprocess.run([writer, "write", root / "data", notes, log, "--groups", str(groups),
                                       *(["--no-commit-sync"] if control else [])], capture_output=True, text=True)
                expect(done.returncode == 0, f"the writer ends well {done.stdout.strip()}")
                segments = len(list((root / "data").glob("*/*.log")))
    operations = read_operations(log.read_bytes())
    said = read_notes(notes)
    say(f"recorded {sum(op.kind == b'W' for op in operations)} writes and "
        f"{sum(op.kind == b'F' for op in operations)} flushes, {groups} groups, {said['acked'][-1].checkpoints} "
        f"checkpoints, {segments} segments; from the mount on {sum(op.end > begun for op in operations)}")
    return operations, said, segments


def read_operations(recorded):
    operations, at = [], 0
    while at < len(recorded):
        kind, position, length = ENTRY.unpack_from(recorded, at)
        at += ENTRY.size + (length if kind == b"W" else 0)
        operations.append(Operation(kind, position, recorded[at - length:at] if kind == b"W" else b"", at))
    return operations


def read_notes(path):
    said = {"begin": [Note(0, 0, "0,0,0,0,0")], "acked": [Note(0, 0, "0,0,0,0,0")]}
    for line in path.read_text().splitlines():
        what, size, checkpoints, reach = line.split()
        said[what].append(Note(int(size), int(checkpoints), reach))
    return said


def last_at(notes, size):
    """The last note that was made when the recorder's file had at most `size` bytes."""
    return notes[bisect.bisect_right([note.size for note in notes], size) - 1]


def keep_some(disk, pending, chosen):
    """Of the writes that were not flushed each is there, is not, or is torn between two sectors."""
    for op in pending:
        kept = chosen.random()
        if kept < 0.45:
            disk[op.at:op.at + len(op.bytes)] = op.bytes
        elif kept < 0.55 and len(op.bytes) > SECTOR:
            sectors = [n for n in range(0, len(op.bytes), SECTOR)]
            torn = chosen.randrange(1, len(sectors)) * SECTOR
            first = chosen.random() < 0.5  # its front, or its back
            part = slice(0, torn) if first else slice(torn, len(op.bytes))
            disk[op.at + part.start:op.at + part.stop] = op.bytes[part]


class States:
    """The states of a range of cut points, one after the other."""

    def __init__(self, operations, said, chosen):
        self.operations, self.said, self.chosen = operations, said, chosen
        self.base = bytearray(DISK_BYTES)  # all that was flushed
        self.applied = 0
        folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="milepost-cut-", dir=folder))

    def check(self, cut):
        """The cut before operation `cut`; yields an Outcome a state."""
        flushed = max((i for i in range(self.applied, cut) if self.operations[i].kind == b"F"), default=None)
        if flushed is not None:
            for op in self.operations[self.applied:flushed]:
                self.base[op.at:op.at + len(op.bytes)] = op.bytes
            self.applied = flushed + 1
        pending = [op for op in self.operations[self.applied:cut] if op.kind == b"W"]
        for number in range(self.chosen.states + 1 if pending else 1):
            disk = bytearray(self.base)
            if number == 0:
                for op in pending:
                    disk[op.at:op.at + len(op.bytes)] = op.bytes
            else:
                keep_some(disk, pending, random.Random(f"{self.chosen.seed}/{cut}/{number}"))
            yield Outcome(cut, number, self._open(disk, self.operations[cut - 1].end))

    def _open(self, disk, size):
        """What is wrong in that state, or nothing."""
        image, root = self.folder / "disk", self.folder / "fs"
        root.mkdir(exist_ok=True)
        image.write_bytes(disk)
        mounted = disks.run("mount", "-o", "loop,data=ordered", image, root, allowed=None)
        if mounted.returncode != 0:
            return f"it does not mount: {mounted.stderr.strip()}"
        try:
            done = subprocess.run([self.chosen.writer, "check", root / "data", last_at(self.said["acked"], size).reach,
                                   last_at(self.said["begin"], size).reach],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
            return None if done.returncode == 0 else done.stdout.strip() or f"status {done.returncode} {done.stderr}"
        except subprocess.TimeoutExpired:
            return "it hangs"
        finally:
            disks.run("umount", root, allowed=None)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def check_all(operations, said, cuts, chosen):
    """Outcomes of one process's share of the cut points."""
    states = States(operations, said, chosen)
    try:
        return [outcome for cut in cuts for outcome in states.check(cut)]
    finally:
        states.close()


def shares(cuts, count):
    """Runs of neighbours, so that each process builds the flushed disk once."""
    size = -(-len(cuts) // count)
    return [cuts[at:at + size] for at in range(0, len(cuts), size)]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=400)
    parser.add_argument("--cuts", type=int, default=60, help="as many, evenly; 0: all")
    parser.add_argument("--states", type=int, default=1, help="random remainders a cut, besides the whole one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--with-control", action="store_true", help="then again without the commits' sync: goes red")
    parser.add_argument("--writer", type=pathlib.Path, default=ROOT / "build" / "dev" / "bin" / "block_writer")
    return parser.parse_args()


def cut_all(folder, chosen, control):
    """Records a run and cuts it; says what came out, and returns the numbers of cuts, states and wrong states."""
    folder.mkdir()
    operations, said, segments = record(folder, chosen.writer, chosen.groups, control)
    expect(said["acked"][-1].checkpoints > 1 and segments > 4, "the run has checkpoints and rolls")
    # From the first acknowledgement on; before it there is nothing to lose.
    first = next(i for i, op in enumerate(operations) if op.end >= said["acked"][1].size)
    cuts = list(range(first + 1, len(operations) + 1))
    if chosen.cuts:
        cuts = cuts[::max(1, len(cuts) // chosen.cuts)]
    began = checks.now_s()
    with concurrent.futures.ProcessPoolExecutor(chosen.jobs) as pool:
        work = [pool.submit(check_all, operations, said, share, chosen) for share in shares(cuts, chosen.jobs * 8)]
        outcomes = []
        for done in concurrent.futures.as_completed(work):
            outcomes += done.result()
            if len(cuts) > PROGRESS_FROM:
                say(f"{len(outcomes)} states, {sum(bool(outcome.what) for outcome in outcomes)} of them wrong")
    bad = [outcome for outcome in outcomes if outcome.what]
    for outcome in bad[:3 if control else 20]:
        say(f"cut {outcome.cut}, state {outcome.number}: {outcome.what}")
    say(f"{len(cuts)} cut points, {len(outcomes)} states in {checks.now_s() - began:.0f} s, {len(bad)} of them wrong; "
        f"seed {chosen.seed}")
    return len(cuts), len(outcomes), len(bad)


def main():
    chosen = arguments()
    disks.need_nbd()
    if not chosen.writer.exists():
        checks.skip(f"{chosen.writer} is not built")
    with checks.scratch() as folder:
        cuts, states, bad = cut_all(folder / "synced", chosen, control=False)
        expect(bad == 0, f"{cuts} power cuts, {states} states of the disk: nothing acknowledged is missing, nothing "
               "else appears, every start succeeds")
        if chosen.with_control:
            cuts, states, bad = cut_all(folder / "unsynced", chosen, control=True)
            expect(bad > 0, f"without the commits' sync {bad} of {states} states are wrong: the cuts do cut")


if __name__ == "__main__":
    checks.run(main)
