"""A system test is a list of facts, printed as they are found; the first one that does not hold ends it."""

import contextlib
import os
import pathlib
import shutil
import sys
import tempfile
import time

from . import ROOT
import processes

EXIT_SKIPPED = 77
_began = time.monotonic()


class Failed(Exception):
    pass


def say(text):
    print(f"{now_s():7.2f}  {text}", flush=True)


def now_s():
    """Seconds since the test began."""
    return time.monotonic() - _began


def expect(fact, what):
    """States that `what` holds; ends the test when it does not."""
    if not fact:
        raise Failed(what)
    say(f"ok: {what}")


def skip(why):
    """Ends the test as skipped, or as failed where everything must run."""
    required = os.environ.get("MILEPOST_REQUIRE_KAFKA") == "1"
    print(f"{'FAILED' if required else 'skipped'}: {why}", flush=True)
    sys.exit(1 if required else EXIT_SKIPPED)


def cannot(why):
    """Ends the test as skipped: this machine does not allow it (no root, no loop devices), whatever is required."""
    print(f"skipped: {why}", flush=True)
    sys.exit(EXIT_SKIPPED)


def program(name):
    """The path of one of our programs: from $MILEPOST_BIN, else of the release preset. Skips when not built."""
    folder = pathlib.Path(os.environ.get("MILEPOST_BIN") or ROOT / "build" / "release" / "bin")
    path = folder / name
    if not path.exists():
        skip(f"{path} is not built (cmake --preset release && cmake --build --preset release)")
    return path


def foreign(name, package):
    """The path of a program of Debian's; skips when it is not installed."""
    path = shutil.which(name)
    if path is None:
        skip(f"no {name} (Debian package {package})")
    return path


@contextlib.contextmanager
def scratch(keep=False):
    """A temporary folder, removed at the end; kept when the test fails and MILEPOST_KEEP=1, or `keep`."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="milepost-system-"))
    failed = True
    try:
        yield folder
        failed = False
    finally:
        if keep or (failed and os.environ.get("MILEPOST_KEEP") == "1"):
            say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def run(test):
    """Runs `test()` as the whole program: exit 0 when every fact held, 1 when one did not."""
    processes.raise_on_signals()
    try:
        test()
    except Failed as what:
        say(f"FAILED: {what}")
        sys.exit(1)
    say("all facts hold")
