#!/usr/bin/env bash
# Builds Debian 13's librdkafka, unchanged, for Debian 12, whose 2.0.2 cannot log in with SCRAM to Kafka 4.x.
#
#   packaging/librdkafka-backport.sh           the Debian packages, in build/librdkafka/; the system is not changed
#   sudo apt install ./build/librdkafka/librdkafka1_*.deb      then: systemctl restart milepostd
#   packaging/librdkafka-backport.sh --library DIR      DIR/librdkafka.so.1 alone, sooner: for tests
#
# milepostd runs with either library, nothing is built again. The source comes from the mirror that the system's apt uses,
# checked against Debian's archive keyring, through lists of its own: the system's apt sees nothing of Debian 13.
# Packages that are there already are not built again. MILEPOST_DEBIAN_MIRROR sets another mirror.
set -euo pipefail

library=
case "$#:${1:-}" in
    0:) ;;
    2:--library) mkdir -p "$2" && library=$(cd "$2" && pwd) ;;
    *) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."

suite=trixie
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
mirror=${MILEPOST_DEBIAN_MIRROR:-$(apt-get indextargets --format '$(SITE)' | grep -m 1 -E '/debian/?$' || true)}
mirror=${mirror:-http://deb.debian.org/debian}
packaging/install-build-deps.sh --librdkafka

scratch=()
trap '[ ${#scratch[@]} -eq 0 ] || rm -rf "${scratch[@]}"' EXIT
out=$PWD/build/librdkafka
if [ -n "$library" ]; then
    out=$(mktemp -d "$library/build-XXXXXX")
    scratch+=("$out")
fi
mkdir -p "$out"/apt/{lists,cache}/partial
echo "deb-src [signed-by=$keyring] $mirror $suite main" >"$out/apt/sources.list"
options=(-o "Dir::Etc::sourcelist=$out/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
         -o "Dir::State::lists=$out/apt/lists" -o "Dir::Cache=$out/apt/cache" -o APT::Sandbox::User=root)
apt-get "${options[@]}" update -q
version=$(apt-get "${options[@]}" source --print-uris librdkafka | sed -n "s/^'.* librdkafka_\([^ ]*\)\.dsc .*/\1/p")
[ -n "$version" ] || { echo "librdkafka-backport.sh: $mirror has no source of librdkafka in $suite" >&2; exit 1; }
package=$out/librdkafka1_${version}_$(dpkg --print-architecture).deb
[ ! -f "$package" ] || { echo "$package"; exit 0; }

work=$(mktemp -d "$out/build-XXXXXX")
scratch+=("$work")
(cd "$work" && apt-get "${options[@]}" source -q librdkafka)

# build COMMAND…: in the source's folder; what it says is shown when it fails.
build() {
    (cd "$work"/librdkafka-*/ && "$@") >"$out/build.log" 2>&1 || { tail -30 "$out/build.log" >&2; exit 1; }
}
if [ -n "$library" ]; then
    # Configured and compiled as for the packages, without the examples, the C++ library and what debuggers want.
    build env DEB_CFLAGS_APPEND=-g0 make -j "$(nproc)" -f debian/rules library \
        --eval 'library: ; dh_auto_configure && $(MAKE) -C src librdkafka.so.1'
    mv "$work"/librdkafka-*/src/librdkafka.so.1 "$library"
    echo "$library/librdkafka.so.1: $version"
else
    build env DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" dpkg-buildpackage -us -uc -b
    mv "$work"/*.deb "$out"
    echo "$package"
fi
