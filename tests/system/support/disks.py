"""Disks of our own for tests: images behind loop devices, mounted; needs root, loop devices and (nbd) FUSE.

Everything is a context manager that cleans up in reverse, also when the test fails.
"""

import contextlib
import os
import pathlib
import subprocess

import processes
from . import checks

HERE = pathlib.Path(__file__).resolve().parent
MKFS = {"ext4": ["mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"], "xfs": ["mkfs.xfs", "-q", "-f"]}


def run(*command, allowed=(0,)):
    done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if allowed is not None and done.returncode not in allowed:
        raise checks.Failed(f"{' '.join(map(str, command))}: {done.returncode} {done.stderr.strip()}")
    return done


def need_loop():
    """Skips the test where no image can be mounted."""
    if os.geteuid() != 0:
        checks.cannot("mounting a disk of our own needs root")
    if not pathlib.Path("/dev/loop-control").exists():
        checks.cannot("no loop devices here (/dev/loop-control)")
    for name, package in (("losetup", "mount"), ("mkfs.ext4", "e2fsprogs")):
        checks.foreign(name, package)
    if run("losetup", "-f", allowed=None).returncode != 0:
        checks.cannot("no free loop device")


def need_nbd():
    """Skips the test where no block device of our own can be made."""
    need_loop()
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        checks.cannot("no FUSE here (/dev/fuse)")
    for name, package in (("nbdkit", "nbdkit"), ("nbdfuse", "libnbd-bin"), ("fusermount3", "fuse3")):
        checks.foreign(name, package)


@contextlib.contextmanager
def nbd_file(folder, *plugin, filters=()):
    """The path of a file whose reads and writes go to an nbdkit plugin (`plugin`: its name and its settings)."""
    socket, mount = folder / "nbd.socket", folder / "nbd"
    mount.mkdir()
    served = processes.start(["nbdkit", "-f", "-U", str(socket), *(f"--filter={each}" for each in filters),
                              *map(str, plugin)], stdout=subprocess.DEVNULL, stderr=open(folder / "nbdkit.log", "wb"))
    fuse = None
    try:
        processes.wait_until(lambda: socket.exists() or served.poll() is not None, within_s=10, what="nbdkit listens")
        if served.poll() is not None:
            checks.cannot(f"nbdkit does not run here ({served.returncode})")
        fuse = processes.start(["nbdfuse", str(mount), "--unix", str(socket)], stderr=open(folder / "nbdfuse.log", "wb"))
        file = mount / "nbd"
        processes.wait_until(lambda: file.exists() or fuse.poll() is not None, within_s=10, what="nbdfuse mounts")
        if fuse.poll() is not None:
            checks.cannot(f"nbdfuse does not run here ({fuse.returncode})")
        yield file
    finally:
        if fuse is not None:
            run("umount", mount, allowed=None)
            processes.stop(fuse)
        processes.stop(served)


@contextlib.contextmanager
def loop(image):
    """A loop device over a file."""
    device = run("losetup", "-f", "--show", image).stdout.strip()
    try:
        yield device
    finally:
        run("losetup", "-d", device, allowed=None)


@contextlib.contextmanager
def mounted(device, folder, *options):
    """`folder` with the file system of `device`."""
    folder.mkdir(exist_ok=True)
    run("mount", *(["-o", ",".join(options)] if options else []), device, folder)
    try:
        yield folder
    finally:
        if run("umount", folder, allowed=None).returncode != 0:
            run("umount", "-l", folder, allowed=None)


@contextlib.contextmanager
def small_disk(folder, mebibytes, kind="ext4"):
    """A new file system of that size, mounted in `folder`/disk."""
    image = folder / "disk.img"
    with open(image, "wb") as out:
        out.truncate(mebibytes << 20)
    with loop(image) as device:
        run(*MKFS[kind], device)
        with mounted(device, folder / "disk") as root:
            yield root
