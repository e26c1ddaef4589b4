"""Apache Kafka's jars: fetched once with Maven, pinned by jars.sha512, kept outside the build folder.

A cache whose sums are right is used as it is, without a network. Only the standard library is needed. One release for
each process: 4.3 unless `use` says 3.9, which is fetched only then.
"""

import collections
import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
KAFKA_VERSION = "4.3.1"
# `log4j` is its own or its successor 2, in files and properties.
Release = collections.namedtuple("Release", "version pom sums log4j")
RELEASES = {"4.3": Release(KAFKA_VERSION, "pom.xml", "jars.sha512", 2),
            "3.9": Release("3.9.2", "pom-3.9.xml", "jars-3.9.sha512", 1)}  # the last with ZooKeeper
FETCH_TIMEOUT_S = 300
FETCH_ATTEMPTS = 2
# The same for the run that makes the class archive and all that use it: the JVM compares.
JVM_FLAGS = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


class KafkaUnavailable(RuntimeError):
    """The jars (or Java) cannot be had here; the text says why."""


_used = [RELEASES["4.3"]]


def use(name):
    """From now on all of this process is of that one of RELEASES."""
    _used[0] = RELEASES[name]


def release():
    """The one that is used."""
    return _used[0]


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "milepost" / f"kafka-{release().version}"


def pinned_sums():
    lines = (HERE / release().sums).read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def differences(folder):
    """What in `folder` is not as pinned: one line each, empty when all is right."""
    wanted = pinned_sums()
    present = {path.name for path in folder.glob("*.jar")}
    found = [f"{name}: not pinned" for name in sorted(present - wanted.keys())]
    for name, digest in wanted.items():
        path = folder / name
        if name not in present:
            found.append(f"{name}: missing")
        elif hashlib.sha512(path.read_bytes()).hexdigest() != digest:
            found.append(f"{name}: wrong sum")
    return found


def _fetch(into):
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailable("no mvn (Debian package maven)")
    command = [maven, "-B", "-q", "-C", "-f", str(HERE / release().pom), "dependency:copy-dependencies",
               f"-DoutputDirectory={into}", "-DincludeScope=runtime"]
    said = ""
    for extra in [["-o"]] + [[]] * FETCH_ATTEMPTS:  # Maven's own repository may have them all
        try:
            done = subprocess.run(command + extra, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  stdin=subprocess.DEVNULL, text=True, timeout=FETCH_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            said = f"mvn took longer than {FETCH_TIMEOUT_S} s"
            continue
        if done.returncode == 0:
            return
        errors = [line for line in done.stdout.splitlines() if "ERROR" in line]
        said = errors[0].strip() if errors else f"mvn exit {done.returncode}"
    raise KafkaUnavailable(said)


@contextlib.contextmanager
def _locked(folder):
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def library():
    """The folder of verified jars; fetches them when needed. Raises KafkaUnavailable."""
    if shutil.which("java") is None:
        raise KafkaUnavailable("no java (Debian package default-jre-headless)")
    home = cache_folder()
    lib = home / "lib"
    with _locked(home):
        if not lib.is_dir() or differences(lib):
            with tempfile.TemporaryDirectory(dir=home, prefix="fetch-") as fresh:
                _fetch(fresh)
                wrong = differences(pathlib.Path(fresh))
                if wrong:
                    raise KafkaUnavailable("fetched jars are not the pinned ones: " + "; ".join(wrong))
                shutil.rmtree(lib, ignore_errors=True)
                os.chmod(fresh, 0o755)
                os.rename(fresh, lib)
                os.mkdir(fresh)  # the context manager removes what it made
    return lib


def class_path(lib):
    # Explicit and sorted: a class archive is only accepted with exactly the class path it was made with.
    return ":".join(str(path) for path in sorted(lib.glob("*.jar")))


def java_command(heap_mib, logs, archive=None, properties=()):
    """The start of a command line: java with its flags and the class path; append class and arguments.

    `logs`: "broker" (to a file) or "tools" (errors to stderr).
    """
    lib = library()
    config = HERE / f"log4j{release().log4j}-{logs}.properties"
    flag = f"-Dlog4j2.configurationFile={config}" if release().log4j == 2 else f"-Dlog4j.configuration=file:{config}"
    command = ["java", f"-Xmx{heap_mib}m", *JVM_FLAGS, flag]
    if archive is not None and archive.exists():
        command += ["-Xshare:auto", f"-XX:SharedArchiveFile={archive}"]
    return command + [*properties, "-cp", class_path(lib)]
