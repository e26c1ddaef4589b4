#!/usr/bin/env bash
# Builds the benchmarks (release preset) and measures, each beside a bare loop in the same run:
#   tests/bench/run.sh [--rounds N] [--seconds S] [--mosquitto volatile,persistent] [--loads 10x100,open] [--sync-delay-ms 5] [--smoke]
#                                                             durable ingest over MQTT
#   tests/bench/run.sh --log [--only PART,…]                  the log alone: one table of goals and figures
#   tests/bench/run.sh --connections N [--only PART,…]      storms, idle connections, kept sessions, misuse
#   tests/bench/run.sh --upstream [--records N] [--rounds N] [--only PART,…]   a backlog into a real Apache Kafka
#   tests/bench/run.sh --replay [--records N] [--only PART,…]     milepost replay to a file, to Kafka, over MQTT
#   tests/bench/run.sh --visible [--rounds N] [--rates N,…]  from PUBLISH to a consumer of a real Kafka
#   tests/bench/run.sh --newcomer [--starts N]               start to first reading in Kafka, idle memory
set -euo pipefail
cd "$(dirname "$0")/../.."
packaging/install-build-deps.sh
cmake --preset release > /dev/null
if [ "${1:-}" = --log ]; then
    shift
    cmake --build --preset release --target milepostd milepost mqtt_load log_bench
    exec python3 tests/bench/log.py --bin build/release/bin "$@"
fi
if [ "${1:-}" = --connections ]; then
    cmake --build --preset release --target milepostd milepost mqtt_load mqtt_crowd
    exec python3 tests/bench/connections.py "$@"
fi
if [ "${1:-}" = --upstream ]; then
    shift
    packaging/install-build-deps.sh --tests
    cmake --build --preset release --target milepostd milepost mqtt_load bare_loop bare_producer make_recording
    exec python3 tests/bench/upstream.py --bin build/release/bin "$@"
fi
if [ "${1:-}" = --newcomer ]; then
    shift
    packaging/install-build-deps.sh --tests
    cmake --build --preset release --target milepostd milepost
    exec python3 tests/bench/newcomer.py "$@"
fi
if [ "${1:-}" = --visible ]; then
    shift
    packaging/install-build-deps.sh --tests
    cmake --build --preset release --target milepostd mqtt_load
    exec python3 tests/bench/visible.py "$@"
fi
if [ "${1:-}" = --replay ]; then
    shift
    packaging/install-build-deps.sh --tests
    cmake --build --preset release --target milepostd milepost bare_producer bare_publisher make_recording
    exec python3 tests/bench/replay.py --bin build/release/bin "$@"
fi
case " $*" in *" --mosquitto"*) packaging/install-build-deps.sh --tests ;; esac
cmake --build --preset release --target milepostd milepost mqtt_load bare_loop slow_sync
exec python3 tests/bench/ingest.py --bin build/release/bin "$@"
