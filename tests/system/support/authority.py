"""A certificate authority in a folder, made by openssl: keys and certificates for brokers and gateways."""

import subprocess

from . import checks

NOW, PAST = "now", "past"
VALID = {NOW: ("20200101000000Z", "20400101000000Z"), PAST: ("20200101000000Z", "20200201000000Z")}


class Authority:
    def __init__(self, folder, name="authority"):
        self.folder = folder / name
        self.folder.mkdir(parents=True)
        self.certificate = self.folder / "ca.crt"
        self._openssl("req", "-x509", *self._new_key("ca"), "-days", "30", "-subj", f"/CN={name}",
                      "-addext", "basicConstraints=critical,CA:TRUE", "-out", "ca.crt")
        (self.folder / "index.txt").touch()
        (self.folder / "serial").write_text("1000")
        (self.folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\n"
            "certificate=ca.crt\nprivate_key=ca.key\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n")

    def _new_key(self, name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key")

    def _openssl(self, *arguments):
        done = subprocess.run([checks.foreign("openssl", "openssl"), *arguments], cwd=self.folder,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise checks.Failed(f"openssl {arguments[0]}: {done.stderr}")

    def issue(self, name, when=NOW, names="DNS:localhost,IP:127.0.0.1"):
        """NAME.key (PKCS#8), NAME.crt, and NAME.pem with both and the authority's, for loopback."""
        self._openssl("req", *self._new_key(name), "-subj", f"/CN={name}", "-out", f"{name}.csr")
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={names}\n")
        start, end = VALID[when]
        self._openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-in", f"{name}.csr", "-out", f"{name}.crt",
                      "-startdate", start, "-enddate", end, "-extfile", f"{name}.ext")
        parts = [self.folder / f"{name}.key", self.folder / f"{name}.crt", self.certificate]
        self.path(f"{name}.pem").write_text("".join(part.read_text() for part in parts))

    def path(self, name):
        return self.folder / name
