#!/usr/bin/env bash
# Milepost at work on this machine, in about a minute once it is built: ten vehicles publish over MQTT, the
# upstream goes away, the gateway is killed and started again, the upstream comes back, and every reading
# that was acknowledged is accounted for.
#
#   packaging/demo.sh                       the upstream is librdkafka's mock cluster, in memory
#   packaging/demo.sh --kafka               a real Apache Kafka (fetched once with Maven, about 45 MB)
#   packaging/demo.sh --upstream HOST:PORT  your own Kafka, which is left alone: no outage is played
#
# Installs the Debian packages that a build needs (root or sudo, only when some are missing), builds the
# release preset into build/release, and leaves nothing running. Exit 0: nothing was lost or reordered.
set -euo pipefail
here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() { sed -n '2,12s/^# \{0,1\}//p' packaging/demo.sh; }
dependencies=()
for argument in "$@"; do
    case "$argument" in
        -h | --help) usage; exit 0 ;;
        --kafka) dependencies=(--kafka) ;;
    esac
done

packaging/install-build-deps.sh "${dependencies[@]}"

# Quiet when there is nothing to do; the compiler's progress when there is.
if [ ! -f build/release/build.ninja ]; then
    echo "Configuring build/release"
    cmake --preset release >build-release.log 2>&1 || { cat build-release.log >&2; rm -f build-release.log; exit 1; }
    rm -f build-release.log
fi
targets=(milepostd milepost milepost-fleet milepost-demo-upstream)
if ninja -C build/release -n "${targets[@]}" | grep -q '^\['; then
    echo "Building ${targets[*]} (once; a few minutes)"
fi
cmake --build --preset release --target "${targets[@]}"

cd "$here"
exec python3 "$OLDPWD/packaging/demo/play.py" "$@"
