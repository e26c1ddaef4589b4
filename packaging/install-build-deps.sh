#!/usr/bin/env bash
# Installs the Debian 12 packages that Milepost is built with. `--deb` adds what makes Debian packages of it,
# `--package-test` that and what tests/system/package.py tries them with,
# `--kafka` what a real Apache Kafka needs (a Java runtime and Maven), `--tests` that and what the other tests
# and judges need (Mosquitto's clients, sanitizers, linters; Node and Go for MQTT clients that are not ours, which
# tests/clients/fetch.py then gets; what packaging/librdkafka-backport.sh builds with).
# `--librdkafka`, alone: nothing but what packaging/librdkafka-backport.sh builds with.
# Does nothing, quickly, when everything is there.
set -euo pipefail

build=(
    build-essential g++-12 cmake ninja-build ccache mold pkg-config git ca-certificates
    libboost1.81-dev libssl-dev libsqlite3-dev catch2
    libpaho-mqttpp-dev libpaho-mqtt-dev librdkafka-dev
    libtomlplusplus-dev libcli11-dev libsimdjson-dev libfmt-dev nlohmann-json3-dev
    python3 curl prometheus-cpp-dev libisal-dev libjemalloc-dev liblz4-dev libzstd-dev libsnappy-dev zlib1g-dev
)
deb=(debhelper dpkg-dev lintian)
package_test=(debootstrap strace util-linux iproute2 systemd mosquitto-clients)
librdkafka=(
    build-essential debhelper dpkg-dev debian-archive-keyring pkg-config python3
    libcurl4-openssl-dev liblz4-dev libsasl2-dev libssl-dev libzstd-dev rapidjson-dev zlib1g-dev
)
kafka=(default-jre-headless maven)
tests=(
    clang-14 clang-tidy-14 clang-format-14 libclang-rt-14-dev llvm-14 librapidcheck-dev
    mosquitto mosquitto-clients kcat strace procps iproute2
    nbdkit nbdkit-plugin-python libnbd-bin fuse3 e2fsprogs
)

packages=("${build[@]}")
[ "$*" != --librdkafka ] || packages=()
for argument in "$@"; do
    case "$argument" in
        --tests) packages+=("${kafka[@]}" "${librdkafka[@]}" "${tests[@]}") ;;
        --package-test) packages+=("${deb[@]}" "${package_test[@]}") ;;
        --deb) packages+=("${deb[@]}") ;;
        --kafka) packages+=("${kafka[@]}") ;;
        --librdkafka) packages+=("${librdkafka[@]}") ;;
        *) echo "usage: install-build-deps.sh [--tests|--kafka|--deb|--package-test|--librdkafka]" >&2; exit 64 ;;
    esac
done

# Programs that may be there from elsewhere, in a newer version than Debian's.
need() { command -v "$1" >/dev/null || packages+=("$2"); }
case " $* " in
    *" --tests "*)
        need node nodejs
        need npm npm
        need go golang-go
        python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
        ;;
esac

missing=()
for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "install-build-deps.sh: needs root or sudo for: ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
fi
echo "installing ${#missing[@]} Debian packages: ${missing[*]}" >&2
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
