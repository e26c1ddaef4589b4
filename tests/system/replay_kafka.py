#!/usr/bin/env python3
"""milepost replay to a real Kafka: SIGKILLs at any moment, and a read_committed consumer sees each record once, in order.
And from it: what is selected, and SIGKILLs again.

    python3 tests/system/replay_kafka.py            small
    python3 tests/system/replay_kafka.py --full     20 kills
"""

import argparse
import json
import random
import re
import subprocess
import time

from support import checks
from support.checks import expect, say
import processes
import testbed
import wire

RECORDS = 20_000  # --full: 100,000
KILL_LIMIT_S = 60


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--full", action="store_true")
    chosen = parser.parse_args()
    if chosen.full:
        global RECORDS
        chosen.kills, RECORDS = 20, 100_000
    return chosen


def milepost(*words, code=0):
    done = subprocess.run([checks.program("milepost"), *map(str, words)], capture_output=True, timeout=120, check=False)
    if done.returncode != code:
        raise checks.Failed(f"milepost {' '.join(map(str, words))}: exit {done.returncode} {done.stderr.decode()[-500:]}")
    return done


def kill_when(command, progress, amount, log):
    """Starts it, and kills it as soon as `progress()` is `amount` more than it was. True: it was still at work."""
    before = progress()
    process = subprocess.Popen([*map(str, command)], stderr=log)
    try:
        processes.wait_until(lambda: progress() >= before + amount or process.poll() is not None, within_s=KILL_LIMIT_S,
                             every_s=0.005, what=f"{amount} more than {before}")
    finally:
        process.kill()
    return process.wait() == -9


def from_kafka(kafka, folder, data, size, draw):
    """The topic has holes in its offsets: aborted records, and a transaction's markers."""
    source = f"kafka://{kafka.bootstrap}/vehicle.telemetry"

    def records(*words):
        return [json.loads(line) for line in milepost("export", "--from", source, *words).stdout.splitlines()]

    def numbers(found):
        return [int(record["value"].split()[0]) for record in found]

    whole = records()
    expect(numbers(whole) == list(range(RECORDS)), f"export reads all {RECORDS} records, by their time")
    log = [json.loads(line) for line in milepost("export", "--data-dir", data).stdout.splitlines()]
    expect([(one["key"], one["timestamp"], one["headers"]) for one in log] ==
           [(one["key"], one["timestamp"], one["headers"]) for one in whole], "with keys, times and mp.id of the log")
    expect(numbers(records("-p", 1)) == list(range(1, RECORDS, 4)), "-p takes one partition")
    expect(numbers(records("-k", "V7")) == list(range(7, RECORDS, 100)), "-k takes a vehicle")
    middle = whole[RECORDS // 2]
    expect(numbers(records("--since", middle["timestamp"])) == list(range(RECORDS // 2, RECORDS)), "--since takes a time")
    expect(numbers(records("--until", middle["timestamp"])) == list(range(RECORDS // 2)), "--until takes a time")
    ends = [one["offset"] for one in whole if one["partition"] == middle["partition"]]
    first, end = ends[1000], ends[2000]
    expect(numbers(records("-p", middle["partition"], "-o", f"{first}..{end}")) ==
           [n for n, one in zip(numbers(whole), whole) if one["partition"] == middle["partition"]][1000:2000], "-o takes offsets")
    said = milepost("export", "--from", f"kafka://{kafka.bootstrap}/not.there", code=1).stderr.decode()
    expect("topic not.there" in said, said.strip())

    expected = milepost("export", "--from", source).stdout
    out = folder / "from-kafka"
    command = [str(checks.program("milepost")), "replay", "--from", source, "--to", str(out), "--speed"]
    each = len(expected) // size.kills
    done = sum(kill_when([*command, f"{RECORDS // (2 * size.kills)}/s"], lambda: out.exists() and out.stat().st_size,
                         draw.choice((0, 1, draw.randrange(each))), subprocess.DEVNULL) for _ in range(size.kills))
    expect(done == size.kills, f"from Kafka to a file: killed {done} times, {out.stat().st_size} bytes written")
    milepost(*command[1:], "max")
    expect(out.read_bytes() == expected, "every record is in the file once, in order")


def open_transaction(kafka, folder, data):
    """A writer that was killed holds its partitions up for a minute: what is behind is not there yet, and not waited for."""
    kafka.create_topic("open", 1)
    lines = milepost("export", "--data-dir", data, "-o", "..100", "-p", 0).stdout.replace(b'"vehicle.telemetry"', b'"open"')
    (folder / "hundred").write_bytes(lines)
    milepost("replay", "--from-file", folder / "hundred", "--to", f"kafka://{kafka.bootstrap}", "--speed", "max")
    writer = subprocess.Popen([checks.program("milepost"), "replay", "--from-file", folder / "hundred", "--to",
                               f"kafka://{kafka.bootstrap}", "--speed", "50/s"], stderr=subprocess.DEVNULL)

    def end():
        return wire.offsets(kafka.bootstrap, "open")[0]

    def is_open():
        return end() > 130
    processes.wait_until(is_open, within_s=30, every_s=0.05, what="a transaction is open")
    writer.kill()
    writer.wait()
    begun = time.monotonic()
    found = milepost("export", "--from", f"kafka://{kafka.bootstrap}/open").stdout.splitlines()
    took = time.monotonic() - begun
    expect(100 <= len(found) < end() - 5 and took < 20,
           f"{len(found)} records of {end()} offsets are committed, and read without a wait for the others")


def arrived(kafka):
    """Records, and what ends transactions, on all partitions of the topic."""
    return sum(wire.offsets(kafka.bootstrap, "vehicle.telemetry").values())


def main():
    size = arguments()
    draw = random.Random(size.seed)
    say(f"--seed {size.seed} --kills {size.kills}")
    program, make = checks.program("milepost"), checks.program("make_recording")
    testbed.require_kafka()
    kafka = testbed.Broker()
    try:
        kafka.prepare()
        with checks.scratch() as folder:
            kafka.start()
            kafka.create_topic("vehicle.telemetry", 4)
            data = folder / "data"
            subprocess.run([make, data, str(RECORDS), "3600000", "100"], check=True)
            command = [str(program), "replay", "--data-dir", str(data), "--to", f"kafka://{kafka.bootstrap}",
                       "--resume", str(folder / "state"), "--speed"]
            with open(folder / "log", "wb") as log:
                # Some as early as they come; a transaction takes a second, so half of the others have ended one, and
                # the last has.
                each = RECORDS // size.kills
                amounts = [draw.choice((0, 1, *(draw.randrange(each) for _ in range(4)))) for _ in range(size.kills - 1)]
                done = sum(kill_when([*command, f"{each // 2}/s"], lambda: arrived(kafka), amount, log)
                           for amount in (*amounts, each))
                expect(done == size.kills, f"killed {done} times")
                last = subprocess.run([*command, "max"], stderr=log, timeout=120, check=False)
            said = (folder / "log").read_text()
            expect(last.returncode == 0, f"the last run ends with exit 0 {said[-300:]}")
            went_on = {int(words) for words in re.findall(r"goes on behind (\d+) records", said)}
            expect(len(went_on - {0}) > 0, f"it went on behind {len(went_on - {0})} different positions")
            again = subprocess.run([*command, "max"], stderr=subprocess.PIPE, timeout=60, check=False)
            expect(again.returncode == 0 and b"done already" in again.stderr, "what is done is not sent again")
            records = testbed.consume(kafka.bootstrap, "vehicle.telemetry", count=RECORDS)
            numbers = {}
            for record in records:
                numbers.setdefault(record.partition, []).append(int(record.value.split()[0]))
            expect(sorted(numbers) == [0, 1, 2, 3] and all(
                found == list(range(partition, RECORDS, 4)) for partition, found in numbers.items()),
                f"{len(records)} records upstream, each once, in its partition and in order")
            ids = {header for record in records for header in record.headers if header.startswith("mp.id:")}
            expect(len(ids) == RECORDS, "each with its mp.id")
            uncommitted = len(testbed.consume(kafka.bootstrap, "vehicle.telemetry", isolation="read_uncommitted"))
            expect(uncommitted > RECORDS, f"{uncommitted - RECORDS} records of transactions that a kill left open were not seen")
            from_kafka(kafka, folder, data, size, draw)
            open_transaction(kafka, folder, data)
    finally:
        kafka.close()


if __name__ == "__main__":
    checks.run(main)
