"""A Debian 12 in a folder, and Milepost's packages, built.

The tree's base is kept in ${XDG_CACHE_HOME:-~/.cache}/milepost/. What apt needs to reach a mirror from here (proxies,
/etc/hosts, /etc/resolv.conf) is copied into the tree; MILEPOST_APT_CONF names other files of apt's than *proxy* and 99*,
with colons between."""

import glob
import os
import pathlib
import shutil
import subprocess
import time

from . import ROOT, checks
from .checks import expect, say

MIRROR = "http://deb.debian.org/debian"
PACKAGES = ROOT / "build" / "deb"
CONFIG = "/etc/milepost/milepost.toml"


def run(*words, check=True, timeout_s=600, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=timeout_s, **more)
    if check and done.returncode != 0:
        raise checks.Failed(f"{' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def built(*arguments):
    """Builds the packages, says what lintian said, and returns {package: file}."""
    began = time.monotonic()
    done = run(ROOT / "packaging" / "build-deb.sh", *arguments, timeout_s=3600)
    findings = [line for line in done.stdout.splitlines() if line[:2] in ("E:", "W:", "I:")]
    expect(not [line for line in findings if line[0] in "EW"],
           f"built in {time.monotonic() - began:.0f} s; lintian has no error and no warning {findings}")
    return {path.name.split("_")[0]: path for path in PACKAGES.glob("*.deb")}


class Tree:
    """A Debian 12 in a folder. Nothing is mounted into it but for the time of a command."""

    @staticmethod
    def require_tools():
        """Skips the test without them."""
        if os.geteuid() != 0:
            checks.skip("needs root: debootstrap, chroot, namespaces")
        for tool, package in (("debootstrap", "debootstrap"), ("unshare", "util-linux"), ("ip", "iproute2")):
            checks.foreign(tool, package)

    def __init__(self, root):
        self.root = root
        arch = run("dpkg", "--print-architecture").stdout.strip()
        cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "milepost"
        base = cache / f"bookworm-{arch}.tar"
        if not base.exists():
            say(f"debootstrap into {base} (minutes, once)")
            cache.mkdir(parents=True, exist_ok=True)
            fresh = root.parent / "base"
            run("debootstrap", "--variant=minbase", "bookworm", fresh, MIRROR, timeout_s=1800)
            run("tar", "-C", fresh, "-cf", base.with_suffix(".new"), ".")
            base.with_suffix(".new").rename(base)
            shutil.rmtree(fresh)
        root.mkdir()
        run("tar", "-C", root, "-xpf", base)
        root.chmod(0o755)
        named = os.environ.get("MILEPOST_APT_CONF")
        apt = named.split(":") if named else [*glob.glob("/etc/apt/apt.conf.d/*proxy*"),
                                             *glob.glob("/etc/apt/apt.conf.d/99*")]
        for path in ["/etc/resolv.conf", "/etc/hosts", *apt]:
            shutil.copy(path, root / ("etc/apt/apt.conf.d" if path in apt else "etc"))
        self.keeper = subprocess.Popen(self.entered("sleep", "infinity", network=False))
        checked = time.monotonic() + 10
        while run(*self.inside("ip", "-br", "link"), check=False).stdout.count("UNKNOWN") != 1:
            if time.monotonic() > checked:
                raise checks.Failed("a network namespace of its own")
            time.sleep(0.05)

    def entered(self, *words, network=True):
        """The command line that runs `words` with the tree's /proc and /dev; without the machine's network, alone."""
        mounts = f"mount -t proc proc {self.root}/proc && mount --bind /dev {self.root}/dev"
        if not network:
            mounts += " && ip link set lo up"
        return ["unshare", "--mount", *([] if network else ["--net"]), "sh", "-c", mounts + ' && exec "$@"', "sh",
                *map(str, words)]

    def inside(self, *words):
        """The command line that runs `words` of this machine where the tree's gateway is: its network, its mounts."""
        return ["nsenter", "--target", str(self.keeper.pid), "--mount", "--net", *map(str, words)]

    def command(self, *words):
        """The command line that runs `words` of the tree there."""
        return self.inside("chroot", self.root, *words)

    def ask(self, *words, **more):
        return run(*self.command(*words), **more)

    def administer(self, *words, check=True):
        """dpkg and apt, with the machine's network; nobody to ask."""
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
        return run(*self.entered("chroot", self.root, *words), check=check, env=environment, stdin=subprocess.DEVNULL)

    def install(self, packages):
        for package in packages:
            shutil.copy(package, self.root / "tmp")
        return self.administer("apt-get", "install", "-y", "-q", "--no-install-recommends",
                               *[f"/tmp/{package.name}" for package in packages])

    def path(self, inside):
        return self.root / inside.lstrip("/")

    def close(self):
        self.keeper.kill()
        self.keeper.wait()
