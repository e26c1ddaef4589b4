#!/usr/bin/env python3
"""What connections cost milepostd, one table: storms of CONNECTs, memory of an idle connection, kept sessions after a
SIGKILL, one device that floods, one that never reads, more than it can take (overload).

    python3 tests/bench/connections.py [--connections 10000] [--only storm,logins,idle,asleep,tls,resume,flood,deaf,…]

Needs the release programs, mqtt_crowd and mqtt_load (tests/bench/run.sh --connections builds them). The gateway has the
second core, the clients the first. It prints figures and asserts nothing."""

import argparse
import base64
import contextlib
import hashlib
import json
import os
import pathlib
import resource
import select
import socket
import ssl
import statistics
import subprocess
import time

from cores import CLIENTS, SERVERS, on_core
from support import authority, checks, gateway as gateway_module
import processes

PARTS = ("storm", "logins", "idle", "asleep", "tls", "resume", "flood", "deaf", "overload")
LIMIT_S = 60
TLS_CONNECTIONS = 1_000
ASLEEP_S = 20
USERS = 200
ACTIVE = 1_000  # connections beside those that are idle
OVERLOAD_S = 60
CROWD = 100     # devices that publish as fast as their windows let them
OTHERS = 99     # devices beside those that misbehave, 10 publishes a second each
STEADY = ("--connections", OTHERS, "--window", 64, "--rate", 10 * OTHERS)


def row(what, figure, goal="–"):
    print(f"{what:<66} | {figure:<46} | {goal}", flush=True)


def start_gateway(gateway):
    with on_core(SERVERS):
        gateway.start()


def client(name, *arguments, before=()):
    with on_core(CLIENTS):
        return subprocess.Popen([*before, str(checks.program(name)), *map(str, arguments)], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)


@contextlib.contextmanager
def storm(gateway, connections, *arguments, before=(), watch=None):
    """Figures of mqtt_crowd storm; the connections stay until the end of the block. `most`: the memory of the gateway
    `watch`, in bytes."""
    crowd = client("mqtt_crowd", "storm", "--port", gateway.mqtt_port, "--connections", connections,
                   "--seconds", LIMIT_S, *arguments, before=before)
    try:
        most = 0
        while watch and not select.select([crowd.stdout], [], [], 0.02)[0]:
            most = max(most, memory_bytes(watch))
        yield json.loads(crowd.stdout.readline()) | {"most": most}
    finally:
        crowd.stdin.close()
        crowd.wait(LIMIT_S)


def load(gateway, *arguments, port=None):
    process = client("mqtt_load", "--port", port or gateway.mqtt_port, *arguments)
    return json.loads(process.communicate(timeout=LIMIT_S)[0])


def memory_bytes(gateway, kind="Anonymous:"):
    for line in pathlib.Path(f"/proc/{gateway.pid()}/smaps_rollup").read_text().splitlines():
        if line.startswith(kind):
            return int(line.split()[1]) * 1024
    return 0


def storm_figure(figures):
    lost = f", {figures['broken']} broken" if figures["broken"] else ""
    return f"{figures['storm_s']:.2f} s, {figures['refusals']} refused{lost}"


def measure_storm(gateway, count):
    start_gateway(gateway)
    with storm(gateway, count) as figures:
        row(f"storm of {count} CONNECTs, anonymous", storm_figure(figures), "0 refused")


def measure_logins(gateway, count, open_port):
    """`open_port`: a listener without passwords, for devices that are connected already."""
    start_gateway(gateway)
    alone = load(gateway, *STEADY, "--seconds", 4, port=open_port)
    row(f"{OTHERS} devices, 10/s each, alone: p50, p99, worst", latencies(alone))
    for what, users, prefix in (("one user for all", 1, "fleet"), (f"{USERS} users", USERS, "user")):
        arguments = ("--user", prefix + "{}", "--password", "secret{}", "--users", users, "--retry-ms", 200)
        for is_first in (True, False):
            before, cpu_before = memory_bytes(gateway), processor(gateway)[0]
            beside = client("mqtt_load", "--port", open_port, *STEADY, "--warmup", 0.2, "--seconds",
                            8 if users > 1 and is_first else 1)
            # Both clients share a core: the one that storms gives way, or its slices are what is measured.
            with storm(gateway, count, *arguments, before=("nice", "-n", "19"), watch=gateway) as figures:
                cpu = processor(gateway)[0] - cpu_before
                known = f"the same with passwords, {what} (scrypt, 16 MiB)" if is_first else "… when they are known"
                row(known, f"{storm_figure(figures)}; {cpu:.1f} s of CPU, {(figures['most'] - before) / (1 << 20):.0f} "
                           f"MiB more at most", "all in")
                acks = json.loads(beside.communicate(timeout=LIMIT_S)[0])
                row(f"   {figures['connected']} came in; the {OTHERS} meanwhile",
                    f"{latencies(acks)}: p99 × {acks['p99_us'] / alone['p99_us']:.2f}")


def latencies(figures):
    return f"{figures['p50_us']}, {figures['p99_us']}, {figures['max_us']} µs"


def password_lines():
    """What `milepost passwd` would write, at its usual cost for the fleet and a low one for the many."""
    def line(user, password, log2_n, r):
        salt = os.urandom(16)
        key = hashlib.scrypt(password.encode(), salt=salt, n=1 << log2_n, r=r, p=1, maxmem=1 << 26, dklen=32)
        text = [base64.b64encode(part).decode().rstrip("=") for part in (salt, key)]
        return f"{user}:$scrypt$ln={log2_n},r={r},p=1${text[0]}${text[1]}"
    return [line("fleet0", "secret0", 14, 8), *(line(f"user{i}", f"secret{i}", 14, 8) for i in range(USERS))]


def measure_idle(gateway, count):
    start_gateway(gateway)
    # A first crowd has come and gone, so that tables and the log's buffers are there.
    with storm(gateway, count // 10):
        alone = [load(gateway, "--connections", ACTIVE, "--window", 1, "--seconds", 2)["rate"] for _ in range(3)]
    before = memory_bytes(gateway)
    with storm(gateway, count) as figures:
        after = memory_bytes(gateway)
        row(f"memory of an idle connection, plain ({figures['connected']} of them)",
            f"{(after - before) / max(1, figures['connected']):.0f} B", "≤ 1,536 B")
        beside = [load(gateway, "--connections", ACTIVE, "--window", 1, "--seconds", 2)["rate"] for _ in range(3)]
    ratio = statistics.median(beside) / statistics.median(alone)
    row(f"{ACTIVE} active beside them, one message in flight each",
        f"{statistics.median(beside):.0f}/s, {ratio:.2f} of alone", "≥ 0.8")


def processor(gateway):
    """Seconds used and voluntary waits so far, of all its threads."""
    fields = pathlib.Path(f"/proc/{gateway.pid()}/stat").read_text().rpartition(")")[2].split()
    waits = sum(int(line.split()[1])
                for status in pathlib.Path(f"/proc/{gateway.pid()}/task").glob("*/status")
                for line in status.read_text().splitlines() if line.startswith("voluntary_ctxt_switches"))
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), waits


def measure_asleep(gateway, _):
    start_gateway(gateway)
    with storm(gateway, 1_000, "--keep-alive", 300):
        time.sleep(2)
        before = processor(gateway)
        time.sleep(ASLEEP_S)
        after = processor(gateway)
        row(f"asleep: 1000 connections, keep-alive 300 s, no upstream, {ASLEEP_S} s",
            f"{100 * (after[0] - before[0]) / ASLEEP_S:.2f} % of a core, {(after[1] - before[1]) / ASLEEP_S:.1f} wake-ups/s, "
            f"{memory_bytes(gateway, 'Rss:') / (1 << 20):.1f} MiB", "≤ 0.2 %, ≤ 5/s, ≤ 16 MiB")


def measure_tls(gateway, count, ca):
    start_gateway(gateway)
    context = ssl.create_default_context(cafile=str(ca))
    sockets, before, began = [], memory_bytes(gateway), time.monotonic()
    for i in range(min(count, TLS_CONNECTIONS)):
        one = context.wrap_socket(socket.create_connection(("127.0.0.1", gateway.mqtt_port)),
                                  server_hostname="localhost")
        name = f"tls-{i:06}".encode()
        one.sendall(bytes([0x10, 12 + len(name)]) + b"\0\4MQTT\4\2\0\0\0" + bytes([len(name)]) + name)
        one.recv(4)
        sockets.append(one)
    seconds = time.monotonic() - began
    row(f"memory of an idle connection, TLS ({len(sockets)} of them)",
        f"{(memory_bytes(gateway) - before) / len(sockets):.0f} B; {len(sockets) / seconds:.0f} handshakes/s, one by one")


def measure_resume(gateway, count):
    start_gateway(gateway)
    arguments = ("--clean", 0, "--prefix", "kept-")
    with storm(gateway, count, *arguments) as figures:
        row(f"{count} sessions that are kept begun, each on the disk", storm_figure(figures))
        gateway.kill()
    began = time.monotonic()
    with on_core(SERVERS):
        gateway.launch()
    with storm(gateway, count, *arguments) as figures:
        row(f"after SIGKILL, from exec to the last of {figures['session_present']} CONNACKs with session present",
            f"{time.monotonic() - began:.2f} s: {figures['waited_s']:.2f} start, {figures['storm_s']:.2f} CONNECTs",
            "≤ 2 s")


def measure_flood(gateway, _):
    start_gateway(gateway)
    measured = (*STEADY, "--seconds", 4, "--warmup", 1)
    alone, beside, flooded = [], [], 0
    for _ in range(3):
        alone.append(load(gateway, *measured))
        # Both clients share a core: the one that floods gives way, or its slices are what is measured.
        flood = client("mqtt_crowd", "flood", "--port", gateway.mqtt_port, "--seconds", 6, before=("nice", "-n", "19"))
        beside.append(load(gateway, *measured))
        flooded = json.loads(flood.communicate(timeout=LIMIT_S)[0])["acked_per_s"]
    p99 = [statistics.median(figures["p99_us"] for figures in part) for part in (alone, beside)]
    p50 = [statistics.median(figures["p50_us"] for figures in part) for part in (alone, beside)]
    row(f"{OTHERS} devices, 10/s each, alone: p50, p99", f"{p50[0]} µs, {p99[0]} µs")
    row(f"… beside one that floods ({flooded:.0f}/s acknowledged)",
        f"{p50[1]} µs, {p99[1]} µs: p99 × {p99[1] / p99[0]:.2f}", "p99 × ≤ 2")


def measure_overload(gateway, _):
    """More than it can take, for a minute, and two of 201 devices read their PUBACKs slowly: SIGKILL at the end."""
    start_gateway(gateway)
    others = (*STEADY, "--prefix", "other-", "--topic", "vehicles/O{}/telemetry")
    alone = load(gateway, *others, "--seconds", 8)
    crowd = ("--connections", CROWD, "--window", 64)
    capacity = load(gateway, *crowd, "--seconds", 4)
    acked = alone["all_acked"] + capacity["all_acked"]
    before, cpu_before, began = memory_bytes(gateway), processor(gateway)[0], time.monotonic()
    gives_way = ("nice", "-n", "19")  # the clients share a core: their slices are not what is measured
    slow = [client("mqtt_crowd", "flood", "--port", gateway.mqtt_port, "--prefix", f"slow{i}-", "--read-ms", 50,
                   "--seconds", OVERLOAD_S, before=gives_way) for i in range(2)]
    busy = client("mqtt_load", "--port", gateway.mqtt_port, *crowd, "--seconds", OVERLOAD_S, before=gives_way)
    beside = client("mqtt_load", "--port", gateway.mqtt_port, *others, "--warmup", 2, "--seconds", OVERLOAD_S - 4)
    most = 0
    while beside.poll() is None:
        most = max(most, memory_bytes(gateway))
        time.sleep(0.1)
    core = (processor(gateway)[0] - cpu_before) / (time.monotonic() - began)
    beside, busy = (json.loads(one.communicate(timeout=LIMIT_S)[0]) for one in (beside, busy))
    slow = [json.loads(one.communicate(timeout=LIMIT_S)[0]) for one in slow]
    acked += beside["all_acked"] + busy["all_acked"] + sum(int(one["acked_per_s"] * one["seconds"]) for one in slow)
    gateway.kill()
    account = json.loads(gateway.tool("status", "--account", "--json", "--data-dir", gateway.data).stdout)
    row(f"{OTHERS} devices, 10/s each, alone: p50, p99, worst", latencies(alone))
    row(f"… beside {CROWD} with 64 under way each and 2 that read slowly, {OVERLOAD_S} s",
        f"{latencies(beside)}: p99 × {beside['p99_us'] / alone['p99_us']:.2f}", "p99 × ≤ 3")
    row(f"   those {CROWD} meanwhile, of what they do alone; the gateway's core",
        f"{busy['rate'] / capacity['rate']:.2f} of {capacity['rate']:.0f}/s; {100 * core:.0f} %")
    row("   the 2 that read slowly", ", ".join(f"{one['acked_per_s']:.0f}/s" for one in slow))
    row("   memory", f"{(most - before) / (1 << 20):.1f} MiB more than after the warm-up", "bounded")
    row("   after SIGKILL: acknowledged, and in the log", f"{acked}, {account['accepted']}: "
        f"{max(0, acked - account['accepted'])} lost", "0 lost")


def measure_deaf(gateway, _):
    start_gateway(gateway)
    load(gateway, "--connections", 10, "--window", 100, "--seconds", 4)  # the journal's mirror has been in use
    before = memory_bytes(gateway)
    deaf = client("mqtt_crowd", "flood", "--port", gateway.mqtt_port, "--seconds", 30, "--deaf", 1)
    most = 0
    while deaf.poll() is None:
        most = max(most, memory_bytes(gateway) - before)
        time.sleep(0.05)
    figures = json.loads(deaf.stdout.read())
    lines = [line for line in gateway.log_tail(200).splitlines() if "write_timeout" in line or "does not read" in line]
    row("one that never reads its acks (write_timeout 3 s)",
        f"{'dropped' if figures['is_closed'] else 'NOT DROPPED'} after {figures['seconds']:.1f} s, "
        f"{most / 1024:.0f} KiB at most, {len(lines)} log line(s)", "bounded, dropped, 1 line")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--only", default=",".join(PARTS))
    arguments = parser.parse_args()
    count, wanted = arguments.connections, arguments.only.split(",")
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    limits = f"[time]\nrequire_sync = false\n[mqtt]\nmax_connections = {3 * count}\nmax_sessions = {3 * count}\n"
    row("what", "figure", "goal")
    for part in PARTS:
        if part not in wanted and not (part == "logins" and "storm" in wanted):
            continue
        with checks.scratch() as folder:
            keys, more, listener = {}, [], ""
            if part == "logins":
                passwords = folder / "passwords"
                passwords.write_text("\n".join(password_lines()) + "\n")
                passwords.chmod(0o600)
                more = [processes.free_ports(1)[0]]
                listener = f'password_file = "{passwords}"\n[[mqtt.listener]]\nport = {more[0]}\nanonymous = true\n'
            if part == "tls":
                issuer = authority.Authority(folder)
                issuer.issue("localhost")
                listener = (f'certificate = "{issuer.path("localhost.crt")}"\nkey = "{issuer.path("localhost.key")}"\n')
                more = [issuer.certificate]
            if part == "deaf":
                keys["write_timeout"] = 3
            text = limits + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
            with gateway_module.Gateway(folder / "gateway", extra=text) as gateway:
                config = gateway.config.read_text()
                port = f"port = {gateway.mqtt_port}\n"
                gateway.config.write_text(config.replace(port, port + listener, 1))
                globals()[f"measure_{part}"](gateway, count, *more)


if __name__ == "__main__":
    checks.run(main)
