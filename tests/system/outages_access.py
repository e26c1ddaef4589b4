#!/usr/bin/env python3
"""The way to Kafka is closed by names and papers: a name that stops resolving, a broker certificate that expired, a login
that was taken away. Nothing is lost or doubled, and the operator is told which it is.

    python3 tests/system/outages_access.py          a part is skipped where namespaces are not allowed
"""

import argparse
import subprocess

from outages import Outages
from secure import Site
from support import checks, forwarding
from support.checks import expect, say
import testbed

NAME = "kafka.milepost.test"
USER, PASSWORD = "gw1", "gw1-secret"
IN_NAMESPACE = ["unshare", "-rm", "sh", "-c",
                'mount --bind "$0" /etc/hosts && mount --bind "$1" /etc/resolv.conf && shift && exec "$@"']


def names(delivery):
    """In a mount namespace the test keeps /etc/hosts, and no other resolver answers."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode != 0:
        say("skipped: no user and mount namespaces here, so names cannot be taken away")
        return
    with checks.scratch() as folder:
        hosts, resolver = folder / "hosts", folder / "resolv.conf"
        known = f"127.0.0.1 localhost {NAME}\n"
        hosts.write_text(known)
        resolver.write_text("nameserver 127.0.0.1\n")  # where nobody listens
        with forwarding.Forwarding(folder, delivery, listener=("PLAINTEXT", NAME),
                                   wrapper=[*IN_NAMESPACE, str(hosts), str(resolver)]) as run:
            run.gateway.start()
            run.warm_up()
            run.gateway.wrapper = []  # every part of it was replaced by the next: milepostd is our child

            def forget():
                hosts.write_text("127.0.0.1 localhost\n")
                run.proxy.reset_all()
            Outages(run, full=True).outage("the name is gone", forget, lambda: hosts.write_text(known),
                                           says=["no broker is connected", f"Failed to resolve '{NAME}"], within_s=20)
            finish(run)


class Papers:
    """The broker's certificate and its list of logins, which take effect when it starts."""

    def __init__(self, folder):
        self.site = Site(folder, "site")
        self.site.issue("broker", "subjectAltName=IP:127.0.0.1")
        self.keystore = folder / "broker.pem"
        self.sign(days=1)

    def sign(self, days):
        """The same key with a certificate for so many days from now; -1: until yesterday."""
        site = self.site
        site._openssl("x509", "-req", "-in", site.path("broker.csr"), "-CA", site.path("ca.pem"), "-CAkey",
                      site.path("ca.key"), "-CAcreateserial", "-days", days, "-extfile", site.path("broker.ext"),
                      "-out", site.path("broker.pem"))
        self.keystore.write_text("".join(site.path(name).read_text() for name in ("broker.key", "broker.pem", "ca.pem")))

    def properties(self):
        return (f"ssl.keystore.type=PEM\nssl.keystore.location={self.keystore}\n"
                "listener.name.outer.sasl.enabled.mechanisms=PLAIN\n"
                + self.login(USER))

    @staticmethod
    def login(user):
        return ("listener.name.outer.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule "
                f'required user_{user}="{PASSWORD}";\n')

    def librdkafka(self):
        return ('[upstream.librdkafka]\n"security.protocol" = "SASL_SSL"\n"sasl.mechanisms" = "PLAIN"\n'
                f'"sasl.username" = "{USER}"\n"sasl.password" = "{PASSWORD}"\n'
                f'"ssl.ca.location" = "{self.site.path("ca.pem")}"\n')


def papers(delivery):
    with checks.scratch() as folder:
        paper = Papers(folder)
        with forwarding.Forwarding(folder, delivery, listener=("SASL_SSL", "127.0.0.1"),
                                   properties=paper.properties(), extra=paper.librdkafka()) as run:
            run.gateway.start()
            run.warm_up()
            outages = Outages(run, full=True)

            def restart():
                run.kafka.stop()
                run.kafka.start()

            def sign(days):
                paper.sign(days)
                restart()
            outages.outage("the broker's certificate has expired", lambda: sign(-1), lambda: sign(1), within_s=20,
                           says=["no broker is connected", "certificate verify failed: the broker's certificate has expired"])

            def login(before, after):
                file = run.kafka.folder / "server.properties"
                file.write_text(file.read_text().replace(paper.login(before), paper.login(after)))
                restart()
            outages.outage("the login was taken away", lambda: login(USER, "else"), lambda: login("else", USER),
                           says=["no broker is connected", "Authentication failed"], within_s=20)
            finish(run)


def finish(run):
    run.account()
    expect(run.gateway.terminate() == 0, "SIGTERM ends the gateway with exit 0 within 10 s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delivery", choices=["exactly_once", "at_least_once"], default="exactly_once")
    delivery = parser.parse_args().delivery
    testbed.require_kafka()
    names(delivery)
    papers(delivery)


if __name__ == "__main__":
    checks.run(main)
