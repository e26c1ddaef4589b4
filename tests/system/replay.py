#!/usr/bin/env python3
"""milepost export and milepost replay, from a stopped gateway's folder and from a running gateway: what is selected, how
fast, and that a kill at any moment leaves neither a gap nor a repeat.

    python3 tests/system/replay.py            small
    python3 tests/system/replay.py --full     20 kills, a minute at 1x
    python3 tests/system/replay.py --hour     a recorded hour of 100 vehicles at 10x, and nothing else: six minutes
"""

import argparse
import csv
import datetime
import io
import json
import os
import random
import signal
import subprocess
import time

from support import checks, gateway as gateway_module, mqtt
from support.checks import expect, say
import processes

HOUR_MS = 3_600_000
FIRST_MS = 1_795_393_770_000
VEHICLES = 100
TIMING_LIMIT_MS = 20
ARCHIVE_HEAD_BYTES = 64  # at most


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="at 1x")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--hour", action="store_true")
    chosen = parser.parse_args()
    if chosen.full:
        chosen.kills, chosen.seconds = 20, 60
    return chosen


def recording(folder, name, records, span_ms, value_bytes=0):
    """A folder of a stopped gateway with so many records over so much time."""
    data = folder / name
    subprocess.run([checks.program("make_recording"), data, str(records), str(span_ms), str(value_bytes)], check=True)
    return data


def milepost(*words, code=0, **options):
    done = subprocess.run([checks.program("milepost"), *map(str, words)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120, check=False, **options)
    if done.returncode != code:
        raise checks.Failed(f"milepost {' '.join(map(str, words))}: exit {done.returncode} {done.stderr.decode()[-500:]}")
    return done


def records_of(text):
    return [json.loads(line) for line in text.decode().splitlines()]


def by_vehicle(records):
    """{vehicle: the numbers of its records, in their order}"""
    found = {}
    for record in records:
        found.setdefault(record["key"], []).append(int(record["value"].split()[0]))
    return found


def selections(data):
    whole = records_of(milepost("export", "--data-dir", data).stdout)
    count = len(whole)
    expect([int(record["value"].split()[0]) for record in whole] == list(range(count)),
           f"export gives all {count} records of four partitions by their time")
    expect(all(record["headers"][-1]["name"] == "mp.id" and record["headers"][-1]["value"].endswith(
        f"/{record['topic']}-{record['partition']}/{record['offset']}") for record in whole), "each has its mp.id")

    def numbers(*words):
        return [int(record["value"].split()[0]) for record in records_of(milepost("export", "--data-dir", data, *words).stdout)]

    expect(numbers("-p", 1) == list(range(1, count, 4)), "-p takes one partition")
    expect(numbers("-k", "V7", "-k", "V8") == [n for n in range(count) if n % VEHICLES in (7, 8)], "-k takes vehicles")
    expect(numbers("-o", "10..12") == list(range(40, 48)), "-o takes offsets of each partition")
    expect(numbers("--since", FIRST_MS + HOUR_MS // 2) == list(range(count // 2, count)), "--since takes ms")
    until = datetime.datetime.fromtimestamp(FIRST_MS / 1000 + 10, datetime.timezone(datetime.timedelta(hours=2)))
    expect(numbers("--until", until.isoformat(), "-t", "vehicle.telemetry") == list(range(20)), "--until takes RFC 3339")
    recent = [n for n in range(count) if FIRST_MS + n * HOUR_MS // count >= (time.time() - 7200) * 1000]
    expect(numbers("--since", "-2h") == recent, "--since takes -2h")
    rows = list(csv.reader(io.StringIO(milepost("export", "--data-dir", data, "--format", "csv").stdout.decode())))
    expect(len(rows) == count + 1 and rows[1][4:6] == ["V0", "0 "], "CSV has a head and a row a record")
    return whole


def plan(data, count):
    said = json.loads(milepost("replay", "--data-dir", data, "--speed", "10x", "--dry-run", "--json").stdout)
    expect(said["records"] == count and abs(said["seconds"] - 360) < 5 and len(said["partitions"]) == 4,
           f"--dry-run: {said['records']} records, {said['seconds']:.0f} s at 10x")


def through_a_file(folder, data, whole):
    file = folder / "whole.ndjson"
    milepost("export", "--data-dir", data, "-O", file)
    expect(not (folder / "whole.ndjson.state").exists(), "a file's own state is gone when it is done")
    again = milepost("replay", "--from-file", file, "--speed", "max")
    expect(again.stdout == file.read_bytes() and records_of(again.stdout) == whole, "a file is replayed as it was exported")
    refused = milepost("export", "--data-dir", data, "-O", file, code=1)
    expect(b"is there already" in refused.stderr, "a file that is there is not written over")
    shifted = records_of(milepost("replay", "--from-file", file, "--speed", "max", "--timestamps", "shifted").stdout)
    distance = {record["timestamp"] - first["timestamp"] for record, first in zip(shifted, whole)}
    expect(len(distance) == 1 and abs(shifted[0]["timestamp"] - time.time() * 1000) < 60_000,
           "shifted: all by as much, the first one is now")


def hostile_files(folder, whole):
    good = json.dumps(whole[0]) + "\n"
    for name, text, said in (("torn", good + good[:30], ":2: is no JSON (the last line is torn)"),
                             ("types", good * 2 + good.replace('"partition": 0', '"partition": "0"'),
                              ":3: partition is no whole number"),
                             ("deep", "[" * 1_000_000 + "\n", ":1: is no JSON")):
        file = folder / name
        file.write_text(text)
        done = milepost("replay", "--from-file", file, "--speed", "max", code=1)
        expect(done.stderr.decode() == f"milepost: {file}{said}\n", f"{name}: {file.name}{said}")
    file = folder / "long"
    with open(file, "wb") as sparse:
        sparse.truncate(1 << 30)
    done = milepost("replay", "--from-file", file, "--speed", "max", code=1)
    expect(done.stderr.decode() == f"milepost: {file}:1: is longer than 8388608 bytes\n", "a line of 1 GiB: one short error")


def archives(folder, data, whole):
    """The log's own batches in a file: what comes out of it is what comes out of the log."""
    archive, cut = folder / "hour.mpa", folder / "cut.mpa"
    milepost("export", "--data-dir", data, "--format", "archive", "-O", archive)
    text = milepost("export", "--data-dir", data).stdout
    expect(milepost("export", "--from-file", archive).stdout == text and
           milepost("replay", "--from-file", archive, "--speed", "max").stdout == text,
           f"log, archive, NDJSON is byte for byte log, NDJSON: {archive.stat().st_size} bytes instead of {len(text)}")
    middle = whole[len(whole) // 2]["timestamp"]
    for words in (("-k", "V7", "-k", "V8"), ("-p", 1), ("-o", "10..501"), ("--since", middle), ("--until", middle + 1),
                  ("-k", "V3", "-o", "7..", "--since", FIRST_MS + 1000), ("-k", "nobody")):
        expected = milepost("export", "--data-dir", data, *words).stdout
        milepost("export", "--data-dir", data, "--format", "archive", "-O", cut, *words)
        expect(milepost("export", "--from-file", cut).stdout == expected and
               milepost("export", "--from-file", archive, *words).stdout == expected,
               f"and with {' '.join(map(str, words))}, cut when it is written or when it is read: {expected.count(10)} records")
        cut.unlink()
    plans = [milepost("replay", *words, "--speed", "10x", "--dry-run", "--json").stdout
             for words in (("--data-dir", data), ("--from-file", archive))]
    expect(plans[0] == plans[1], "--dry-run says the same of both")
    hostile_archives(folder, archive.read_bytes())


def hostile_archives(folder, good):
    file = folder / "hostile.mpa"

    def refused(content, *said):
        file.write_bytes(content)
        done = milepost("replay", "--from-file", file, "--speed", "max", code=1)
        text = done.stderr.decode()
        return text.startswith(f"milepost: {file} at byte ") and text.count("\n") == 1 and any(word in text for word in said)

    cuts = [length for length in range(4, len(good)) if length < 200 or length % 997 == 0 or len(good) - length < 40]
    expect(all(refused(good[:length], "it ends in the middle") for length in cuts[::8]), "an archive that is cut anywhere says so")
    draw = random.Random(len(good))
    flips = [draw.randrange(4, len(good)) for _ in range(30)] + list(range(4, 60, 5)) + [len(good) - 1, len(good) - 10]

    def flipped(at):
        return good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1:]

    expect(all(refused(flipped(at), "damaged", "of version", "in the middle") for at in flips),
           f"so does one of which a bit is flipped, at {len(flips)} places")
    expect(refused(good + b"x", "something follows its end"), "or that goes on behind its end")
    frames = good[:-20]
    expect(refused(frames + frames[frames.index(b"MPAB"):] + good[-20:], "its end says"), "or has too many records")


def archive_kills(folder, size):
    """SIGKILL while an archive is written; the same command goes on behind what was synced."""
    draw = random.Random(size.seed)
    data = recording(folder, "telemetry", 1_000_000, HOUR_MS, "telemetry")
    out = folder / "killed.mpa"
    command = [checks.program("milepost"), "export", "--data-dir", data, "--format", "archive", "-O", out]
    state = folder / "killed.mpa.state"
    done = 0

    def length():
        return out.stat().st_size if out.exists() else 0

    def synced():
        try:
            return json.loads(state.read_text())["sink_bytes"]
        except FileNotFoundError:
            return 0

    while done < (size.kills if size.full else 3):
        before = max(synced(), ARCHIVE_HEAD_BYTES)
        more = before + draw.randrange(1 << 20, 8 << 20)
        process = subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL)
        while length() < more and process.poll() is None:
            time.sleep(0.0005)
        process.send_signal(signal.SIGSTOP)  # for longer than it waits between two syncs
        time.sleep(1.05)
        process.send_signal(signal.SIGCONT)
        while synced() <= before and process.poll() is None:
            time.sleep(0.0005)
        process.kill()
        process.wait()
        if synced() <= before:  # done: from the beginning
            out.unlink(missing_ok=True)
            state.unlink(missing_ok=True)
            continue
        done += 1
    expect(done > 0, f"an archive: killed {done} times, at last with {synced()} of {length()} bytes synced")
    milepost(*command[1:])
    expect(milepost("export", "--from-file", out).stdout == milepost("export", "--data-dir", data).stdout,
           "and every record is in it once, in order")


def in_time(folder, seconds, rate=500, speed=1):
    """What comes out when, against what was recorded when."""
    data = recording(folder, "minute", rate * seconds, 1000 * seconds)
    process = subprocess.Popen([checks.program("milepost"), "replay", "--data-dir", data, "--speed", f"{speed}x"],
                               stdout=subprocess.PIPE)
    try:
        came = [(time.monotonic(), line) for line in process.stdout]
    finally:
        processes.stop(process, grace_s=5)
    moments, lines = zip(*came)
    replayed, recorded = records_of(b"".join(lines)), records_of(milepost("export", "--data-dir", data).stdout)
    expect(len(replayed) == rate * seconds and replayed == recorded, f"{len(replayed)} records at {speed}x are those recorded")
    expect(all(numbers == sorted(numbers) for numbers in by_vehicle(replayed).values()),
           f"and in the order of each of {len(by_vehicle(replayed))} vehicles")
    first = recorded[0]["timestamp"]
    errors = sorted(abs(at - moments[0] - (record["timestamp"] - first) / 1000 / speed) * 1000
                    for at, record in zip(moments, replayed))
    say(f"timing error p50 {errors[len(errors) // 2]:.2f} ms, p99 {errors[len(errors) * 99 // 100]:.2f} ms, "
        f"worst {errors[-1]:.2f} ms")
    took = moments[-1] - moments[0]
    expect(abs(took - seconds / speed) < 1, f"{seconds} recorded seconds took {took:.2f} s")
    return errors


def kills(folder, size):
    """SIGKILL while a file is written; the same command goes on."""
    draw = random.Random(size.seed)
    data = recording(folder, "large", 400_000, HOUR_MS, 100)
    expected = milepost("export", "--data-dir", data).stdout
    for source in ("log", "file"):
        words = ["--data-dir", data]
        if source == "file":
            milepost("export", "--data-dir", data, "-O", folder / "large.ndjson")
            words = ["--from-file", folder / "large.ndjson"]
        out = folder / f"killed-{source}"
        speed = f"{20_000 if size.full else 40_000}/s"  # not done before the last kill
        command = [checks.program("milepost"), "replay", *words, "--to", out, "--speed", speed]
        done = 0
        for _ in range(size.kills):
            process = subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL)
            time.sleep(draw.uniform(0.2, 1.6))
            process.kill()
            done += process.wait() == -9
        expect(done == size.kills, f"from a {source}: killed {done} times, {out.stat().st_size} bytes written")
        milepost(*command[1:-1], "max")
        expect(out.read_bytes() == expected, f"from a {source}: every record is in the file once, in order")


def from_a_gateway(folder):
    with gateway_module.Gateway(folder / "gw") as gateway:
        gateway.start()
        with mqtt.Client(gateway.mqtt_port, "V1") as client:
            for payload in (b"one", b"\xff\x00", b""):
                client.publish("vehicles/V1/telemetry", payload)
        got = records_of(milepost("export", "--url", gateway.url).stdout)
        expect([record.get("value", record.get("value_base64")) for record in got] == ["one", "/wA=", ""],
               "export asks a running gateway; what is no UTF-8 is base64")
        status = gateway.status()
        expect(got[0]["headers"][-1]["value"].startswith(f"{status['gateway_id']}/{status['log_id']}/"),
               "mp.id is the gateway's own")


def main():
    size = arguments()
    say(f"--seed {size.seed} --kills {size.kills}")
    with checks.scratch() as folder:
        os.chdir(folder)
        if size.hour:
            errors = in_time(folder, 3600, rate=VEHICLES, speed=10)
            expect(errors[len(errors) * 99 // 100] <= TIMING_LIMIT_MS, f"p99 at most {TIMING_LIMIT_MS} ms")
            return
        data = recording(folder, "hour", 7200, HOUR_MS)
        whole = selections(data)
        plan(data, len(whole))
        through_a_file(folder, data, whole)
        hostile_files(folder, whole)
        archives(folder, data, whole)
        in_time(folder, size.seconds)
        kills(folder, size)
        archive_kills(folder, size)
        from_a_gateway(folder)


if __name__ == "__main__":
    checks.run(main)
