#!/usr/bin/env bash
# Builds and runs all tests on a bare Debian 12: unit, crash and component tests under the address and undefined
# behaviour sanitizers and the thread sanitizer, the fuzzers' corpora, and the release programs from outside, with a
# real Apache Kafka. Ends with `tests: N passed, N failed, N skipped`; exit 0 only when nothing failed.
#
#   tests/run.sh            everything; the first run builds all, the next ones only what changed
#   tests/run.sh --quick    preset dev, unit tests only
#
# MILEPOST_REQUIRE_KAFKA=1 makes a test that is skipped for want of Apache Kafka or of Debian 13's librdkafka a failure,
# MILEPOST_REQUIRE_CLIENTS=1 one for want of an MQTT client that cannot be had from npm, PyPI or the Go module proxy.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

quick=no
for argument in "$@"; do
    case "$argument" in
        --quick) quick=yes ;;
        *) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
    esac
done

jobs=$(nproc)
results=build/test-results
stages=()
failed_stages=()
rm -rf "$results"
mkdir -p "$results"

# stage NAME COMMAND…: runs it, notes its time, and goes on when it fails.
stage() {
    local name=$1 began=$SECONDS outcome=ok
    shift
    echo
    echo "== $name"
    if ! "$@"; then
        outcome=FAILED
        failed_stages+=("$name")
    fi
    stages+=("$(printf '%6d s  %-28s %s' $((SECONDS - began)) "$name" "$outcome")")
    [ "$outcome" = ok ]
}

# finish: what took how long, and the one line that says how it went.
finish() {
    local status=$?
    trap - EXIT
    echo
    [ ${#stages[@]} -eq 0 ] || printf '%s\n' "${stages[@]}"
    [ ${#failed_stages[@]} -eq 0 ] || { echo "failed: ${failed_stages[*]}"; status=1; }
    python3 tests/count_results.py "$results" || status=1
    exit "$status"
}
trap finish EXIT

# build PRESET TARGET…: configures when needed and builds; without a target, what the preset names.
build() {
    local preset=$1
    shift
    local targets=()
    [ $# -eq 0 ] || targets=(--target "$@")
    # The preset is the truth: a build folder that is configured already is only checked.
    [ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" || return
    cmake --build --preset "$preset" -j "$jobs" "${targets[@]}"
}

# check NAME PRESET ARGUMENT…: runs the preset's tests that ctest's arguments choose.
check() {
    local name=$1 preset=$2
    shift 2
    ctest --preset "$preset" -j "$jobs" --no-tests=ignore --output-junit "$PWD/$results/$name.xml" "$@"
}

stage "packages" packaging/install-build-deps.sh --tests || exit 1

if [ "$quick" = yes ]; then
    stage "dev: build unit tests" build dev tests_unit || exit 1
    stage "dev: unit" check dev dev -L '^unit$' || true
    exit 0
fi

# What is built where: the release tree has the programs, as they ship, and what drives them from outside; asan has every
# other test, once (the same sources and the same warnings as dev, which is the tree for daily work and is not built
# here); tsan has only the programs that start threads, without the walks over every byte and call, which are of one.
stage "Apache Kafka's jars" python3 tests/kafka/testbed.py jars ||
    [ "${MILEPOST_REQUIRE_KAFKA:-0}" = 1 ] || unset 'failed_stages[-1]'
stage "MQTT clients" python3 tests/clients/fetch.py ||
    [ "${MILEPOST_REQUIRE_CLIENTS:-0}" = 1 ] || unset 'failed_stages[-1]'
stage "librdkafka of Debian 13" python3 tests/kafka/librdkafka.py ||
    [ "${MILEPOST_REQUIRE_KAFKA:-0}" = 1 ] || unset 'failed_stages[-1]'
stage "release: build" build release tests_system all_verify_interface_header_sets || exit 1
stage "asan: build" build asan tests_unit tests_crash tests_component || exit 1
stage "asan: tests" check asan asan -L '^(unit|crash|component|threads|tidy)$' || true
stage "tsan: build" build tsan tests_threads || exit 1
stage "tsan: tests" check tsan tsan -L '^(unit|crash|component|threads)$' -E 'any (byte|call)' || true
stage "fuzz: build" build fuzz tests_fuzz || exit 1
stage "fuzz: tests" check fuzz fuzz || true
stage "system" check system release -j 2 -L '^system$' || true
stage "bench-smoke" check bench release -j 1 -L '^bench-smoke$' || true
