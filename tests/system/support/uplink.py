"""The gateway's way to a cluster: a proxy before each broker, all of them cut at once."""

import contextlib
import time

from proxy import Proxy, Way

CLOSED, HANGING = Way.REFUSED, Way.HANGING


class Uplink:
    """Use as a context manager: the proxies of all nodes of a cluster. `delay_s`: of each way."""

    def __init__(self, nodes, delay_s=0.0):
        self._ways = [Proxy(node.proxy_port, node.gateway_port) for node in nodes]
        self._open = contextlib.ExitStack()
        for way in self._ways:
            way.delay_s = delay_s

    def __enter__(self):
        for way in self._ways:
            self._open.enter_context(way)
        return self

    def __exit__(self, *_):
        self._open.close()

    def cut(self, state, seconds):
        """Nothing comes through for that long."""
        for way in self._ways:
            way.way = state
        time.sleep(seconds)
        for way in self._ways:
            way.way = Way.OPEN
