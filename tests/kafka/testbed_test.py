#!/usr/bin/env python3
"""The testbed proves itself: a broker comes back from stop and kill with its records; the judge sees planted damage."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

import testbed
import tools

TOPIC = "vehicle.telemetry"
RECORDS = 1000
BASE_OFFSET_LOW_BYTE, MAGIC_BYTE, PAYLOAD_BYTE = 7, 16, 200


def expect(fact, what):
    print(f"{'ok' if fact else 'FAILED'}: {what}", flush=True)
    if not fact:
        sys.exit(1)


def produce(kafka):
    lines = "".join(f"V{number % 7:04}|reading {number} °C\n" for number in range(RECORDS))
    subprocess.run(["kcat", "-P", "-b", kafka.bootstrap, "-t", TOPIC, "-p", "0", "-K", "|", "-H", "content-type=text"],
                   input=lines.encode(), check=True, timeout=60)


def damaged(segment, at):
    copy = segment.parent / f"damaged-{at}" / segment.name
    copy.parent.mkdir()
    content = bytearray(segment.read_bytes())
    content[at] ^= 0x40
    copy.write_bytes(content)
    return copy


def judge_sees_damage(segment):
    for name, at in [("wrong base offset", BASE_OFFSET_LOW_BYTE), ("wrong magic", MAGIC_BYTE),
                     ("flipped payload bit", PAYLOAD_BYTE)]:
        expect(testbed.judge([damaged(segment, at)]).problems, f"the judge reports a {name}")
    torn = segment.parent / "torn" / segment.name
    torn.parent.mkdir()
    torn.write_bytes(segment.read_bytes()[:-50])
    expect(testbed.judge([torn]).problems, "the judge reports a torn tail")


def judge_reads_gaps():
    """The false alarm about a segment that does not begin at 0 is none; a real gap in it is one."""
    said = ("Dumping /d/t-0/00000000000000000120.log\n"
            "Non-consecutive offsets in /d/t-0/00000000000000000120.log\n  -1 is followed by 120\n")
    expect(not tools.gaps(said), "a segment may begin above 0")
    expect(len(tools.gaps(said + "  130 is followed by 132\n")) == 1, "and a gap inside it is reported")
    expect(len(tools.gaps(said.replace("by 120", "by 121"))) == 1, "and so is a first record that is not the file's")


def main():
    judge_reads_gaps()
    testbed.require_kafka()
    testbed.processes.raise_on_signals()
    with testbed.Broker() as kafka, tempfile.TemporaryDirectory() as scratch:
        kafka.create_topic(TOPIC, 2)
        produce(kafka)
        first = testbed.consume(kafka.bootstrap, TOPIC)
        expect(len(first) == RECORDS, f"the console consumer prints {RECORDS} records")
        expect([record.offset for record in first] == list(range(RECORDS)), "offsets rise by one")
        expect(first[8].key == "V0001" and first[8].value == "reading 8 °C", "key and value as produced")
        expect(first[0].headers == ["content-type:text"], "headers as produced")
        kafka.kill()
        kafka.start()
        expect(testbed.consume(kafka.bootstrap, TOPIC, isolation="read_uncommitted") == first,
               "after kill -9 and a restart the same records")
        kafka.stop()
        folder = kafka.data / f"{TOPIC}-0"
        sound = testbed.judge([path for path in folder.iterdir() if path.suffix in (".log", ".index", ".timeindex")])
        expect(not sound.problems and sound.records == RECORDS, "the judge finds a broker's own files sound")
        segment = pathlib.Path(scratch) / "00000000000000000000.log"
        shutil.copy(folder / segment.name, segment)
        judge_sees_damage(segment)
        kafka.start()
        testbed.hand_over(kafka, "handed.over", {0: [segment]})
        again = testbed.consume(kafka.bootstrap, "handed.over")
        expect([record[1:] for record in again] == [record[1:] for record in first],
               "a broker that is handed the segment serves it")
    expect(not kafka.folder.exists(), "nothing is left behind")


if __name__ == "__main__":
    main()
