"""One Apache Kafka broker (KRaft) in a folder of its own: start, stop, kill, restart."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import jars
import processes
import wire

HERE = pathlib.Path(__file__).resolve().parent
CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"
START_LIMIT_S = 60
HEAP_MIB = 256
EXIT_SIGTERM = 143


class Broker:
    """Use as a context manager: `with Broker() as kafka:` starts it, and leaves nothing behind.

    `folder`: where its configuration, data and logs live; None makes a temporary one, removed on exit.
    `settings` are properties over those of server.properties, `format_options` are for StorageTool (users that log in with SCRAM).
    """

    def __init__(self, folder=None, *, outlive=False, settings=None, format_options=()):
        self._temporary = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="milepost-kafka-"))
        self.data = self.folder / "data"
        self._outlive = outlive
        self._process = None
        self._settings = settings or {}
        self._format_options = list(format_options)
        self.port = 0
        self.number = 1
        self.heap_mib = HEAP_MIB
        self.configuration = self.folder / "server.properties"

    def __enter__(self):
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def prepare(self):
        """Writes the configuration and formats the data folder; a folder that has both is used as it is."""
        self.folder.mkdir(parents=True, exist_ok=True)
        about = self.folder / "testbed.json"
        if about.exists():
            self.port = json.loads(about.read_text())["port"]
            return
        self.port = self.port or processes.free_ports(1)[0]
        controller = processes.free_ports(1)[0]
        text = properties_text()
        for name, value in [("PORT", self.port), ("CONTROLLER", controller), ("DATA", self.data)]:
            text = text.replace(f"@{name}@", str(value))
        self.configuration.write_text(with_settings(text, self._settings))
        command = jars.java_command(128, "tools") + [
            "kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER_ID,
            "-c", str(self.configuration), *self._format_options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_LIMIT_S)
        if done.returncode != 0:
            raise RuntimeError(f"formatting the broker's folder failed:\n{done.stdout}{done.stderr}")
        about.write_text(json.dumps({"port": self.port, "pid": 0}))

    def start(self):
        """Starts it and waits until metadata answers: a listening port alone is too early."""
        self.launch()
        self.wait_started()

    def launch(self):
        """Starts it and returns at once. By a thread that outlives it: the broker dies with whoever started it."""
        archive = jars.cache_folder() / "broker.jsa"
        flags = ["-Xms64m", "-XX:+ExitOnOutOfMemoryError", f"-Dkafka.logs.dir={self.folder}/logs"]
        if not archive.exists():  # a clean stop of this run then leaves one; the next starts are faster
            flags.append(f"-XX:ArchiveClassesAtExit={self.folder}/broker.jsa")
        command = jars.java_command(self.heap_mib, "broker", archive, flags)
        with open(self.folder / "broker.out", "ab") as out:
            self._process = processes.start(
                command + ["kafka.Kafka", str(self.configuration)],
                outlive=self._outlive, stdout=out, stderr=out)
        self._note(self._process.pid)

    def wait_started(self):
        try:
            self.wait_ready()
        except TimeoutError:
            raise RuntimeError(f"the broker did not start:\n{self.log_tail()}") from None

    def wait_ready(self):
        processes.wait_until(self.ready, within_s=START_LIMIT_S, what="the broker answers metadata")

    def ready(self):
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"the broker ended with {self._process.returncode}:\n{self.log_tail()}")
        try:
            brokers, topics = wire.metadata(self.bootstrap)
        except OSError:
            return False
        return self.number in brokers and all(-1 not in leaders.values() for leaders in topics.values())

    def stop(self):
        """SIGTERM and wait."""
        if self._process is None:
            return
        processes.stop(self._process, grace_s=30)
        self._process = None
        self._note(0)
        self._keep_archive()

    def kill(self):
        """SIGKILL: what the broker had not synced is in the page cache and survives."""
        self._process.kill()
        self._process.wait()
        self._process = None
        self._note(0)

    def running(self):
        return self._process is not None and self._process.poll() is None

    def create_topic(self, name, partitions=4):
        wire.create_topic(self.bootstrap, name, partitions)
        self.wait_led(name)

    def wait_led(self, name):
        def led():  # metadata names a leader before the broker knows that it is one
            try:
                return len(wire.offsets(self.bootstrap, name)) >= 1
            except wire.KafkaError:
                return False
        processes.wait_until(led, within_s=10, what=f"topic {name} has leaders")

    def log_tail(self, lines=25):
        out = []
        for name in ("broker.out", "logs/server.log"):
            path = self.folder / name
            if path.exists():
                out += path.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join(out)

    def close(self):
        if self._process is not None:
            if self._temporary and (jars.cache_folder() / "broker.jsa").exists():
                self.kill()  # nobody reads this folder again
            else:
                self.stop()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _note(self, pid):
        (self.folder / "testbed.json").write_text(json.dumps({"port": self.port, "pid": pid}))

    def _keep_archive(self):
        made = self.folder / "broker.jsa"
        if made.exists():
            beside = jars.cache_folder() / f"broker.jsa.{os.getpid()}"
            shutil.move(made, beside)
            beside.rename(jars.cache_folder() / "broker.jsa")


def properties_text():
    """server.properties without what the release that is used does not know."""
    lines = (HERE / "server.properties").read_text().splitlines()
    known = [line for line in lines if jars.release().version.startswith("4") or not line.startswith("share.")]
    return "\n".join(known) + "\n"


def with_settings(text, settings):
    """A properties file with these over what it has."""
    kept = [line for line in text.splitlines() if line.split("=", 1)[0] not in settings]
    return "\n".join(kept + [f"{name}={value}" for name, value in settings.items()]) + "\n"


def running_in(folder):
    """Whether the broker that another process started in `folder` with outlive=True runs: its pid, or 0."""
    about = pathlib.Path(folder) / "testbed.json"
    if not about.exists():
        return 0
    pid = json.loads(about.read_text())["pid"]
    return pid if _is_broker(pid, folder) else 0


def stop_in(folder, *, first=signal.SIGTERM, grace_s=30.0):
    """Stops the broker of `folder` that another process started, whoever that was. True if one ran."""
    pid = running_in(folder)
    if pid == 0:
        return False
    os.kill(pid, first)
    end = time.monotonic() + grace_s
    while _is_broker(pid, folder):
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    return True


def _is_broker(pid, folder):
    """Whether `pid` is still the broker of `folder`: process ids are used again."""
    try:
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z" and f"{folder}/server.properties".encode() in command
