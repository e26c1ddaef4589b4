"""The fleet's ledger: what each vehicle sampled, published and saw acknowledged, and when."""

import collections

import processes
from . import checks

FIRST_LINE = "milepost-ledger 1"

# Of one reading: unix_ms of each state, None where it was not reached. `published` is the first time.
Reading = collections.namedtuple("Reading", "sampled published acknowledged dropped")


def read(path):
    """{(vehicle, seq): Reading}; a torn last line is ignored."""
    text = path.read_text()
    lines = text.split("\n")
    if lines[0] != FIRST_LINE:
        raise checks.Failed(f"{path} begins with {lines[0]!r}")
    found = collections.defaultdict(dict)
    for line in lines[1:-1]:  # what follows the last newline is torn, or empty
        unix_ms, vehicle, seq, state = line.split("\t")[:4]
        found[vehicle, int(seq)].setdefault(state, int(unix_ms))
    return {key: Reading(*(states.get(name) for name in Reading._fields)) for key, states in found.items()}


def ack_latencies(readings, begin_ms, end_ms):
    """Milliseconds from first publish to acknowledgement of the readings published in [begin, end), sorted."""
    return sorted(
        reading.acknowledged - reading.published for reading in readings.values()
        if reading.published is not None and reading.acknowledged is not None
        and begin_ms <= reading.published < end_ms)


def quantile(values, part):
    """Of sorted values; None of none."""
    return values[min(len(values) - 1, int(part * len(values)))] if values else None


def start_fleet(port, ledger, log, *, vehicles, rate, duration_s, seed=1, prefix="V"):
    """Starts milepost-fleet; it ends by itself after `duration_s` and what is left of its buffers."""
    command = [str(checks.program("milepost-fleet")), "--host", "127.0.0.1", "-p", str(port),
               "--vehicles", str(vehicles), "--rate", str(rate), "--duration", f"{duration_s}s",
               "--ledger", str(ledger), "--seed", str(seed), "--id-prefix", prefix]
    with open(log, "ab") as out:
        return processes.start(command, stdout=out, stderr=out)
