#!/bin/sh
# Makes the golden segments anew with a real broker: tests/golden/make.sh (needs kcat and the jars).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
testbed="$here/../kafka/testbed.py"
work=$(mktemp -d)
trap 'python3 "$testbed" stop --dir "$work" >/dev/null 2>&1; rm -rf "$work"' EXIT
address=$(python3 "$testbed" start --dir "$work")
for codec in none gzip snappy lz4 zstd; do
    python3 "$testbed" topic --dir "$work" "golden.$codec" 1
    i=0
    while [ "$i" -lt 240 ]; do
        printf 'V%04d\t{"v":1,"vehicle":"V%04d","seq":%d,"signals":{"Vehicle.Speed":%d.5,"Vehicle.Powertrain.CombustionEngine.Speed":%d}}\n' \
            $((i % 3)) $((i % 3)) $((i / 3 + 1)) $((40 + i)) $((1500 + 7 * i))
        i=$((i + 1))
    done | kcat -P -b "$address" -t "golden.$codec" -K '\t' -z "$codec" -H mqtt.topic=vehicles/x/telemetry \
        -H empty= -X batch.num.messages=20 -X linger.ms=1000 -X sticky.partitioning.linger.ms=0
    printf 'lonely key\t\n' | kcat -P -Z -b "$address" -t "golden.$codec" -K '\t' -z "$codec"
done
python3 "$testbed" stop --dir "$work"
for codec in none gzip snappy lz4 zstd; do
    rm -rf "$here/golden.$codec-0"
    mkdir "$here/golden.$codec-0"
    for suffix in log index timeindex; do
        cp "$work/data/golden.$codec-0/00000000000000000000.$suffix" "$here/golden.$codec-0/"
    done
done
