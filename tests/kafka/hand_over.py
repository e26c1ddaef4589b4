"""Hands segments that somebody else wrote to a real broker, which then serves them as its own."""

import re
import shutil

CHECKPOINTS = ("recovery-point-offset-checkpoint", "log-start-offset-checkpoint",
               "replication-offset-checkpoint")


def hand_over(broker, topic, segments, *, was_clean=True):
    """`segments`: {partition: [.log files]}, every partition from 0 on. The broker runs before and after.

    The topic is made, the broker stopped, its empty log replaced, and what it noted about that log forgotten:
    it then rebuilds the indexes from the files. `was_clean` false: it is told that it was killed, and looks for a
    torn tail.
    """
    broker.create_topic(topic, max(segments) + 1)
    broker.stop()
    for partition, files in segments.items():
        folder = broker.data / f"{topic}-{partition}"
        for path in folder.iterdir():
            if path.name != "partition.metadata":
                path.unlink()
        for file in files:
            shutil.copy(file, folder)
    for name in CHECKPOINTS:
        _forget(broker.data / name, topic)
    if not was_clean:
        (broker.data / ".kafka_cleanshutdown").unlink()
    broker.start()
    broker.wait_led(topic)


def _forget(checkpoint, topic):
    """Line 1 of a checkpoint file is its version, line 2 the number of entries "topic partition offset"."""
    version, _count, *entries = checkpoint.read_text().splitlines()
    kept = [entry for entry in entries if not re.fullmatch(re.escape(topic) + r" \d+ \d+", entry)]
    checkpoint.write_text("\n".join([version, str(len(kept)), *kept]) + "\n")
