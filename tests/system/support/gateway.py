"""milepostd in a temporary folder on free loopback ports, and milepost, the tool, pointed at it."""

import json
import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import processes
from . import checks

TOOL_LIMIT_S = 120
START_LIMIT_S = 20
STOP_LIMIT_S = 10  # of interfaces.md: SIGTERM exits 0 within 10 s


class Gateway:
    """Use as a context manager; it does not start by itself. `upstream` is host:port, or None for no upstream.

    `data` is its data folder if that is to be elsewhere (a disk of its own).
    `log` are keys of the section [log], `routes` a list of dicts, `extra` is TOML appended as it is, `extra_first`
    put first; `upstream_keys` are more keys of [upstream].
    `wrapper` is a command line that milepostd is started under (strace …), `flags` are more of its own.
    """

    def __init__(self, folder, *, data=None, upstream=None, log=None, routes=(), extra="", wrapper=(),
                 upstream_keys=None, extra_first="", flags=()):
        self.folder = folder
        self.data = data or folder / "data"
        self.config = folder / "milepost.toml"
        self.mqtt_port, self.admin_port = processes.free_ports(2)
        self.url = f"http://127.0.0.1:{self.admin_port}"
        self.wrapper = list(wrapper)
        self.flags = list(flags)
        self.process = None
        self._program = checks.program("milepostd")
        self._tool = checks.program("milepost")
        folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(extra_first + self._toml(upstream, upstream_keys or {}, log or {}, routes) + extra)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process is not None:
            self.kill()
        if kind is not None and kind is not SystemExit:
            print("--- the end of milepostd's log", self.log_tail(), "---", sep="\n", flush=True)

    def _toml(self, upstream, upstream_keys, log, routes):
        lines = [f'data_dir = "{self.data}"']
        if upstream is not None:
            keys = {"bootstrap_servers": upstream, **upstream_keys}
            lines += ["[upstream]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
        if log:
            lines += ["[log]", *(f"{key} = {json.dumps(value)}" for key, value in log.items())]
        lines += ["[[mqtt.listener]]", 'address = "127.0.0.1"', f"port = {self.mqtt_port}",
                  "[admin]", 'address = "127.0.0.1"', f"port = {self.admin_port}"]
        for route in routes:
            lines += ["[[route]]", *(f"{key} = {json.dumps(value)}" for key, value in route.items())]
        return "\n".join(lines) + "\n"

    # Life

    def launch(self):
        """Starts milepostd and returns at once."""
        with open(self.folder / "milepostd.log", "ab") as out:
            self.process = processes.start(
                [*self.wrapper, str(self._program), "--config", str(self.config), *self.flags], stdout=out,
                stderr=out)

    def start(self):
        """Starts milepostd and waits until /readyz is 200."""
        self.launch()
        processes.wait_until(self._ready_or_dead, within_s=START_LIMIT_S, every_s=0.01, what="/readyz is 200")

    def _ready_or_dead(self):
        if self.process.poll() is not None:
            raise checks.Failed(f"milepostd ended with {self.process.returncode} at its start")
        return self.ready()[0] == 200

    def pid(self):
        """Of milepostd itself, also under a wrapper."""
        if not self.wrapper:
            return self.process.pid
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:
            return int(children.read().split()[0])

    def expect_running(self):
        """Fails when milepostd ended by itself."""
        if self.process.poll() is not None:
            raise checks.Failed(f"milepostd ended by itself with {self.process.returncode}")

    def kill(self):
        """SIGKILL and wait; nothing is left in the process, all it wrote is in the page cache."""
        if self.wrapper and self.process.poll() is None:
            try:
                os.kill(self.pid(), signal.SIGKILL)
                self.process.wait(5)
            except (OSError, IndexError, subprocess.TimeoutExpired):
                pass
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process = None

    def terminate(self):
        """SIGTERM; its exit code. Raises when it takes longer than it may."""
        os.kill(self.pid(), signal.SIGTERM)
        try:
            code = self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            raise checks.Failed(f"milepostd runs {STOP_LIMIT_S} s after SIGTERM") from None
        self.process = None
        return code

    def accepts(self):
        """Whether the MQTT port takes a connection."""
        try:
            socket.create_connection(("127.0.0.1", self.mqtt_port), timeout=1).close()
            return True
        except OSError:
            return False

    def log_tail(self, lines=30):
        path = self.folder / "milepostd.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    # What it says of itself

    def get(self, path):
        """(status, body); status 0 when nobody answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self):
        return self.get("/readyz")

    def status(self):
        return json.loads(self.get("/api/v1/status")[1])

    def metrics(self):
        """{'name{labels}': value}"""
        found = {}
        for line in self.get("/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name] = float(value)
        return found

    # The operator's tool

    def forwarded(self, topic):
        """How many of the topic's records it has counted as forwarded since its log began."""
        return sum(row["forwarded"] for row in self.status()["partitions"] if row["topic"] == topic)

    def tool(self, *arguments, allowed=(0,), limit_s=TOOL_LIMIT_S):
        done = subprocess.run([str(self._tool), *map(str, arguments)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=limit_s)
        if allowed is not None and done.returncode not in allowed:
            raise checks.Failed(f"milepost {' '.join(map(str, arguments))}: exit {done.returncode}\n"
                                f"{done.stdout.decode(errors='replace')[-2000:]}"
                                f"{done.stderr.decode(errors='replace')[-2000:]}")
        return done

    def consume(self, *arguments):
        """Records of the stopped gateway's files, as kcat's -J prints them; everything when nothing is asked."""
        lines = self.tool("consume", "--data-dir", self.data, "--json", *(arguments or ("-o", "beginning")), "-e")
        return [json.loads(line) for line in lines.stdout.decode().splitlines()]

    def verify(self):
        """`milepost verify` of the stopped gateway's folder; fails unless it says sound. Its last line."""
        return self.tool("verify", self.data).stdout.decode().splitlines()[-1]


def histogram(metrics, name):
    """{upper bound in s: cumulative count}, all label sets together."""
    found = {}
    for key, value in metrics.items():
        if key.startswith(name + "_bucket{"):
            bound = float(re.search(r'le="([^"]+)"', key)[1].replace("+Inf", "inf"))
            found[bound] = found.get(bound, 0) + value
    return found


def histogram_quantile(before, after, quantile):
    """The upper bound in s of the bucket that holds the quantile of what came between two histograms."""
    grown = {bound: count - before.get(bound, 0) for bound, count in after.items()}
    total = grown.get(float("inf"), 0)
    if total == 0:
        return None
    return min(bound for bound, count in grown.items() if count >= quantile * total)
