#!/usr/bin/env python3
"""milepost replay at full speed out of a large log of a stopped gateway, beside what each destination gives without it, in
turn, in the same run; only the ratios count.

    tests/bench/run.sh --replay                             10,000,000 records (over MQTT a tenth), about ten minutes
    tests/bench/run.sh --replay --records 1000000 --only file,mqtt

An archive is `export --format archive`, whole batches as they are. The reader alone is `replay --dry-run`: it reads, decodes and merges every record and writes nothing. Beside Kafka stands
librdkafka alone, an idempotent producer with the same values from memory; beside MQTT Eclipse Paho alone, with the same window
to the same gateway. Needs a folder with 700 bytes a record free.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "kafka"))
sys.path.insert(0, str(ROOT / "tests" / "system"))
# pylint: disable=wrong-import-position
from support import checks, gateway as gateway_module  # noqa: E402
from upstream import TOPIC, PARTITIONS, VALUES  # noqa: E402
import testbed  # noqa: E402

GOAL = 0.8
WINDOW = 256
MQTT_PART = 10  # of the records
LIMIT_S = 900


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, type=pathlib.Path)
    parser.add_argument("--folder", default=None, help="on the disk that is measured; a temporary one")
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--mqtt-records", type=int, default=None, help="default: a tenth")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default="file,kafka,mqtt", help="parts, with commas")
    chosen = parser.parse_args()
    chosen.mqtt_records = chosen.mqtt_records or max(1, chosen.records // MQTT_PART)
    chosen.bin, chosen.only = chosen.bin.resolve(), chosen.only.split(",")
    return chosen


class Bench:
    def __init__(self, size, folder):
        self.size, self.folder = size, folder
        self.log, self.values = folder / "log", folder / "values"
        self.peaks = {}

    def make_log(self):
        subprocess.run([self.size.bin / "make_recording", self.log, str(self.size.records), "3600000", "telemetry"],
                       check=True)
        with open(self.values, "wb") as out:
            subprocess.run([self.size.bin / "milepost", "consume", "--data-dir", self.log, "-t", TOPIC, "-o", "beginning",
                            "-e", "-c", str(min(VALUES, self.size.records)), "-f", "%s\\n"], stdout=out, check=True)

    def replay(self, name, *words, verb=("replay", "--speed", "max")):
        """Seconds for it; notes its peak of resident memory."""
        command = [self.size.bin / "milepost", verb[0], "--data-dir", self.log, *verb[1:], *words]
        began = time.monotonic()
        # `time` sees the child's own peak: a fork of this program would begin with ours.
        done = subprocess.run(["/usr/bin/env", "python3", "-c", PEAK, *map(str, command)], capture_output=True, text=True,
                              timeout=LIMIT_S, check=False)
        took = time.monotonic() - began
        if done.returncode != 0:
            sys.exit(f"replay {name}: exit {done.returncode} {done.stderr[-500:]}")
        self.peaks[name] = max(self.peaks.get(name, 0), int(done.stderr.split()[-1]) / 1024)
        return took

    def reader(self, **_):
        return self.replay("the reader alone", "--dry-run")

    def file(self, **_):
        out = self.folder / "out.ndjson"
        took = self.replay("to a file", "--to", out)
        self.file_bytes = out.stat().st_size
        out.unlink()
        return took

    def archive(self, **_):
        out = self.folder / "out.mpa"
        took = self.replay("to an archive", "-O", out, verb=("export", "--format", "archive"))
        self.archive_bytes = out.stat().st_size
        out.unlink()
        return took

    def copied(self, **_):
        """As many bytes as the file's, from memory, with one sync at their end: what the disk takes."""
        out = self.folder / "copied"
        began = time.monotonic()
        subprocess.run(["dd", "if=/dev/zero", f"of={out}", "bs=1M", f"count={self.file_bytes // (1 << 20)}", "conv=fsync"],
                       check=True, capture_output=True)
        took = time.monotonic() - began
        out.unlink()
        return took


# Runs a command and says its peak on stderr, in KiB.
PEAK = ("import resource, subprocess, sys; code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode; "
        "print('', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); sys.exit(code)")


def file_part(bench, records):
    rounds = [(bench.reader(), bench.archive(), bench.file(), bench.copied()) for _ in range(bench.size.rounds)]
    reader, archive, file, copied = (statistics.median(column) for column in zip(*rounds))
    row("the reader alone", records, reader)
    row(f"to an archive ({bench.archive_bytes / 1e9:.2f} GB)", records, archive, reader, GOAL)
    row(f"bytes of the file ({bench.file_bytes / 1e9:.2f} GB) written from memory", records, copied, reader)
    row("to a file (NDJSON)", records, file, reader, GOAL)


def kafka_part(bench, records):
    with testbed.Broker() as kafka:
        kafka.create_topic(TOPIC, PARTITIONS)
        kafka.create_topic("bare", PARTITIONS)
        to_kafka = ("to Kafka", "--to", f"kafka://{kafka.bootstrap}")
        # The broker is warm then, and has made the topics that it keeps transactions and positions in: 1.5 s, once.
        bare(bench, kafka, max(1, records // 10))
        bench.replay(*to_kafka, "--until", FIRST_MS + 1000)
        rounds = [(bare(bench, kafka, records), bench.replay(*to_kafka)) for _ in range(bench.size.rounds)]
    alone, ours = (statistics.median(column) for column in zip(*rounds))
    row("librdkafka alone, lz4", records, alone)
    row("to Kafka, lz4, exactly once", records, ours, alone, GOAL)


def bare(bench, kafka, records):
    done = subprocess.run([bench.size.bin / "bare_producer", kafka.bootstrap, "bare", str(PARTITIONS), str(records), "lz4",
                           bench.values], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S,
                          check=True)
    return json.loads(done.stdout)["seconds"]


def mqtt_part(bench):
    records = bench.size.mqtt_records
    with gateway_module.Gateway(bench.folder / "gateway", extra="[time]\nrequire_sync = false\n") as gateway:
        gateway.start()
        rounds = [(paho(bench, gateway, records), bench.replay(
            "to MQTT", "--to", f"mqtt://127.0.0.1:{gateway.mqtt_port}", "-q", "1", "--window", WINDOW, "--until",
            FIRST_MS + 3_600_000 * records // bench.size.records)) for _ in range(bench.size.rounds)]
        logged = gateway.status()["totals"]
        gateway.terminate()
    expected = 2 * records * bench.size.rounds
    if logged["accepted"] < expected:
        sys.exit(f"replay: the gateway has {logged}, {expected} were sent")
    alone, ours = (statistics.median(column) for column in zip(*rounds))
    row(f"Paho alone, QoS 1, window {WINDOW}", records, alone)
    row(f"to MQTT, QoS 1, window {WINDOW}", records, ours, alone, GOAL)


FIRST_MS = 1_795_393_770_000


def paho(bench, gateway, records):
    done = subprocess.run([bench.size.bin / "bare_publisher", str(gateway.mqtt_port), str(records), str(WINDOW),
                           bench.values], capture_output=True, text=True, timeout=LIMIT_S, check=True)
    return json.loads(done.stdout)["seconds"]


def row(what, records, seconds, beside=None, goal=None):
    ratio = "" if beside is None else f"{beside / seconds:.2f}"
    reached = "" if goal is None else f"(goal {goal}{'' if beside / seconds >= goal else ', MISSED'})"
    print(f"{what:<58} {records:>10,} {records / seconds:>10,.0f}/s {ratio:>5} {reached}", flush=True)


def main():
    size = arguments()
    if "kafka" in size.only:
        testbed.require_kafka()
    with tempfile.TemporaryDirectory(prefix="milepost-bench-", dir=size.folder) as folder:
        bench = Bench(size, pathlib.Path(folder))
        bench.make_log()
        if "file" in size.only:
            file_part(bench, size.records)
        if "kafka" in size.only:
            kafka_part(bench, size.records)
        if "mqtt" in size.only:
            mqtt_part(bench)
        print("resident peak, MiB: " + ", ".join(f"{name} {peak:.0f}" for name, peak in bench.peaks.items()))


if __name__ == "__main__":
    checks.run(main)
