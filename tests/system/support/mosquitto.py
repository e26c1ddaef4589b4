"""Debian's mosquitto on a free loopback port."""

import getpass
import subprocess

import processes
from . import checks

FLOW_LIMIT_S = 120


class Mosquitto:
    """With its persistence saved at each change, so that a restart keeps sessions and queues."""

    def __init__(self, folder, more=""):
        self.folder = folder
        self.folder.mkdir()
        self.port = processes.free_ports(1)[0]
        self.process = None
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nper_listener_settings false\n"
            f"persistence true\npersistence_location {folder}/\nautosave_on_changes true\nautosave_interval 1000000\n"
            f"set_tcp_nodelay true\nuser {getpass.getuser()}\n{more}")

    def start(self):
        with open(self.folder / "mosquitto.log", "ab") as out:
            self.process = processes.start(
                [checks.foreign("mosquitto", "mosquitto"), "-v", "-c", str(self.folder / "mosquitto.conf")],
                stdout=out, stderr=out)
        processes.wait_until(lambda: self.publish("probe", ["x"], qos=0, must=False), within_s=10,
                             what="mosquitto answers")

    def stop(self):
        """SIGTERM: it saves its database."""
        processes.stop(self.process)

    def publish(self, topic, lines, *, qos, must=True):
        done = subprocess.run(
            [checks.foreign("mosquitto_pub", "mosquitto-clients"), "-h", "127.0.0.1", "-p", str(self.port), "-V", "mqttv5",
             "-q", str(qos), "-t", topic, "-l"], input="".join(f"{line}\n" for line in lines), text=True,
            capture_output=True, timeout=FLOW_LIMIT_S)
        if must and done.returncode != 0:
            raise checks.Failed(f"mosquitto_pub: {done.returncode} {done.stderr}")
        return done.returncode == 0
