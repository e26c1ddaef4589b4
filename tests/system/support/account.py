"""Checks what arrived upstream against the ledger, independently of `milepost reconcile`."""

import collections
import json

# duplicates: readings upstream more than once; repeats: how many copies too many.
Account = collections.namedtuple("Account", "arrived lost phantom out_of_order wrong_key duplicates repeats")


def of(consumed, readings):
    """`consumed`: records of testbed.consume, partition by partition in offset order; `readings`: of the ledger.

    Order is that of first arrivals: at least once may send a stretch again, never swap two.
    """
    seen = collections.Counter()
    last = {}
    out_of_order = wrong_key = 0
    for record in sorted(consumed, key=lambda each: (each.topic, each.partition, each.offset)):
        payload = json.loads(record.value)
        vehicle, seq = payload["vehicle"], payload["seq"]
        wrong_key += record.key != vehicle
        seen[vehicle, seq] += 1
        if seen[vehicle, seq] == 1:
            out_of_order += seq < last.get(vehicle, 0)
            last[vehicle] = max(seq, last.get(vehicle, 0))
    acknowledged = {key for key, reading in readings.items() if reading.acknowledged is not None}
    known = {key for key, reading in readings.items() if reading.published is not None}
    return Account(
        arrived=len(seen), lost=len(acknowledged - seen.keys()), phantom=len(seen.keys() - known),
        out_of_order=out_of_order, wrong_key=wrong_key,
        duplicates=sum(count > 1 for count in seen.values()), repeats=sum(seen.values()) - len(seen))
