#!/usr/bin/env python3
"""The service under a booted systemd: a Debian 12 with the package, in an emulated machine. By hand, as root, 5 minutes:

    python3 tests/system/booted.py [--keep]

Builds the package, installs it with systemd and a kernel into a tree (support/debian_tree.py), makes a disk of the tree and
boots it in QEMU, without acceleration and without a network. A script in it does what an administrator would, prints
what it finds on the serial line and powers off; the facts are judged here. Exit 77: skipped, for want of root or a tool.
"""

import argparse
import re
import subprocess

from support import checks
from support.checks import expect, say
from support.debian_tree import Tree, built, run

DISK_GIB = 3
MEMORY_MIB = 512
BOOT_LIMIT_S = 900
EMULATORS = {"amd64": ["qemu-system-x86_64", "-machine", "q35", "-cpu", "max"],
             "arm64": ["qemu-system-aarch64", "-machine", "virt", "-cpu", "max"]}
SERIAL = {"amd64": "ttyS0", "arm64": "ttyAMA0"}
PACKAGES = ["systemd", "systemd-sysv", "dbus", "udev", "kmod", "initramfs-tools", "mosquitto-clients", "util-linux"]

# `fact NAME VALUE` is what the host reads.
GUEST = r"""#!/bin/bash
exec > /dev/SERIAL 2>&1
fact() { echo "fact $*"; }
pid() { systemctl show -P MainPID milepostd; }
published() { seq "$1" "$2" | mosquitto_pub -V mqttv311 -q 1 -i V1 -t vehicles/V1/telemetry -l; }
stored() { milepost consume -t vehicle.telemetry -o beginning -e | wc -l; }
policy() { chrt -p "$1" | grep -o 'SCHED_[A-Z]*' | head -1; }
in_real_time() { for t in /proc/"$(pid)"/task/*; do policy "${t##*/}"; done | grep -c SCHED_RR; }
killed_by() { for i in $(seq 1200); do
    [ "$(systemctl show -P NRestarts milepostd)" -ge "$1" ] && systemctl is-active -q milepostd && return; sleep 0.1; done; }

fact kernel "$(uname -r)"
fact active "$(systemctl is-active milepostd)"
fact user "$(stat -c %U /proc/"$(pid)")"
fact capabilities "$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/"$(pid)"/status)"
fact network_thread "$(policy "$(pid)")"
fact real_time_threads "$(in_real_time)"
fact status_line "$(systemctl status --no-pager milepostd | sed -n 's/^ *Status: //p')"
fact memory_high_kib "$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\).*/\1/p' /proc/"$(pid)"/status)"
published 1 200; fact stored "$(stored)"
systemctl reload milepostd; fact reloaded "$(systemctl is-active milepostd)"
kill -KILL "$(pid)"; killed_by 1; fact after_sigkill "$(stored)"
published 201 300

mkdir -p /etc/systemd/system/milepostd.service.d
printf '[Service]\nLimitRTPRIO=0\nWatchdogSec=5\nTimeoutAbortSec=5\n' > /etc/systemd/system/milepostd.service.d/test.conf
systemctl daemon-reload; systemctl restart milepostd
fact forbidden "$(policy "$(pid)")"
fact says_so "$(journalctl -u milepostd -o cat --no-pager | grep -c -- '--real-time is not permitted')"
before=$(systemctl show -P NRestarts milepostd)
kill -STOP "$(pid)"; killed_by $((before + 1)); fact after_watchdog "$(stored)"
fact watchdog "$(journalctl -u milepostd -o cat --no-pager | grep -c 'Watchdog timeout')"

began=$(date +%s%N); systemctl stop milepostd; fact stop_ms $((($(date +%s%N) - began) / 1000000))
fact result "$(systemctl show -P Result milepostd)"
fact errors "$(journalctl -u milepostd -p 3 -o cat --no-pager _COMM=milepostd | wc -l)"
journalctl -u milepostd -o cat --no-pager
fact end -
systemctl poweroff
"""

CHECK = """[Unit]
After=milepostd.service
[Service]
Type=oneshot
ExecStart=/root/check.sh
"""


def prepare(root, package, arch):
    tree = Tree(root)
    try:
        tree.administer("apt-get", "update", "-q")
        tree.install([package])
        tree.administer("apt-get", "install", "-y", "-q", "--no-install-recommends", f"linux-image-cloud-{arch}", *PACKAGES)
    finally:
        tree.close()
    script = tree.path("/root/check.sh")
    script.write_text(GUEST.replace("SERIAL", SERIAL[arch]))
    script.chmod(0o755)
    system = tree.path("/etc/systemd/system")
    (system / "check.service").write_text(CHECK)
    (system / "multi-user.target.wants" / "check.service").symlink_to("/etc/systemd/system/check.service")
    (system / f"serial-getty@{SERIAL[arch]}.service").symlink_to("/dev/null")
    disk = root.parent / "disk"
    with open(disk, "wb") as out:
        out.truncate(DISK_GIB << 30)
    run("mke2fs", "-q", "-t", "ext4", "-d", root, disk)
    return disk


def booted(root, disk, arch):
    """{name: value} of the facts that it printed before it powered off."""
    kernel, initrd = (next((root / "boot").glob(f"{name}-*")) for name in ("vmlinuz", "initrd.img"))
    try:
        done = subprocess.run(
            [*EMULATORS[arch], "-smp", "2", "-m", str(MEMORY_MIB), "-nographic", "-no-reboot", "-nic", "none",
             "-kernel", str(kernel), "-initrd", str(initrd), "-drive", f"file={disk},format=raw,if=virtio",
             "-append", f"root=/dev/vda rw quiet systemd.show_status=0 console={SERIAL[arch]}"],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=BOOT_LIMIT_S)
        output = done.stdout
    except subprocess.TimeoutExpired as late:
        output = late.stdout or b""
    text = output.decode(errors="replace").replace("\r", "")
    facts = dict(re.findall(r"fact (\w+) (.*)", text))  # what the firmware prints has no end of line
    if "end" not in facts:
        raise checks.Failed("it boots, and its script ends\n" + "\n".join(text.splitlines()[-60:]))
    return facts


def judge(facts):
    say(f"kernel {facts['kernel']}, {MEMORY_MIB} MiB, {facts['status_line']}, at most {facts['memory_high_kib']} KiB resident")
    expect(facts["active"] == "active", "it is up after the boot")
    expect(facts["user"] == "milepost" and not facts["capabilities"].strip("0"), "as its own user, without a capability")
    expect(facts["network_thread"] == "SCHED_RR" and facts["real_time_threads"] == "1",
           "its network thread is in real time, and no other")
    expect(facts["stored"] == "200", "200 readings are published, acknowledged and read back")
    expect(facts["reloaded"] == "active", "it lives through a reload")
    expect(facts["after_sigkill"] == "200", "after SIGKILL it comes back by itself, with all of them")
    expect(facts["forbidden"] == "SCHED_OTHER" and facts["says_so"] == "1",
           "LimitRTPRIO=0 forbids real time, and the log says so")
    expect(facts["watchdog"] == "1" and facts["after_watchdog"] == "300",
           "one that stands still is killed by the watchdog and comes back, with all 300")
    expect(int(facts["stop_ms"]) < 10_000 and facts["result"] == "success", f"it stops within {facts['stop_ms']} ms")
    expect(facts["errors"] == "0", "it logged no error")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="keep the tree and the disk")
    chosen = parser.parse_args()
    Tree.require_tools()
    arch = run("dpkg", "--print-architecture").stdout.strip()
    checks.foreign(EMULATORS[arch][0], "qemu-system-x86 or qemu-system-arm")
    checks.foreign("mke2fs", "e2fsprogs")
    with checks.scratch(chosen.keep) as folder:
        root = folder / "root"
        disk = prepare(root, built()["milepost"], arch)
        say("booting (minutes)")
        judge(booted(root, disk, arch))


if __name__ == "__main__":
    checks.run(main)
