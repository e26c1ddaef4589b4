"""A TCP proxy before a Kafka broker that causes every kind of outage, and knows which answer is which.

It rewrites nothing: the broker advertises the proxy's address (`advertise`). Requests and answers are read as frames
(kafka.apache.org/protocol: a length, then api key, api version, correlation id; answers come in the order of the
requests of their connection). Where bytes are not to be understood (TLS) it passes them as they are.
"""

import asyncio
import collections
import enum
import socket
import struct
import threading

API = {"Produce": 0, "Metadata": 3, "InitProducerId": 22, "AddPartitionsToTxn": 24, "AddOffsetsToTxn": 25,
       "EndTxn": 26, "TxnOffsetCommit": 28}
PIECE_BYTES = 65536
FRAME_MOST = 64 << 20  # more is no Kafka frame


class Way(enum.Enum):
    """What happens to connections. Those that are there already, and new ones."""
    OPEN = "pass"
    REFUSED = "are reset; new ones are refused"
    BLACK_HOLE = "fall silent; the SYN of new ones is dropped"
    HANGING = "fall silent; new ones are accepted and never answered; all of them go on afterwards"


def advertise(kafka, port):
    """The broker of a prepared folder, not started yet, sends its clients to the proxy."""
    properties = kafka.folder / "server.properties"
    properties.write_text(properties.read_text().replace(
        f"advertised.listeners=PLAINTEXT://127.0.0.1:{kafka.port}", f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}"))


class Proxy:
    """Use as a context manager. Thread of its own; the attributes may be changed at any time.

    `delay_s`: each way. `bytes_per_s`: each way of each connection; 0: all it takes.
    `cut`: so many connections lose what the broker says next, whatever it is, and then break.
    `lose`: {api name: n}: so many answers to that request are lost after the broker acted on it, with their connection;
    `every`: only each n-th of those. `torn`: of the next so many answers half is passed, then a reset follows.
    """

    def __init__(self, port, upstream_port, *, frames=True):
        self.port, self.upstream_port, self.frames = port, upstream_port, frames
        self.delay_s = 0.0
        self.bytes_per_s = 0
        self.cut = self.cuts_done = 0
        self.lose, self.every = {}, 1
        self.lost = collections.Counter()  # by api name
        self.torn = 0
        self.refusals = 0  # connections that a reset ended
        self._way = Way.OPEN
        self._seen = collections.Counter()
        self._goes = None  # an asyncio.Event: bytes pass
        self._connections = set()
        self._dead = set()  # connections that are silent for good
        self._server = None
        self._hole = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the proxy did not start")
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(10)

    # What a test does

    @property
    def way(self):
        return self._way

    @way.setter
    def way(self, way):
        self._call(self._change(way))

    def reset_all(self):
        """RST to everybody, now."""
        self._call(self._reset_all())

    def half_open(self):
        """The connections that are there stay silent for ever, as behind a router that forgot them; new ones pass."""
        async def forget():
            self._dead |= self._connections
        self._call(forget())

    def connections(self):
        return len(self._connections)

    # How it is done

    def _call(self, coroutine):
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _change(self, way):
        if way == self._way:
            return
        self._close_hole()
        if way in (Way.OPEN, Way.HANGING):
            await self._listen()
        else:
            await self._unlisten()
        self._way = way
        if way == Way.BLACK_HOLE:
            self._dig_hole()
        if way in (Way.OPEN, Way.REFUSED):
            self._goes.set()
        else:
            self._goes.clear()
        if way == Way.REFUSED:
            await self._reset_all()

    async def _listen(self):
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _unlisten(self):
        if self._server is not None:
            self._server.close()
            self._server = None

    def _dig_hole(self):
        """A listening socket whose queue is full: Linux drops the SYN of who comes next, as a dead way would."""
        hole = socket.socket()
        hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hole.bind(("127.0.0.1", self.port))
        hole.listen(0)
        self._hole = [hole]
        for _ in range(2):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._hole.append(filler)

    def _close_hole(self):
        for each in reversed(self._hole):
            each.close()
        self._hole = []

    async def _reset_all(self):
        for writers in list(self._connections):
            self._reset(writers)

    def _reset(self, writers):
        for writer in writers:
            at = writer.get_extra_info("socket")
            if at is not None and at.fileno() >= 0:
                at.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self.refusals += 1

    def _stop(self):
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._close_hole()
        asyncio.ensure_future(self._stop_after(tasks), loop=self._loop)

    async def _stop_after(self, tasks):
        await asyncio.gather(*tasks, return_exceptions=True)
        self._loop.stop()

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._goes = asyncio.Event()
        self._goes.set()
        self._loop.run_until_complete(self._listen())
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self, reader, writer):
        try:
            await self._goes.wait()
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream_port)
        except (OSError, asyncio.CancelledError):
            writer.close()
            return
        writers = (writer, up_writer)
        self._connections.add(writers)
        asked = collections.deque()
        ways = [asyncio.ensure_future(self._up(reader, up_writer, writers, asked)),
                asyncio.ensure_future(self._down(up_reader, writer, writers, asked))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # the end
        for way in ways:
            way.cancel()
        for each in writers:
            each.close()
        self._connections.discard(writers)
        self._dead.discard(writers)

    async def _read(self, reader):
        """A whole frame, or what is there."""
        if not self.frames:
            return await reader.read(PIECE_BYTES)
        head = await reader.readexactly(4)
        length = struct.unpack(">i", head)[0]
        if not 0 <= length <= FRAME_MOST:
            raise OSError(f"{length} bytes are no frame of Kafka's")
        return head + await reader.readexactly(length)

    async def _pass(self, data, writer, writers):
        """Sends it on, as slowly as the way is; False: nothing passes any more."""
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        at = 0
        while at < len(data):
            await self._goes.wait()
            if writers in self._dead:
                await asyncio.Event().wait()  # until it is cancelled
            count = max(self.bytes_per_s // 20, 1) if self.bytes_per_s else len(data)
            writer.write(data[at:at + count])
            await writer.drain()
            at += count
            if self.bytes_per_s:
                await asyncio.sleep(0.05)

    async def _up(self, reader, writer, writers, asked):
        try:
            while data := await self._read(reader):
                if self.frames:
                    asked.append(struct.unpack_from(">h", data, 4)[0])
                await self._pass(data, writer, writers)
        except (OSError, asyncio.IncompleteReadError):
            return

    async def _down(self, reader, writer, writers, asked):
        try:
            while data := await self._read(reader):
                if self.cut > 0:
                    self.cut -= 1
                    self.cuts_done += 1
                    return
                if self.frames and self._is_lost(asked.popleft()):
                    return
                if self.torn > 0:
                    self.torn -= 1
                    await self._pass(data[:len(data) // 2], writer, writers)
                    self._reset(writers)
                    return
                await self._pass(data, writer, writers)
        except (OSError, asyncio.IncompleteReadError):
            return

    def _is_lost(self, api):
        name = next((name for name, key in API.items() if key == api), None)
        if self.lose.get(name, 0) <= 0:
            return False
        self._seen[name] += 1
        if self._seen[name] % self.every:
            return False
        self.lose[name] -= 1
        self.lost[name] += 1
        return True
