#!/usr/bin/env python3
"""MQTT clients that are not ours, from npm, PyPI and the Go module proxy: pinned with their sums (package-lock.json,
requirements-*.txt, go.sum), fetched once, kept outside the build folder.

    tests/clients/fetch.py      fetches what is not there; says what cannot be had, exit status 1 then

A part whose pins have changed is fetched again. Only the standard library is needed.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TIMEOUT_S = 300


class Unavailable(RuntimeError):
    """A client cannot be had here; the text says why."""


def _run(*command, **options):
    try:
        done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S, **options)
    except FileNotFoundError:
        raise Unavailable(f"no {command[0]}") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]} took longer than {TIMEOUT_S} s") from None
    if done.returncode != 0:
        said = [line for line in done.stdout.splitlines() if line.strip()] or [f"exit {done.returncode}"]
        raise Unavailable(f"{command[0]}: {said[-1].strip()}")
    return done.stdout


def _need(program, package, least=None):
    if shutil.which(program) is None:
        raise Unavailable(f"no {program} (Debian package {package})")
    if least is not None:
        said = _run(program, "version" if program == "go" else "--version")
        found = tuple(map(int, re.search(r"(\d+)\.(\d+)", said).groups()))
        if found < least:
            raise Unavailable(f"{program} {'.'.join(map(str, found))}, {'.'.join(map(str, least))} is needed")


def _npm(into):
    _need("node", "nodejs", (16, 0))
    _need("npm", "npm")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, into)
    # No package may run anything of its own while it is installed; leveldown brings its library built.
    _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=into)


def _python(requirements):
    def fetch(into):
        _run(sys.executable, "-m", "venv", "--clear", into / "venv")
        # 1.6 is a source archive: built by what is pinned here, not by whatever is newest.
        for pins in ("requirements-build.txt", requirements):
            _run(into / "venv/bin/pip", "install", "--quiet", "--no-deps", "--require-hashes", "--no-build-isolation",
                 "-r", HERE / pins)
    return fetch


def _go(folder, least):
    def fetch(into):
        _need("go", "golang-go", least)
        environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false"}
        _run("go", "build", "-o", into / "client", ".", cwd=HERE / folder, env=environment)
    return fetch


# name: the files that pin it, and how it is fetched into an empty folder.
PARTS = {
    "npm": (["package-lock.json"], _npm),
    "python-1": (["requirements-1.txt", "requirements-build.txt"], _python("requirements-1.txt")),
    "python-2": (["requirements-2.txt"], _python("requirements-2.txt")),
    "go-v3": (["go_v3/go.sum", "go_v3/go.mod", "go_v3/main.go"], _go("go_v3", (1, 18))),
    "go-v5": (["go_v5/go.sum", "go_v5/go.mod", "go_v5/main.go"], _go("go_v5", (1, 21))),
}


@contextlib.contextmanager
def _locked(folder):
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def part(name):
    """The folder with that part in it; raises Unavailable."""
    pins, fetch = PARTS[name]
    digest = hashlib.sha256(b"".join((HERE / pin).read_bytes() for pin in pins)).hexdigest()[:16]
    base = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "milepost" / "clients"
    with _locked(base):
        folder = base / f"{name}-{digest}"
        if not (folder / "whole").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            fetch(folder)
            (folder / "whole").touch()
        return folder


def main():
    missing = 0
    for name in PARTS:
        try:
            print(f"{name}: {part(name)}")
        except Unavailable as why:
            print(f"{name}: cannot be had here: {why}")
            missing += 1
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
