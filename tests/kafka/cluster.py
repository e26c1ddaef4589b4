"""Three Apache Kafka brokers (KRaft, each a controller, too), replication factor 3, min.insync.replicas 2.

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

NODES = 3
HEAP_MIB = 192
IN_SYNC_LIMIT_S = 60
REPLICATED = {"offsets.topic.replication.factor": 3, "transaction.state.log.replication.factor": 3,
              "transaction.state.log.min.isr": 2, "share.coordinator.state.topic.replication.factor": 3,
              "share.coordinator.state.topic.min.isr": 2, "default.replication.factor": 3, "min.insync.replicas": 2,
              # Two brokers share the load of a third one that is away.
              "offsets.topic.num.partitions": 3, "transaction.state.log.num.partitions": 3}


class Node(broker.Broker):
    """One of a Cluster. `port` is for the tests' own tools, `gateway_port` is what a proxy leads to."""

    def __init__(self, folder, number, heap_mib=HEAP_MIB):
        super().__init__(folder)
        self.number = number
        self.heap_mib = heap_mib
        self.port, self.gateway_port, self.proxy_port, self.controller_port = processes.free_ports(4)

    def configure(self, voters):
        """Writes server.properties and formats the folder."""
        self.folder.mkdir(parents=True)
        text = (broker.HERE / "server.properties").read_text()
        text = text.replace("controller.quorum.bootstrap.servers=", "#")
        settings = dict(REPLICATED, **{
            "node.id": self.number, "log.dirs": self.data, "controller.quorum.voters": voters,
            "listeners": f"TOOLS://127.0.0.1:{self.port},GATEWAY://127.0.0.1:{self.gateway_port},"
                         f"CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"TOOLS://127.0.0.1:{self.port},GATEWAY://127.0.0.1:{self.proxy_port}",
            "inter.broker.listener.name": "TOOLS",
            "listener.security.protocol.map": "TOOLS:PLAINTEXT,GATEWAY:PLAINTEXT,CONTROLLER:PLAINTEXT"})
        self.configuration.write_text(broker.with_settings(text, settings))
        (self.folder / "testbed.json").write_text(json.dumps({"port": self.port, "pid": 0}))
        done = subprocess.run(
            jars.java_command(128, broker.HERE / "log4j2-tools.properties") +
            ["kafka.tools.StorageTool", "format", "-t", broker.CLUSTER_ID, "-c", str(self.configuration)],
            capture_output=True, text=True, timeout=broker.START_LIMIT_S)
        if done.returncode != 0:
            raise RuntimeError(f"formatting the broker's folder failed:\n{done.stdout}{done.stderr}")


class Cluster:
    """Use as a context manager: `with Cluster() as kafka:` starts it, and leaves nothing behind."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="milepost-cluster-"))
        self.nodes = [Node(self.folder / f"n{number}", number) for number in range(1, NODES + 1)]

    def __enter__(self):
        try:
            voters = ",".join(f"{node.number}@127.0.0.1:{node.controller_port}" for node in self.nodes)
            with concurrent.futures.ThreadPoolExecutor(NODES) as pool:
                list(pool.map(lambda node: node.configure(voters), self.nodes))
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

    def leader(self, topic, partition=0):
        """The Node that leads a partition."""
        number = wire.describe(self.bootstrap).topics[topic][partition].leader
        return self.nodes[number - 1]

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
        shutil.rmtree(self.folder, ignore_errors=True)
