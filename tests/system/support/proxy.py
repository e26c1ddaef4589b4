"""A TCP proxy between the gateway and its broker: makes the way longer, and loses answers on it."""

import asyncio
import threading


class Proxy:
    """Use as a context manager. Thread of its own; the attributes may be changed at any time.

    `delay_s`: each way. `cut`: so many connections lose what the broker says next, and then break.
    """

    def __init__(self, port, upstream_port):
        self.port, self.upstream_port = port, upstream_port
        self.delay_s = 0.0
        self.cut = 0
        self.cuts_done = 0
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

    def _stop(self):
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        asyncio.ensure_future(self._stop_after(tasks), loop=self._loop)

    async def _stop_after(self, tasks):
        await asyncio.gather(*tasks, return_exceptions=True)
        self._loop.stop()

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self, reader, writer):
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream_port)
        except OSError:
            writer.close()
            return
        ways = [asyncio.ensure_future(self._pump(reader, up_writer, down=False)),
                asyncio.ensure_future(self._pump(up_reader, writer, down=True))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # the end
        for each in (writer, up_writer):
            each.close()
        for way in ways:
            way.cancel()

    async def _pump(self, reader, writer, *, down):
        try:
            while data := await reader.read(65536):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if down and self.cut > 0:
                    self.cut -= 1
                    self.cuts_done += 1
                    return
                writer.write(data)
                await writer.drain()
        except OSError:
            return
