"""Three Apache Kafka brokers (KRaft, each a controller, too; or with ZooKeeper), replication factor 3,
min.insync.replicas 2.

Each has a listener of its own for the gateway, which it advertises under another port: that of a proxy.
"""

import concurrent.futures
import json
import pathlib
import shutil
import subprocess
import tempfile

import broker
import jars
import processes
import wire
import zookeeper as zookeeper_module

NODES = 3
HEAP_MIB = 192
IN_SYNC_LIMIT_S = 60
REPLICATED = {"offsets.topic.replication.factor": 3, "transaction.state.log.replication.factor": 3,
              "transaction.state.log.min.isr": 2, "share.coordinator.state.topic.replication.factor": 3,
              "share.coordinator.state.topic.min.isr": 2, "default.replication.factor": 3, "min.insync.replicas": 2,
              # Two brokers share the load of a third one that is away.
              "offsets.topic.num.partitions": 3, "transaction.state.log.num.partitions": 3}
OF_KRAFT = ("process.roles=", "node.id=", "controller.", "broker.session.", "broker.heartbeat.")


class Node(broker.Broker):
    """One of a Cluster. `port` is for the tests' own tools, `gateway_port` is what a proxy leads to."""

    def __init__(self, folder, number, heap_mib=HEAP_MIB):
        super().__init__(folder)
        self.number = number
        self.heap_mib = heap_mib
        self.zookeeper = None
        self.port, self.gateway_port, self.proxy_port, self.controller_port = processes.free_ports(4)

    def configure(self, voters):
        """Writes server.properties and formats the folder."""
        self._write({
            "node.id": self.number, "controller.quorum.voters": voters,
            "listeners": f"{self._listeners(self.gateway_port)},CONTROLLER://127.0.0.1:{self.controller_port}",
            "listener.security.protocol.map": "TOOLS:PLAINTEXT,GATEWAY:PLAINTEXT,CONTROLLER:PLAINTEXT"})
        done = subprocess.run(
            jars.java_command(128, "tools") +
            ["kafka.tools.StorageTool", "format", "-t", broker.CLUSTER_ID, "-c", str(self.configuration)],
            capture_output=True, text=True, timeout=broker.START_LIMIT_S)
        if done.returncode != 0:
            raise RuntimeError(f"formatting the broker's folder failed:\n{done.stdout}{done.stderr}")

    def configure_with(self, zookeeper):
        """The same for a broker of 3.9 that has its cluster from there."""
        self.zookeeper = zookeeper
        self._write({
            "broker.id": self.number, "zookeeper.connect": zookeeper.address, "zookeeper.session.timeout.ms": 3000,
            "listeners": self._listeners(self.gateway_port),
            "listener.security.protocol.map": "TOOLS:PLAINTEXT,GATEWAY:PLAINTEXT"}, without=OF_KRAFT)

    def launch(self):
        if self.zookeeper is not None:
            processes.wait_until(lambda: not self.zookeeper.registered(self.number), within_s=broker.START_LIMIT_S,
                                 what=f"ZooKeeper has forgotten broker {self.number}")
        super().launch()

    def _listeners(self, gateway_port):
        return f"TOOLS://127.0.0.1:{self.port},GATEWAY://127.0.0.1:{gateway_port}"

    def _write(self, settings, without=()):
        self.folder.mkdir(parents=True)
        lines = [line for line in broker.properties_text().splitlines()
                 if not line.startswith(("controller.quorum.bootstrap.servers=", *without))]
        settings = {**REPLICATED, **settings, "log.dirs": self.data, "inter.broker.listener.name": "TOOLS",
                    "advertised.listeners": self._listeners(self.proxy_port)}
        self.configuration.write_text(broker.with_settings("\n".join(lines), settings))
        (self.folder / "testbed.json").write_text(json.dumps({"port": self.port, "pid": 0}))


class Cluster:
    """Use as a context manager: `with Cluster() as kafka:` starts it, and leaves nothing behind.

    Of the release that `jars.use` chose; `zookeeper`: not KRaft, for 3.9 only.
    """

    def __init__(self, zookeeper=False):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="milepost-cluster-"))
        self._zookeeper = zookeeper_module.ZooKeeper(self.folder / "zookeeper") if zookeeper else None
        self.nodes = [Node(self.folder / f"n{number}", number) for number in range(1, NODES + 1)]

    def __enter__(self):
        try:
            if self._zookeeper is not None:
                self._zookeeper.start()
            voters = ",".join(f"{node.number}@127.0.0.1:{node.controller_port}" for node in self.nodes)
            with concurrent.futures.ThreadPoolExecutor(NODES) as pool:
                list(pool.map(lambda node: node.configure(voters) if self._zookeeper is None
                              else node.configure_with(self._zookeeper), self.nodes))
            for node in self.nodes:
                node.launch()
            for node in self.nodes:
                node.wait_started()
            processes.wait_until(lambda: all(len(wire.describe(node.bootstrap).nodes) == NODES for node in self.nodes),
                                 within_s=IN_SYNC_LIMIT_S, what="each broker knows the others")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def bootstrap(self):
        """For the tests' own tools: a broker that runs."""
        return next(node.bootstrap for node in self.nodes if node.running())

    @property
    def gateway_bootstrap(self):
        """What the gateway is given: the proxies."""
        return ",".join(f"127.0.0.1:{node.proxy_port}" for node in self.nodes)

    def create_topic(self, name, partitions=4):
        wire.create_topic(self.bootstrap, name, partitions, NODES)
        self.nodes[0].wait_led(name)

    def coordinator(self, name, what):
        """The Node that coordinates the wire.GROUP or wire.TRANSACTION of that name. None: no broker says so now."""
        try:
            return self.nodes[wire.coordinator(self.bootstrap, name, what) - 1]
        except (OSError, StopIteration, wire.KafkaError):
            return None

    def in_sync(self):
        """Whether every broker has all of every partition."""
        try:
            topics = wire.describe(self.bootstrap).topics
        except (OSError, StopIteration):
            return False
        return all(len(partition.in_sync) == NODES for each in topics.values() for partition in each.values())

    def wait_in_sync(self):
        processes.wait_until(self.in_sync, within_s=IN_SYNC_LIMIT_S, what="every partition has three replicas")

    def transaction_state(self, transactional_id):
        """As wire.transaction_state, of the broker that coordinates it. None: no broker says so now."""
        for node in self.nodes:
            try:
                return wire.transaction_state(node.bootstrap, transactional_id)
            except (OSError, wire.KafkaError):
                pass
        return None

    def close(self):
        for node in self.nodes:  # nobody reads these folders again
            if node.running():
                node.kill()
        if self._zookeeper is not None:
            self._zookeeper.close()
        shutil.rmtree(self.folder, ignore_errors=True)
