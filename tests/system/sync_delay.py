#!/usr/bin/env python3
"""PUBACK means "on the disk", seen from outside: strace delays, then fails, every call that milepostd syncs with."""

import re
import subprocess
import threading
import time

from support import checks, gateway as gateway_module, mqtt
from support.checks import expect, say
import processes

# Every call that can make bytes durable; O_SYNC writes and io_uring are looked for, too.
SYNC_CALLS = ["fsync", "fdatasync", "sync_file_range", "msync", "sync", "syncfs", "pwritev2"]
DELAY_S = 0.3
PUBLISHES = 10
CONNECTIONS, DEPTH = 8, 10
LOAD_S = 1.5  # under load before the syncs begin to fail
DEAF_S = 3.0  # and how long no PUBACK may come after that
ROUTES = [{"filter": "#", "topic": "synced", "partitions": 2}]


def strace(*options, calls=SYNC_CALLS, out):
    return [checks.foreign("strace", "strace"), "-f", "--seccomp-bpf", "-qq", "-e", "signal=none",
            "-e", f"trace={','.join(calls)}", *options, "-o", str(out)]


def what_it_syncs_with(folder):
    """The calls seen between the first PUBLISH and its PUBACK; fails on those that strace could not delay."""
    trace = folder / "calls"
    wrapper = strace(calls=[*SYNC_CALLS, "openat", "io_uring_setup"], out=trace)
    with gateway_module.Gateway(folder / "trace", routes=ROUTES, wrapper=wrapper) as gateway:
        gateway.start()
        before = len(trace.read_text().splitlines())
        with mqtt.Client(gateway.mqtt_port, "tracer") as sensor:
            sensor.publish("a/b", b"x")
        lines = trace.read_text().splitlines()
        gateway.terminate()
    expect(not any("io_uring_setup" in line for line in lines), "milepostd does not use io_uring")
    durable_opens = [line for line in lines if "openat(" in line and re.search(r"O_D?SYNC", line)]
    expect(not durable_opens, "no file is opened with O_SYNC or O_DSYNC")
    used = sorted({call for line in lines[before:] for call in SYNC_CALLS if f" {call}(" in line})
    expect(used, f"between a PUBLISH and its PUBACK it syncs ({', '.join(used)})")
    if "pwritev2" in used:
        expect(all("DSYNC" in line for line in lines if "pwritev2(" in line), "pwritev2 with RWF_DSYNC")


def no_ack_sooner(folder, version, name):
    """One at a time and pipelined: each PUBACK comes at least one delayed sync after its PUBLISH."""
    delayed = strace("-e", f"inject={','.join(SYNC_CALLS)}:delay_enter={int(DELAY_S * 1e6)}", out="/dev/null")
    with gateway_module.Gateway(folder / f"delay-{version}", routes=ROUTES, wrapper=delayed) as gateway:
        gateway.start()
        with mqtt.Client(gateway.mqtt_port, "patient", version, timeout_s=30) as sensor:
            took = [sensor.publish("a/b", b"reading %d" % number) for number in range(PUBLISHES)]
        expect(min(took) >= DELAY_S, f"{name}, one at a time: the fastest of {PUBLISHES} PUBACKs took "
               f"{min(took) * 1000:.1f} ms with every sync delayed by {DELAY_S * 1000:.0f} ms")
        load = mqtt.Load("load/{c}", CONNECTIONS, DEPTH, version=version)
        load.timed = True
        load.connect(gateway.mqtt_port)
        end = time.monotonic() + 10 * DELAY_S
        load.run(lambda: time.monotonic() > end)
        load.close()
        took = [load.acked_at[key] - load.sent_times[key] for key in load.acked_at]
        expect(took, f"{name}, {CONNECTIONS} connections {DEPTH} deep: {len(took)} PUBACKs came")
        expect(min(took) >= DELAY_S, f"{name}, pipelined: the fastest took {min(took) * 1000:.1f} ms")
        gateway.kill()


def fail_every_sync(pid, trace):
    """Attaches strace, which lets every sync of `pid` fail with EIO from then on; ends when it is attached."""
    command = strace("-ttt", "-e", f"inject={','.join(SYNC_CALLS)}:error=EIO", "-p", str(pid), out=trace)
    command.remove("--seccomp-bpf")  # works only on programs that strace starts
    failing = processes.start(command, stderr=subprocess.DEVNULL)
    # Attached, a thread has strace as its tracer.
    processes.wait_until(lambda: all_traced(pid, failing.pid), within_s=10, what="strace is attached", every_s=0.005)
    return failing


def all_traced(pid, tracer):
    status = subprocess.run(["grep", "-h", "TracerPid", "-r", f"/proc/{pid}/task", "--include=status", "-s"],
                            capture_output=True, text=True).stdout.splitlines()
    return status and all(line.split()[1] == str(tracer) for line in status)


def no_ack_after_failure(folder):
    """From a moment under load every sync fails: no PUBACK for anything sent after it, and none at all soon after."""
    trace = folder / "failed-calls"
    with gateway_module.Gateway(folder / "fail", routes=ROUTES) as gateway:
        gateway.start()
        load = mqtt.Load("load/{c}", CONNECTIONS, DEPTH)
        load.timed = True
        load.connect(gateway.mqtt_port)
        stop_at = [time.monotonic() + LOAD_S + 60]
        runner = threading.Thread(target=load.run, args=(lambda: time.monotonic() > stop_at[0],))
        runner.start()
        time.sleep(LOAD_S)
        failing = fail_every_sync(gateway.pid(), trace)
        attached = time.monotonic()
        stop_at[0] = attached + DEAF_S
        runner.join()
        injected = sum("(INJECTED)" in line for line in trace.read_text().splitlines())
        expect(injected > 0, f"{injected} syncs failed")
        late = [key for key, when in load.acked_at.items() if load.sent_times[key] > attached]
        before = sum(when <= attached for when in load.acked_at.values())
        expect(before > 100, f"{before} PUBACKs before the syncs failed")
        expect(not late, "nothing that was sent after that was acknowledged")
        first_failure_unix = min(float(line.split()[1]) for line in trace.read_text().splitlines()
                                 if "(INJECTED)" in line)
        first_failure = first_failure_unix - time.time() + time.monotonic()
        # What was synced just before may still be on its way to the client.
        after = [when - first_failure for when in load.acked_at.values() if when > first_failure + 0.05]
        expect(not after, f"no PUBACK comes after the first failed sync ({len(after)})")
        status, body = gateway.ready()
        expect(status == 503, f"/readyz is 503: {body.strip()}")
        expect(gateway.get("/healthz")[0] == 200, "/healthz is still 200")
        processes.stop(failing)
        load.close()
        gateway.kill()
        say(gateway.verify())
        kept = {(record["partition"], record["payload"]) for record in gateway.consume()}
        values = {value for _, value in kept}
        lost = [f"{c}-{n}" for c, acked in enumerate(load.acked) for n in acked if f"{c}-{n}" not in values]
        expect(not lost, f"all {load.count()} acknowledged readings are in the log")


def who_syncs(pid, trace):
    """The thread that syncs most while it is watched for a moment: the network's, or the committer's own."""
    syncs = 500  # by then the checkpointer's, which writes the ring for the first time, is behind
    command = strace("-p", str(pid), out=trace)
    command.remove("--seccomp-bpf")
    watching = processes.start(command, stderr=subprocess.DEVNULL)
    processes.wait_until(lambda: trace.exists() and len(trace.read_text().splitlines()) > syncs, within_s=10,
                         what="syncs are seen")
    processes.stop(watching)
    threads = [line.split()[0] for line in trace.read_text().splitlines()]
    return max(set(threads), key=threads.count)


def goes_on_after_one_failure(folder):
    """One sync fails under load: the acks go on from a new ring, and everything acknowledged is there."""
    with gateway_module.Gateway(folder / "once", routes=ROUTES) as gateway:
        gateway.start()
        load = mqtt.Load("load/{c}", CONNECTIONS, DEPTH)
        load.timed = True
        load.connect(gateway.mqtt_port)
        stop_at = [time.monotonic() + LOAD_S + 60]
        runner = threading.Thread(target=load.run, args=(lambda: time.monotonic() > stop_at[0],))
        runner.start()
        thread = who_syncs(gateway.pid(), folder / "watched")
        trace = folder / "failed-once"
        # strace counts each call by itself: of the one that the journal syncs with, the first.
        command = strace("-e", "inject=fdatasync:error=EIO:when=1", "-p", thread, out=trace)
        command = [word for word in command if word not in ("--seccomp-bpf", "-f")]  # this thread alone
        failing = processes.start(command, stderr=subprocess.DEVNULL)
        processes.wait_until(lambda: trace.exists() and "(INJECTED)" in trace.read_text(), within_s=10,
                             what="a sync fails", every_s=0.005)
        failed = time.monotonic()
        stop_at[0] = failed + LOAD_S
        runner.join()
        processes.stop(failing)
        injected = trace.read_text().count("(INJECTED)")
        expect(injected == 1, f"{injected} sync failed")
        after = sum(when > failed + LOAD_S / 2 for when in load.acked_at.values())
        expect(after > 100, f"{after} PUBACKs in the last {LOAD_S / 2:.2f} s: acks go on")
        processes.wait_until(lambda: gateway.ready()[0] == 200, within_s=10, what="/readyz is 200")
        metrics = gateway.get("/metrics")[1]
        expect("milepost_log_ring_generations_total 1\n" in metrics, "one new ring was made")
        load.close()
        gateway.kill()
        gateway.verify()
        values = {record["payload"] for record in gateway.consume()}
        lost = [f"{c}-{n}" for c, acked in enumerate(load.acked) for n in acked if f"{c}-{n}" not in values]
        expect(not lost, f"all {load.count()} acknowledged readings are in the log")


def main():
    with checks.scratch() as folder:
        what_it_syncs_with(folder)
        no_ack_sooner(folder, mqtt.V311, "3.1.1")
        no_ack_sooner(folder, mqtt.V5, "5.0")
        goes_on_after_one_failure(folder)
        no_ack_after_failure(folder)


if __name__ == "__main__":
    checks.run(main)
