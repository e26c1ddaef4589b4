#!/usr/bin/env python3
"""TLS, client certificates, passwords and access lists with mosquitto_pub 3.1.1 and 5.0, on several listeners; and
what a reload changes while a connection stays. The certificates are made by openssl."""

import json
import os
import pathlib
import signal
import subprocess

from support import checks, gateway as gateway_module, mqtt
from support.checks import expect

import processes

VERSIONS = {"mqttv311": "3.1.1", "mqttv5": "5.0"}


class Site:
    """An authority in a folder and what it issues: NAME.pem and NAME.key."""

    def __init__(self, folder, name):
        self.folder = folder / name
        self.folder.mkdir()
        self._openssl("req", "-x509", *self._new_key("ca"), "-days", "2", "-subj", f"/CN={name}",
                      "-addext", "basicConstraints=critical,CA:TRUE", "-out", self.path("ca.pem"))
        (self.folder / "index.txt").touch()
        (self.folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ndefault_md=sha256\ndefault_crl_days=1\n"
            "certificate=ca.pem\nprivate_key=ca.key\n")

    def _new_key(self, name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.path(f"{name}.key"))

    def path(self, name):
        return self.folder / name

    def _openssl(self, *arguments):
        done = subprocess.run([checks.foreign("openssl", "openssl"), *map(str, arguments)], cwd=self.folder,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise checks.Failed(f"openssl {arguments[0]}: {done.stderr}")

    def issue(self, name, extra=""):
        self._openssl("req", *self._new_key(name), "-subj", f"/CN={name}", "-out", self.path(f"{name}.csr"))
        self.path(f"{name}.ext").write_text(extra)
        self._openssl("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.path("ca.pem"), "-CAkey",
                      self.path("ca.key"), "-CAcreateserial", "-days", "1", "-extfile", self.path(f"{name}.ext"),
                      "-out", self.path(f"{name}.pem"))
        return self

    def revoke(self, *names):
        for name in names:
            self._openssl("ca", "-config", "ca.cnf", "-revoke", self.path(f"{name}.pem"))
        self._openssl("ca", "-config", "ca.cnf", "-gencrl", "-out", self.path("crl.pem"))


def pub(port, version, *arguments):
    command = [checks.foreign("mosquitto_pub", "mosquitto-clients"), "-h", "127.0.0.1", "-p", str(port), "-V", version,
               "-q", "1", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=20)


def set_password(gateway, path, user, password, *options):
    tool = checks.program("milepost")
    done = subprocess.run([tool, "passwd", "--cost", "10", *options, path, user], input=password + "\n", text=True,
                          capture_output=True, timeout=30)
    if done.returncode != 0:
        raise checks.Failed(f"milepost passwd: {done.stderr}")


def listener(**keys):
    return "[[mqtt.listener]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())


def reload(gateway):
    before = gateway.log_tail(1000).count("SIGHUP: certificates")
    os.kill(gateway.pid(), signal.SIGHUP)
    processes.wait_until(lambda: gateway.log_tail(1000).count("SIGHUP: certificates") > before, within_s=10,
                         every_s=0.01, what="the files were read again")


def configuration(folder, site, ports):
    tls = {"certificate": str(site.path("gateway.pem")), "key": str(site.path("gateway.key"))}
    acl = folder / "vehicles.acl"
    acl.write_text("write vehicles/%u/#\n")
    passwords = folder / "passwords"
    return (listener(address="127.0.0.1", port=ports[0], client_ca=str(site.path("ca.pem")),
                     crl_file=str(site.path("crl.pem")), user_from_certificate="cn", acl_file=str(acl), **tls) +
            listener(address="127.0.0.1", port=ports[1], password_file=str(passwords), **tls))


def certificates(port, site, other):
    def arguments(name, of=site):
        return "--cafile", site.path("ca.pem"), "--cert", of.path(f"{name}.pem"), "--key", of.path(f"{name}.key")

    for version, name in VERSIONS.items():
        done = pub(port, version, *arguments("V1"), "-t", "vehicles/V1/telemetry", "-m", f"V1 {name}")
        expect(done.returncode == 0, f"{name}: a client certificate is enough {done.stderr}")
        done = pub(port, version, *arguments("V1"), "-t", "vehicles/V2/telemetry", "-m", f"not V1's {name}")
        if version == "mqttv311":
            expect(done.returncode == 0, f"{name}: what is not allowed is acknowledged")
        else:
            expect("ot authorized" in done.stdout + done.stderr, f"{name}: what is not allowed is refused")
        for who, files in (("no certificate", ("--cafile", site.path("ca.pem"))), ("a revoked one", arguments("V2")),
                           ("a stranger's", arguments("V1", other))):
            done = pub(port, version, *files, "-t", "vehicles/V1/telemetry", "-m", "never")
            expect(done.returncode != 0, f"{name}: {who} is refused ({done.returncode})")
    done = pub(port, "mqttv5", "--cafile", other.path("ca.pem"), "-t", "a", "-m", "never")
    expect(done.returncode != 0, "a client that trusts somebody else does not connect")


def passwords(port, site):
    tls = "--cafile", site.path("ca.pem"), "-t", "vehicles/P1/telemetry"
    for version, name in VERSIONS.items():
        done = pub(port, version, *tls, "-u", "depot", "-P", "open sesame", "-m", f"P1 {name}")
        expect(done.returncode == 0, f"{name}: the right password {done.stderr}")
        refused = 5 if version == "mqttv311" else 135
        done = pub(port, version, *tls, "-u", "depot", "-P", "guess", "-m", "never")
        expect(done.returncode == (4 if version == "mqttv311" else 134), f"{name}: a wrong one: {done.returncode}")
        done = pub(port, version, *tls, "-m", "never")
        expect(done.returncode == refused, f"{name}: none: {done.returncode}")
        done = pub(port, version, *tls, "-u", "gone", "-P", "open sesame", "-m", "never")
        expect(done.returncode == (5 if version == "mqttv311" else 138), f"{name}: disabled: {done.returncode}")


def reloads(gateway, ports, folder, site):
    tls = "--cafile", site.path("ca.pem"), "-t", "vehicles/P2/telemetry"
    with mqtt.Client(gateway.mqtt_port, "stays") as stays:
        set_password(gateway, folder / "passwords", "depot", "changed")
        reload(gateway)
        expect(pub(ports[1], "mqttv5", *tls, "-u", "depot", "-P", "open sesame", "-m", "never").returncode == 134,
               "after a reload the old password is wrong")
        expect(pub(ports[1], "mqttv5", *tls, "-u", "depot", "-P", "changed", "-m", "changed").returncode == 0,
               "and the new one right")
        good = (folder / "passwords").read_text()
        (folder / "passwords").write_text("depot:changed\n")
        (folder / "vehicles.acl").write_text("allow everything\n")
        site.path("gateway.key").rename(site.path("away.key"))
        reload(gateway)
        log = gateway.log_tail(1000)
        expect("passwords:1: want $scrypt$" in log and "vehicles.acl:1: want read" in log and
               "gateway.key: cannot be opened" in log, "what cannot be used is named with its line")
        expect("sesame" not in log and "depot:changed" not in log, "no secret is in the log")
        expect(pub(ports[1], "mqttv5", *tls, "-u", "depot", "-P", "changed", "-m", "kept").returncode == 0,
               "and what was read before stays")
        site.path("away.key").rename(site.path("gateway.key"))
        (folder / "passwords").write_text(good)
        site.revoke("V1")
        (folder / "vehicles.acl").write_text("write vehicles/%u/#\n")
        reload(gateway)
        files = "--cert", site.path("V1.pem"), "--key", site.path("V1.key")
        expect(pub(ports[0], "mqttv5", *tls, *files, "-m", "never").returncode != 0, "a certificate that was revoked "
               "meanwhile is refused")
        expect(stays.publish("vehicles/V9/telemetry", b"stayed") > 0, "a connection outlives all that")


def main():
    with checks.scratch() as folder:
        site = Site(folder, "site").issue("gateway", "subjectAltName=DNS:localhost,IP:127.0.0.1").issue("V1").issue("V2")
        other = Site(folder, "other").issue("V1")
        site.revoke("V2")
        ports = processes.free_ports(2)
        extra = configuration(folder, site, ports)
        with gateway_module.Gateway(folder, extra=extra) as gateway:
            set_password(gateway, folder / "passwords", "depot", "open sesame")
            set_password(gateway, folder / "passwords", "gone", "", "--disable")
            expect(oct(pathlib.Path(folder / "passwords").stat().st_mode & 0o777) == "0o640",
                   "the password file is for its owner and group alone")
            gateway.start()
            certificates(ports[0], site, other)
            passwords(ports[1], site)
            reloads(gateway, ports, folder, site)
            rejected = gateway.status()["totals"]["rejected"]["acl"]
            expect(rejected == 2, f"two publishes were rejected by the access list: {rejected}")
            expect(gateway.terminate() == 0, "SIGTERM ends it with exit 0")
            payloads = sorted(record["payload"] for record in gateway.consume())
            expect(payloads == sorted(["V1 3.1.1", "V1 5.0", "P1 3.1.1", "P1 5.0", "changed", "kept", "stayed"]),
                   f"the log has what was allowed and nothing else: {payloads}")


if __name__ == "__main__":
    checks.run(main)
