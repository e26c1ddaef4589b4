#!/usr/bin/env bash
# Makes the Debian packages milepost and milepost-fleet (and their -dbgsym) of the last commit into
# build/deb/, on a bare Debian 12, and runs lintian over them.
#
#   packaging/build-deb.sh
#   packaging/build-deb.sh --revision 2 "What is new"    the same sources as 0.1.0-2, say for a test of upgrades
#
# The upstream version is the one of the CMake project, and the changelog's top entry must have it too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

revision=
text="Rebuilt."
if [ "${1:-}" = --revision ] && [[ "${2:-}" =~ ^[0-9]+$ ]]; then
    revision=$2
    text=${3:-$text}
elif [ $# -ne 0 ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 64
fi

packaging/install-build-deps.sh --deb
[ -z "$(git status --porcelain 2>/dev/null)" ] ||
    echo "build-deb.sh: there are changes that are not committed; they are not built" >&2

version=$(sed -n 's/^project(milepost VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
out=$PWD/build/deb
tree=$out/src
rm -rf "$tree"
mkdir -p "$tree"
git archive --format=tar HEAD | tar -x -C "$tree"
ln -s packaging/debian "$tree/debian"
cd "$tree"

stated=$(dpkg-parsechangelog -S Version)
if [ "${stated%-*}" != "$version" ]; then
    echo "build-deb.sh: CMakeLists.txt says $version, packaging/debian/changelog $stated" >&2
    exit 1
fi
if [ -n "$revision" ]; then
    {
        printf 'milepost (%s-%s) bookworm; urgency=medium\n\n  * %s\n\n' "$version" "$revision" "$text"
        printf ' -- %s  %s\n\n' "$(dpkg-parsechangelog -S Maintainer)" "$(date -R)"
        cat debian/changelog
    } >debian/changelog.new
    mv debian/changelog.new packaging/debian/changelog
    stated=$version-$revision
fi

# debhelper gives the build a home folder of its own: the compiler's cache is named, and compiles
# as if the sources were at the same place each time (they are).
CCACHE_DIR=${CCACHE_DIR:-$(ccache --get-config cache_dir)}
export CCACHE_DIR
rm -f "$out"/*.deb "$out"/*.changes "$out"/*.buildinfo
DEB_BUILD_OPTIONS="parallel=$(nproc)${DEB_BUILD_OPTIONS:+ $DEB_BUILD_OPTIONS}" \
    dpkg-buildpackage --build=binary --no-sign --unsigned-changes

lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$out/milepost_${stated}_$(dpkg --print-architecture).changes"
ls -l "$out"/*.deb
