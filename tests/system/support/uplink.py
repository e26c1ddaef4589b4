"""The gateway's way to a cluster: a proxy before each broker, and what can happen on it."""

import asyncio
import contextlib
import time

from .proxy import Proxy

OPEN, CLOSED, HANGING = "open", "closed", "hanging"
LOOK_S = 0.05


class Way(Proxy):
    """A Proxy that can break: CLOSED cuts connections and takes none, HANGING keeps them and passes nothing on."""

    def __init__(self, port, upstream_port):
        super().__init__(port, upstream_port)
        self._state = OPEN
        self._writers = set()

    def set_state(self, state):
        self._state = state
        if state == CLOSED:
            self._loop.call_soon_threadsafe(lambda: [writer.transport.abort() for writer in list(self._writers)])

    async def _serve(self, reader, writer):
        if self._state == CLOSED:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            await super()._serve(reader, writer)
        finally:
            self._writers.discard(writer)

    async def _pump(self, reader, writer, *, down):
        try:
            while data := await reader.read(65536):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                while self._state == HANGING:
                    await asyncio.sleep(LOOK_S)
                writer.write(data)
                await writer.drain()
        except OSError:
            return


class Uplink:
    """Use as a context manager: the proxies of all nodes of a cluster. `delay_s`: of each way."""

    def __init__(self, nodes, delay_s=0.0):
        self._ways = [Way(node.proxy_port, node.gateway_port) for node in nodes]
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
            way.set_state(state)
        time.sleep(seconds)
        for way in self._ways:
            way.set_state(OPEN)
