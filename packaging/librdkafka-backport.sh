#!/usr/bin/env bash
# Builds Debian 13's librdkafka, unchanged, for Debian 12, whose 2.0.2 cannot log in with SCRAM to Kafka 4.x.
#
#   packaging/librdkafka-backport.sh           the Debian packages, in build/librdkafka/; the system is not changed
#   sudo apt install ./build/librdkafka/librdkafka1_*.deb      then: systemctl restart milepostd
#
# milepostd runs with either library, nothing is built again. The source comes from the mirror that the system's apt uses,
# checked against Debian's archive keyring, through lists of its own: the system's apt sees nothing of Debian 13.
# What is there already is not built again. MILEPOST_DEBIAN_MIRROR sets another mirror.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ $# -eq 0 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 64; }

out=$PWD/build/librdkafka
suite=trixie
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
mirror=${MILEPOST_DEBIAN_MIRROR:-$(apt-get indextargets --format '$(SITE)' | grep -m 1 -E '/debian/?$' || true)}
mirror=${mirror:-http://deb.debian.org/debian}
[ -r "$keyring" ] || { echo "librdkafka-backport.sh: $keyring is not there (package debian-archive-keyring)" >&2; exit 1; }

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
needed=(build-essential debhelper dpkg-dev libcurl4-openssl-dev liblz4-dev libsasl2-dev libssl-dev libzstd-dev
        pkg-config python3 rapidjson-dev zlib1g-dev)
if ! dpkg-query -W "${needed[@]}" >/dev/null 2>&1; then
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${needed[@]}"
fi

mkdir -p "$out"/apt/{lists,cache}/partial
echo "deb-src [signed-by=$keyring] $mirror $suite main" >"$out/apt/sources.list"
options=(-o "Dir::Etc::sourcelist=$out/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
         -o "Dir::State::lists=$out/apt/lists" -o "Dir::Cache=$out/apt/cache" -o APT::Sandbox::User=root)
apt-get "${options[@]}" update -q
version=$(apt-get "${options[@]}" source --print-uris librdkafka | sed -n "s/^'.* librdkafka_\([^ ]*\)\.dsc .*/\1/p")
[ -n "$version" ] || { echo "librdkafka-backport.sh: $mirror has no source of librdkafka in $suite" >&2; exit 1; }
package=$out/librdkafka1_${version}_$(dpkg --print-architecture).deb
if [ ! -f "$package" ]; then
    work=$(mktemp -d "$out/build-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    (cd "$work" && apt-get "${options[@]}" source -q librdkafka)
    (cd "$work"/librdkafka-*/ && DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" dpkg-buildpackage -us -uc -b) >"$out/build.log" 2>&1 ||
        { tail -30 "$out/build.log" >&2; exit 1; }
    mv "$work"/*.deb "$out"
fi
echo "$package"
