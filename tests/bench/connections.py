#!/usr/bin/env python3
"""What connections cost milepostd: memory of an idle one, a storm of CONNECTs, and kept sessions after a SIGKILL.

    python3 tests/bench/connections.py [--connections 10000]      needs the release programs; prints figures, asserts nothing
"""

import argparse
import pathlib
import resource
import select
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
from support import checks, gateway as gateway_module

LIMIT_S = 120


def connect_packet(name, clean):
    body = b"\0\4MQTT\4" + bytes([2 if clean else 0]) + b"\0\0" + struct.pack(">H", len(name)) + name.encode()
    return bytes([0x10, len(body)]) + body


def storm(port, names, clean):
    """Opens a connection for each name as fast as it goes; (sockets, seconds, CONNACKs, refused)."""
    began = time.monotonic()
    poller, waiting, done, refused = select.epoll(), {}, [], 0
    for name in names:
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", port))
        waiting[one.fileno()] = [one, connect_packet(name, clean)]
        poller.register(one, select.EPOLLOUT)
    while waiting and time.monotonic() - began < LIMIT_S:
        for descriptor, event in poller.poll(1):
            one, packet = waiting[descriptor]
            try:
                if packet:
                    one.send(packet)
                    waiting[descriptor][1] = b""
                    poller.modify(descriptor, select.EPOLLIN)
                    continue
                answer = one.recv(4)
            except OSError:
                answer = b""
            poller.unregister(descriptor)
            del waiting[descriptor]
            if len(answer) == 4 and answer[0] == 0x20 and answer[3] == 0:
                done.append(one)
            else:
                refused += 1
    return done, time.monotonic() - began, refused + len(waiting)


def memory_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss_Anon:") or line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=10_000)
    count = parser.parse_args().connections
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    extra = f"[mqtt]\nmax_connections = {3 * count}\n"
    with checks.scratch() as folder, gateway_module.Gateway(folder, extra=extra) as gateway:
        gateway.start()
        before = memory_bytes(gateway.pid())
        idle, seconds, refused = storm(gateway.mqtt_port, [f"idle-{i:06}" for i in range(count)], clean=True)
        after = memory_bytes(gateway.pid())
        checks.say(f"storm of {count} CONNECTs: {seconds:.2f} s, {refused} refused")
        checks.say(f"memory of an idle connection: {(after - before) / max(1, len(idle)):.0f} B ({len(idle)} of them)")
        for one in idle:
            one.close()
        names = [f"kept-{i:06}" for i in range(count)]
        kept, seconds, refused = storm(gateway.mqtt_port, names, clean=False)
        checks.say(f"{count} sessions that are kept begun: {seconds:.2f} s, {refused} refused")
        gateway.kill()
        for one in kept:
            one.close()
        began = time.monotonic()
        gateway.start()
        started = time.monotonic() - began
        again, seconds, refused = storm(gateway.mqtt_port, names, clean=False)
        checks.say(f"after SIGKILL: ready in {started:.2f} s, {len(again)} resumed in {seconds:.2f} s more, {refused} refused")


if __name__ == "__main__":
    checks.run(main)
