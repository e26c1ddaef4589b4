"""Two judges of what came through: `milepost reconcile`, and Kafka's own consumer against the fleet's ledgers."""

import collections
import concurrent.futures
import json

from . import account, ledger
from .checks import expect, say
import testbed

WRONG = ("lost", "duplicated_upstream", "out_of_order", "unexplained")


def figures(gateway, ledgers, *, settle_s=60, allowed=(0,)):
    """Those of `milepost reconcile --json`, and its exit code, which must be one of `allowed`."""
    done = gateway.tool("reconcile", *(word for file in ledgers for word in ("--ledger", file)), "--url", gateway.url,
                        "--wait", f"{settle_s}s", "--json", allowed=None, limit_s=settle_s + 300)
    said = done.stderr.decode().strip().splitlines()[-1:]
    say(f"milepost reconcile, exit {done.returncode}: {done.stdout.decode().strip()} {' '.join(said)}")
    expect(done.returncode in allowed, f"milepost reconcile exits {done.returncode}")
    return json.loads(done.stdout)


def consumed(bootstrap, topics, isolation="read_committed", counts=None):
    """By a console consumer for each topic, at the same time: each waits for what may still come. `counts`: how many
    there are at least, by topic."""
    def read_one(topic):
        return testbed.consume(bootstrap, topic, isolation=isolation, count=(counts or {}).get(topic, 0))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        read = pool.map(read_one, topics)
        return [record for records in read for record in records]


def doubled_ids(records):
    """The identities that the gateway gave to more than one record."""
    ids = collections.Counter(header for record in records for header in record.headers
                              if header.startswith("mp.id:"))
    return [name for name, count in ids.items() if count > 1]


def by_consumer(records, ledgers):
    """The Account of what Kafka's console consumer printed."""
    readings = {}
    for file in ledgers:
        readings.update(ledger.read(file))
    found = account.of(records, readings)
    say(f"Kafka's console consumer: {len(records)} records; {found}")
    return found


def expect_once_in_order(gateway, bootstrap, topics, ledgers, what, settle_s=60):
    """Both judges: each reading once, each vehicle's in order. How many readings, and how many aborted records."""
    said = figures(gateway, ledgers, settle_s=settle_s)
    wrong = {name: said[name] for name in WRONG}
    expect(not any(wrong.values()), f"{what}: reconcile says {wrong}")
    records = consumed(bootstrap, topics, counts={topic: gateway.forwarded(topic) for topic in topics})
    found = by_consumer(records, ledgers)
    doubled = doubled_ids(records)
    expect(not doubled, f"{what}: {len(records)} records upstream, no mp.id twice {doubled[:3]}")
    expect(found.lost == found.out_of_order == found.phantom == found.wrong_key == 0,
           f"{what}: {found.arrived} readings upstream, none missing, each vehicle's in order")
    expect(found.repeats == said["duplicated_by_vehicle"],
           f"{what}: {found.repeats} doubled, all of them by the vehicles themselves")
    return found.arrived
