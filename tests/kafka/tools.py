"""Apache Kafka's own tools as witnesses: the console consumer and DumpLogSegments."""

import collections
import re
import subprocess

import jars
import wire

TOOL_LIMIT_S = 300
# Without one more record so long the console consumer ends: sooner where who asks knows how many there are at least, and has
# it read again if there are fewer.
IDLE_MS, IDLE_COUNTED_MS, IDLE_MOST_MS = 5000, 2000, 45_000
FIELD, RECORD, HEADER, NULL = "\x1f", "\x1e", "\x1d", "\x1c"  # separators that no payload of ours contains

# One record as Kafka's console consumer printed it. `headers` are "name:value" strings; key and value are text,
# None where Kafka has null.
Consumed = collections.namedtuple("Consumed", "topic partition offset timestamp headers key value")


class ToolError(Exception):
    pass


def _run(command, allowed=(0,)):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                          timeout=TOOL_LIMIT_S)
    if done.returncode not in allowed:
        raise ToolError(f"{command[-1]}: exit {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return done


def _tool(name, heap_mib=256):
    old = name == "DumpLogSegments" and not jars.release().version.startswith("4")
    return jars.java_command(heap_mib, "tools") + [f"{'' if old else 'org.apache.'}kafka.tools.{name}"]


def consume(bootstrap, topic, *, isolation="read_committed", count=0):
    """Every record of `topic` from the beginning, by the console consumer, in the order it printed them.

    Ends when it has as many as the offsets promise, or after a while without one (control records and
    aborted ones have offsets but are never printed). On a busy machine that is over before it has begun: whoever
    knows that there are `count` records at least has them read again, more patiently, while there are fewer.
    """
    idle_ms = IDLE_COUNTED_MS if count else IDLE_MS
    records = _printed(bootstrap, topic, isolation, idle_ms)
    while len(records) < count and idle_ms < IDLE_MOST_MS:
        idle_ms *= 3
        records = _printed(bootstrap, topic, isolation, idle_ms)
    return records


def _printed(bootstrap, topic, isolation, idle_ms):
    begin, end = wire.offsets(bootstrap, topic, wire.EARLIEST), wire.offsets(bootstrap, topic)
    expected = sum(end[number] - begin[number] for number in end)
    if expected == 0:
        return []
    shown = ["print.key=true", "print.partition=true", "print.offset=true", "print.headers=true",
             "print.timestamp=true", "print.value=true", f"null.literal={NULL}", f"key.separator={FIELD}",
             f"line.separator={RECORD}", f"headers.separator={HEADER}"]
    command = _tool("consumer.ConsoleConsumer", 512) + [
        "--bootstrap-server", bootstrap, "--topic", topic, "--from-beginning", "--isolation-level", isolation,
        "--timeout-ms", str(idle_ms), "--max-messages", str(expected)]
    for each in shown:
        command += ["--formatter-property" if jars.release().version.startswith("4") else "--property", each]
    text = _run(command, allowed=(0, 1)).stdout.decode("utf-8", "replace")
    return [_parse_consumed(topic, line) for line in text.split(RECORD)[:-1]]


def _parse_consumed(topic, line):
    # Shape of Kafka 4.3: CreateTime:N, Partition:N, Offset:N, headers, key, value.
    time, partition, offset, headers, key, value = line.split(FIELD, 5)
    return Consumed(
        topic, int(partition.removeprefix("Partition:")), int(offset.removeprefix("Offset:")),
        int(time.rsplit(":", 1)[1]), [] if headers == "NO_HEADERS" else headers.split(HEADER),
        None if key == NULL else key, None if value == NULL else value)


# What DumpLogSegments prints about damage. Its exit code is 0 for most of it.
COMPLAINTS = ("isvalid: false", "invalid bytes", "Mismatches", "mismatch", "not found",
              "out of order", "Exception", "Could not")
BATCH = re.compile(r"^baseOffset: (-?\d+) lastOffset: (-?\d+) count: (-?\d+) .*partitionLeaderEpoch: (-?\d+) "
                   r".*magic: (\d+) compresscodec: (\S+)")
OFFSET = re.compile(r"^\| offset: (\d+) ")
GAP_IN = re.compile(r"^Non-consecutive offsets in (\S+)")
GAP = re.compile(r"^\s+(-?\d+) is followed by (-?\d+)")

# What was read of one segment; `problems` is empty when it is sound.
Judgement = collections.namedtuple("Judgement", "records codecs problems")


def dump(files, *options):
    """The text of DumpLogSegments, stdout and stderr together, and its exit code."""
    command = _tool("DumpLogSegments", 512) + ["--files", ",".join(str(file) for file in files), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                          timeout=TOOL_LIMIT_S)
    return done.stdout.decode("utf-8", "replace"), done.returncode


def gaps(text):
    """What DumpLogSegments calls non-consecutive, as problems.

    4.3 compares the first record of a segment with -1, so that it complains of every segment that does not begin
    at 0: `-1 is followed by <base offset>` is its own false alarm.
    """
    problems, file = [], None
    for line in text.splitlines():
        if named := GAP_IN.match(line):
            file = named[1]
        elif file is not None and (gap := GAP.match(line)):
            first = int(gap[1]) == -1 and file.endswith(f"/{int(gap[2]):020}.log")
            problems += [] if first else [f"Non-consecutive offsets in {file}: {line.strip()}"]
        else:
            file = None
    return problems


def judge(files):
    """Judges segments and indexes (.log, .index, .timeindex). The .log of an index lies beside it.

    DumpLogSegments' own complaints, and besides them what it does not check: that offsets rise by one from
    the file's name on, within and across batches, and that every batch has magic 2 and a leader epoch >= 0.
    """
    text, code = dump(files, "--deep-iteration")
    problems = [line for line in text.splitlines() if any(each in line for each in COMPLAINTS)] + gaps(text)
    if code != 0:
        problems.append(f"DumpLogSegments: exit {code}")
    records, codecs, expected, current = 0, collections.Counter(), None, ""
    for line in text.splitlines():
        if line.startswith("Dumping "):
            current = line.removeprefix("Dumping ")
            name = current.rsplit("/", 1)[-1]
            expected = int(name[:-len(".log")]) if name.endswith(".log") else None
        elif expected is not None and (batch := BATCH.match(line)):
            base, last, count, epoch, magic = (int(each) for each in batch.groups()[:5])
            codecs[batch[6]] += 1
            if base != expected or last - base + 1 != count:
                problems.append(f"{current}: batch {base}..{last} of {count}, expected to begin at {expected}")
            if magic != 2 or epoch < 0:
                problems.append(f"{current}: batch {base}: magic {magic}, leader epoch {epoch}")
        elif expected is not None and (record := OFFSET.match(line)):
            if int(record[1]) != expected:
                problems.append(f"{current}: record {record[1]}, expected {expected}")
            expected, records = int(record[1]) + 1, records + 1
    unseen = [file for file in files if f"Dumping {file}" not in text]
    problems += [f"{file}: not dumped" for file in unseen]
    return Judgement(records, codecs, problems)
