#!/usr/bin/env bash
# Builds the benchmarks (release preset) and measures durable ingest beside a bare loop in the same
# run. tests/bench/run.sh [--rounds N] [--seconds S] [--smoke]
set -euo pipefail
cd "$(dirname "$0")/../.."
packaging/install-build-deps.sh
cmake --preset release > /dev/null
cmake --build --preset release --target milepostd mqtt_load bare_loop
exec python3 tests/bench/ingest.py --bin build/release/bin "$@"
