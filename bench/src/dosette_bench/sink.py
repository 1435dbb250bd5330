"""A web server that takes its time, as the services do that carry messages to phones; it counts what it was told of."""

import asyncio
import json
import re
from collections import Counter
from threading import Event, Thread

ANSWER_AFTER_S = 0.2
"""A push service's answer from across a continent."""
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Sink:
    """Answers every request with 200 after ANSWER_AFTER_S, any number of them at once, on a thread of its own."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Sink":
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._answer, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._loop.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1])) if length else b"{}"
            await asyncio.sleep(ANSWER_AFTER_S)
            self.told.update(item["reminder_id"] for item in json.loads(body).get("items", ()))
            writer.write(_ANSWER)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
