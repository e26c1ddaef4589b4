"""One ZooKeeper, which keeps what brokers of Kafka 3.9 know of each other. It comes with their jars."""

import shutil
import socket

import jars
import processes

START_LIMIT_S = 30
HEAP_MIB = 128
SETTINGS = """dataDir={folder}/data
clientPort={port}
clientPortAddress=127.0.0.1
maxClientCnxns=0
admin.enableServer=false
tickTime=500
4lw.commands.whitelist=ruok,dump
"""


class ZooKeeper:
    def __init__(self, folder):
        self.folder = folder
        self.port = processes.free_ports(1)[0]
        self._process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        """Starts it and waits until it answers."""
        self.folder.mkdir(parents=True)
        configuration = self.folder / "zookeeper.properties"
        configuration.write_text(SETTINGS.format(folder=self.folder, port=self.port))
        command = jars.java_command(HEAP_MIB, "broker", properties=[f"-Dkafka.logs.dir={self.folder}"])
        with open(self.folder / "zookeeper.out", "ab") as out:
            self._process = processes.start(
                command + ["org.apache.zookeeper.server.quorum.QuorumPeerMain", str(configuration)],
                stdout=out, stderr=out)
        processes.wait_until(lambda: self._ask("ruok") == "imok", within_s=START_LIMIT_S, what="ZooKeeper answers")

    def registered(self, number):
        """Whether it believes that this broker is there: after a SIGKILL until the session ends, and no other of that
        number may start before."""
        return f"/brokers/ids/{number}\n" in self._ask("dump")

    def close(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ask(self, word):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(word.encode())
                said = b""
                while piece := connection.recv(65536):
                    said += piece
                return said.decode(errors="replace")
        except OSError:
            return ""
