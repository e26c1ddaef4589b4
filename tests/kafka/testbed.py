#!/usr/bin/env python3
"""A real Apache Kafka for tests and for the demo: one KRaft broker on free loopback ports.

    python3 tests/kafka/testbed.py start --dir D     starts a broker that keeps running; prints its host:port
    python3 tests/kafka/testbed.py stop --dir D      SIGTERM; `kill` is SIGKILL; `start` brings it back, data kept
    python3 tests/kafka/testbed.py topic --dir D NAME [PARTITIONS]
    python3 tests/kafka/testbed.py consume --dir D TOPIC     one JSON object a record, read by Kafka's own consumer
    python3 tests/kafka/testbed.py judge FILE...     DumpLogSegments over .log, .index and .timeindex files
    python3 tests/kafka/testbed.py jars              fetches and verifies the jars
    python3 tests/kafka/testbed.py --kafka 3.9 …     the same with the release before Kafka 4

Python programs import this module: Broker, Cluster, consume, judge, hand_over, jars, wire, processes.
Exit 77: there is no Apache Kafka to be had here (a failure, exit 1, with MILEPOST_REQUIRE_KAFKA=1).
"""

import argparse
import json
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
# pylint: disable=wrong-import-position
import broker as broker_module  # noqa: E402
import jars  # noqa: E402
import processes  # noqa: E402
import wire  # noqa: E402
from broker import Broker  # noqa: E402
from cluster import Cluster  # noqa: E402,F401
from hand_over import hand_over  # noqa: E402,F401
from tools import consume, dump, judge  # noqa: E402,F401

EXIT_SKIPPED = 77  # ctest's SKIP_RETURN_CODE


def require_kafka():
    """Ends the program as skipped when there are no jars; as failed when they are required."""
    try:
        jars.library()
    except jars.KafkaUnavailable as why:
        required = os.environ.get("MILEPOST_REQUIRE_KAFKA") == "1"
        print(f"{'FAILED' if required else 'skipped'}: no Apache Kafka ({why})", flush=True)
        sys.exit(1 if required else EXIT_SKIPPED)


def _noted_address(folder):
    return f"127.0.0.1:{json.loads((folder / 'testbed.json').read_text())['port']}"


def _start(arguments):
    if broker_module.running_in(arguments.dir):
        print(_noted_address(arguments.dir))
        return 0
    kafka = Broker(arguments.dir, outlive=True)
    try:
        kafka.prepare()
        kafka.start()
    except BaseException:
        kafka.close()
        raise
    print(kafka.bootstrap)
    return 0


def _stop(arguments):
    return 0 if broker_module.stop_in(arguments.dir) else 1


def _kill(arguments):
    return 0 if broker_module.stop_in(arguments.dir, first=signal.SIGKILL) else 1


def _topic(arguments):
    wire.create_topic(_noted_address(arguments.dir), arguments.name, arguments.partitions)
    return 0


def _consume(arguments):
    records = consume(_noted_address(arguments.dir), arguments.topic, isolation=arguments.isolation_level)
    for record in records:
        print(json.dumps(record._asdict(), ensure_ascii=False))
    return 0


def _judge(arguments):
    judgement = judge(arguments.files)
    for problem in judgement.problems:
        print(problem)
    print(f"records {judgement.records}, problems {len(judgement.problems)}")
    return 1 if judgement.problems else 0


def _jars(_arguments):
    print(jars.library())
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka", choices=jars.RELEASES, default="4.3", help="release of Apache Kafka (4.3)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, function, folder=True):
        made = commands.add_parser(name)
        made.set_defaults(function=function)
        if folder:
            made.add_argument("--dir", required=True, type=lambda text: pathlib.Path(text).resolve())
        return made

    command("start", _start)
    command("stop", _stop)
    command("kill", _kill)
    topic = command("topic", _topic)
    topic.add_argument("name")
    topic.add_argument("partitions", nargs="?", type=int, default=4)
    reading = command("consume", _consume)
    reading.add_argument("topic")
    reading.add_argument("--isolation-level", default="read_committed",
                         choices=["read_committed", "read_uncommitted"])
    command("judge", _judge, folder=False).add_argument("files", nargs="+", type=pathlib.Path)
    command("jars", _jars, folder=False)
    arguments = parser.parse_args()
    processes.raise_on_signals()
    jars.use(arguments.kafka)
    require_kafka()
    return arguments.function(arguments)


if __name__ == "__main__":
    sys.exit(main())
