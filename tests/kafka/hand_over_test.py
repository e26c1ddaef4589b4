#!/usr/bin/env python3
"""A real broker serves segments of ours: several of a partition, a log that does not begin at 0, a torn tail.

hand_over_test.py MAKE_LOG, the program that writes them. Everything is read back with Kafka's console consumer,
and judged, indexes too, by DumpLogSegments.
"""

import pathlib
import subprocess
import sys
import tempfile

import testbed

SEGMENTS, BATCHES, RECORDS = 5, 12, 20  # as make_log.cpp: of a partition, a segment, a batch
SEGMENT_RECORDS = BATCHES * RECORDS
TORN_BYTES = 40
FIRST_TIMESTAMP = 1795393770000


def expect(fact, what):
    print(f"{'ok' if fact else 'FAILED'}: {what}", flush=True)
    if not fact:
        sys.exit(1)


def as_written(record):
    number = record.offset
    return (record.key == f"V{number % 3}" and record.value == f"reading {number}"
            and record.headers == ["mqtt.topic:vehicles/x/telemetry"]
            and record.timestamp == FIRST_TIMESTAMP + number)


def expect_served(kafka, topic, wanted, what):
    """`wanted`: {partition: (first offset, end)}."""
    served = testbed.consume(kafka.bootstrap, topic)
    for partition, (first, end) in wanted.items():
        mine = [record for record in served if record.partition == partition]
        expect([record.offset for record in mine] == list(range(first, end)),
               f"{what}: partition {partition} is served from {first} to {end}")
        expect(all(map(as_written, mine)), f"{what}: keys, values, headers and timestamps are as written")


def produce_behind(kafka, topic, end):
    subprocess.run(["kcat", "-P", "-b", kafka.bootstrap, "-t", topic, "-p", "0"], input=b"behind\n", check=True,
                   timeout=60)
    offsets = testbed.wire.offsets(kafka.bootstrap, topic)
    expect(offsets[0] == end + 1, f"the broker appends behind ours, at {end}")


def main():
    testbed.require_kafka()
    testbed.processes.raise_on_signals()
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([sys.argv[1], scratch], check=True)
        folders = [pathlib.Path(scratch) / f"ours-{partition}" for partition in range(2)]
        logs = [sorted(folder.glob("*.log")) for folder in folders]
        expect(all(len(each) == SEGMENTS for each in logs), f"{SEGMENTS} segments of each partition")
        everything = sorted(path for folder in folders for path in folder.iterdir())
        judged = testbed.judge(everything)
        expect(not judged.problems, f"DumpLogSegments finds nothing wrong {judged.problems}")
        expect(judged.records == 2 * SEGMENTS * SEGMENT_RECORDS, "and reads every record")
        expect(set(judged.codecs) == {"none", "lz4", "zstd"}, "in the three codecs that we write")
        serve(logs, pathlib.Path(scratch))


def serve(logs, scratch):
    end = SEGMENTS * SEGMENT_RECORDS
    start = 2 * SEGMENT_RECORDS
    with testbed.Broker() as kafka:
        testbed.hand_over(kafka, "whole", {0: logs[0], 1: logs[1]})
        expect_served(kafka, "whole", {0: (0, end), 1: (0, end)}, "several segments")
        produce_behind(kafka, "whole", end)

        testbed.hand_over(kafka, "later", {0: logs[0][2:], 1: logs[1]})
        expect_served(kafka, "later", {0: (start, end), 1: (0, end)}, "a log that does not begin at 0")

        torn = scratch / logs[0][-1].name
        torn.write_bytes(logs[0][-1].read_bytes()[:-TORN_BYTES])
        judged = testbed.judge([torn])
        expect(len(judged.problems) == 1 and "invalid bytes" in judged.problems[0],
               f"DumpLogSegments sees the torn tail and nothing else {judged.problems}")
        testbed.hand_over(kafka, "torn", {0: [*logs[0][2:-1], torn]}, was_clean=False)
        expect_served(kafka, "torn", {0: (start, end - RECORDS)}, "a torn tail")
        produce_behind(kafka, "torn", end - RECORDS)


if __name__ == "__main__":
    main()
