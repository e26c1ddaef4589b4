"""Child processes that do not outlive the test, and what else every test cleans up."""

import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(command, *, outlive=False, **options):
    """Popen; the child is killed when this process dies in whatever way, unless it is to `outlive` it."""
    options.setdefault("stdin", subprocess.DEVNULL)
    if outlive:
        return subprocess.Popen(command, start_new_session=True, **options)
    return subprocess.Popen(command, preexec_fn=_die_with_parent, **options)


def stop(process, *, grace_s=10.0, first=signal.SIGTERM):
    """Ends `process` and waits: first politely, after `grace_s` with SIGKILL. Returns the exit code."""
    if process.poll() is None:
        process.send_signal(first)
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def raise_on_signals():
    """SIGTERM (ctest's time limit, a user) and SIGINT end the program through its `finally` blocks."""
    def leave(number, _frame):
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, leave)


def free_ports(count):
    """`count` free loopback ports below 32768, where no outgoing connection takes its source port."""
    with contextlib.ExitStack() as held:
        ports = []
        for _ in range(1000):
            if len(ports) == count:
                return ports
            candidate = random.SystemRandom().randrange(15000, 32000)
            probe = held.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            ports.append(candidate)
    raise RuntimeError("no free loopback ports")


def wait_until(condition, *, within_s, what, every_s=0.05):
    """Polls `condition` until it is true; its value is returned. Raises TimeoutError naming `what`."""
    end = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"not within {within_s:g} s: {what}")
        time.sleep(every_s)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
