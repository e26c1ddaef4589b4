"""Which core a benchmark's servers have, and which its clients; the test tools of tests/system made importable."""

import contextlib
import os
import pathlib
import sys

CLIENTS, SERVERS = 0, 1
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))


@contextlib.contextmanager
def on_core(core):
    """What is started meanwhile runs there; anywhere, where there is but one."""
    before = os.sched_getaffinity(0)
    if len(before) > 1:
        os.sched_setaffinity(0, {sorted(before)[core]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
