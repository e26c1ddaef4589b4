#!/usr/bin/env python3
"""Debian 13's librdkafka, for tests of what Debian 12's 2.0.2 cannot do: SCRAM with Kafka 4, and OIDC.

    python3 tests/kafka/librdkafka.py     builds it when it is not there; prints its folder

Built by packaging/librdkafka-backport.sh, once for each version of that script; kept outside the build folder, used
without a network, and never installed.
"""

import hashlib
import os
import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "librdkafka-backport.sh"


def _place():
    base = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    return base / "milepost" / f"librdkafka-{hashlib.sha256(SCRIPT.read_bytes()).hexdigest()[:16]}"


def folder():
    """The folder with librdkafka.so.1 in it; None when it was not built."""
    place = _place()
    return place if (place / "librdkafka.so.1").exists() else None


def main():
    if folder() is None and subprocess.run([SCRIPT, "--library", _place()], stdin=subprocess.DEVNULL).returncode != 0:
        sys.exit("librdkafka of Debian 13: cannot be had here")
    print(folder())


if __name__ == "__main__":
    main()
