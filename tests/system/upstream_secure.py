#!/usr/bin/env python3
"""TLS, client certificates, SASL PLAIN, SCRAM-SHA-256 and -512 and OAUTHBEARER against a real broker, a gateway for each.

    python3 tests/system/upstream_secure.py            every mechanism that the library has, once
    python3 tests/system/upstream_secure.py --full     and: SIGKILLs, a password that changes while the gateway runs, a
                                                       broker whose certificate is no good; Kafka's own consumer reads
    python3 tests/system/upstream_secure.py --only scram512 oidc    those; skipped when the library has not all
    python3 tests/system/upstream_secure.py --librdkafka DIR      with that folder's librdkafka.so.1
    python3 tests/system/upstream_secure.py --backport     with the one that tests/kafka/librdkafka.py has built

Each gateway begins with a wrong secret: it takes readings in, says in one line what is wrong, and forwards nothing. The
right one is put into its file: it goes on by itself, each reading once, in order. No secret shows up anywhere.
"""

import argparse
import json
import os
import pathlib
import subprocess

from support import authority, checks, gateway as gateway_module, mqtt, tokens
from support.checks import expect, say
import librdkafka
import processes
import testbed

NAMES = ("tls", "mtls", "plain", "scram256", "scram512", "oidc", "oauth")
READINGS = 50  # in each part of the test
LISTENERS = ("TLS", "MTLS", "PLAIN", "SCRAM", "OAUTH")
SASL = {"security.protocol": "SASL_SSL"}
USER = "gw1"
WRONG, RIGHT, NEXT = "not-the-Secret-of-gw1", "right-Secret-of-gw1", "next-Secret-of-gw1"
SCRAM_FROM = (2, 6, 1)  # of librdkafka, against Kafka 4
SETTLE_S = 60


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", help="of " + ", ".join(NAMES))
    library = parser.add_mutually_exclusive_group()
    library.add_argument("--librdkafka", type=pathlib.Path, help="a folder with librdkafka.so.1, for all programs")
    library.add_argument("--backport", action="store_true", help="Debian 13's, of tests/kafka/librdkafka.py")
    parser.add_argument("--keep", action="store_true", help="keep the folder of the run")
    return parser.parse_args()


def use_library(size):
    """For all programs of this test; skips when it is to be Debian 13's, and that was not built."""
    folder = librdkafka.folder() if size.backport else size.librdkafka
    if size.backport and folder is None:
        checks.skip("no librdkafka of Debian 13 (python3 tests/kafka/librdkafka.py builds it)")
    if folder:
        os.environ["LD_LIBRARY_PATH"] = str(folder)


def library_version():
    """Of the librdkafka that programs of this test get."""
    said = subprocess.run([checks.foreign("kcat", "kcat"), "-V"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in said.split("librdkafka ")[1].split()[0].split("."))


def secure_broker(site):
    """A broker with a listener for each way of logging in, beside the plain one of the tests' own tools."""
    port, controller, *ports = processes.free_ports(2 + len(LISTENERS))
    addresses = {name: f"{name}://127.0.0.1:{number}" for name, number in zip(LISTENERS, ports)}
    listeners = ",".join([f"PLAINTEXT://127.0.0.1:{port}", *addresses.values()])
    module = "org.apache.kafka.common.security"
    settings = {
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
        "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}", "advertised.listeners": listeners,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,MTLS:SSL,PLAIN:SASL_SSL,"
                                          "SCRAM:SASL_SSL,OAUTH:SASL_SSL",
        "ssl.keystore.type": "PEM", "ssl.keystore.location": site.path("broker.pem"),
        "ssl.truststore.type": "PEM", "ssl.truststore.location": site.certificate,
        "listener.name.mtls.ssl.client.auth": "required",
        "listener.name.plain.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.plain.plain.sasl.jaas.config": f'{module}.plain.PlainLoginModule required user_{USER}="{RIGHT}";',
        "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512",
        "listener.name.oauth.sasl.enabled.mechanisms": "OAUTHBEARER",
        "listener.name.oauth.oauthbearer.sasl.jaas.config":
            f'{module}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'}
    users = []
    for bits in ("256", "512"):
        settings[f"listener.name.scram.scram-sha-{bits}.sasl.jaas.config"] = \
            f"{module}.scram.ScramLoginModule required;"
        users += ["--add-scram", f"SCRAM-SHA-{bits}=[name={USER},password={RIGHT}]"]
    kafka = testbed.Broker(settings=settings, format_options=users)
    kafka.port = port
    return kafka, dict(zip(LISTENERS, ports))


class Case:
    """A gateway that logs in in one way, and the file that is wrong at first."""

    def __init__(self, name, listener, properties, secret=None, wrong="", right="", complaint=""):
        self.name, self.listener, self.properties = name, listener, properties
        self.secret, self.wrong, self.right, self.complaint = secret, wrong, right, complaint
        self.topic = f"secure.{name}"
        self.gateway = None
        self.published = 0

    def start(self, folder, port, site):
        properties = {"ssl.ca.location": str(site.certificate), **self.properties}
        table = "".join(f"{json.dumps(key)} = {json.dumps(str(value))}\n" for key, value in properties.items())
        if self.secret:
            self.secret.write_text(self.wrong)
        self.gateway = gateway_module.Gateway(
            folder / f"gateway-{self.name}", upstream=f"127.0.0.1:{port}", extra_first=f'gateway_id = "{self.name}"\n',
            routes=[{"filter": "r/{device}", "topic": self.topic, "key": "{device}", "partitions": 1}],
            extra="[upstream.librdkafka]\n" + table)
        checked = subprocess.run([str(checks.program("milepostd")), "--config", str(self.gateway.config),
                                  "--check-config"], capture_output=True, text=True, check=False)
        expect(checked.returncode == 0, f"{self.name}: --check-config exits 0 {checked.stdout}{checked.stderr}".strip())
        self.gateway.start()
        return checked.stdout + checked.stderr

    def publish(self):
        with mqtt.Client(self.gateway.mqtt_port, self.name) as client:
            for _ in range(READINGS):
                self.published += 1
                client.publish("r/d", f"{self.name} {self.published}".encode())

    def problem(self):
        upstream = self.gateway.status()["upstream"]
        return "" if upstream["state"] == "up" else f"{upstream['state']}: {upstream['reason']}"

    def forwarded(self):
        return sum(partition["forwarded"] for partition in self.gateway.status()["partitions"]
                   if partition["topic"] == self.topic)

    def expect_refused(self):
        processes.wait_until(lambda: self.complaint in self.problem(), within_s=SETTLE_S,
                             what=f"{self.name}: the status says {self.complaint!r} ({self.problem()})")
        say(f"ok: {self.name}: the status says {self.problem()}")
        lines = [line for line in self.log().splitlines() if self.complaint in line]
        expect(lines, f"{self.name}: and so does the log: {lines[:1]}")
        expect(self.gateway.ready()[0] == 200, f"{self.name}: readings are taken in all the same")

    def mend(self):
        if self.secret:
            self.secret.write_text(self.right)

    def expect_forwarded(self, what):
        processes.wait_until(lambda: self.forwarded() == self.published, within_s=SETTLE_S,
                             what=f"{self.name}: {what}: everything is forwarded ({self.problem()})")
        processes.wait_until(lambda: not self.problem(), within_s=10, what=f"{self.name}: all is well")
        say(f"ok: {self.name}: {what}: everything is forwarded")

    def log(self):
        return (self.gateway.folder / "milepostd.log").read_text()


def chosen(size, version, folder):
    """The names of the cases to run. Skips when one was asked for that this library cannot."""
    lacking = {}
    if version < SCRAM_FROM:
        lacking = dict.fromkeys(("scram256", "scram512"), "SCRAM with Kafka 4 needs librdkafka 2.6.1")
    if not knows_oidc(folder):
        lacking["oidc"] = "this librdkafka is built without OIDC"
    for name, why in lacking.items():
        if size.only and name in size.only:
            checks.skip(f"{name}: {why} (packaging/librdkafka-backport.sh)")
        if not size.only:
            say(f"without {name}: {why} (packaging/librdkafka-backport.sh)")
    return [name for name in size.only or NAMES if name not in lacking]


def cases(folder, site, provider, names):
    stranger = authority.Authority(folder, "stranger")
    site.issue("gw1")
    site.issue("expired", authority.PAST)

    def file(name):
        return folder / name

    def both(name):  # key and certificate in one file
        return site.path(f"{name}.key").read_text() + site.path(f"{name}.crt").read_text()

    def sasl(mechanism, password_file):
        return {**SASL, "sasl.mechanism": mechanism, "sasl.username": USER, "sasl.password_file": password_file}

    found = [
        Case("tls", "TLS", {"security.protocol": "SSL", "ssl.ca.location": file("ca.pem")}, file("ca.pem"),
             stranger.certificate.read_text(), site.certificate.read_text(), "signed by no authority"),
        Case("mtls", "MTLS", {"security.protocol": "SSL", "ssl.certificate.location": file("mine.pem"),
                              "ssl.key.location": file("mine.pem")}, file("mine.pem"), both("expired"), both("gw1"),
             "the broker refuses this gateway's certificate"),
        # A relative name: one of systemd's credentials.
        Case("plain", "PLAIN", sasl("PLAIN", "kafka.password"), file("kafka.password"), WRONG, f"{RIGHT}\n",
             "uthentication failed"),
    ]
    found += [Case(f"scram{bits}", "SCRAM", sasl(f"SCRAM-SHA-{bits}", file(f"scram{bits}")), file(f"scram{bits}"), WRONG,
                   RIGHT, "uthentication failed") for bits in ("256", "512")]
    found += [
        Case("oidc", "OAUTH", {**SASL, "sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.method": "oidc",
                               "sasl.oauthbearer.client.id": USER, "sasl.oauthbearer.client.secret_file": file("oidc"),
                               "sasl.oauthbearer.token.endpoint.url": provider.url},
             file("oidc"), WRONG, RIGHT, "token"),
        Case("oauth", "OAUTH", {**SASL, "sasl.mechanism": "OAUTHBEARER", "enable.sasl.oauthbearer.unsecure.jwt": "true",
                                "sasl.oauthbearer.config": f"principal={USER}"}),
    ]
    return [case for case in found if case.name in names]


def knows_oidc(folder):
    """Whether the library was built with it."""
    config = folder / "oidc.toml"
    config.write_text(f'data_dir = "{folder}/none"\n[upstream]\nbootstrap_servers = "127.0.0.1:1"\n'
                      '[upstream.librdkafka]\n"sasl.oauthbearer.method" = "oidc"\n')
    return subprocess.run([str(checks.program("milepostd")), "--config", str(config), "--check-config"],
                          capture_output=True, check=False).returncode == 0


def expect_once_in_order(kafka, each, full):
    wanted = [f"{each.name} {number}" for number in range(1, each.published + 1)]
    if full:
        found = [record.value for record in testbed.consume(kafka.bootstrap, each.topic)]
    else:
        found = subprocess.run(["kcat", "-C", "-b", kafka.bootstrap, "-t", each.topic, "-o", "beginning", "-e", "-q"],
                               capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    expect(found == wanted, f"{each.name}: {len(found)} records upstream, each once, in order")


def expect_no_secrets(all_cases, folder):
    secrets = [WRONG, RIGHT, NEXT]
    for key in folder.rglob("*.key"):
        secrets += [line for line in key.read_text().splitlines() if line and not line.startswith("-----")]
    for each in all_cases:
        said = each.log() + "".join(each.gateway.get(path)[1] for path in ("/api/v1/status", "/metrics", "/readyz"))
        shown = [secret[:12] for secret in secrets if secret in said]
        expect(not shown, f"{each.name}: none of {len(secrets)} secrets in its log, status and metrics {shown}")


def old_library(folder, site, port):
    """SCRAM with a library that cannot: one line says so, at --check-config and at the start."""
    each = Case("scram", "SCRAM", {**SASL, "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": USER,
                                   "sasl.password": RIGHT})
    checked = each.start(folder, port, site)
    for said, where in ((checked, "--check-config"), (each.log(), "the start")):
        lines = [line for line in said.splitlines() if "cannot log in with SCRAM to Kafka 4" in line]
        expect(len(lines) == 1, f"{where} says in one line that this librdkafka cannot log in with SCRAM to Kafka 4.x")
    each.gateway.kill()


class Run:
    def __init__(self, all_cases, kafka, full):
        self.cases, self.kafka, self.full = all_cases, kafka, full

    def each(self, do, *words):
        for case in self.cases:
            getattr(case, do)(*words)

    def play(self):
        self.each("publish")
        for case in self.cases:
            if case.secret:
                case.expect_refused()
                expect(case.forwarded() == 0, f"{case.name}: nothing counts as forwarded")
        self.each("mend")
        self.each("expect_forwarded", "the right secret")
        if self.full:
            self.killed()
            for case in self.cases:
                if case.name == "plain":
                    self.password_changes(case)
            self.broker_presents("old-broker", "the broker's certificate has expired (valid until 2020-02-01")
            self.broker_presents("elsewhere", "the broker's certificate is for another host than 127.0.0.1")
        self.each("publish")
        self.each("expect_forwarded", "more readings")

    def killed(self):
        for _ in range(3):
            for case in self.cases:
                case.publish()
                case.gateway.kill()
                case.gateway.start()
        self.each("expect_forwarded", "after SIGKILLs")

    def password_changes(self, plain):
        """While the gateway runs: a password is revoked, the broker comes back and knows another one."""
        self.kafka.stop()
        text = self.kafka.configuration.read_text()
        self.kafka.configuration.write_text(text.replace(f'user_{USER}="{RIGHT}"', f'user_{USER}="{NEXT}"'))
        self.kafka.start()
        plain.publish()
        plain.expect_refused()
        plain.secret.write_text(NEXT)
        plain.expect_forwarded("the password was changed")

    def broker_presents(self, name, complaint):
        """A certificate that is no good, and then the right one again."""
        pem = pathlib.Path(next(line.split("=", 1)[1] for line in self.kafka.configuration.read_text().splitlines()
                                if line.startswith("ssl.keystore.location=")))
        sound, other = pem.read_text(), pem.with_name(f"{name}.pem").read_text()
        self.kafka.stop()
        pem.write_text(other)
        self.kafka.start()
        self.each("publish")
        for case in self.cases:
            processes.wait_until(lambda case=case: complaint in case.problem(), within_s=SETTLE_S,
                                 what=f"{case.name}: the status says {complaint!r}")
            say(f"ok: {case.name}: the status says {case.problem()}")
        self.kafka.stop()
        pem.write_text(sound)
        self.kafka.start()
        self.each("expect_forwarded", "the broker has a new certificate")


def main():
    size = arguments()
    for name in ("milepostd", "milepost"):
        checks.program(name)
    testbed.require_kafka()
    use_library(size)
    version = library_version()
    say(f"librdkafka {'.'.join(map(str, version))}, Kafka {testbed.jars.KAFKA_VERSION}")
    with checks.scratch(keep=size.keep) as folder:
        os.environ["CREDENTIALS_DIRECTORY"] = str(folder)
        names = chosen(size, version, folder)
        site = authority.Authority(folder)
        site.issue("old-broker", authority.PAST)
        site.issue("elsewhere", names="DNS:elsewhere.example")
        site.issue("broker")
        kafka, ports = secure_broker(site)
        with kafka, tokens.Provider(processes.free_ports(1)[0], USER, RIGHT) as provider:
            all_cases = cases(folder, site, provider, names)
            try:
                for case in all_cases:
                    kafka.create_topic(case.topic, 1)
                    case.start(folder, ports[case.listener], site)
                Run(all_cases, kafka, size.full).play()
                for case in all_cases:
                    expect_once_in_order(kafka, case, size.full)
                expect_no_secrets(all_cases, folder)
                if version < SCRAM_FROM:
                    old_library(folder, site, ports["SCRAM"])
            finally:
                for case in all_cases:
                    if case.gateway and case.gateway.process:
                        case.gateway.kill()


if __name__ == "__main__":
    checks.run(main)
