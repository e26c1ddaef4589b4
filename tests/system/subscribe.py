#!/usr/bin/env python3
"""mosquitto_sub and mosquitto_pub, 3.1.1 and 5.0, against the gateway: live, retained and kept sessions, and SIGKILLs."""

import subprocess

from support import checks, gateway as gateway_module
from support.checks import expect

import processes

VERSIONS = {"mqttv311": "3.1.1", "mqttv5": "5.0"}
LIMIT_S = 20


def command(name, port, version, *arguments):
    return [checks.foreign(name, "mosquitto-clients"), "-h", "127.0.0.1", "-p", str(port), "-V", version, *arguments]


def pub(port, version, *arguments):
    done = subprocess.run(command("mosquitto_pub", port, version, *arguments), capture_output=True, text=True,
                          timeout=LIMIT_S)
    if done.returncode != 0:
        raise checks.Failed(f"mosquitto_pub {arguments}: {done.returncode} {done.stderr.strip()}")


def sub(port, version, *arguments, limit_s=LIMIT_S):
    """The lines that it prints until it ends by itself."""
    done = subprocess.run(command("mosquitto_sub", port, version, "-W", str(limit_s), *arguments),
                          capture_output=True, text=True, timeout=limit_s + 10)
    return done.stdout.splitlines()


def live(gateway, version, name):
    """Every pair of QoS: the message comes, at the lower of the two."""
    port = gateway.mqtt_port
    for qos in ("0", "1", "2"):
        listening = subprocess.Popen(
            ["stdbuf", "-oL", *command("mosquitto_sub", port, version, "-W", str(LIMIT_S), "-q", qos, "-t", "live/+/x",
                                       "-t", "other/#", "-F", "%t %q %p", "-C", "3", "-d")],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        rest = []
        for line in listening.stdout:  # until it has three of them, or its time is over
            rest.append(line.strip())
            if not line.startswith("Subscribed"):
                continue
            for publish_qos in ("0", "1", "2"):
                pub(port, version, "-q", publish_qos, "-t", f"live/{publish_qos}/x", "-m", "hello")
        listening.wait()
        for publish_qos in ("0", "1", "2"):
            wanted = f"live/{publish_qos}/x {min(qos, publish_qos)} hello"
            expect(wanted in rest, f"{name}: published at {publish_qos}, subscribed at {qos}: {wanted}")


def retained(gateway, version, name):
    port = gateway.mqtt_port
    pub(port, version, "-q", "1", "-r", "-t", f"state/{version}/a", "-m", "1")
    pub(port, version, "-q", "2", "-r", "-t", f"state/{version}/b", "-m", "2")
    pub(port, version, "-q", "1", "-r", "-t", f"state/{version}/a", "-m", "3")
    gateway.kill()
    gateway.start()
    got = sub(port, version, "-q", "1", "--retained-only", "-C", "2", "-t", f"state/{version}/#",
              "-F", "%t %p %r")
    expect(sorted(got) == [f"state/{version}/a 3 1", f"state/{version}/b 2 1"],
           f"{name}: retained messages survive a SIGKILL ({got})")
    sub(port, version, "-t", f"state/{version}/a", "--remove-retained", limit_s=2)
    processes.wait_until(
        lambda: sub(port, version, "-t", f"state/{version}/#", "--retained-only", "-F", "%t", limit_s=3)
        == [f"state/{version}/b"], within_s=LIMIT_S, every_s=0.1, what="the removed retained message is gone")


def kept_session(gateway, version, name, qos):
    """What is published while a kept session is away, with a SIGKILL after the acks, comes once and in order."""
    port = gateway.mqtt_port
    topic = f"kept/{version}/{qos}"
    session = ["-i", f"keeper-{version}-{qos}", "-c", "-q", qos, "-t", topic]
    if version == "mqttv5":
        session += ["-x", "3600"]
    sub(port, version, *session, "-E")
    for i in range(20):
        pub(port, version, "-q", qos, "-t", topic, "-m", str(i))
    gateway.kill()
    gateway.start()
    got = sub(port, version, *session, "-C", "20")
    expect(got == [str(i) for i in range(20)], f"{name} QoS {qos}: all 20 after a SIGKILL, in order ({got})")
    if qos == "2":
        return  # a mosquitto_sub that ends forgets the QoS 2 messages whose PUBREL it has not seen
    # Cut in the middle: mosquitto_sub leaves after 5 of them and what it did not acknowledge comes again.
    for i in range(20, 40):
        pub(port, version, "-q", qos, "-t", topic, "-m", str(i))
    first = sub(port, version, *session, "-C", "5")
    gateway.kill()
    gateway.start()
    second = sub(port, version, *session, limit_s=4)
    missing = [i for i in range(20, 40) if str(i) not in first + second]
    expect(not missing, f"{name} QoS {qos}: none of what was published is missing ({missing})")


def refused(gateway):
    for version in VERSIONS:
        for topic in ("$share/group/a", "$SYS/#"):
            done = subprocess.run(command("mosquitto_sub", gateway.mqtt_port, version, "-t", topic, "-W", "3", "-d"),
                                  capture_output=True, text=True, timeout=20)
            text = done.stdout + done.stderr
            code = {"mqttv311": "128", "mqttv5": "158" if topic.startswith("$share") else "143"}[version]
            expect(code in text or "denied" in text, f"{VERSIONS[version]}: {topic} is refused ({text.strip()[-60:]})")


def main():
    with checks.scratch() as folder, gateway_module.Gateway(folder) as gateway:
        gateway.start()
        for version, name in VERSIONS.items():
            live(gateway, version, name)
            retained(gateway, version, name)
            for qos in ("1", "2"):
                kept_session(gateway, version, name, qos)
        refused(gateway)
        expect(gateway.terminate() == 0, "SIGTERM ends it with exit 0")


if __name__ == "__main__":
    checks.run(main)
