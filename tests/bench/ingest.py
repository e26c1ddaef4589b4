#!/usr/bin/env python3
"""Durable QoS 1 ingest: milepostd beside a bare loop that fsyncs before its PUBACKs, in turn, in the
same run. Servers on the second core, the generator on the first. Quote the median of the ratios:
absolute rates drift by a factor on shared machines."""
import argparse
import json
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

LOADS = [(1, 1), (10, 1), (100, 1), (1000, 1), (10, 100), (100, 20)]
SMOKE_LOADS = [(1, 1), (10, 10)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process, limit_s=20):
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"ingest: {process.args[0]} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.02)
    sys.exit("ingest: the server does not listen")


def pinned(core, command, **kwargs):
    if os.cpu_count() > 1:
        command = ["taskset", "-c", str(core), *command]
    return subprocess.Popen(command, **kwargs)


def metric(admin_port, name):
    text = urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/metrics", timeout=5).read().decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M))


class Bench:
    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.bin = pathlib.Path(arguments.bin)
        self.port, self.bare_port, self.admin_port = free_port(), free_port(), free_port()
        config = folder / "milepost.toml"
        config.write_text(
            f'data_dir = "{folder}/data"\n[time]\nrequire_sync = false\n'
            f"[[mqtt.listener]]\nport = {self.port}\n[admin]\nport = {self.admin_port}\n"
            + arguments.config.replace("\\n", "\n") + "\n"
        )
        self.gateway = pinned(1, [self.bin / "milepostd", "--config", config],
                              stderr=open(folder / "milepostd.log", "w"))
        self.bare = pinned(1, [self.bin / "bare_loop", str(self.bare_port), folder / "bare"])
        wait_for(self.port, self.gateway)
        wait_for(self.bare_port, self.bare)

    def stop(self):
        self.bare.kill()
        self.gateway.send_signal(signal.SIGTERM)
        if self.gateway.wait(timeout=30) != 0:
            sys.exit("ingest: milepostd did not stop well")

    def load(self, port, process, connections, window):
        a = self.arguments
        done = pinned(0, [
            self.bin / "mqtt_load", "--port", str(port), "--connections", str(connections),
            "--window", str(window), "--seconds", str(a.seconds), "--warmup", str(a.warmup),
            "--pid", str(process.pid),
        ], stdout=subprocess.PIPE, text=True)
        out, _ = done.communicate(timeout=120)
        if done.returncode != 0:
            sys.exit("ingest: the generator failed")
        return json.loads(out)

    def pair(self, connections, window):
        bare = self.load(self.bare_port, self.bare, connections, window)
        before = metric(self.admin_port, "milepost_log_records_per_sync_sum"), \
            metric(self.admin_port, "milepost_log_records_per_sync_count")
        ours = self.load(self.port, self.gateway, connections, window)
        records = metric(self.admin_port, "milepost_log_records_per_sync_sum") - before[0]
        syncs = metric(self.admin_port, "milepost_log_records_per_sync_count") - before[1]
        ours["records_per_sync"] = records / syncs if syncs else 0
        return ours, bare


def row(load, pairs):
    def ratio(key):
        values = [ours[key] / bare[key] for ours, bare in pairs if bare[key]]
        return statistics.median(values) if values else float("nan")

    def middle(which, key):
        return statistics.median(pair[which][key] for pair in pairs)

    name = f"{load[0]} x {load[1]}"
    return (f"{name:>9} | {middle(0, 'rate'):>9.0f} {middle(1, 'rate'):>9.0f} {ratio('rate'):>6.2f} | "
            f"{middle(0, 'p50_us'):>7.0f} {ratio('p50_us'):>5.2f} | {middle(0, 'p99_us'):>7.0f} "
            f"{ratio('p99_us'):>5.2f} | {middle(0, 'server_cpu_s_per_million'):>7.2f} "
            f"{middle(1, 'server_cpu_s_per_million'):>7.2f} | {middle(0, 'records_per_sync'):>8.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True, help="folder of milepostd, mqtt_load, bare_loop")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--warmup", type=float, default=1)
    parser.add_argument("--config", default="", help="more lines of milepost.toml, \\n between them")
    parser.add_argument("--smoke", action="store_true", help="only see that it runs")
    arguments = parser.parse_args()
    loads = LOADS
    if arguments.smoke:
        arguments.rounds, arguments.seconds, arguments.warmup, loads = 1, 0.3, 0.1, SMOKE_LOADS
    with tempfile.TemporaryDirectory(prefix="milepost-bench-") as folder:
        bench = Bench(arguments, pathlib.Path(folder))
        print(f"{arguments.rounds} rounds of {arguments.seconds} s; 200-byte payloads; medians; "
              "ratio = milepostd / bare loop")
        print("conns x w |  msg/s: ours bare  ratio |  p50 us ratio |  p99 us ratio | CPU s/M: ours "
              "bare | rec/sync")
        for load in loads:
            pairs = [bench.pair(*load) for _ in range(arguments.rounds)]
            if any(ours["messages"] == 0 for ours, _ in pairs):
                sys.exit(f"ingest: nothing was acknowledged at {load}")
            print(row(load, pairs), flush=True)
        bench.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
