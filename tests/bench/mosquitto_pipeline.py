"""What a site without Milepost would put together: Mosquitto, and `mosquitto_sub | kcat` behind it."""

import shutil
import socket
import subprocess

import processes

PROGRAMS = ("mosquitto", "mosquitto_sub", "kcat")


class Pipeline:
    """Acknowledges from memory, forwards with acks=all; nothing is on any disk. A context manager."""

    def __init__(self, folder, bootstrap, topic, codec):
        missing = [name for name in PROGRAMS if shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin") is None]
        if missing:
            raise SystemExit(f"upstream: {', '.join(missing)}: packaging/install-build-deps.sh --tests installs them")
        self.folder, self.bootstrap, self.topic, self.codec = folder, bootstrap, topic, codec
        self.mqtt_port = processes.free_ports(1)[0]
        self.processes = []

    def __enter__(self):
        self.folder.mkdir()
        config = self.folder / "mosquitto.conf"
        config.write_text(f"listener {self.mqtt_port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
                          "max_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\n"
                          "log_type error\nlog_type subscribe\n")
        log = open(self.folder / "mosquitto.log", "wb")
        broker = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/bin")
        self.processes.append(processes.start([broker, "-c", str(config)], stdout=log, stderr=log))
        processes.wait_until(self._accepts, within_s=10, what="Mosquitto accepts")
        reader = processes.start(["mosquitto_sub", "-p", str(self.mqtt_port), "-q", "1", "-t", "vehicles/+/telemetry",
                                  "-F", "%t\t%p"], stdout=subprocess.PIPE)
        self.processes.append(reader)
        self.processes.append(processes.start(["kcat", "-P", "-b", self.bootstrap, "-t", self.topic, "-K", "\t", "-X", "acks=all",
                                               "-X", "enable.idempotence=true", "-z", self.codec],
                                              stdin=reader.stdout, stdout=log, stderr=log))
        reader.stdout.close()
        processes.wait_until(lambda: b"vehicles/+/telemetry" in (self.folder / "mosquitto.log").read_bytes(), within_s=10,
                             what="mosquitto_sub has subscribed")
        return self

    def __exit__(self, *_):
        for process in self.processes[1:] + self.processes[:1]:
            processes.stop(process, grace_s=2)

    def _accepts(self):
        try:
            socket.create_connection(("127.0.0.1", self.mqtt_port), timeout=1).close()
            return True
        except OSError:
            return False

    def pids(self):
        return [process.pid for process in self.processes]
