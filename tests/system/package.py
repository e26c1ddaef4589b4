#!/usr/bin/env python3
"""The Debian packages, from building them to purging them, in a fresh Debian 12 tree. By hand, as root:

    python3 tests/system/package.py [--keep]

Builds them (lintian included), installs them into a debootstrap tree, runs milepostd there as the unit says, publishes,
reads, upgrades, removes and purges. systemd is not the first process of such a tree: the test reads the unit, does what
it says, and is the service manager at the other end of the notify socket.

support/debian_tree.py says what such a tree is. Exit 77: skipped, for want of root or a tool.
"""

import argparse
import glob
import gzip
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import man_pages
from support import checks
from support.checks import expect, say
from support.debian_tree import CONFIG, Tree, built, run

LOG = "/var/lib/milepost"
EXPOSURE_MAX = 1.6
RESIDENT_MAX_MIB = 16
READY_MAX_S = 10
WATCHDOG_S = 2  # shorter than the unit's: the test does not wait for a minute


class Unit:
    """The directives of the unit that the test carries out itself."""

    def __init__(self, text):
        self.lines = [line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#"]

    def __getitem__(self, name):
        return self.all(name)[-1]

    def all(self, name):
        return [value for key, value in self.lines if key == name]


class Service:
    """milepostd run as its unit says, with the test in systemd's place."""

    def __init__(self, tree, tracer=()):
        unit = Unit(tree.path("/lib/systemd/system/milepostd.service").read_text())
        self.tree = tree
        self.folder = tree.path("/run/milepost-test")
        self.folder.mkdir(exist_ok=True)
        where = self.folder / "notify"
        where.unlink(missing_ok=True)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(where))
        where.chmod(0o666)
        # StateDirectory=, which systemd makes before it starts a service.
        tree.ask("install", "-d", "-o", unit["User"], "-g", unit["Group"], "-m", unit["StateDirectoryMode"],
                 f"/var/lib/{unit['StateDirectory']}")
        files = unit["LimitNOFILE"]
        command = [*real_time_limit(unit), "nice", "-n", unit["Nice"], "setpriv", "--reuid", unit["User"], "--regid", unit["Group"], "--clear-groups",
                   "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs",
                   "sh", "-c", f"umask {unit['UMask']}; ulimit -n {files}; exec {unit['ExecStart']}"]
        environment = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": "/run/milepost-test/notify",
                       "WATCHDOG_USEC": str(WATCHDOG_S * 1_000_000)}
        self.began = time.monotonic()
        self.output = open(self.folder / "output", "a+")
        self.process = subprocess.Popen([*tracer, *tree.command(*command)], env=environment,
                                        stdout=self.output, stderr=self.output)
        self.said = self.wait_for("READY=1", READY_MAX_S)
        self.ready_s = time.monotonic() - self.began

    def wait_for(self, line, limit_s):
        end = time.monotonic() + limit_s
        while True:
            self.manager.settimeout(max(0.001, end - time.monotonic()))
            try:
                lines = self.manager.recv(4096).decode().split("\n")
            except TimeoutError:
                raise checks.Failed(f"{line} within {limit_s} s\n{self.log()}") from None
            if line in lines:
                return lines

    def log(self):
        return (self.folder / "output").read_text()

    def milepostd(self):
        """The process itself: nsenter, chroot, setpriv and sh have become it, a tracer has it as a child."""
        for status in glob.glob("/proc/[0-9]*/status"):
            try:
                fields = dict(line.split(":\t", 1) for line in pathlib.Path(status).read_text().splitlines())
                root = os.readlink(pathlib.Path(status).parent / "root")
            except (OSError, ValueError):
                continue
            if fields["Name"] == "milepostd" and root == str(self.tree.root):
                return fields
        raise checks.Failed("a process milepostd\n" + self.log())

    def stop(self):
        os.kill(int(self.milepostd()["Pid"]), signal.SIGTERM)
        self.wait_for("STOPPING=1", 10)
        code = self.process.wait(30)
        self.manager.close()
        return code


def real_time_limit(unit):
    """What gives a command LimitRTPRIO=, which not every machine lets root do: the unit then does without."""
    given = ["prlimit", f"--rtprio={unit['LimitRTPRIO']}:{unit['LimitRTPRIO']}"]
    return given if run(*given, "true", check=False).returncode == 0 else []


def niceness(pid):
    """Of all threads, ascending."""
    stats = (stat.read_text().rsplit(")", 1)[1].split() for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"))
    return sorted(int(fields[16]) for fields in stats)


def publish(tree, first, last):
    text = "".join(f'{{"n":{n}}}\n' for n in range(first, last + 1))
    run(*tree.inside(checks.foreign("mosquitto_pub", "mosquitto-clients"), "-V", "mqttv311", "-q", "1", "-i", "V1",
                     "-t", "vehicles/V1/telemetry", "-l"), input=text, timeout_s=60)


def stored(tree, *source):
    done = tree.ask("milepost", "consume", "-t", "vehicle.telemetry", "-o", "beginning", "-e", *source)
    return [json.loads(line)["n"] for line in done.stdout.splitlines()]


def exposed(unit):
    found = run("systemd-analyze", "security", "--offline=true", f"--threshold={int(EXPOSURE_MAX * 10)}", unit,
                check=False)
    expect(found.returncode == 0, found.stdout.strip().splitlines()[-1].strip("→ ") + f", at most {EXPOSURE_MAX}")


def syscalls_of(name):
    """The system calls of one of systemd's sets, sets in it followed."""
    calls = set()
    for line in run("systemd-analyze", "syscall-filter", name).stdout.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            calls |= syscalls_of(word)
        elif word and word[0] != "#":
            calls.add(word)
    return calls


def filtered(unit, trace):
    """Every system call that milepostd made is one that the unit lets through."""
    allowed = set()
    for line in unit.all("SystemCallFilter"):
        for word in line.lstrip("~").split():
            calls = syscalls_of(word) if word.startswith("@") else {word}
            allowed = allowed - calls if line.startswith("~") else allowed | calls
    made, ours = set(), False
    for line in trace.read_text().splitlines():
        call = line.split(maxsplit=1)[1].split("(")[0]
        if call.isidentifier() and ours:
            made.add(call)
        ours = ours or ('execve("/usr/sbin/milepostd"' in line)
    expect(len(made) > 20 and made <= allowed,
           f"all {len(made)} system calls that it made pass the unit's filter {sorted(made - allowed)}")


def links_work(readme):
    """Also those to what is of use to few: a link that leads nowhere is worse than 120 kB of text."""
    links = set(re.findall(r"\]\(((?!https?:)[^)#]+)\)", readme.read_text()))
    dead = [link for link in links if not (readme.parent / link).is_file()]
    expect(links and not dead, f"{len(links)} documents that README.md links to are installed with it {dead}")


def first_installation(tree, packages):
    say(f"installing {', '.join(packages)}")
    tree.administer("apt-get", "update", "-q")
    tree.install([packages["milepost"], packages["milepost-fleet"]])
    expect(tree.ask("getent", "passwd", "milepost").stdout.split(":")[5:] == [LOG, "/usr/sbin/nologin\n"],
           "the user milepost is made, and cannot log in")
    owner = tree.ask("stat", "-c", "%a %U %G", CONFIG).stdout.strip()
    expect(owner == "640 root milepost", f"the configuration is readable by root and the service alone ({owner})")
    expect(tree.ask("dpkg-query", "-W", "-f=${Conffiles}", "milepost").stdout.split()[0] == CONFIG,
           "it is the one conffile")
    checked = tree.ask("milepostd", "--config", CONFIG, "--check-config")
    expect(checked.returncode == 0, "the shipped configuration is good")
    wanted = tree.path("/etc/systemd/system/multi-user.target.wants/milepostd.service")
    expect(wanted.is_symlink(), "the service is enabled")
    exposed(tree.path("/lib/systemd/system/milepostd.service"))
    links_work(tree.path("/usr/share/doc/milepost/README.md"))
    for program, page in man_pages.PAGES.items():
        path = tree.path(f"/usr/share/man/man{page[-1]}/{page}.gz")
        man_pages.flags_are_in(gzip.decompress(path.read_bytes()).decode(), lambda words: tree.ask(*words).stdout,
                               program)


def first_run(tree, folder):
    service = Service(tree)
    say(f"start -> READY=1 in {service.ready_s:.2f} s, with a new log")
    for _ in range(3):
        service.wait_for("WATCHDOG=1", WATCHDOG_S)
    expect(True, "WATCHDOG=1 comes in time, three times")
    process = service.milepostd()
    resident = int(process["VmRSS"].split()[0]) / 1024
    expect(resident <= RESIDENT_MAX_MIB, f"idle it takes {resident:.1f} MiB ({process['Threads']} threads), at most "
                                         f"{RESIDENT_MAX_MIB}")
    expect(process["CapBnd"].strip("0") == "" and process["Uid"].split()[0] != "0", "it runs unprivileged")
    levels = niceness(process["Pid"])
    expect(levels[0] == -5 and levels[-1] == 5, f"its network thread has the unit's niceness, the checkpointer's is ten more {levels}")
    is_real_time = os.sched_getscheduler(int(process["Pid"])) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR
    expect(is_real_time != ("--real-time is not permitted" in service.log()),
           f"its network thread is {'in real time' if is_real_time else 'not permitted real time on this machine, and says so'}")
    publish(tree, 1, 1000)
    expect(stored(tree) == list(range(1, 1001)), "1,000 readings published, acknowledged and read back, no upstream")
    expect(service.stop() == 0, "SIGTERM: STOPPING=1, exit 0")

    trace = folder / "trace"
    service = Service(tree, ["strace", "-f", "-qq", "-e", "signal=none", "-o", str(trace)])
    publish(tree, 1001, 1100)
    expect(stored(tree) == list(range(1, 1101)), "a second run goes on where the first ended")
    expect(service.stop() == 0, "and stops")
    filtered(Unit(tree.path("/lib/systemd/system/milepostd.service").read_text()), trace)


def upgrade(tree, packages):
    config = tree.path(CONFIG)
    edited = config.read_text().replace('#gateway_id = "mp-00000000"', 'gateway_id = "depot-7"')
    expect("depot-7" in edited, "the administrator edits the configuration")
    config.write_text(edited)
    done = tree.install([packages["milepost"], packages["milepost-fleet"]])
    version = tree.ask("dpkg-query", "-W", "-f=${Version}", "milepost").stdout
    expect(version.endswith("-2"), f"upgraded to {version}, without a question")
    expect(config.read_text() == edited, "the edited configuration is kept")
    owner = tree.ask("stat", "-c", "%a %U %G", CONFIG).stdout.strip()
    expect(owner == "640 root milepost", "with its owner and mode")
    service = Service(tree)
    say(f"start -> READY=1 in {service.ready_s:.2f} s, with a log of 1,100 readings")
    publish(tree, 1101, 1200)
    expect(stored(tree) == list(range(1, 1201)), "the log is kept, and goes on")
    expect("gateway depot-7" in service.log(), "under the name from the edited configuration")
    expect(service.stop() == 0, "and stops")
    return done


def removal(tree):
    tree.administer("dpkg", "--remove", "milepost")
    expect(tree.path(CONFIG).exists() and not tree.path("/usr/sbin/milepostd").exists(),
           "removed: the programs are gone, the configuration is kept")
    said = tree.administer("dpkg", "--purge", "milepost", "milepost-fleet")
    expect(not tree.path("/etc/milepost").exists(), "purged: the configuration is gone")
    expect("the log in /var/lib/milepost was kept" in said.stderr, "purge says that the log was kept")
    expect(any(tree.path(LOG).glob("vehicle.telemetry-*/*.log")), "and it was")
    left = tree.ask("find", "/usr", "/lib/systemd", "/etc", "-name", "milepost*", check=False).stdout.split()
    expect(not left, f"nothing else is left {left}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="keep the tree")
    chosen = parser.parse_args()
    Tree.require_tools()
    for tool, package in (("strace", "strace"), ("systemd-analyze", "systemd"), ("mosquitto_pub", "mosquitto-clients")):
        checks.foreign(tool, package)
    with checks.scratch(chosen.keep) as folder:
        packages = built()
        kept = folder / "packages"
        kept.mkdir()
        packages = {name: pathlib.Path(shutil.copy(path, kept)) for name, path in packages.items()}
        tree = Tree(folder / "root")
        try:
            first_installation(tree, packages)
            first_run(tree, folder)
            upgrade(tree, built("--revision", "2", "A test of the upgrade."))
            removal(tree)
        finally:
            tree.close()


if __name__ == "__main__":
    checks.run(main)
