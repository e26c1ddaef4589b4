#!/usr/bin/env python3
"""The way to a real Apache Kafka: a backlog drained by milepostd, both deliveries, beside librdkafka's bare producer with
the same readings, in turn, in the same run. Then an outage and what comes after it. One table; figures drift by a
factor on shared machines, ratios of one run count.

    tests/bench/run.sh --upstream                       1,000,000 records
    tests/bench/run.sh --upstream --records 10000000 --only lz4
"""

import argparse
import collections
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "kafka"))
sys.path.insert(0, str(ROOT / "tests" / "system"))
# pylint: disable=wrong-import-position
from support import checks, gateway as gateway_module, mqtt  # noqa: E402
import processes  # noqa: E402
import testbed  # noqa: E402

TOPIC, PARTITIONS = "vehicle.telemetry", 4
VALUES = 65_536  # of the backlog, which the bare producer sends again and again
CODECS = ("none", "lz4", "zstd")
# (name, keys of [upstream])
DELIVERIES = (("at least once", {"delivery": "at_least_once"}),
              ("exactly once", {"delivery": "exactly_once", "producers": 1}),
              ("exactly once, 2 producers", {"delivery": "exactly_once", "producers": 2}))
DRAIN_LIMIT_S = 600
BACK_RECORDS = 150_000
LIVE_EVERY_S = 0.01

# Seconds for all of it, CPU seconds of the sender and of the broker, bytes both ways on TCP, the most resident memory.
Figures = collections.namedtuple("Figures", "records seconds cpu_s broker_cpu_s sent received high_mib")


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def high_mib(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def tcp_bytes(pid, port):
    """What the process sent to the broker and got from it, on the connections that it has."""
    said = subprocess.run(["ss", "-tniHp", f"dport = :{port}"], capture_output=True, text=True, check=True).stdout
    sent = received = 0
    for connection in re.split(r"\n(?=\S)", said):
        if f"pid={pid}," in connection:
            sent += sum(map(int, re.findall(r"bytes_sent:(\d+)", connection)))
            received += sum(map(int, re.findall(r"bytes_received:(\d+)", connection)))
    return sent, received


class Bench:
    def __init__(self, size, kafka, folder):
        self.size, self.kafka, self.folder = size, kafka, folder
        self.broker_pid = json.loads((kafka.folder / "testbed.json").read_text())["pid"]
        self.number = 0
        self.backlog = folder / "backlog"
        self.values = folder / "values"

    def make_backlog(self):
        subprocess.run([self.size.bin / "make_recording", self.backlog, str(self.size.records), "3600000", "telemetry"],
                       check=True)
        count = min(VALUES, self.size.records)
        with open(self.values, "wb") as out:
            subprocess.run([self.size.bin / "milepost", "consume", "--data-dir", self.backlog, "-t", TOPIC, "-o", "beginning",
                            "-e", "-c", str(count), "-f", "%s\\n"], stdout=out, check=True)

    def bare(self, codec):
        broker_before = cpu_s(self.broker_pid)
        process = processes.start([self.size.bin / "bare_producer", self.kafka.bootstrap, TOPIC, str(PARTITIONS),
                                   str(self.size.records), codec, self.values],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        said = json.loads(process.stdout.readline())
        sent, received = tcp_bytes(process.pid, self.kafka.port)
        high = high_mib(process.pid)
        process.stdin.close()
        if process.wait(60) != 0 or said["records"] != self.size.records:
            sys.exit(f"upstream: the bare producer delivered {said}")
        return Figures(said["records"], said["seconds"], said["cpu_s"], cpu_s(self.broker_pid) - broker_before, sent,
                       received, high)

    def gateway(self, data, **keys):
        """One with an id of its own, so that it begins at the start of its log."""
        self.number += 1
        return gateway_module.Gateway(self.folder / f"gw{self.number}", data=data, upstream=self.kafka.bootstrap,
                                      upstream_keys=keys, extra_first=f'gateway_id = "bench{self.number}"\n',
                                      extra="[time]\nrequire_sync = false\n")

    def drain(self, codec, keys):
        data = self.folder / "data"
        shutil.copytree(self.backlog, data)
        broker_before = cpu_s(self.broker_pid)
        with self.gateway(data, compression=codec, **keys) as gateway:
            gateway.start()
            pid = gateway.pid()
            began = processes.wait_until(lambda: confirmed(gateway) > 0 and time.monotonic(), within_s=60, every_s=0.002,
                                         what="the first record is confirmed")
            processes.wait_until(lambda: confirmed(gateway) >= self.size.records, within_s=DRAIN_LIMIT_S, every_s=0.02,
                                 what="all records are confirmed")
            took = time.monotonic() - began
            found = Figures(self.size.records, took, cpu_s(pid), cpu_s(self.broker_pid) - broker_before,
                            *tcp_bytes(pid, self.kafka.port), high_mib(pid))
            gateway.terminate()
        shutil.rmtree(data)
        return found

    def back(self, keys):
        """Kafka is away while readings come; the gateway is killed, or not. What it takes when Kafka is back."""
        for killed in (False, True):
            with self.gateway(None, **keys) as gateway:
                gateway.start()
                self.load(gateway, seconds=0.5)
                processes.wait_until(lambda: lag(gateway) == 0, within_s=60, what="all is forwarded")
                self.kafka.stop()
                processes.wait_until(lambda: self.load(gateway, seconds=0.3) or lag(gateway) >= BACK_RECORDS, within_s=60,
                                     what=f"{BACK_RECORDS} records wait")
                waiting = lag(gateway)
                if killed:
                    gateway.kill()
                    gateway.start()
                before = confirmed(gateway)
                self.kafka.launch()
                processes.wait_until(self.kafka.ready, within_s=60, every_s=0.005, what="the broker answers metadata")
                answered = time.monotonic()
                first = processes.wait_until(lambda: confirmed(gateway) > before and time.monotonic(), within_s=60,
                                             every_s=0.005, what="the first record is confirmed")
                processes.wait_until(lambda: confirmed(gateway) >= before + waiting, within_s=60, every_s=0.005,
                                     what="all is forwarded")
                ended = time.monotonic()
                gateway.terminate()
            self.broker_pid = json.loads((self.kafka.folder / "testbed.json").read_text())["pid"]
            yield killed, waiting, first - answered, ended - answered

    def load(self, gateway, seconds, connections=100, window=20):
        done = subprocess.run([self.size.bin / "mqtt_load", "--port", str(gateway.mqtt_port), "--connections",
                               str(connections), "--window", str(window), "--seconds", str(seconds), "--warmup", "0",
                               "--pid", str(gateway.pid())], stdout=subprocess.PIPE, check=True, text=True)
        self.loaded = json.loads(done.stdout)

    def live(self, keys, connections, window):
        """Readings come and are forwarded at the same time."""
        with self.gateway(None, **keys) as gateway:
            gateway.start()
            pid = gateway.pid()
            cpu_before = cpu_s(pid)
            began = time.monotonic()
            self.load(gateway, self.size.seconds, connections, window)
            processes.wait_until(lambda: lag(gateway) == 0, within_s=120, what="all is forwarded")
            took, used, count = time.monotonic() - began, cpu_s(pid) - cpu_before, confirmed(gateway)
            gateway.terminate()
        return self.loaded["rate"], count / took, used / count * 1e6


def confirmed(gateway):
    return int(gateway.metrics().get('milepost_forward_events_total{event="confirmed"}', 0))


def lag(gateway):
    return gateway.status()["upstream"]["backlog_records"]


def show(codec, name, figures, bare):
    million = figures.records / 1e6
    rate = figures.records / figures.seconds
    print(f"{codec:>5} | {name:<26} | {rate:>9,.0f} {rate * bare.seconds / bare.records:>5.2f} | "
          f"{figures.cpu_s / million:>6.2f} {figures.broker_cpu_s / million:>6.2f} | "
          f"{figures.sent / figures.records:>6.1f} {figures.received / figures.records:>5.2f} | {figures.high_mib:>6.0f}",
          flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, type=pathlib.Path)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=4, help="of live load")
    parser.add_argument("--only", default="none,lz4,zstd,live,back", help="parts, with commas")
    chosen = parser.parse_args()
    chosen.only = chosen.only.split(",")
    return chosen


def drains(bench, codecs):
    print(f"{bench.size.records:,} records wait, {PARTITIONS} partitions; CPU seconds a million of the sender and of the "
          "broker; TCP bytes a record; the most resident memory")
    print("codec | sender                     | records/s ratio |    CPU broker |   sent  got. |    MiB")
    for codec in codecs:
        bare = bench.bare(codec)
        show(codec, "librdkafka alone", bare, bare)
        for name, keys in DELIVERIES:
            show(codec, name, bench.drain(codec, keys), bare)


def main():
    size = arguments()
    testbed.require_kafka()
    with tempfile.TemporaryDirectory(prefix="milepost-bench-") as folder, testbed.Broker() as kafka:
        bench = Bench(size, kafka, pathlib.Path(folder))
        kafka.create_topic(TOPIC, PARTITIONS)
        for topic in ("vehicle.events", "mqtt.other"):
            kafka.create_topic(topic, PARTITIONS)
        bench.make_backlog()
        bench.bare("lz4")  # the broker is warm then
        codecs = [codec for codec in CODECS if codec in size.only]
        if codecs:
            drains(bench, codecs)
        if "live" in size.only:
            print("live      | sender                     | acknowledged/s  forwarded/s    CPU")
            for connections, window in ((100, 20), (100, 1)):
                for name, keys in DELIVERIES:
                    rate, forwarded, used = bench.live(keys, connections, window)
                    print(f"{f'{connections} x {window}':>9} | {name:<26} | {rate:>14,.0f} {forwarded:>12,.0f} {used:>6.2f}",
                          flush=True)
        if "back" in size.only:
            print("Kafka back | sender                     | waiting   first record   all, seconds from its first answer")
            for name, keys in DELIVERIES[:2]:
                for killed, waiting, first, all_of_it in bench.back(keys):
                    print(f"{'killed' if killed else '':>10} | {name:<26} | {waiting:>7,} {first:>14.2f} {all_of_it:>5.2f}",
                          flush=True)


if __name__ == "__main__":
    checks.run(main)
