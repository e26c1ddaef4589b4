#!/usr/bin/env python3
"""The house checks itself: who includes whom, which third-party headers stand behind one file, what
must not stand between co_await and ';', no sleeps in tests. Prints the sizes. Exit 1 on a finding."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Room -> what of ours it may include besides itself. The table of ARCHITECTURE.md, as data. A name
# with an extension is one header of a room; `*` is everything of ours but tests.
MAY_INCLUDE = {
    "storage/base": [],
    "sensors": ["storage/base"],
    "storage/format": ["storage/base"],
    "storage/fs": ["storage/base", "storage/format/offsets.hpp"],
    "storage/journal": ["storage/base", "storage/format", "storage/fs"],
    "storage/log": ["storage/base", "storage/format", "storage/fs", "storage/journal"],
    "storage/meta": ["storage/base", "storage/format/offsets.hpp", "storage/log/keeper.hpp"],
    "gateway/mqtt": ["storage/base"],
    "gateway/broker": ["storage/base", "gateway/mqtt"],
    "gateway/access": ["storage/base", "gateway/mqtt/topic_filter.hpp", "gateway/mqtt/utf8.hpp"],
    "gateway/listener": ["storage/base", "gateway/access", "gateway/mqtt", "gateway/broker"],
    "gateway/ingest": [
        "storage/base", "storage/format", "storage/log/appender.hpp", "storage/log/errc.hpp",
        "gateway/mqtt/packet.hpp", "gateway/mqtt/properties.hpp",
    ],
    "gateway/bridge": [
        "storage/base", "storage/log/appender.hpp", "gateway/mqtt", "gateway/ingest", "gateway/forward/backoff.hpp",
        "gateway/listener/content_hash.hpp", "gateway/listener/publish_memory.hpp",
        "gateway/listener/session_state.hpp", "gateway/listener/subscriber_state.hpp",
    ],
    "gateway/upstream": ["storage/base", "storage/format"],
    "gateway/forward": [
        "storage/base", "storage/format", "storage/log", "storage/meta", "gateway/upstream",
    ],
    "gateway/admin": [
        "storage/base", "storage/format", "storage/log", "storage/meta", "sensors",
        "gateway/json_writer.hpp",
    ],
    "gateway/tool": [
        "storage/base", "storage/format", "storage/fs", "storage/log", "storage/meta", "sensors",
        "gateway/access", "gateway/mqtt", "gateway/upstream", "gateway/json_writer.hpp", "gateway/machine_id.hpp",
        "gateway/listener/session_state.hpp",
    ],
    "gateway": ["*"],
    "firmware-sim": ["storage/base", "sensors"],
    "packaging/demo": ["storage/base"],
    "tests": ["*", "tests"],
}

# Third-party header -> the only files that may include it.
DOORS = {
    r"sqlite3\.h": r"storage/meta/database\.cpp",
    r"librdkafka/.*": r"gateway/upstream/rdkafka_.*\.cpp|packaging/demo/.*|tests/.*",
    r"mqtt/.*|MQTT.*": r"firmware-sim/paho_link\.cpp|gateway/bridge/paho_subscriber\.cpp|tests/.*",
    r"toml\+\+/.*": r"gateway/config[a-z_]*\.cpp|firmware-sim/scenario_file\.cpp",
    r"simdjson\.h": r"sensors/payload\.cpp|firmware-sim/route_file\.cpp",
    r"fcntl\.h|sys/stat\.h|sys/file\.h": r"storage/fs/posix_.*\.cpp|tests/.*|gateway/(main|app|disk_wear|logging).*\.cpp|gateway/tool/(owner|passwd)\.cpp|firmware-sim/.*",
    r"zstd\.h|lz4.*\.h|snappy.*\.h|zlib\.h": r"storage/format/compression.*\.cpp|tests/.*",
    r"openssl/.*": r"gateway/(machine_id|access/scrypt|listener/tls[a-z_]*|upstream/tls_reasons)\.cpp|firmware-sim/tls_stream\.cpp|tests/.*",
    r"isa-l.*|crc\.h": r"storage/format/crc32c\.cpp",
    r"CLI/.*": r".*flags\.cpp|.*main\.cpp",
}

SOURCES = sorted(
    path for top in ("storage", "sensors", "gateway", "firmware-sim", "packaging", "tests")
    for path in (ROOT / top).rglob("*") if path.suffix in (".hpp", ".cpp")
)


def room_of(name):
    best = ""
    for room in MAY_INCLUDE:
        if name.startswith(room + "/") and len(room) > len(best):
            best = room
    return best


def allowed(room, included):
    rules = MAY_INCLUDE[room]
    if room_of(included) == room:
        return True
    if "*" in rules and not included.startswith("tests/"):
        return True
    return any(included == rule or included.startswith(rule + "/") for rule in rules)


def findings():
    for path in SOURCES:
        name = path.relative_to(ROOT).as_posix()
        text = path.read_text()
        room = room_of(name)
        for match in re.finditer(r'^#include "([^"]+)"', text, re.M):
            if not allowed(room, match.group(1)):
                yield f"{name}: {room} may not include {match.group(1)}"
        for match in re.finditer(r"^#include <([^>]+)>", text, re.M):
            for header, door in DOORS.items():
                if re.fullmatch(header, match.group(1)) and not re.fullmatch(door, name):
                    yield f"{name}: <{match.group(1)}> stands behind another file's door"
        # So that a header is seen to stand alone; those without a source are compiled by themselves.
        own = name.removesuffix(".cpp") + ".hpp"
        if name.endswith(".cpp") and not name.startswith("tests/") and (ROOT / own).exists():
            first = re.search(r'^#include (?:"([^"]+)"|<[^>]+>)', text, re.M)
            if not first or first.group(1) != own:
                yield f"{name}: its own header is not its first include"
        # g++ 12.2 destroys temporaries of these shapes twice.
        for match in re.finditer(r"co_await([^;]*);", text):
            if "{" in match.group(1) or re.search(r"\[[^\]]+\]", match.group(1)):
                line = text.count("\n", 0, match.start()) + 1
                yield f"{name}:{line}: a brace or a capture between co_await and ';'"
        if name.startswith("tests/") and re.search(r"sleep_for|sleep_until|usleep\(", text):
            yield f"{name}: a sleep in a test; wait for the condition instead"
        if re.search(r"\b(TODO|FIXME|XXX)\b", text):
            yield f"{name}: left for later"
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > 100 and "http" not in line:
                yield f"{name}:{number}: {len(line)} columns"


def sizes():
    lengths = {path.relative_to(ROOT).as_posix(): path.read_text().count("\n") for path in SOURCES}
    for kind, suffix, limit in (("headers", ".hpp", 200), ("sources", ".cpp", 400)):
        ours = {n: c for n, c in lengths.items() if n.endswith(suffix) and not n.startswith("tests/")}
        middle = sorted(ours.values())[len(ours) // 2] if ours else 0
        print(f"{kind}: {len(ours)}, median {middle} lines")
        for name, count in sorted(ours.items(), key=lambda item: -item[1]):
            if count > limit:
                print(f"  over {limit}: {name} ({count})")


def main():
    sizes()
    found = list(findings())
    for finding in found:
        print("tidy: " + finding, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
