#!/usr/bin/env python3
"""Makes the golden segments that need a topic of its own kind: transactions, compaction, LogAppendTime, null keys.

tests/golden/make_special.py, about a minute with a real broker; needs kcat and the jars.
"""

import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "kafka"))
# pylint: disable=wrong-import-position
import processes  # noqa: E402
import testbed  # noqa: E402
import tools  # noqa: E402

SEGMENT = "00000000000000000000"
COMPACTED_WITHIN_S = 120
MARKER_BYTES = 78  # of the commit before, which comes late
ABORTED = 8000


def topic(kafka, name, *configs):
    command = tools._tool("TopicCommand") + ["--bootstrap-server", kafka.bootstrap, "--create", "--topic", name,
                                             "--partitions", "1"]
    for config in configs:
        command += ["--config", config]
    subprocess.run(command, check=True, capture_output=True)


def produce(kafka, name, lines, *options):
    command = ["kcat", "-P", "-b", kafka.bootstrap, "-t", name, "-p", "0", *options]
    subprocess.run(command, input="".join(line + "\n" for line in lines).encode(), check=True, timeout=60)


def abort(kafka, name, lines, transaction):
    """A producer that is killed in its transaction: the next one with its id aborts what it sent.

    kcat sends nothing before a block of its input is full.
    """
    command = ["kcat", "-P", "-b", kafka.bootstrap, "-t", name, "-p", "0", "-K", "|",
               "-z", "gzip", "-X", f"transactional.id={transaction}", "-X", "linger.ms=5"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as producer:
        log = kafka.data / f"{name}-0" / f"{SEGMENT}.log"
        before = log.stat().st_size
        producer.stdin.write("".join(line + "\n" for line in lines).encode())
        producer.stdin.flush()
        processes.wait_until(lambda: log.stat().st_size > before + MARKER_BYTES, within_s=30, what="the records are there")
        producer.kill()


def transactions(kafka):
    name = "golden.transactions"
    topic(kafka, name)
    keyed = ["-K", "|", "-X", "transactional.id=gw1"]
    produce(kafka, name, [f"V1|committed {i}" for i in range(5)], *keyed)
    abort(kafka, name, [f"V1|aborted {i}" for i in range(ABORTED)], "gw1")
    produce(kafka, name, [f"V1|committed {i}" for i in range(5, 8)], *keyed)


def append_time(kafka):
    name = "golden.append_time"
    topic(kafka, name, "message.timestamp.type=LogAppendTime")
    produce(kafka, name, [f"without a key {i}" for i in range(4)], "-z", "lz4")
    time.sleep(0.05)
    produce(kafka, name, [f"later {i}" for i in range(4, 6)])


def compacted(kafka):
    name = "golden.compacted"
    topic(kafka, name, "cleanup.policy=compact", "segment.ms=2000", "min.cleanable.dirty.ratio=0.01",
          "min.compaction.lag.ms=0")
    produce(kafka, name, [f"V{i if i % 3 == 1 else 0}|{i}" for i in range(40)], "-K", "|", "-X", "batch.num.messages=8",
            "-X", "linger.ms=1000", "-z", "zstd")
    time.sleep(2.5)
    produce(kafka, name, ["V9|rolls the segment"], "-K", "|")
    log = kafka.data / f"{name}-0" / f"{SEGMENT}.log"
    before = log.stat().st_size
    processes.wait_until(lambda: log.stat().st_size < before, within_s=COMPACTED_WITHIN_S, what="it is compacted")


def main():
    testbed.require_kafka()
    processes.raise_on_signals()
    with testbed.Broker() as kafka:
        names = []
        for make in (transactions, append_time, compacted):
            make(kafka)
            names.append(f"golden.{make.__name__}-0")
        kafka.stop()
        for name in names:
            shutil.rmtree(HERE / name, ignore_errors=True)
            (HERE / name).mkdir()
            for suffix in ("log", "index", "timeindex"):
                shutil.copy(kafka.data / name / f"{SEGMENT}.{suffix}", HERE / name)


if __name__ == "__main__":
    main()
