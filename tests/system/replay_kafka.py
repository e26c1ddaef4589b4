#!/usr/bin/env python3
"""milepost replay to a real Kafka: SIGKILLs at any moment, and a read_committed consumer sees each record once, in order.

    python3 tests/system/replay_kafka.py            small
    python3 tests/system/replay_kafka.py --full     20 kills
"""

import argparse
import random
import subprocess
import time

from support import checks
from support.checks import expect, say
import testbed

RECORDS = 100_000


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--full", action="store_true")
    chosen = parser.parse_args()
    if chosen.full:
        chosen.kills = 20
    return chosen


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
                done = 0
                for _ in range(size.kills):
                    process = subprocess.Popen([*command, f"{RECORDS // (2 * size.kills)}/s"], stderr=log)
                    time.sleep(draw.uniform(0.5, 3))
                    process.kill()
                    done += process.wait() == -9
                expect(done == size.kills, f"killed {done} times")
                last = subprocess.run([*command, "max"], stderr=log, timeout=120, check=False)
            said = (folder / "log").read_text()
            expect(last.returncode == 0, f"the last run ends with exit 0 {said[-300:]}")
            say(said.strip().splitlines()[-1])
            again = subprocess.run([*command, "max"], stderr=subprocess.PIPE, timeout=60, check=False)
            expect(again.returncode == 0 and b"done already" in again.stderr, "what is done is not sent again")
            records = testbed.consume(kafka.bootstrap, "vehicle.telemetry")
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
    finally:
        kafka.close()


if __name__ == "__main__":
    checks.run(main)
