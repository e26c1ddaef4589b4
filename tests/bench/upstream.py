#!/usr/bin/env python3
"""The way to a real Apache Kafka: a backlog drained by milepostd, both deliveries, beside librdkafka's bare producer with
the same readings, in turn, in the same run. Then an outage and what comes after it. One table; figures drift by a
factor on shared machines, ratios of one run count.

    tests/bench/run.sh --upstream                       1,000,000 records
    tests/bench/run.sh --upstream --records 10000000 --only lz4,arriving
    tests/bench/run.sh --upstream --only zstd --rounds 3        the medians
    tests/bench/run.sh --upstream --only end_to_end,one_core    beside mosquitto_sub | kcat; on one core
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "kafka"))
sys.path.insert(0, str(ROOT / "tests" / "system"))
# pylint: disable=wrong-import-position
from support import checks, gateway as gateway_module, mqtt  # noqa: E402
from ingest import accepts  # noqa: E402
from mosquitto_pipeline import Pipeline  # noqa: E402
import processes  # noqa: E402
import testbed  # noqa: E402
import wire  # noqa: E402

TOPIC, PARTITIONS = "vehicle.telemetry", 4
RING_MIB = 64  # what a log has by itself; it keeps that of its folder
VALUES = 65_536  # of the backlog, which the bare producer sends again and again
CODECS = ("none", "lz4", "zstd")
# (name, keys of [upstream])
DELIVERIES = (("at least once", {"delivery": "at_least_once"}),
              ("exactly once", {"delivery": "exactly_once", "producers": 1}),
              ("exactly once, 2 producers", {"delivery": "exactly_once", "producers": 2}))
DRAIN_LIMIT_S = 600
BACK_RECORDS = 150_000
BACK_PER_S = 60_000
ARRIVING_PER_S = 10_000
IDLE_S = 5
KNOWN_AFTER_S = 0.3
UNIT = (ROOT / "packaging/milepostd.service").read_text()
UNIT_NICENESS = int(re.search(r"^Nice=(.+)$", UNIT, re.MULTILINE)[1])
UNIT_FLAGS = re.search(r"^ExecStart=.*milepost[.]toml(.*)$", UNIT, re.MULTILINE)[1].split()

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
        subprocess.run([self.size.bin / "make_recording", self.backlog, str(self.size.records), "3600000", "telemetry",
                        str(RING_MIB)], check=True)
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

    def copy_backlog(self, data):
        shutil.copytree(self.backlog, data)
        os.sync()  # else the disk is busy with the copy when the gateway's commits come

    def drain(self, codec, keys):
        data = self.folder / "data"
        self.copy_backlog(data)
        broker_before = cpu_s(self.broker_pid)
        with self.gateway(data, compression=codec, **keys) as gateway:
            gateway.start()
            pid = gateway.pid()
            began = processes.wait_until(lambda: confirmed(gateway) > 0 and time.monotonic(), within_s=60, every_s=0.002,
                                         what="the first record is confirmed")
            processes.wait_until(lambda: confirmed(gateway) >= self.size.records, within_s=DRAIN_LIMIT_S, every_s=0.05,
                                 what="all records are confirmed")
            took = time.monotonic() - began
            found = Figures(self.size.records, took, cpu_s(pid), cpu_s(self.broker_pid) - broker_before,
                            *tcp_bytes(pid, self.kafka.port), high_mib(pid))
            gateway.terminate()
        shutil.rmtree(data)
        return found

    def back(self, keys):
        """Kafka is away while readings come; the gateway is killed, or not, perhaps with a transaction open. What it takes
        when Kafka is back."""
        for killed in ("", "killed", "in a transaction")[:2 if keys["delivery"] == "at_least_once" else 3]:
            with self.gateway(None, **keys) as gateway:
                gateway.start()
                self.load(gateway, seconds=0.5)
                processes.wait_until(lambda: lag(gateway) == 0, within_s=60, what="all is forwarded")
                if killed == "in a transaction":
                    self.kill_in_transaction(gateway)
                self.kafka.stop()
                if killed == "in a transaction":
                    gateway.start()
                processes.wait_until(lambda: self.load(gateway, seconds=0.5, rate=BACK_PER_S) or lag(gateway) >= BACK_RECORDS,
                                     within_s=60, what=f"{BACK_RECORDS} records wait")
                waiting = lag(gateway)
                if killed == "killed":
                    gateway.kill()
                    gateway.start()
                before = confirmed(gateway)
                self.kafka.launch()
                processes.wait_until(self.kafka.ready, within_s=60, every_s=0.005, what="the broker answers metadata")
                answered = time.monotonic()
                first = processes.wait_until(lambda: confirmed(gateway) > before and time.monotonic(), within_s=60,
                                             every_s=0.005, what="the first record is confirmed")
                # Of what waited, some was committed and not yet noted when it was killed.
                processes.wait_until(lambda: confirmed(gateway) >= before + waiting or lag(gateway) == 0, within_s=60,
                                     every_s=0.005, what="all is forwarded")
                ended = time.monotonic()
                gateway.terminate()
            self.broker_pid = json.loads((self.kafka.folder / "testbed.json").read_text())["pid"]
            yield killed, waiting, first - answered, ended - answered

    def kill_in_transaction(self, gateway):
        """SIGKILL while Kafka says that a transaction of its is open."""
        load = self.begin_load(gateway.mqtt_port, seconds=30, rate=ARRIVING_PER_S, window=1000)

        def is_in_one():
            return wire.transaction_state(self.kafka.bootstrap, f"milepost-bench{self.number}") == "Ongoing"

        def stopped_in_one():
            os.kill(gateway.pid(), signal.SIGSTOP)
            if is_in_one() and (time.sleep(0.05) or is_in_one()):  # its end was not on its way, either
                return True
            os.kill(gateway.pid(), signal.SIGCONT)
            return False

        processes.wait_until(stopped_in_one, within_s=20, every_s=0.013, what="a transaction is open")
        processes.stop(load, first=signal.SIGKILL)
        gateway.kill()

    def load(self, gateway, seconds, connections=100, window=20, rate=0):
        self.loaded = self.await_load(self.begin_load(gateway.mqtt_port, seconds, connections, window, rate))

    def begin_load(self, port, seconds, connections=100, window=20, rate=0, away=0):
        return processes.start([self.size.bin / "mqtt_load", "--port", str(port), "--connections", str(connections),
                                "--window", str(window), "--seconds", str(seconds), "--warmup", "0", "--rate", str(rate),
                                "--away", str(away)],
                               stdout=subprocess.PIPE, text=True)

    @staticmethod
    def await_load(load):
        said = load.communicate()[0]
        if load.returncode != 0:
            sys.exit(f"upstream: mqtt_load ends with {load.returncode}")
        return json.loads(said)

    def arriving(self, keys, load_s, codec="lz4"):
        """A backlog is forwarded while readings come; or with an empty log: what their acks take without. The gateway runs as
        its systemd unit says; the load, which stands for other machines, does not wait for this one's cores."""
        data = None
        if load_s is not None:
            data = self.folder / "data"
            self.copy_backlog(data)
        with self.gateway(data, compression=codec, **keys) as gateway:
            gateway.flags = UNIT_FLAGS
            with niceness(UNIT_NICENESS):
                gateway.start()
            if load_s is None:
                found = self.acks(gateway, lambda: None, IDLE_S)
                gateway.terminate()
                return found
            began = processes.wait_until(lambda: confirmed(gateway) > 0 and time.monotonic(), within_s=60, every_s=0.002,
                                         what="the first record is confirmed")

            def drained():
                processes.wait_until(lambda: confirmed(gateway) >= self.size.records, within_s=DRAIN_LIMIT_S, every_s=0.05,
                                     what="as many as waited are confirmed")
                return time.monotonic() - began

            acks, took = self.acks(gateway, drained, load_s)
            found = Figures(self.size.records, took, cpu_s(gateway.pid()), 0, 0, 0, high_mib(gateway.pid()))
            gateway.terminate()
        shutil.rmtree(data)
        return acks, found

    def acks(self, gateway, meanwhile, seconds):
        """Of what arrives at ARRIVING_PER_S for so long, the devices and their topics being known; what meanwhile() gives."""
        def begin(length_s):
            return self.begin_load(gateway.mqtt_port, length_s, window=1000, rate=ARRIVING_PER_S, away=1)

        self.await_load(begin(KNOWN_AFTER_S))
        load = begin(seconds)
        found = meanwhile()
        return self.await_load(load), found

    def pipeline(self, codec, window):
        """The same load through mosquitto and mosquitto_sub | kcat: records a second to the last in Kafka, CPU a million."""
        self.number += 1
        topic = f"piped.{self.number}"
        self.kafka.create_topic(topic, PARTITIONS)
        with Pipeline(self.folder / f"pipe{self.number}", self.kafka.bootstrap, topic, codec) as pipe:
            before = [cpu_s(pid) for pid in pipe.pids()]
            began = time.monotonic()
            loaded = self.await_load(self.begin_load(pipe.mqtt_port, self.size.seconds, window=window))
            count = processes.wait_until(
                lambda: (there := sum(wire.offsets(self.kafka.bootstrap, topic).values())) >= loaded["messages"] and there,
                within_s=120, what="all is in Kafka")
            took = time.monotonic() - began
            used = sum(map(cpu_s, pipe.pids())) - sum(before)
        return loaded["rate"], count / took, used / count * 1e6

    def live(self, keys, connections, window, core=None):
        """Readings come and are forwarded at the same time; the gateway on `core` alone, if given."""
        with self.gateway(None, **keys) as gateway:
            gateway.start()
            pid = gateway.pid()
            if core is not None:
                pin(pid, core)
            cpu_before = cpu_s(pid)
            began = time.monotonic()
            self.load(gateway, self.size.seconds, connections, window)
            processes.wait_until(lambda: lag(gateway) == 0, within_s=120, what="all is forwarded")
            took, used, count = time.monotonic() - began, cpu_s(pid) - cpu_before, confirmed(gateway)
            gateway.terminate()
        return self.loaded["rate"], count / took, used / count * 1e6

    def bare_core(self, connections, window, core, is_forwarding):
        """Of a bare loop on `core`: acknowledged a second, forwarded a second, CPU a million; forwarded by librdkafka on the
        same core, if wanted."""
        self.number += 1
        file, (port,) = self.folder / f"bare{self.number}", processes.free_ports(1)
        here = ["taskset", "-c", str(core)]
        with contextlib.ExitStack() as running:
            loop = processes.start([*here, self.size.bin / "bare_loop", str(port), file])
            running.callback(processes.stop, loop, first=signal.SIGKILL)
            processes.wait_until(lambda: accepts(port, loop), within_s=10, what="the bare loop listens")
            if is_forwarding:
                sender = processes.start([*here, self.size.bin / "bare_producer", self.kafka.bootstrap, TOPIC, str(PARTITIONS),
                                          str(10**9), "lz4", self.values, f"{file}.count"],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                running.callback(processes.stop, sender)
            before = cpu_s(loop.pid)
            loaded = self.await_load(self.begin_load(port, self.size.seconds, connections, window))
            used, forwarded = cpu_s(loop.pid) - before, 0
            if is_forwarding:
                said = json.loads(sender.stdout.readline())
                forwarded = said["records"] / said["seconds"]
                used += said["cpu_s"]
        file.unlink()
        return loaded["rate"], forwarded, used / loaded["messages"] * 1e6


@contextlib.contextmanager
def niceness(value):
    """Of what is started meanwhile, as root; else it stays."""
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, value)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, usual)


def pin(pid, core):
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), {core})


def confirmed(gateway):
    return int(gateway.metrics().get('milepost_forward_events_total{event="confirmed"}', 0))


def lag(gateway):
    return gateway.status()["upstream"]["backlog_records"]


def show(codec, name, figures, bare, ratio=None):
    million = figures.records / 1e6
    rate = figures.records / figures.seconds
    ratio = ratio or bare.seconds / figures.seconds
    print(f"{codec:>5} | {name:<26} | {rate:>9,.0f} {ratio:>5.2f} | "
          f"{figures.cpu_s / million:>6.2f} {figures.broker_cpu_s / million:>6.2f} | "
          f"{figures.sent / figures.records:>6.1f} {figures.received / figures.records:>5.2f} | {figures.high_mib:>6.0f}",
          flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, type=pathlib.Path)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=4, help="of live load")
    parser.add_argument("--rounds", type=int, default=1, help="of the codecs' parts; medians are shown")
    parser.add_argument("--only", default="none,lz4,zstd,arriving,live,end_to_end,one_core,back", help="parts, with commas")
    chosen = parser.parse_args()
    chosen.only = chosen.only.split(",")
    return chosen


def drains(bench, codecs):
    print(f"{bench.size.records:,} records wait, {PARTITIONS} partitions; CPU seconds a million of the sender and of the "
          "broker; TCP bytes a record; the most resident memory")
    print("codec | sender                     | records/s ratio |    CPU broker |   sent  got. |    MiB")
    for codec in codecs:
        rounds = [[bench.bare(codec), *(bench.drain(codec, keys) for _, keys in DELIVERIES)] for _ in range(bench.size.rounds)]
        bare = middle(figures[0] for figures in rounds)
        show(codec, "librdkafka alone", bare, bare)
        for number, (name, _) in enumerate(DELIVERIES, 1):
            ratio = statistics.median(figures[0].seconds / figures[number].seconds for figures in rounds)
            show(codec, name, middle(figures[number] for figures in rounds), bare, ratio)


def middle(figures):
    """The round of median length, with the most memory of all."""
    ordered = sorted(figures, key=lambda each: each.seconds)
    return ordered[len(ordered) // 2]._replace(high_mib=max(each.high_mib for each in ordered))


def arriving(bench):
    print(f"{bench.size.records:,} wait, lz4, {ARRIVING_PER_S:,}/s arrive, the gateway as its unit says: {UNIT_NICENESS} "
          f"{' '.join(UNIT_FLAGS)}; librdkafka alone in the same round")
    print("sender                     | records/s ratio |    CPU |    MiB | ack p50, p99 ms  idle p50, p99 | of idle's p99")
    rounds = []
    for _ in range(bench.size.rounds):
        bare = bench.bare("lz4")
        for name, keys in DELIVERIES[:2]:
            idle, _ = bench.arriving(keys, None)
            acks, found = bench.arriving(keys, bare.seconds)
            row = (found.records / found.seconds, bare.seconds / found.seconds, found.cpu_s / found.records * 1e6,
                   found.high_mib, *(each[part] / 1e3 for each in (acks, idle) for part in ("p50_us", "p99_us")),
                   acks["p99_us"] / idle["p99_us"])
            rounds.append((name, row))
            show_arriving(name, row)
    for name, _ in DELIVERIES[:2]:
        if bench.size.rounds > 1:
            show_arriving(f"{name}, medians", [statistics.median(part) for part in
                                               zip(*(row for each, row in rounds if each == name))])


def show_arriving(name, row):
    rate, ratio, cpu, high, p50, p99, idle_p50, idle_p99, of_idle = row
    print(f"{name:<26} | {rate:>9,.0f} {ratio:>5.2f} | {cpu:>6.2f} | {high:>6.0f} | {p50:>6.2f} {p99:>8.2f}  {idle_p50:>8.2f} "
          f"{idle_p99:>6.2f} | {of_idle:>5.2f}", flush=True)


def live(bench, ways):
    print("live      | sender                     | acknowledged/s  forwarded/s    CPU")
    for connections, window in ways:
        for name, keys in DELIVERIES:
            rate, forwarded, used = bench.live(keys, connections, window)
            print(f"{f'{connections} x {window}':>9} | {name:<26} | {rate:>14,.0f} {forwarded:>12,.0f} {used:>6.2f}", flush=True)


def one_core(bench):
    """The gateway has a core of its own; Kafka, the load and this program share the other. Beside it what that core can
    carry: a bare loop that only syncs and acknowledges, and the same with librdkafka, which sends as many."""
    everywhere = os.sched_getaffinity(0)
    first, *others = sorted(everywhere)
    pin(bench.broker_pid, others[-1])
    os.sched_setaffinity(0, {others[-1]})
    print("one core  | sender                     | acknowledged/s of loop  forwarded/s of both |    CPU of both")
    for connections, window in ((100, 20), (100, 1)):
        rounds = []
        for _ in range(bench.size.rounds):
            loop, both = (bench.bare_core(connections, window, first, is_forwarding) for is_forwarding in (False, True))
            rounds.append([(name, figures, figures[0] / loop[0], figures[1] / both[1], figures[2] / both[2])
                           for name, figures in (("bare loop, nothing behind", loop), ("bare loop, librdkafka alone", both),
                                                 *((name, bench.live(keys, connections, window, first))
                                                   for name, keys in DELIVERIES[:2]))])
        for senders in zip(*rounds):
            for name, (rate, forwarded, used), of_loop, of_both, cpu_of_both in senders:
                print(f"{f'{connections} x {window}':>9} | {name:<26} | {rate:>14,.0f} {of_loop:>7.2f} {forwarded:>12,.0f} "
                      f"{of_both:>7.2f} | {used:>6.2f} {cpu_of_both:>7.2f}", flush=True)
            if len(rounds) > 1:
                medians = (statistics.median(each[place] for each in senders) for place in (2, 3, 4))
                print("          | {:<26} | {:>22.2f} {:>20.2f} | {:>14.2f}".format("  medians", *medians), flush=True)
    os.sched_setaffinity(0, everywhere)
    for thread in pathlib.Path(f"/proc/{bench.broker_pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), everywhere)


def end_to_end(bench):
    print("end to end, 100 x 20, lz4: from the first PUBLISH to the last record in Kafka")
    print("way                             | acknowledged/s   in Kafka/s ratio |    CPU")
    theirs = bench.pipeline("lz4", 20)
    for name, found in (("mosquitto, mosquitto_sub | kcat", theirs),
                        *((name, bench.live({**keys, "compression": "lz4"}, 100, 20)) for name, keys in DELIVERIES[:2])):
        print(f"{name:<31} | {found[0]:>14,.0f} {found[1]:>12,.0f} {found[1] / theirs[1]:>5.2f} | {found[2]:>6.2f}", flush=True)


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
        if "arriving" in size.only:
            arriving(bench)
        if "live" in size.only:
            live(bench, ((100, 20), (100, 1)))
        if "end_to_end" in size.only:
            end_to_end(bench)
        if "one_core" in size.only:
            one_core(bench)
        if "back" in size.only:
            print("Kafka back,killed | sender                     | waiting   first record   all, seconds from its first answer")
            for name, keys in DELIVERIES[:2]:
                for killed, waiting, first, all_of_it in bench.back(keys):
                    print(f"{killed:>16} | {name:<26} | {waiting:>7,} {first:>14.2f} {all_of_it:>5.2f}",
                          flush=True)


if __name__ == "__main__":
    checks.run(main)
