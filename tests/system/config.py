#!/usr/bin/env python3
"""milepostd's command line: exit codes, --check-config, signals."""

import os
import signal
import socket
import subprocess
import time

from support import checks, gateway as gateway_module, mqtt
from support.checks import expect, say
import processes

EX_USAGE, EX_PORT, EX_DISK, EX_CONFIG = 64, 69, 74, 78


def milepostd(*arguments, timeout_s=15):
    return subprocess.run([str(checks.program("milepostd")), *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout_s)


def written(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def command_line(folder):
    expect(milepostd("--version").returncode == 0, "--version exits 0")
    expect(milepostd("--help").returncode == 0, "--help exits 0")
    expect(milepostd("--no-such-option").returncode == EX_USAGE, "an unknown option exits 64")
    expect(milepostd().returncode == EX_USAGE, "no --config exits 64")
    missing = milepostd("--config", folder / "nothing.toml")
    expect(missing.returncode == EX_CONFIG, f"a configuration that is not there exits 78 ({missing.stderr.strip()})")
    least = written(folder, "least.toml",
                    f'data_dir = "{folder}/least"\n[upstream]\nbootstrap_servers = "k.example:9092"\n')
    checked = milepostd("--config", least, "--check-config")
    expect(checked.returncode == 0, f"--check-config of the least configuration exits 0 {checked.stderr.strip()}")
    expect(not (folder / "least").exists(), "and makes nothing")


# name: (TOML, what the message names, at which line)
MISTAKES = {
    "an unknown key": ('data_dir = "D"\nno_such_key = 1\n', "no_such_key", 2),
    "a wrong type": ('data_dir = "D"\n[admin]\nport = "high"\n', "port", 3),
    "an empty bootstrap_servers": ('data_dir = "D"\n[upstream]\nbootstrap_servers = ""\n', "bootstrap_servers", 3),
    "a delivery that there is not":
        ('data_dir = "D"\n[upstream]\nbootstrap_servers = "k:9092"\ndelivery = "at_most_once"\n', "delivery", 4),
    "a listener off loopback without authentication":
        ('data_dir = "D"\n[[mqtt.listener]]\naddress = "0.0.0.0"\n', "anonymous", 3),
    "a capture that does not exist":
        ('data_dir = "D"\n[[route]]\nfilter = "a/+"\ntopic = "t"\nkey = "{vehicle_id}"\n', "vehicle_id", 5),
    "a topic with a space": ('data_dir = "D"\n[[route]]\nfilter = "a"\ntopic = "t t"\n', "topic", 4),
}


def mistakes(folder):
    for name, (text, word, line) in MISTAKES.items():
        path = written(folder, "wrong.toml", text.replace('"D"', f'"{folder}/d"'))
        done = milepostd("--config", path, "--check-config")
        said = (done.stdout + done.stderr).strip()
        expect(done.returncode == EX_CONFIG, f"{name} exits 78: {said}")
        expect(f"wrong.toml:{line}:" in said and word in said, f"and names line {line} and {word}")
    slow = ('data_dir = "D"\n[upstream]\nbootstrap_servers = "127.0.0.1:1"\n{}[upstream.librdkafka]\n'
            '"socket.timeout.ms" = 60101\n').replace('"D"', f'"{folder}/d"')
    done = milepostd("--config", written(folder, "slow.toml", slow.format("")), "--check-config")
    expect(done.returncode == EX_CONFIG and "slow.toml:5:" in done.stderr and "exactly_once" in done.stderr,
           f"a time-out that librdkafka would refuse of transactions exits 78: {done.stderr.strip()}")
    done = milepostd("--config", written(folder, "slow.toml", slow.format('delivery = "at_least_once"\n')), "--check-config")
    expect(done.returncode == 0, f"and is good at least once {done.stderr.strip()}")
    both = written(folder, "both.toml", f'data_dir = "{folder}/d"\nfirst_wrong = 1\nsecond_wrong = 2\n')
    done = milepostd("--config", both, "--check-config")
    expect("first_wrong" in done.stdout + done.stderr and "second_wrong" in done.stdout + done.stderr,
           "every semantic error is printed at once")
    torn = milepostd("--config", written(folder, "torn.toml", "data_dir = \n[[["), "--check-config")
    expect(torn.returncode == EX_CONFIG and "torn.toml:1:" in torn.stdout + torn.stderr,
           f"a TOML syntax error exits 78 with its place: {(torn.stdout + torn.stderr).strip()}")
    expect(milepostd("--config", both).returncode == EX_CONFIG, "also without --check-config")


def ports_and_disk(folder):
    with gateway_module.Gateway(folder / "port") as gateway, socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", gateway.mqtt_port))
        taken.listen()
        gateway.launch()
        expect(gateway.process.wait(15) == EX_PORT, f"a taken port exits 69 ({gateway.log_tail(1)})")
    with gateway_module.Gateway(folder / "disk") as gateway:
        gateway.data.write_text("a file where the folder should be")
        gateway.launch()
        expect(gateway.process.wait(15) == EX_DISK,
               f"a data folder that cannot be made exits 74 ({gateway.log_tail(1)})")
    with gateway_module.Gateway(folder / "twice") as first:
        first.start()
        with gateway_module.Gateway(folder / "second") as second:
            second.config.write_text(second.config.read_text().replace(str(second.data), str(first.data)))
            second.launch()
            code = second.process.wait(15)
            expect(code > 0, f"a second one on the same folder exits {code} ({second.log_tail(1)})")
        expect(first.ready()[0] == 200, "and the first goes on")


def signals(folder):
    with gateway_module.Gateway(folder / "signals") as gateway:
        gateway.start()
        with mqtt.Client(gateway.mqtt_port, "before") as client:
            client.publish("a", b"before SIGHUP")
            gateway.process.send_signal(signal.SIGHUP)
            client.publish("a", b"after SIGHUP")
        processes.wait_until(lambda: "SIGHUP" in gateway.log_tail() or "hup" in gateway.log_tail().lower(),
                             within_s=5, what="SIGHUP is logged")
        expect(gateway.ready()[0] == 200, "SIGHUP is logged and ignored")
        idle = mqtt.Client(gateway.mqtt_port, "idle")
        began = time.monotonic()
        code = gateway.terminate()
        expect(code == 0, f"SIGTERM with a connected client exits 0 after {time.monotonic() - began:.2f} s")
        idle.abort()
        expect(len(gateway.consume()) == 2, "both readings are in the log")
        gateway.start()
        gateway.process.send_signal(signal.SIGINT)
        expect(gateway.process.wait(10) == 0, "SIGINT ends it the same way")


def real_time(folder):
    bare = ["prlimit", "--rtprio=0:0", "setpriv", "--bounding-set", "-sys_nice"]  # they exec milepostd
    for name, flags, wrapper in (("usual", [], []), ("wanted", ["--real-time"], []), ("refused", ["--real-time"], bare)):
        with gateway_module.Gateway(folder / name, flags=flags, wrapper=wrapper) as gateway:
            gateway.start()
            pid = gateway.process.pid
            policies = [os.sched_getscheduler(int(thread)) & ~os.SCHED_RESET_ON_FORK
                        for thread in os.listdir(f"/proc/{pid}/task")]
            complains = "--real-time is not permitted" in gateway.log_tail()
            expected = int(bool(flags) and not complains)
            expect(policies.count(os.SCHED_RR) == expected and os.SCHED_FIFO not in policies,
                   f"real time, {name}: {expected} of {len(policies)} threads")
            expect(not complains if name == "usual" else complains or name == "wanted",
                   f"real time, {name}: {'a' if complains else 'no'} complaint")
            os.kill(pid, signal.SIGTERM)
            expect(gateway.process.wait(10) == 0, f"real time, {name}: SIGTERM exits 0")


def main():
    with checks.scratch() as folder:
        command_line(folder)
        mistakes(folder)
        ports_and_disk(folder)
        signals(folder)
        real_time(folder)
        say("done")


if __name__ == "__main__":
    checks.run(main)
