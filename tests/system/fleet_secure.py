#!/usr/bin/env python3
"""milepost-fleet over TLS: client certificates and passwords in both MQTT versions, and every way in which the files or the
other side can be wrong: told in words, at once, and never a hang."""

import json
import subprocess

from support import checks, gateway as gateway_module
from support.checks import expect
import processes

from secure import Site, listener, set_password

LIMIT_S = 20
VEHICLES, SECONDS = 20, 2


def fleet(port, *words, host="127.0.0.1", drain="10s"):
    """Its exit status, its summary and what it said on stderr."""
    command = [checks.program("milepost-fleet"), "-h", host, "-p", port, "--vehicles", VEHICLES, "--rate", 5,
               "--duration", f"{SECONDS}s", "--drain", drain, "--json", *words]
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=LIMIT_S)


def drives(gateway, folder, ports, site, readings):
    own = "--cert", site.path("fleet.pem"), "--key", site.path("fleet.key")
    ca = "--cafile", site.path("ca.pem")
    folder_of_ca = folder / "trusted"
    folder_of_ca.mkdir()
    (folder_of_ca / "ca.pem").write_text(site.path("ca.pem").read_text())
    subprocess.run([checks.foreign("openssl", "openssl"), "rehash", folder_of_ca], check=True, timeout=LIMIT_S)
    password = "-u", "depot", "-P", "open sesame"
    ways = (("a client certificate, 3.1.1", ports[0], "127.0.0.1", (*ca, *own, "-V", "mqttv311")),
            ("a client certificate, 5.0, QoS 2", ports[0], "localhost", (*ca, *own, "-V", "mqttv5", "-q", "2")),
            ("a folder of authorities, a password", ports[1], "127.0.0.1", ("--capath", folder_of_ca, *password)),
            ("a certificate of another host, --insecure", ports[2], "127.0.0.1", (*ca, "--insecure", "-V", "mqttv5")))
    for number, (what, port, host, words) in enumerate(ways):
        ledger = folder / f"ledger{number}"
        done = fleet(port, *words, "-i", f"F{number}-", "--ledger", ledger, host=host)
        expect(done.returncode == 0 and json.loads(done.stdout)["acknowledged"] == readings,
               f"{what}: {readings} readings acknowledged {done.stderr.strip().splitlines()[-1:]}")
    said = gateway.tool("reconcile", *(word for n in range(len(ways)) for word in ("--ledger", folder / f"ledger{n}")),
                        "--url", gateway.url, "--json", limit_s=60)
    found = json.loads(said.stdout)
    expect(found["logged"] == readings * len(ways) and not any(
        found[figure] for figure in ("lost", "duplicated_in_log", "out_of_order", "unexplained")), "and in the log, once")


def wrong_files(folder, port, site, other):
    ca = "--cafile", site.path("ca.pem")
    garbage = folder / "garbage.pem"
    garbage.write_text("-----BEGIN CERTIFICATE-----\nnot one\n")
    for said, words in (
            ("missing.pem: No such file or directory", ("--cafile", folder / "missing.pem")),
            ("garbage.pem: ", ("--cafile", garbage)),
            ("garbage.pem: is no folder", ("--capath", garbage)),
            ("missing.key: No such file or directory", (*ca, "--cert", site.path("fleet.pem"), "--key",
                                                        folder / "missing.key")),
            ("fleet.key: key values mismatch", (*ca, "--cert", site.path("fleet.pem"), "--key",
                                                other.path("fleet.key"))),
            ("--cert and --key go together", (*ca, "--cert", site.path("fleet.pem"))),
            ("need --cafile", ("--cert", site.path("fleet.pem"), "--key", site.path("fleet.key"))),
            ("--link paho has no TLS", (*ca, "--link", "paho"))):
        done = fleet(port, *words)
        expect(done.returncode == 64 and said in done.stderr and done.stderr.count("\n") == 1, done.stderr.strip())


def wrong_sides(gateway, ports, site, other):
    ca = "--cafile", site.path("ca.pem")
    for said, port, words in (
            (" certificate", ports[1], ("--cafile", other.path("ca.pem"))),
            ("IP address mismatch", ports[2], ca),
            ("alert", ports[0], ca),
            ("alert", ports[0], (*ca, "--cert", other.path("fleet.pem"), "--key", other.path("fleet.key")))):
        for version in ("mqttv311", "mqttv5"):
            done = fleet(port, *words, "-V", version)
            last = done.stderr.strip().splitlines()[-1]
            expect(done.returncode == 1 and f"127.0.0.1:{port}: TLS: " in last and said in last, last)
    done = fleet(gateway.mqtt_port, *ca, drain="1s")
    expect(done.returncode == 1 and "TLS: unexpected eof" in done.stderr and json.loads(done.stdout)["outstanding"] > 0,
           "a gateway that speaks no TLS hangs up; the vehicles try on until the run is over")


def main():
    with checks.scratch() as folder:
        site = Site(folder, "site").issue("gateway", "subjectAltName=DNS:localhost,IP:127.0.0.1").issue("fleet")
        site.issue("elsewhere", "subjectAltName=DNS:elsewhere.example")
        other = Site(folder, "other").issue("fleet")
        ports = processes.free_ports(3)
        passwords = folder / "passwords"
        own = {"certificate": str(site.path("gateway.pem")), "key": str(site.path("gateway.key"))}
        elsewhere = {"certificate": str(site.path("elsewhere.pem")), "key": str(site.path("elsewhere.key"))}
        extra = (listener(address="127.0.0.1", port=ports[0], client_ca=str(site.path("ca.pem")), **own) +
                 listener(address="127.0.0.1", port=ports[1], password_file=str(passwords), **own) +
                 listener(address="127.0.0.1", port=ports[2], **elsewhere))
        with gateway_module.Gateway(folder / "gateway", extra=extra) as gateway:
            set_password(gateway, passwords, "depot", "open sesame")
            gateway.start()
            drives(gateway, folder, ports, site, VEHICLES * 5 * SECONDS)
            wrong_files(folder, ports[1], site, other)
            wrong_sides(gateway, ports, site, other)
            expect(gateway.terminate() == 0, "the gateway stops cleanly")


if __name__ == "__main__":
    checks.run(main)
